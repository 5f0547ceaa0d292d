"""Places that processes share: never more than there are, and none is lost with the one who had it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from wws.core.resilience.gate import ADMITTED, Gate
from wws.hosts.server.places import EXACT, SharedPlaces


@pytest.fixture
def places() -> Iterator[SharedPlaces]:
    made = SharedPlaces(2)
    yield made
    made.close()


def forked(work: Callable[[], int]) -> int:
    """Another process that does `work` and stays; gives its id when it has answered 0."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(tell, bytes([work()]))
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(tell)
    answer = os.read(told, 1)
    os.close(told)
    assert answer == b"\0", answer
    return pid


def killed(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_no_more_are_taken_than_there_are_whoever_asks(places: SharedPlaces) -> None:
    limit, mine = places("p", "m", 3)
    assert limit == 3 and mine is not None and mine.take()

    def other() -> int:
        _, theirs = places("p", "m", 3)
        assert theirs is not None
        return 0 if [theirs.take() for _ in range(3)] == [True, True, False] else 1

    pid = forked(other)
    assert not mine.take()
    mine.free()
    assert mine.take()  # its own again, and no other
    assert not mine.take()
    killed(pid)
    assert [mine.take() for _ in range(3)] == [True, True, False]  # what it held came back


def test_models_do_not_take_each_other_s(places: SharedPlaces) -> None:
    _, one = places("p", "m", 1)
    _, other = places("p", "n", 1)
    assert one is not None and other is not None
    assert one.take() and other.take() and not one.take()


def test_another_configuration_has_the_same_places(places: SharedPlaces) -> None:
    _, before = places("p", "m", 2)
    assert before is not None and before.take() and before.take()
    _, after = places("p", "m", 3)
    assert after is not None and after.take() and not after.take()
    before.free()
    assert after.take() and not after.take()


def test_of_very_many_each_has_its_part(places: SharedPlaces) -> None:
    assert places("p", "m", EXACT + 1) == ((EXACT + 1) // 2, None)


def test_who_waits_has_a_place_that_another_process_leaves(places: SharedPlaces) -> None:
    def other() -> int:
        _, theirs = places("p", "m", 1)
        return 0 if theirs is not None and theirs.take() else 1

    pid = forked(other)
    limit, mine = places("p", "m", 1)
    gate = Gate(limit, 4, mine)
    woken: list[int] = []
    assert not gate.enter() and gate.in_use == 0
    ticket = gate.join(10.0, 0.0, lambda: woken.append(1))
    assert ticket is not None
    gate.look(1.0)
    assert not woken and gate.in_use == 0
    killed(pid)
    gate.look(2.0)
    assert woken and ticket.state == ADMITTED and gate.in_use == 1
    gate.leave(3.0, 1.0)
    assert gate.in_use == 0 and gate.enter()  # it was given back


def test_a_place_that_nobody_waits_for_any_more_is_given_back(places: SharedPlaces) -> None:
    limit, mine = places("p", "m", 1)
    gate = Gate(limit, 4, mine)
    late = gate.join(1.0, 0.0, lambda: None)
    assert late is not None
    gate.look(5.0)  # its time is over
    assert gate.in_use == 0 and gate.waiting == 0
    assert mine is not None and mine.take()
