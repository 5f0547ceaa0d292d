"""The scripts decide as the Python does, bit for bit: the same answers and the same stored bytes, whatever happens."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from tests.support.redis import RedisServer
from wws.core.limit import gcra, window
from wws.stores import redis as store

BASE = 1_790_000_000.0
TEXTS = {name: (store._LUA / f"{name}.lua").read_text() for name in ("window", "gcra")}
DECISION = Struct("<BIdd")
KEY = "count"


class Step(NamedTuple):
    """One call: seconds since the last one, what is asked."""

    gap: float
    operation: str
    limit: int
    period: float
    burst: int | None
    share: float
    """Of the largest cost there can be."""


LIMITS = st.one_of(st.integers(1, 12), st.sampled_from([60, 65_535, 65_536, 1_000_000, 2**32 - 1]))
GAPS = st.one_of(
    st.just(0.0),
    st.floats(0, 2, allow_nan=False),
    st.floats(0, 300, allow_nan=False),
    st.floats(-200, 0, allow_nan=False),  # clocks that differ, and one that was put back
    st.sampled_from([1.0, 60.0, 61.0, 7200.0, -86_400.0]),
)


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    """Mostly one limit, as a key has; now and then another one, as after a reload."""
    made = []
    limit, period, burst = draw(LIMITS), draw(st.sampled_from([1.0, 10.0, 60.0, 3600.0, 86_400.0])), None
    if draw(st.booleans()):
        burst = draw(st.integers(1, 20))
    for _ in range(draw(st.integers(1, 25))):
        if draw(st.integers(0, 9)) == 0:
            limit = draw(LIMITS)
        operation = draw(st.sampled_from(["take", "take", "take", "give"]))
        made.append(Step(draw(GAPS), operation, limit, period, burst, draw(st.sampled_from([0.0, 0.0, 0.3, 1.0]))))
    return made


def on_server(server: RedisServer, step: Step, cost: int, now: float) -> tuple[bytes | None, bytes | None]:
    """The script's answer, and what is stored then."""
    arguments: list[str | int] = [step.operation, step.limit, repr(step.period), cost, repr(now)]
    if step.burst is not None:
        arguments.append(step.burst)
    pipe = server.client.pipeline(transaction=True)
    pipe.eval(TEXTS["window" if step.burst is None else "gcra"], 1, KEY, *arguments)
    pipe.persist(KEY)  # time is the test's
    pipe.get(KEY)
    answer, _, state = pipe.execute()
    return answer, state


def in_python(state: bytes | None, step: Step, cost: int, now: float) -> tuple[bytes | None, bytes | None]:
    """The same, by `core.limit`."""
    answer = new = None
    match step.operation, step.burst:
        case "take", None:
            decision, new = window.take(state, now, step.limit, step.period, cost)
            answer = DECISION.pack(*decision)
        case "take", burst:
            assert burst is not None
            decision, new = gcra.take(state, now, step.limit, step.period, burst, cost)
            answer = DECISION.pack(*decision)
        case _, None:
            new = window.give(state, now, step.limit, step.period, cost)
        case _, burst:
            assert burst is not None
            new = gcra.give(state, now, step.limit, step.period, burst, cost)
    return answer, state if new is None else new


FIXTURE = [HealthCheck.function_scoped_fixture]


@given(case=steps())
@settings(max_examples=250, deadline=None, suppress_health_check=FIXTURE)
def test_the_scripts_are_the_python(redis: RedisServer, case: list[Step]) -> None:
    redis.call("DEL", KEY)
    state, now = None, BASE
    for step in case:
        now += step.gap
        most = step.limit if step.burst is None else step.burst
        cost = max(1, int(most * step.share))
        expected, state = in_python(state, step, cost, now)
        assert on_server(redis, step, cost, now) == (expected, state), step


@given(rubbish=st.binary(max_size=300), burst=st.sampled_from([None, 5]))
@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURE)
def test_what_is_no_count_of_this_kind_counts_as_none(redis: RedisServer, rubbish: bytes, burst: int | None) -> None:
    # What has the very length of a count is one: only its own algorithm writes under this name.
    rubbish = rubbish if len(rubbish) not in (8, 134, 256) else rubbish + b"x"
    redis.client.set(KEY, rubbish)
    step = Step(0.0, "take", 5, 60.0, burst, 0.0)
    expected, state = in_python(rubbish, step, 2, BASE)
    assert on_server(redis, step, 2, BASE) == (expected, state)


@pytest.mark.parametrize("operation", ["take", "give"])
@pytest.mark.parametrize("burst", [None, 5])
def test_a_count_is_forgotten_when_it_may_be(redis: RedisServer, operation: str, burst: int | None) -> None:
    arguments = ["take", 5, "60.0", 5, "", *([] if burst is None else [burst])]
    text = TEXTS["window" if burst is None else "gcra"]
    answer = redis.call("EVAL", text, 1, KEY, *arguments)
    reset = DECISION.unpack(answer)[3]
    assert 59.0 < reset <= 61.0
    arguments[0] = operation
    redis.call("EVAL", text, 1, KEY, *arguments)
    assert reset - 2.0 < redis.client.pttl(KEY) / 1000 <= reset + 0.001


@given(
    limit=st.integers(1, 10),
    gaps=st.lists(st.one_of(st.just(0.0), st.floats(0, 1.5, allow_nan=False), st.floats(0, 30, allow_nan=False)), max_size=60),
)
@settings(max_examples=60, deadline=None, suppress_health_check=FIXTURE)
def test_never_admits_what_the_moving_window_of_limits_refuses(redis: RedisServer, limit: int, gaps: list[float]) -> None:
    """`limits` keeps every request; it is told of those that the server admitted, and must agree with each of them."""
    redis.call("DEL", KEY)
    oracle, item = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerSecond(limit, 10)
    storage = oracle.storage
    assert isinstance(storage, MemoryStorage)
    now, admitted = BASE, []
    for gap in gaps:
        now += gap
        answer, _ = on_server(redis, Step(gap, "take", limit, 10.0, None, 0.0), 1, now)
        assert answer is not None
        if DECISION.unpack(answer)[0]:
            admitted.append(now)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("time.time", lambda at=now: at)
                assert oracle.hit(item), "limits would have refused it"
        else:
            assert sum(at > now - 10.0 - 10.0 / window.BUCKETS - 1e-3 for at in admitted) >= limit, "refused too early"
