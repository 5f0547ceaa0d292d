"""Requests that are alike are one cell, and nothing is counted twice or lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.observe.seen import FAILED, OK, add, call, page
from wws.core.auth.user import User
from wws.core.trail import Attempt, Usage
from wws.observe import tally as module
from wws.observe.tally import BUCKETS, Cell, Key, Tally


def drained(tally: Tally) -> dict[Key, Cell]:
    """What a reader is given now."""
    told: dict[Key, Cell] = {}
    tally.reader(told.update)
    tally.drain()
    return told


def test_what_is_alike_is_one_cell() -> None:
    tally = Tally()
    for total in (0.25, 0.75):
        add(tally, call(), total=total)
    [(key, cell)] = drained(tally).items()
    assert (key.route, key.method, key.status, key.outcome) == ("/api/ai/*", "POST", 200, "done")
    assert (key.subject, key.key_id, key.provider, key.model) == ("u-1", None, "main", "coder")
    assert (key.auth_source, key.limit, key.cache, key.reason, key.stream) == (
        "cache",
        "chat",
        "bypass",
        "Standard code task",
        False,
    )
    assert (cell.count, cell.sent, cell.attempts, cell.authenticated) == (2, 200, 2, 2)
    assert (cell.tokens_in, cell.tokens_out, cell.tokens_cached) == (20, 10, 4)
    assert cell.duration_sum == 1.0
    assert cell.upstream_sum == pytest.approx(0.4)
    assert cell.overhead_sum == pytest.approx(1.0 - 0.4)


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        ({"status": 500}, {}),
        ({"outcome": "cut"}, {}),
        ({}, {"error_type": "provider_timeout"}),
        ({}, {"stream": True}),
        ({}, {"user": User("u-2")}),
        ({}, {"user": User("u-1", key_id="k")}),
        ({}, {"auth_source": "jwks"}),
        ({}, {"limit_rule": None}),
        ({}, {"reason": "another"}),
        ({}, {"model": "thinker"}),
    ],
)
def test_what_differs_is_two(other: dict[str, Any], kind: dict[str, Any]) -> None:
    tally = Tally()
    first = add(tally, call())
    assert add(tally, call()) is first
    assert add(tally, call(**kind), **other) is not first
    assert len(drained(tally)) == 2


def test_attempts_that_failed_are_kept_apart_from_the_one_that_answered() -> None:
    tally = Tally()
    cell = add(tally, call(FAILED, OK))
    assert (cell.attempts, cell.failed, sum(cell.upstream), cell.upstream_sum) == (2, [FAILED], 1, 0.2)
    lost = add(tally, call(FAILED, FAILED), status=504)
    assert (lost.attempts, lost.failed, sum(lost.upstream)) == (2, [FAILED, FAILED], 0)


def test_of_a_stream_only_the_gateway_s_own_steps_are_overhead() -> None:
    cell = add(Tally(), call(stream=True, limit=0.001, route=0.002), total=60.0)
    assert cell.overhead_sum == pytest.approx(0.0001 + 0.001 + 0.002)
    assert cell.duration_sum == 60.0


def test_every_reader_is_given_every_cell_once() -> None:
    tally, first, second = Tally(), [], []
    tally.reader(lambda cells: first.append(dict(cells)))
    tally.reader(lambda cells: second.append(dict(cells)))
    tally.drain()
    assert first == second == []  # nothing to tell
    add(tally, page())
    tally.drain()
    tally.drain()
    assert len(first) == len(second) == 1
    assert list(first[0]) == list(second[0])
    assert add(tally, page()).count == 1  # begun anew


@given(st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=30))
def test_histograms_hold_every_request_in_its_bucket(totals: list[float]) -> None:
    tally = Tally()
    for total in totals:
        cell = add(tally, page(), total=total)
    assert sum(cell.duration) == sum(cell.overhead) == cell.count == len(totals)
    assert cell.duration_sum == pytest.approx(sum(totals))
    for place, bound in enumerate(BUCKETS):
        assert sum(cell.duration[: place + 1]) == len([total for total in totals if total <= bound])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([200, 429, 500]), st.integers(0, 9)), max_size=40))
def test_sums_do_not_depend_on_how_requests_come(requests: list[tuple[str, int, int]]) -> None:
    tally = Tally()
    for user, status, tokens in requests:
        add(tally, call(user=User(user), usage=Usage(tokens, 1)), status=status, sent=tokens)
    cells = drained(tally)
    for user, status in {(user, status) for user, status, _ in requests}:
        alike = [tokens for one, code, tokens in requests if (one, code) == (user, status)]
        [cell] = [cell for key, cell in cells.items() if (key.subject, key.status) == (user, status)]
        assert (cell.count, cell.sent, cell.tokens_in, cell.tokens_out) == (len(alike), sum(alike), sum(alike), len(alike))


def test_memory_is_bounded_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 3)
    tally = Tally()
    for number in range(50):
        add(tally, call(user=User(f"u-{number}", key_id=f"k-{number}")))
    cells = drained(tally)
    assert len(cells) == 4
    assert sum(cell.count for cell in cells.values()) == 50
    assert {key.subject for key in cells} == {"u-0", "u-1", "u-2", ""}
    [rest] = [cell for key, cell in cells.items() if not key.subject]
    assert (rest.count, rest.tokens_in) == (47, 470)


def test_the_cell_of_several_callers_keeps_no_line_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 1)
    tally = Tally()
    nobody = add(tally, call(user=User("")))
    nobody.tail = "of nobody"
    assert add(tally, call(user=User("u-1"))) is nobody
    assert nobody.tail is None


def test_a_request_that_never_found_a_route() -> None:
    tally = Tally()
    add(tally, page(route=None, error_type="caller_invalid_request"), status=404)
    [(key, cell)] = drained(tally).items()
    assert (key.route, key.status, key.subject, key.provider) == ("", 404, "", None)
    assert (cell.count, cell.attempts, cell.authenticated) == (1, 0, 0)


def test_times_at_a_bound_belong_below_it() -> None:
    cell = add(Tally(), call(Attempt("p", "m", "ok", BUCKETS[3])), total=BUCKETS[5])
    assert cell.duration[5] == cell.upstream[3] == 1
