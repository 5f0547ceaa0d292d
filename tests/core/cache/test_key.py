"""The key tells every two requests apart that may have different answers (rule C1)."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.cache.key import PUBLIC, digest, recipe, subject, tenant


@dataclass(frozen=True)
class Parts:
    site: str = "http://127.0.0.1:3000"
    scheme: str = "https"
    authority: str = "shop.example"
    method: str = "GET"
    path: str = "/a"
    query: str = "a=1"
    vary: tuple[tuple[bytes, bytes | None], ...] = ()
    partition: str = PUBLIC

    def recipe(self) -> str:
        return recipe(*astuple(self))


@pytest.mark.parametrize(
    "other",
    [
        Parts(site="http://127.0.0.1:3001"),
        Parts(scheme="http"),
        Parts(authority="evil.example"),
        Parts(method="HEAD"),
        Parts(path="/b"),
        Parts(path="/A"),
        Parts(path="/%61"),
        Parts(query="a=2"),
        Parts(query=""),
        Parts(query="a=1&b=2"),
        Parts(query="b=2&a=1"),
        Parts(vary=((b"accept-encoding", b"gzip"),)),
        Parts(vary=((b"accept-encoding", None),)),
        Parts(vary=((b"accept-encoding", b""),)),
        Parts(partition=tenant("t1")),
        Parts(partition=subject("alice", b"p" * 32)),
        Parts(partition=subject("bob", b"p" * 32)),
        # Separators inside of parts change nothing.
        Parts(path="/a|3:a=1", query=""),
        Parts(path="/", query="a|a=1"),
    ],
)
def test_each_part_counts(other: Parts) -> None:
    assert other.recipe() != Parts().recipe()
    assert digest(other.recipe()) != digest(Parts().recipe())


def test_a_host_name_has_no_case() -> None:
    assert Parts(authority="Shop.EXAMPLE").recipe() == Parts().recipe()


def test_a_digest_fits_every_store() -> None:
    assert len(digest(Parts(path="/" * 100_000).recipe())) == 64
    digest(Parts(path="\udcff").recipe())  # a path that is no UTF-8


def test_partitions_name_nobody() -> None:
    alice = subject("alice", b"p" * 32)
    assert alice.startswith("sub:")
    assert "alice" not in alice
    assert alice != subject("alice", b"q" * 32)
    assert alice == subject("alice", b"p" * 32)
    assert tenant("t1") != tenant("t2")
    assert len({PUBLIC, tenant("public"), subject("public", b"p" * 32)}) == 3


_TEXT = st.text(st.sampled_from("ab|:-1\x00é"), max_size=6)
_VALUES = st.binary(max_size=4)
_PARTS = st.builds(
    Parts,
    site=_TEXT,
    scheme=_TEXT,
    authority=_TEXT.map(str.lower),
    method=_TEXT,
    path=_TEXT,
    query=_TEXT,
    vary=st.lists(st.tuples(_VALUES, st.one_of(st.none(), _VALUES)), max_size=3).map(tuple),
    partition=_TEXT,
)


@given(_PARTS, _PARTS)
def test_the_recipe_is_injective(one: Parts, other: Parts) -> None:
    assert (one.recipe() == other.recipe()) == (one == other)


@given(_PARTS, st.integers(0, 5), st.integers(1, 3))
def test_moving_text_from_one_part_to_the_next_changes_the_recipe(parts: Parts, at: int, count: int) -> None:
    fields = list(astuple(parts))
    moved = list(fields)
    if at == 5 or len(fields[at]) < count:
        return
    moved[at], moved[at + 1] = fields[at][:-count], fields[at][-count:] + fields[at + 1]
    assert recipe(*moved) != recipe(*fields)
