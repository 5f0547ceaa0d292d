"""Vary and the values that select (RFC 9111 section 4.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.cache.vary import matches, names, select

Pair = tuple[bytes, bytes]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ()),
        ([b""], ()),
        ([b"Accept-Encoding"], (b"accept-encoding",)),
        ([b"b, A ,,c"], (b"a", b"b", b"c")),
        ([b"b", b"a, b"], (b"a", b"b")),
        ([b"*"], None),
        ([b"*, *"], None),
        ([b"", b"*"], None),
        ([b"Foo, *"], None),
        ([b", *"], None),
    ],
)
def test_names(lines: list[bytes], expected: tuple[bytes, ...] | None) -> None:
    assert names([(b"x", b"*"), *[(b"vary", line) for line in lines]]) == expected


@pytest.mark.parametrize(
    ("stored", "asked", "same"),
    [
        ([], [], True),
        ([(b"a", b"1")], [(b"a", b"1")], True),
        ([(b"a", b"1")], [(b"a", b"2")], False),
        ([(b"a", b"1")], [], False),
        ([], [(b"a", b"1")], False),
        ([], [(b"a", b"")], False),
        ([(b"a", b"1")], [(b"a", b"1"), (b"z", b"9")], True),
        # Two lines are their combination, not one of them: else a second line would choose what others get.
        ([(b"a", b"1")], [(b"a", b"2"), (b"a", b"1")], False),
        ([(b"a", b"1"), (b"a", b"2")], [(b"a", b"2")], False),
        ([(b"a", b"1"), (b"a", b"2")], [(b"a", b"1, 2")], True),
    ],
)
def test_a_request_selects_what_was_stored_for_the_same_values(stored: list[Pair], asked: list[Pair], same: bool) -> None:
    assert matches(select((b"a",), stored), asked, dict(asked)) is same


_FIELDS = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.sampled_from([b"", b"1", b"2"])), max_size=4)


@given(_FIELDS, _FIELDS, st.sets(st.sampled_from([b"a", b"b", b"c"])))
def test_matching_is_selecting_the_same(stored: list[Pair], asked: list[Pair], fields: set[bytes]) -> None:
    chosen = tuple(sorted(fields))
    assert matches(select(chosen, stored), asked, dict(asked)) == (select(chosen, stored) == select(chosen, asked))
