from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest

from wws.project.secret import MASK, Secret

PLANTED = "syn_planted_0123456789"


@dataclass
class Holder:
    key: Secret


@pytest.mark.parametrize(
    "shown",
    [
        str(Secret(PLANTED)),
        repr(Secret(PLANTED)),
        f"{Secret(PLANTED)}",
        f"{Secret(PLANTED)!r:>40}",
        "%s" % Secret(PLANTED),  # noqa: UP031 - the old way must not leak either
        repr(Holder(Secret(PLANTED))),
        repr({"key": [Secret(PLANTED)]}),
        str(ValueError(Secret(PLANTED))),
    ],
)
def test_it_is_masked_however_it_is_shown(shown: str) -> None:
    assert PLANTED not in shown
    assert MASK in shown


def test_only_reveal_gives_the_text() -> None:
    assert Secret(PLANTED).reveal() == PLANTED
    assert not hasattr(Secret(PLANTED), "__dict__")


def test_equality_is_that_of_the_texts() -> None:
    assert Secret(PLANTED) == Secret(PLANTED)
    assert hash(Secret(PLANTED)) == hash(Secret(PLANTED))
    assert Secret(PLANTED) != Secret("another")
    assert Secret(PLANTED) != PLANTED
    assert Secret("é") != Secret("e")


def test_an_empty_one_is_false() -> None:
    assert not Secret("")
    assert Secret("x")


def test_it_does_not_leave_the_process() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(PLANTED))
