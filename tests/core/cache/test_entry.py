"""A stored answer survives the way through a store, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.cache.entry import Entry, decode, encode

ENTRY = Entry(
    200,
    ((b"content-type", b"text/html"), (b"etag", b'"a"'), (b"x-empty", b"")),
    b"<p>body</p>",
    1_790_000_000.25,
    3.5,
    ((b"accept", b"*/*"), (b"accept-language", None), (b"dnt", b"")),
)


def test_there_and_back() -> None:
    assert decode(encode(ENTRY)) == ENTRY


def test_the_first_value_of_a_field() -> None:
    entry = ENTRY._replace(headers=((b"a", b"1"), (b"a", b"2")))
    assert entry.first(b"a") == b"1"
    assert entry.first(b"b") is None


def test_the_form_is_compact() -> None:
    text = sum(len(name) + len(value) for name, value in ENTRY.headers) + len(ENTRY.body)
    assert len(encode(ENTRY)) < text + 150


@pytest.mark.parametrize("cut", range(len(encode(ENTRY))))
def test_cut_anywhere_it_is_refused(cut: int) -> None:
    with pytest.raises(ValueError):
        decode(encode(ENTRY)[:cut])


def test_followed_by_something_it_is_refused() -> None:
    with pytest.raises(ValueError, match="body"):
        decode(encode(ENTRY) + b"x")


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version"):
        decode(b"wws0" + encode(ENTRY)[4:])


@pytest.mark.parametrize(
    "wrong",
    [
        ENTRY._replace(status=100),
        ENTRY._replace(response_time=float("nan")),
        ENTRY._replace(response_time=float("inf")),
        ENTRY._replace(age=-1.0),
        ENTRY._replace(age=float("nan")),
    ],
)
def test_values_that_no_answer_has_are_refused(wrong: Entry) -> None:
    with pytest.raises(ValueError, match="status"):
        decode(encode(wrong))


def test_a_header_field_needs_a_value() -> None:
    forged = ENTRY._replace(headers=((b"x", None),))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="without a value"):
        decode(encode(forged))


def test_a_name_longer_than_the_form_can_say_is_refused() -> None:
    with pytest.raises(ValueError):
        encode(ENTRY._replace(headers=((b"n" * 70_000, b""),)))


_PAIRS = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=5).map(tuple)
_ENTRIES = st.builds(
    Entry,
    status=st.integers(200, 999),
    headers=_PAIRS,
    body=st.binary(max_size=300),
    response_time=st.floats(0, 4e9),
    age=st.floats(0, 4e9),
    vary=st.lists(st.tuples(st.binary(max_size=20), st.one_of(st.none(), st.binary(max_size=20))), max_size=4).map(tuple),
)


@given(_ENTRIES)
def test_every_entry_comes_back_as_it_was(entry: Entry) -> None:
    assert decode(encode(entry)) == entry


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=120).map(lambda rest: b"wws1" + rest)))
def test_garbage_is_a_value_error_or_an_entry_of_the_same_bytes(data: bytes) -> None:
    try:
        entry = decode(data)
    except ValueError:
        return
    assert encode(entry) == data


@given(_ENTRIES, st.data())
def test_one_changed_byte_never_makes_anything_else_than_an_entry_or_a_value_error(entry: Entry, data: st.DataObject) -> None:
    raw = bytearray(encode(entry))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(bytes(raw))
    except ValueError:
        return
    assert encode(found) == raw
