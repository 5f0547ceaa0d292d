"""The attempts of a request: who is asked, how often, after which wait, and what the caller gets."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.functions.ai_world import World, chunk, completion, error, events, read, refused, streamed, words
from wws.bindings import COOLDOWNS, QUEUE_WAIT
from wws.core.policy import Attempts, ModelRef
from wws.core.resilience.breaker import CLOSED, HALF_OPEN, OPEN
from wws.errors import ConnectFailed, Refusal, UpstreamCut, UpstreamError, UpstreamMalformed, UpstreamTimeout
from wws.functions.upstreams import GATHER, MAX_ROUTES, upstreams_of
from wws.http import Response, Stream

GOOD = events("Hel", "lo")


def world(attempts: Attempts | None = None, **config: object) -> World:
    made = World(attempts, **config)  # type: ignore[arg-type]
    made.script = {name: [streamed_good] for name in ("one", "two", "three")}
    return made


def streamed_good() -> Response:
    return streamed(*GOOD)


# plain callers


async def test_a_plain_answer_is_put_together_from_a_stream() -> None:
    w = world()
    assert await w.text() == "Hello"
    assert w.calls == ["one"]
    assert w.sent[0]["stream"] is True
    assert w.sent[0]["stream_options"] == {"include_usage": True}
    assert w.trail.usage is not None
    assert (w.trail.usage.tokens_out, w.trail.model, w.trail.provider) == (3, "served", "one")


async def test_only_events_that_nobody_sees_may_come_together() -> None:
    w = world()
    await w.text()
    await w.ask(stream=True)
    assert w.gathers == [GATHER, 0.0]
    w = world(Attempts(assemble=False))
    w.script["one"] = [completion("as it is")]
    await w.ask()
    assert w.gathers == [0.0]


async def test_without_assembling_it_passes_as_it_is() -> None:
    w = world(Attempts(assemble=False))
    plain = completion("as it is")
    w.script["one"] = [plain]
    response = await w.ask()
    assert response.body == plain.body
    assert "stream" not in w.sent[0]


async def test_a_provider_that_answers_plainly_all_the_same() -> None:
    w = world()
    w.script["one"] = [completion("no stream")]
    assert await w.text() == "no stream"


async def test_a_provider_that_takes_no_streams_is_asked_for_none() -> None:
    w = world()
    w.script["one"] = [refused(400, None), completion("plain")]
    w.script["one"][0] = Response.json({"error": {"message": "`stream` is not supported by this model"}}, 400)
    assert await w.text() == "plain"
    assert [sent.get("stream", False) for sent in w.sent] == [True, False]
    assert await w.text() == "plain"
    assert w.sent[-1].get("stream", False) is False  # it is remembered


async def test_sound_is_not_put_together() -> None:
    w = world()
    w.script["one"] = [completion()]
    await w.ask(audio={"voice": "x", "format": "mp3"}, modalities=["text", "audio"])
    assert "stream" not in w.sent[0]


@pytest.mark.parametrize(
    ("broken", "outcome"),
    [
        (lambda: streamed(*words("Hel"), cut=True), "provider_stream_cut"),
        (lambda: streamed(*words("Hel")), "provider_stream_cut"),
        (lambda: streamed(), "provider_stream_cut"),
        (lambda: streamed(*words("Hel"), error("1305"), *GOOD), "provider_server_error"),
        (lambda: streamed(b"data: " + b"x" * 2_000_000), "provider_server_error"),
        (lambda: streamed(*words(), chunk(finish="stop")), "provider_server_error"),  # it has said nothing
    ],
)
async def test_an_answer_that_is_not_whole_is_asked_for_elsewhere(broken: object, outcome: str) -> None:
    w = world()
    w.script["one"] = [broken]  # type: ignore[list-item]
    assert await w.text() == "Hello"
    assert w.calls[-1] == "two"
    assert w.outcomes == [outcome] * (len(w.calls) - 1) + ["ok"]


async def test_an_empty_answer_is_the_answer_when_nobody_else_is_there() -> None:
    w = world()
    w.script["one"] = [lambda: streamed(*events(), cut=False)]
    response = await w.ask("only")
    assert isinstance(response.body, bytes)
    assert json.loads(response.body)["choices"][0]["message"]["content"] == ""


async def test_a_finish_reason_that_is_an_error_of_this_provider() -> None:
    w = world(kind="zai")
    w.script["one"] = [lambda: streamed(*events("x", finish="network_error"))]
    assert await w.text() == "Hello"
    assert w.outcomes[0] == "provider_server_error"
    w.script["one"] = [lambda: streamed(*events("x", finish="sensitive"))]
    with pytest.raises(Refusal) as caught:
        await w.ask()
    assert caught.value.code == "content_policy_violation"


# streams


async def test_a_stream_is_committed_with_its_first_token() -> None:
    w = world()
    response = await w.ask(stream=True)
    assert isinstance(response.body, Stream)
    assert response.body.held == b"".join(words("Hel"))
    assert await read(response) == b"".join([event for event in GOOD if b'"usage"' not in event])
    assert w.trail.usage is not None
    assert w.trail.first_token is not None


@pytest.mark.parametrize(
    "broken",
    [
        lambda: streamed(*words(), cut=True),
        lambda: streamed(),
        lambda: streamed(*words(), error("1305")),
        lambda: streamed(*words(), chunk(finish="stop")),
        lambda: refused(503),
    ],
)
async def test_what_fails_before_the_first_token_is_never_heard_of(broken: object) -> None:
    w = world()
    w.script["one"] = [broken]  # type: ignore[list-item]
    response = await w.ask(stream=True)
    assert await read(response) == b"".join([event for event in GOOD if b'"usage"' not in event])
    assert w.trail.provider == "two"


async def test_what_fails_after_it_is_an_error_in_the_stream() -> None:
    w = world()
    w.script["one"] = [lambda: streamed(*words("Hel", "lo"), cut=True)]
    out = await read(await w.ask(stream=True))
    assert b"upstream_disconnect" in out
    assert b"[DONE]" not in out
    assert w.calls == ["one"]
    assert w.trail.error_type == "provider_stream_cut"


async def test_an_upstream_s_words_never_pass() -> None:
    w = world()
    w.script["one"] = [lambda: streamed(*words("Hel", "lo"), error("1305"))]
    out = await read(await w.ask(stream=True))
    assert b'"error"' in out
    assert b"upstream text" not in out


async def test_a_stream_that_is_held_back_can_still_change_its_provider() -> None:
    w = world()
    w.script["one"] = [lambda: streamed(*words("Hel", "lo"), cut=True)]
    response = await w.ask(stream=True, mode="buffer")
    assert await read(response) == b"".join([event for event in GOOD if b'"usage"' not in event])
    assert w.calls == ["one", "two"]


async def test_a_short_stream_is_sent_at_once() -> None:
    w = world()
    w.script["one"] = [lambda: streamed(*words(), chunk(finish="length"))]
    response = await w.ask(stream=True)
    assert isinstance(response.body, bytes)
    assert response.body.endswith(b"data: [DONE]\n\n")


async def test_a_stream_that_failed_is_closed() -> None:
    w = world()
    closed: list[bool] = []
    w.script["one"] = [lambda: streamed(*words(), error("1305"), *GOOD, closed=closed)]
    await read(await w.ask(stream=True))
    assert closed


# the matrix at work


TRANSPORT: list[tuple[UpstreamError, list[str]]] = [
    (ConnectFailed("refused"), ["one", "one", "two"]),
    (UpstreamCut("reset", answered=False), ["one", "one", "two"]),
    (UpstreamCut("cut", answered=True), ["one", "two"]),
    (UpstreamMalformed("no HTTP"), ["one", "one", "two"]),
    (UpstreamTimeout("connect"), ["one", "one", "two"]),
    (UpstreamTimeout("first_byte"), ["one", "two"]),
    (UpstreamTimeout("first_token"), ["one", "two"]),
    (UpstreamTimeout("idle"), ["one", "two"]),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("raised", "calls"), TRANSPORT)
async def test_what_the_transport_does(raised: UpstreamError, calls: list[str], stream: bool) -> None:
    """Silence is never asked again at the same place; what was not there may be a hiccup."""
    w = world()
    w.script["one"] = [raised]
    await read(await w.ask(stream=stream))
    assert w.calls == calls


async def test_the_budget_is_one_for_all() -> None:
    w = world()
    w.script = {name: [refused(500)] for name in ("one", "two", "three")}
    with pytest.raises(Refusal) as caught:
        await w.ask("three")
    assert w.calls == ["one", "one", "two"]
    assert (caught.value.code, caught.value.retry) == ("provider_error", False)


async def test_a_deadline_that_is_over_ends_it() -> None:
    w = world()
    w.script["one"] = [refused(500)]
    with pytest.raises(Refusal):
        await w.ask(patience=0.0)
    assert w.calls == ["one"]


async def test_a_short_wait_is_waited_for() -> None:
    w = world()
    w.script["one"] = [refused(429, retry_after="2"), streamed_good]
    before = w.clock.monotonic()
    assert await w.text() == "Hello"
    assert w.calls == ["one", "one"]
    assert 2.0 <= w.clock.monotonic() - before <= 2.2


@pytest.mark.parametrize("answer", [refused(429), refused(429, retry_after="3"), refused(402), refused(401)])
async def test_some_are_not_asked_again(answer: Response) -> None:
    w = world()
    w.script["one"] = [answer]
    assert await w.text() == "Hello"
    assert w.calls == ["one", "two"]
    assert await w.text() == "Hello"
    assert w.calls == ["one", "two", "two"]  # nor by the next request


async def test_second_tries_are_a_share_of_the_requests() -> None:
    w = world(Attempts(retry_floor=2, breaker=False))
    w.script["one"] = [refused(500)]
    for _ in range(6):
        await w.ask()
    assert w.calls.count("one") == 6 + 2


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (404, "not_found"), (422, "unprocessable")])
async def test_a_caller_s_mistake_goes_back_to_the_caller(status: int, code: str) -> None:
    w = world()
    w.script["one"] = [refused(status)]
    for _ in range(20):
        with pytest.raises(Refusal) as caught:
            await w.ask()
        assert (caught.value.code, caught.value.retry) == (code, None)
    assert set(w.calls) == {"one"}
    assert w.route().breaker.state == CLOSED


# breakers


async def fail(w: World, times: int, model: str = "only") -> None:
    for _ in range(times):
        with pytest.raises(Refusal):
            await w.ask(model)


async def test_a_route_that_keeps_failing_is_left_alone_and_comes_back() -> None:
    w = world()
    w.script["one"] = [refused(503)]
    for _ in range(20):
        assert await w.text() == "Hello"
    assert w.route().breaker.state == OPEN
    assert w.calls.count("one") <= 6
    before = w.calls.count("one")
    w.clock.advance(30.0)
    assert await w.text() == "Hello"  # a probe, in vain
    assert w.calls.count("one") == before + 1
    w.script["one"] = [streamed_good]
    w.clock.advance(30.0)
    assert await w.text() == "Hello"
    assert (w.calls[-1], w.route().breaker.state) == ("one", CLOSED)


async def test_breakers_can_be_off() -> None:
    w = world(Attempts(breaker=False, retry_percent=0, retry_floor=0))
    w.script["one"] = [refused(503)]
    for _ in range(20):
        await w.ask()
    assert w.calls.count("one") == 20


async def test_when_everything_is_open_one_goes_through() -> None:
    w = world(Attempts(retry_floor=0))
    w.script["one"] = [refused(503)]
    await fail(w, 5)
    assert w.route().breaker.state == OPEN
    w.script["one"] = [streamed_good]
    assert await w.text("only") == "Hello"
    assert w.route().breaker.state == CLOSED


async def test_an_account_without_money_is_not_asked_for_the_sake_of_it() -> None:
    w = world()
    w.script["one"] = [refused(402)]
    await fail(w, 1)
    with pytest.raises(Refusal) as caught:
        await w.ask("only")
    assert w.calls == ["one"]
    assert caught.value.code == "provider_billing"
    assert caught.value.retry_after is not None
    assert 1.0 <= caught.value.retry_after <= 30.0


async def test_a_route_that_opens_within_moments_is_waited_for() -> None:
    w = world()
    w.script["one"] = [refused(429), streamed_good]
    await fail(w, 1)
    assert await w.text("only") == "Hello"


async def test_a_probe_whose_caller_leaves_makes_way() -> None:
    w = world(Attempts(retry_floor=0))
    w.script["one"] = [refused(503)]
    await fail(w, 5)
    w.script["one"] = [asyncio.CancelledError()]  # type: ignore[list-item]

    def leave() -> Response:
        raise asyncio.CancelledError

    w.script["one"] = [leave]
    w.clock.advance(30.0)
    with pytest.raises(asyncio.CancelledError):
        await w.ask("only")
    assert w.route().breaker.state == OPEN
    w.script["one"] = [streamed_good]
    assert await w.text("only") == "Hello"


async def test_a_stream_that_began_well_closes_the_breaker_and_one_that_ends_badly_counts() -> None:
    w = world(Attempts(retry_floor=0))
    w.script["one"] = [refused(503)]
    await fail(w, 5)
    w.clock.advance(30.0)
    w.script["one"] = [lambda: streamed(*words("Hel", "lo"), cut=True)]
    response = await w.ask("only", stream=True)
    assert w.route().breaker.state == CLOSED
    await read(response)
    for _ in range(4):
        await read(await w.ask("only", stream=True))
    assert w.route().breaker.state == OPEN


async def test_a_caller_who_leaves_a_stream_is_no_failure() -> None:
    w = world()
    for _ in range(20):
        response = await w.ask("only", stream=True)
        assert response.finish is not None
        response.finish("client_closed", 10)
        assert w.trail.error_type == "caller_cancelled"
    assert w.route().breaker.state == CLOSED


QUOTA = '{"rollingFiveHourLimit":{"max":500,"remaining":0,"limited":true,"nextTickAt":%d}}'


async def test_a_quota_that_is_used_up_closes_all_routes_of_the_account() -> None:
    w = world(kind="synthetic")
    quota = QUOTA % (w.clock.time() + 120)
    w.script["one"] = [
        lambda: Response(completion().body, 200, {"content-type": "application/json", "x-synthetic-quotas": quota})
    ]
    await w.ask("one/a")
    with pytest.raises(Refusal) as caught:
        await w.ask("one/b")
    assert caught.value.code == "provider_quota"
    assert caught.value.retry_after == pytest.approx(120, abs=1)
    assert w.calls == ["one"]
    assert await w.text() == "Hello"
    assert w.calls == ["one", "two"]
    w.clock.advance(121)
    w.script["one"] = [streamed_good]
    assert await w.text("one/b") == "Hello"
    assert w.route().state == CLOSED


# places


async def test_one_place_per_model_and_pack() -> None:
    w = world(kind="synthetic", packs=2)
    gate = w.route().gate
    assert gate is not None
    assert gate.limit == 2
    assert world().route().gate is None


async def test_a_place_is_given_back_however_it_ends() -> None:
    w = world(concurrency=1, queue=0)
    gate = w.route().gate
    assert gate is not None
    await w.text("only")
    assert gate.in_use == 0
    response = await w.ask("only", stream=True)
    assert gate.in_use == 1
    await read(response)
    assert gate.in_use == 0
    response = await w.ask("only", stream=True)
    assert response.finish is not None
    response.finish("client_closed", 0)
    assert gate.in_use == 0
    for answer in (refused(400), refused(503), UpstreamTimeout("idle")):
        w.script["one"] = [answer]
        await fail(w, 1)
        assert gate.in_use == 0

    def leave() -> Response:
        raise asyncio.CancelledError

    w.script["one"] = [leave]
    with pytest.raises(asyncio.CancelledError):
        await w.ask("only")
    assert gate.in_use == 0


async def test_no_place_is_the_next_model_or_a_refusal() -> None:
    w = world(concurrency=1, queue=0)
    response = await w.ask("only", stream=True)
    assert await w.text() == "Hello"
    assert w.calls == ["one", "two"]
    with pytest.raises(Refusal) as caught:
        await w.ask("only")
    assert (caught.value.code, caught.value.retry) == ("concurrency_limit", False)
    await read(response)
    assert await w.text("only") == "Hello"


async def test_those_in_line_are_served_in_turn() -> None:
    w = world(concurrency=1, queue=4)
    first = await w.ask("only", stream=True)
    waiting = [asyncio.ensure_future(w.text("only")) for _ in range(3)]
    await asyncio.sleep(0)
    gate = w.route().gate
    assert gate is not None
    assert (gate.in_use, gate.waiting) == (1, 3)
    await read(first)
    assert await asyncio.gather(*waiting) == ["Hello"] * 3
    assert (gate.in_use, gate.waiting) == (0, 0)


async def test_who_leaves_the_line_leaves_nothing() -> None:
    w = world(concurrency=1, queue=4)
    first = await w.ask("only", stream=True)
    waiting = asyncio.ensure_future(w.text("only"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate = w.route().gate
    assert gate is not None
    assert gate.waiting == 0
    await read(first)
    assert gate.in_use == 0


async def test_where_requests_may_not_wait_for_one_another_nobody_does() -> None:
    w = world(concurrency=1, queue=4)
    w.env.wws.share_in_flight = False
    first = await w.ask("only", stream=True)
    assert await w.text() == "Hello"
    assert w.calls == ["one", "two"]
    await read(first)


async def test_routes_that_callers_make_up_are_not_kept_for_ever() -> None:
    w = world()
    routes = upstreams_of(w.env)
    for number in range(MAX_ROUTES + 10):
        w.route().breaker.state = OPEN
        await w.ask(f"one/m{number}")
    assert routes.count <= MAX_ROUTES
    assert w.route().breaker.state == OPEN  # what there is to remember is kept
    assert w.route().breaker.state != HALF_OPEN


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stream_that_came_in_one_read(stream: bool) -> None:
    w = world()
    w.script["one"] = [Response(b"".join(GOOD), 200, {"content-type": "text/event-stream"})]
    response = await w.ask(stream=stream)
    assert isinstance(response.body, bytes)
    assert (b"[DONE]" in response.body) == stream
    assert b"Hel" in response.body
    assert w.trail.usage is not None
    broken = b"".join(words("Hel"))
    w.script["one"] = [Response(data, 200, {"content-type": "text/event-stream"}) for data in (broken, broken + error("1305"))]
    for _ in range(2):
        assert b"error" not in await read(await w.ask(stream=stream))
        assert w.trail.provider == "two"


# what was too long


def windows(w: World, *models: str) -> World:
    """The alias `windows`: models of z.ai at three providers, of which all but the last find the input too long."""
    refs = [ModelRef(name, model) for name, model in zip(("one", "two", "three"), models, strict=True)]
    w.policy.models["windows"] = tuple(refs)
    for ref in refs[:-1]:
        w.script[ref.provider] = [refused(400, "1261")]
    return w


async def test_an_input_that_is_too_long_goes_to_a_larger_window_only() -> None:
    w = windows(world(kind="zai"), "glm-4.5v", "glm-4.5v", "glm-4.6")
    assert await w.text("windows") == "Hello"
    assert w.calls == ["one", "three"]  # `two` has the window that was too small
    assert w.outcomes == ["caller_context_length", "ok"]


async def test_an_input_that_is_too_long_for_the_largest_window_is_the_caller_s() -> None:
    w = windows(world(kind="zai"), "glm-4.6", "glm-4.5v", "glm-4.5-air")
    with pytest.raises(Refusal) as caught:
        await w.text("windows")
    assert (caught.value.code, caught.value.retry, w.calls) == ("context_length_exceeded", None, ["one"])


async def test_a_larger_window_that_is_left_alone_is_not_replaced_by_a_small_one() -> None:
    w = windows(world(kind="zai"), "glm-4.5v", "glm-4.6", "glm-4.5v")
    larger = upstreams_of(w.env).of(ModelRef("two", "glm-4.6"))
    larger.failed(w.clock.monotonic(), "provider_billing", None, 0.0)
    with pytest.raises(Refusal) as caught:
        await w.text("windows")
    assert (caught.value.code, w.calls) == ("context_length_exceeded", ["one"])


# what is counted beside requests


async def test_what_cools_down_and_who_waits_in_line_is_measured() -> None:
    w = world(concurrency=1)
    seen: list[tuple[str, tuple[str, ...], float]] = []
    w.env.wws.measure = lambda name, labels, value: seen.append((name, labels, value))
    first = await w.ask("only", stream=True)
    waiting = asyncio.ensure_future(w.text("only"))
    await asyncio.sleep(0)
    w.clock.advance(0.25)
    await read(first)
    assert await waiting == "Hello"
    assert seen == [(QUEUE_WAIT, ("one", "m"), 0.25)]
    seen.clear()
    w.script["one"] = [refused(402)]
    with pytest.raises(Refusal):
        await w.ask("only")
    assert seen == [(COOLDOWNS, ("one", "m", "provider_billing"), 1.0)]
