from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.queue.delivery import (
    ACK,
    MAX_RETRY,
    NEVER,
    Gathered,
    Mark,
    Settlement,
    Terms,
    gather,
    overdue,
    retry_after,
    settlements,
)
from wws.core.queue.message import Message

TERMS = Terms(max_retries=3, retry_delay=2.0)


def message(name: str = "a", attempts: int = 1) -> Message:
    return Message(name, b"jnull", 0.0, 0.0, attempts, "r")


@pytest.mark.parametrize(
    ("dues", "patience", "expected"),
    [
        ([], 0.0, Gathered(0, NEVER)),
        ([110.0], 0.0, Gathered(0, 10.0)),
        ([99.0, 100.0, 101.0], 0.0, Gathered(2, 0.0)),
        ([99.0], 5.0, Gathered(0, 4.0)),
        ([95.0], 5.0, Gathered(1, 0.0)),
        ([99.0, 99.0, 99.0], 5.0, Gathered(3, 0.0)),
        ([90.0, 90.0, 90.0, 90.0], 0.0, Gathered(3, 0.0)),
    ],
)
def test_gather(dues: list[float], patience: float, expected: Gathered) -> None:
    assert gather(dues, 100.0, 3, patience) == expected


@given(st.lists(st.floats(0, 1000), max_size=20).map(sorted), st.floats(0, 1000), st.integers(1, 10), st.floats(0, 60))
def test_gather_never_takes_what_is_not_due_and_never_sleeps_on_what_is(
    dues: list[float], now: float, most: int, patience: float
) -> None:
    found = gather(dues, now, most, patience)
    assert found.ready <= min(most, sum(due <= now for due in dues))
    assert (found.wait == 0.0) == (found.ready > 0)
    assert found.ready or found.wait > 0.0
    if found.wait not in (0.0, NEVER):
        later = gather(dues, now + found.wait + 1e-6, most, patience)
        assert later.ready > 0 or dues[0] > now, "whoever comes back when told finds something"


def test_back_off_doubles_up_to_an_hour() -> None:
    assert [retry_after(attempts, 2.0) for attempts in (1, 2, 3, 4)] == [2.0, 4.0, 8.0, 16.0]
    assert retry_after(10_000, 2.0) == MAX_RETRY


def test_a_return_acknowledges_what_nothing_was_said_about() -> None:
    batch = [message("a"), message("b"), message("c")]
    marks = {"b": Mark("retry"), "c": Mark("retry", 60.0)}
    reason = "the function asked for another delivery"
    assert settlements(batch, marks, None, TERMS) == [
        Settlement(batch[0], "ack"),
        Settlement(batch[1], "retry", 2.0, reason),
        Settlement(batch[2], "retry", 60.0, reason),
    ]


def test_a_failure_brings_back_what_was_not_acknowledged() -> None:
    batch = [message("a"), message("b", attempts=3), message("c", attempts=4)]
    assert settlements(batch, {"a": ACK}, "ValueError: no", TERMS) == [
        Settlement(batch[0], "ack"),
        Settlement(batch[1], "retry", 8.0, "ValueError: no"),
        Settlement(batch[2], "dead", 0.0, "ValueError: no"),
    ]


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["", "ack", "retry"])), max_size=12), st.booleans())
def test_every_message_is_settled_once(rows: list[tuple[int, str]], failed: bool) -> None:
    batch = [message(str(number), attempts) for number, (attempts, _) in enumerate(rows)]
    marks = {str(number): Mark("ack" if said == "ack" else "retry") for number, (_, said) in enumerate(rows) if said}
    found = settlements(batch, marks, "failed" if failed else None, TERMS)
    assert [one.message for one in found] == batch
    for settlement, (attempts, said) in zip(found, rows, strict=True):
        again = said == "retry" or (failed and not said)
        assert settlement.action == ("ack" if not again else "retry" if attempts <= 3 else "dead")


def test_what_has_ended_its_worker_at_every_delivery_is_not_delivered_again() -> None:
    batch = [message("a", 4), message("b", 5)]
    alive, dead = overdue(batch, TERMS)
    assert alive == [batch[0]]
    assert [(one.message, one.action) for one in dead] == [(batch[1], "dead")] and "never settled" in dead[0].reason
