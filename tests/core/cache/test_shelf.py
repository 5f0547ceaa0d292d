"""The bounded memory of one process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.cache.directives import Directives
from wws.core.cache.entry import Entry
from wws.core.cache.freshness import Terms
from wws.core.cache.key import PUBLIC
from wws.core.cache.shelf import EARLY_SHARE, MAX_VARIANTS, Held, Key, Shelf

Selection = tuple[tuple[bytes, bytes | None], ...]


def key(path: str, partition: str = PUBLIC) -> Key:
    return ("http://o", "http", "h", path, "", partition)


def held(size: int = 100, selection: Selection = (), body: bytes | None = None) -> Held:
    entry = Entry(200, ((b"content-type", b"text/plain"),), body or b"x" * size, 0.0, 0.0, selection)
    return Held(entry, Directives(), Terms(60.0, 300.0, 300.0, False), 0.0)


def found(shelf: Shelf, at: Key, *raw: tuple[bytes, bytes]) -> Held | None:
    slot = shelf.slots.get(at)
    return None if slot is None else slot.match(list(raw), dict(raw))


def test_put_and_find() -> None:
    shelf = Shelf()
    one = held()
    shelf.put(key("/a"), one)
    assert found(shelf, key("/a")) is one
    assert found(shelf, key("/b")) is None
    assert found(shelf, key("/a", "sub:1")) is None
    other = held()
    shelf.put(key("/a"), other)
    assert found(shelf, key("/a")) is other
    assert shelf.size == other.size


def test_each_selection_has_its_answer_and_the_newest_wins() -> None:
    shelf = Shelf()
    gzip, plain = held(selection=((b"accept-encoding", b"gzip"),)), held(selection=((b"accept-encoding", None),))
    shelf.put(key("/a"), gzip)
    shelf.put(key("/a"), plain)
    assert found(shelf, key("/a"), (b"accept-encoding", b"gzip")) is gzip
    assert found(shelf, key("/a")) is plain
    assert found(shelf, key("/a"), (b"accept-encoding", b"br")) is None
    # The resource stopped varying: the newest answer is for all.
    always = held()
    shelf.put(key("/a"), always)
    assert found(shelf, key("/a"), (b"accept-encoding", b"gzip")) is always
    again = held(selection=((b"accept-encoding", b"gzip"),))
    shelf.put(key("/a"), again)
    assert found(shelf, key("/a"), (b"accept-encoding", b"gzip")) is again
    assert shelf.size == sum([variant.size for variant in shelf.slots[key("/a")].variants])


def test_variants_are_bounded() -> None:
    shelf = Shelf()
    for number in range(MAX_VARIANTS * 3):
        shelf.put(key("/a"), held(selection=((b"x", b"%d" % number),)))
    assert len(shelf.slots[key("/a")].variants) == MAX_VARIANTS
    assert found(shelf, key("/a"), (b"x", b"%d" % (MAX_VARIANTS * 3 - 1))) is not None
    assert found(shelf, key("/a"), (b"x", b"0")) is None
    assert shelf.size == shelf.slots[key("/a")].size


def test_drop_removes_one_answer_and_only_if_it_is_still_there() -> None:
    shelf = Shelf()
    one, other = held(selection=((b"x", b"1"),)), held(selection=((b"x", b"2"),))
    shelf.put(key("/a"), one)
    shelf.put(key("/a"), other)
    shelf.drop(key("/a"), one)
    assert found(shelf, key("/a"), (b"x", b"1")) is None
    assert found(shelf, key("/a"), (b"x", b"2")) is other
    shelf.drop(key("/a"), one)
    assert shelf.size == other.size
    shelf.drop(key("/a"), other)
    shelf.drop(key("/a"), other)
    assert (len(shelf.slots), shelf.size) == (0, 0)


def test_forget_removes_a_uri_in_every_partition() -> None:
    shelf = Shelf()
    for partition in (PUBLIC, "sub:1", "sub:2"):
        shelf.put(key("/a", partition), held())
        shelf.put(key("/b", partition), held())
    shelf.forget(key("/a")[:5])
    assert [at[3:] for at in shelf.slots] == [("/b", "", PUBLIC), ("/b", "", "sub:1"), ("/b", "", "sub:2")]
    shelf.forget(key("/nothing")[:5])
    shelf.forget(key("/b")[:5])
    assert (len(shelf.slots), shelf.size) == (0, 0)


def test_random_query_strings_push_out_each_other_and_not_what_is_used() -> None:
    shelf = Shelf(max_bytes=10_000_000, max_entries=100)
    hot = [key(f"/hot{number}") for number in range(20)]
    for at in hot:
        shelf.put(at, held())
    for number in range(5_000):
        shelf.put(key(f"/?{number}"), held())
        if number % 50 == 0:  # asked for at least once while the hand goes round
            for at in hot:
                one = found(shelf, at)
                assert one is not None
                one.used = True
    assert all(at in shelf.slots for at in hot)
    assert len(shelf.slots) == 100


def test_one_user_cannot_fill_the_shelf() -> None:
    shelf = Shelf(max_bytes=1_000_000, max_entries=1_000, partition_entries=5)
    shelf.put(key("/kept", "sub:other"), held())
    for number in range(50):
        shelf.put(key(f"/{number}", "sub:1"), held())
    mine = [at[3] for at in shelf.slots if at[5] == "sub:1"]
    assert mine == ["/45", "/46", "/47", "/48", "/49"]
    for number in range(50):
        shelf.put(key(f"/big{number}", "sub:1"), held(60_000))
    assert sum([slot.size for at, slot in shelf.slots.items() if at[5] == "sub:1"]) <= 125_000
    assert key("/kept", "sub:other") in shelf.slots


def test_an_answer_too_large_for_the_shelf_is_not_stored() -> None:
    shelf = Shelf(max_bytes=80_000)
    shelf.put(key("/a"), held(20_000))
    assert (len(shelf.slots), shelf.size) == (0, 0)


def test_the_size_counts_more_than_the_body() -> None:
    assert held(0, body=b"y").size > len(b"y") + len(b"content-type") + len(b"text/plain")


def test_an_early_refresh_is_due_once_in_many_late_hits() -> None:
    one = held()
    assert one.early == pytest.approx(54.0)
    due = [one.due_early() for _ in range(EARLY_SHARE * 3)]
    assert [at for at, is_due in enumerate(due, 1) if is_due] == [EARLY_SHARE, EARLY_SHARE * 2, EARLY_SHARE * 3]
    short = Held(held().entry, Directives(), Terms(5.0, 300.0, 300.0, False), 0.0)
    assert short.early == float("inf")


_OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "drop", "forget", "use"]),
        st.sampled_from(["/a", "/b", "/c", "/d", "/e"]),
        st.sampled_from([PUBLIC, "sub:1", "sub:2"]),
        st.sampled_from([(), ((b"x", b"1"),), ((b"x", b"2"),)]),
        st.integers(0, 4_000),
    ),
    max_size=60,
)


@given(_OPERATIONS)
def test_whatever_happens_the_books_balance_and_the_bounds_hold(operations: list[tuple[str, str, str, Selection, int]]) -> None:
    shelf = Shelf(max_bytes=20_000, max_entries=8, partition_entries=3)
    for what, path, partition, selection, size in operations:
        at = key(path, partition)
        slot = shelf.slots.get(at)
        if what == "put":
            shelf.put(at, held(size, selection))
        elif what == "forget":
            shelf.forget(at[:5])
            assert not any(other[:5] == at[:5] for other in shelf.slots)
        elif slot is not None and what == "drop":
            shelf.drop(at, slot.variants[0])
        elif slot is not None:
            slot.variants[0].used = True
        assert shelf.size == sum([kept.size for kept in shelf.slots.values()])
        assert all(kept.size == sum([one.size for one in kept.variants]) for kept in shelf.slots.values())
        assert shelf.size <= 20_000
        assert len(shelf.slots) <= 8
        for user in ("sub:1", "sub:2"):
            assert sum(other[5] == user for other in shelf.slots) <= 3
