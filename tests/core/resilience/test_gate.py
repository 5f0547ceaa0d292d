"""The gate: places are taken and given back once, in order, and nobody waits in vain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wws.core.resilience.gate import ADMITTED, EXPIRED, GONE, WAITING, Gate, Ticket


class Waiter:
    """Counts how often it was woken."""

    def __init__(self) -> None:
        self.woken = 0

    def __call__(self) -> None:
        self.woken += 1


def joined(gate: Gate, deadline: float = 100.0, now: float = 0.0) -> tuple[Ticket, Waiter]:
    waiter = Waiter()
    ticket = gate.join(deadline, now, waiter)
    assert ticket is not None
    return ticket, waiter


@given(st.integers(1, 20))
def test_as_many_as_there_are_places(limit: int) -> None:
    gate = Gate(limit, 4)
    assert all(gate.enter() for _ in range(limit))
    assert not gate.enter()
    gate.leave(1.0, 1.0)
    assert gate.enter()
    assert gate.in_use == limit


def test_first_come_first_served() -> None:
    gate = Gate(1, 4)
    assert gate.enter()
    first, woken = joined(gate)
    second, asleep = joined(gate)
    gate.leave(1.0, 1.0)
    assert (first.state, woken.woken) == (ADMITTED, 1)
    assert (second.state, asleep.woken) == (WAITING, 0)
    assert (gate.in_use, gate.waiting) == (1, 1)
    gate.leave(2.0, 1.0)
    assert second.state == ADMITTED
    gate.leave(3.0, 1.0)
    assert (gate.in_use, gate.waiting) == (0, 0)


def test_nobody_passes_those_who_wait() -> None:
    gate = Gate(2, 4)
    gate.enter()
    gate.enter()
    joined(gate)
    gate.in_use -= 1  # as if a place were free while somebody waits
    assert not gate.enter()


def test_the_line_has_an_end() -> None:
    gate = Gate(1, 2)
    gate.enter()
    joined(gate)
    joined(gate)
    assert gate.join(100.0, 0.0, Waiter()) is None


def test_no_room_is_no_line() -> None:
    gate = Gate(1, 0)
    gate.enter()
    assert gate.join(100.0, 0.0, Waiter()) is None


def test_a_time_that_is_over_is_seen_when_the_place_comes() -> None:
    gate = Gate(1, 4)
    gate.enter()
    late, told = joined(gate, deadline=5.0)
    good, woken = joined(gate, deadline=50.0)
    gate.leave(5.0, 5.0)
    assert (late.state, told.woken) == (EXPIRED, 1)
    assert (good.state, woken.woken) == (ADMITTED, 1)
    assert gate.in_use == 1


def test_places_are_free_when_all_who_waited_are_late() -> None:
    gate = Gate(1, 4)
    gate.enter()
    joined(gate, deadline=1.0)
    gate.leave(2.0, 2.0)
    assert (gate.in_use, gate.waiting) == (0, 0)


def test_who_gives_up_is_passed_over() -> None:
    gate = Gate(1, 4)
    gate.enter()
    first, asleep = joined(gate)
    second, woken = joined(gate)
    assert gate.give_up(first)
    assert gate.waiting == 1
    gate.leave(1.0, 1.0)
    assert (first.state, asleep.woken, second.state, woken.woken) == (GONE, 0, ADMITTED, 1)


def test_who_has_the_place_already_cannot_give_up() -> None:
    gate = Gate(1, 4)
    gate.enter()
    ticket, _ = joined(gate)
    gate.leave(1.0, 1.0)
    assert not gate.give_up(ticket)
    gate.leave(2.0, 1.0)
    assert gate.in_use == 0


def test_the_wait_is_known_from_those_before() -> None:
    gate = Gate(2, 9)
    assert gate.expected_wait() == 0.0
    for _ in range(20):
        gate.enter()
        gate.leave(0.0, 4.0)
    assert gate.expected_wait() == 2.0
    gate.enter()
    gate.enter()
    assert gate.join(1.9, 0.0, Waiter()) is None  # it would not come in time
    joined(gate, 2.0)
    assert gate.expected_wait() == 4.0


class Any(RuleBasedStateMachine):
    """Places in use are never more than there are, and never lost."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(2, 3)
        self.inside = 0
        self.now = 0.0
        self.line: list[tuple[Ticket, Waiter]] = []

    @rule()
    def enter(self) -> None:
        self.inside += self.gate.enter()

    @rule(patience=st.floats(0, 20))
    def join(self, patience: float) -> None:
        if self.gate.in_use < 2:
            return
        waiter = Waiter()
        ticket = self.gate.join(self.now + patience, self.now, waiter)
        if ticket is not None:
            self.line.append((ticket, waiter))

    @precondition(lambda self: self.inside)
    @rule(seconds=st.floats(0, 8))
    def leave(self, seconds: float) -> None:
        self.now += seconds
        self.inside -= 1
        self.gate.leave(self.now, seconds)
        self._settle()

    @precondition(lambda self: self.line)
    @rule(place=st.integers(0, 9))
    def give_up(self, place: int) -> None:
        ticket, waiter = self.line.pop(place % len(self.line))
        assert self.gate.give_up(ticket)
        assert waiter.woken == 0

    def _settle(self) -> None:
        for ticket, waiter in list(self.line):
            if ticket.state != WAITING:
                assert waiter.woken == 1
                self.inside += ticket.state == ADMITTED
                self.line.remove((ticket, waiter))

    @invariant()
    def counted(self) -> None:
        assert self.gate.in_use == self.inside <= 2
        assert self.gate.waiting == len(self.line) <= 3


TestAny = Any.TestCase
