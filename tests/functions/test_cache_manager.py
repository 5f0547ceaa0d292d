"""The cache as a caller sees it: rules C1 to C7 on a clock that only tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from email.utils import formatdate
from typing import Any

import pytest

from tests.functions.cache_parts import FIXED, OBEY, Origin, Site, answer, settle
from tests.support.services import make_env
from wws.core.policy import CachePolicy, Policy, Route
from wws.errors import ConnectFailed, Refusal, UpstreamTimeout
from wws.functions.cache_manager import CacheResult, cache_manager
from wws.hosts.server.forgotten import Rings, Voice
from wws.http import Body, Request

MONDAY = "Mon, 05 Jan 2026 00:00:00 GMT"
TUESDAY = "Tue, 06 Jan 2026 00:00:00 GMT"

# -- C4: fresh to 60 s, stale to 300 s


@pytest.mark.parametrize(
    ("age", "source", "outcome", "status"),
    [
        (0, "cache", "hit", "hit; ttl=60"),
        (59, "cache", "hit", "hit; ttl=1"),
        (60, "stale", "stale", "hit; ttl=0"),
        (61, "stale", "stale", "hit; ttl=-1"),
        (299, "stale", "stale", "hit; ttl=-239"),
        (300, "origin", "miss", "fwd=uri-miss; stored"),
        (301, "origin", "miss", "fwd=uri-miss; stored"),
    ],
)
async def test_c4_what_is_served_at_each_age(age: int, source: str, outcome: str, status: str) -> None:
    site = Site()
    first = await site.get()
    assert (first.source, first.outcome, first.status, first.age) == ("origin", "miss", "fwd=uri-miss; stored", 0)
    site.origin.reply = lambda: answer(b"new")
    await site.later(age)
    result = await site.get()
    assert (result.source, result.outcome, result.status) == (source, outcome, status)
    assert result.data.body == (b"new" if source == "origin" else b"body")
    if source != "origin":
        assert result.age == age
        assert result.data.headers["age"] == str(age)
    await site.background.drain()
    assert site.origin.calls == (1 if source == "cache" else 2)


async def test_c4_a_stale_hit_is_refreshed_once_and_the_next_is_fresh() -> None:
    site = Site()
    await site.get()
    await site.later(61)
    site.origin.reply = lambda: answer(b"new")
    site.origin.gate.clear()
    for _ in range(20):
        assert (await site.get()).data.body == b"body"
    await settle()
    assert site.origin.calls == 2
    site.origin.gate.set()
    await site.background.drain()
    after = await site.get()
    assert (after.source, after.data.body, after.age) == ("cache", b"new", 0)
    assert site.origin.calls == 2


async def test_the_age_of_an_upstream_cache_counts() -> None:
    site = Site()
    site.origin.reply = lambda: answer(age="50")
    await site.get()
    await site.later(9)
    assert (await site.get()).age == 59
    await site.later(1)
    assert (await site.get()).source == "stale"


async def test_a_wall_clock_that_steps_makes_nothing_younger_or_older() -> None:
    site = Site()
    await site.get()
    site.clock.step(-86_400)
    await site.later(59)
    assert (await site.get()).age == 59
    site.clock.step(2 * 86_400)
    assert (await site.get()).age == 59
    await site.later(2)
    assert (await site.get()).source == "stale"


async def test_hot_answers_are_renewed_before_they_go_stale() -> None:
    site = Site()
    await site.get()
    await site.later(53)
    for _ in range(200):
        await site.get()
    await site.background.drain()
    assert site.origin.calls == 1  # not in the last tenth of the lifetime yet
    await site.later(2)
    site.origin.reply = lambda: answer(b"new")
    for _ in range(63):
        await site.get()
    await site.background.drain()
    assert site.origin.calls == 1
    assert (await site.get()).data.body == b"body"
    await site.background.drain()
    assert site.origin.calls == 2
    assert (await site.get()).data.body == b"new"


# -- failing refreshes


@pytest.mark.parametrize(
    "failure",
    [
        lambda: answer(b"sorry", 500),
        lambda: answer(b"sorry", 503),
        lambda: answer(b"slower", 429),
        lambda: Refusal("origin_unreachable"),
        lambda: Refusal("origin_timeout"),
        lambda: ConnectFailed("refused"),
    ],
)
async def test_a_refresh_that_fails_keeps_the_old_answer_and_is_tried_again(failure: object) -> None:
    site = Site()
    await site.get()
    await site.later(100)
    site.origin.reply = failure  # type: ignore[assignment]
    assert (await site.get()).data.body == b"body"
    await site.background.drain()
    assert (await site.get()).data.body == b"body"
    await site.background.drain()
    assert site.origin.calls == 2  # not again in the same second
    await site.later(1)
    site.origin.reply = lambda: answer(b"new")
    assert (await site.get()).data.body == b"body"
    await site.background.drain()
    assert site.origin.calls == 3
    assert (await site.get()).data.body == b"new"


async def test_a_refresh_that_hangs_is_given_up_and_another_may_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wws.functions.cache_load.REFRESH_SECONDS", 0.01)
    site = Site()
    await site.get()
    await site.later(61)
    site.origin.gate.clear()
    await site.get()
    await site.background.drain()  # ends by its own deadline
    assert site.origin.calls == 2
    assert not site.cache.refreshing
    site.origin.gate.set()
    site.origin.reply = lambda: answer(b"new")
    await site.later(2)
    assert (await site.get()).data.body == b"body"
    await site.background.drain()
    assert (await site.get()).data.body == b"new"


async def test_a_refresh_that_the_host_dropped_does_not_block_the_next_for_ever() -> None:
    dropped: list[object] = []
    site = Site()
    await site.get()
    site.cache.background = dropped.append
    await site.later(61)
    await site.get()
    await site.later(29)
    await site.get()
    assert len(dropped) == 1
    await site.later(1)
    await site.get()
    assert len(dropped) == 2
    for coroutine in dropped:
        coroutine.close()  # type: ignore[attr-defined]


async def test_refreshes_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wws.functions.cache_load.MAX_REFRESHES", 3)
    site = Site()
    for number in range(10):
        await site.get(f"/{number}")
    await site.later(61)
    site.origin.gate.clear()
    for number in range(10):
        assert (await site.get(f"/{number}")).source == "stale"
    await settle()
    assert site.origin.calls == 13
    site.origin.gate.set()
    await site.background.drain()
    for number in range(10):
        await site.get(f"/{number}")
    await site.background.drain()
    assert site.origin.calls == 16


async def test_a_refresh_that_may_no_longer_be_stored_ends_the_serving_of_the_old() -> None:
    site = Site()
    await site.get()
    await site.later(61)
    site.origin.reply = lambda: answer(b"mine", cache_control="private")
    assert (await site.get()).data.body == b"body"
    await site.background.drain()
    result = await site.get()
    assert (result.source, result.data.body, result.status) == ("origin", b"mine", "fwd=uri-miss; detail=private")


# -- C5 and obey-origin


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=60"])
@pytest.mark.parametrize("policy", [FIXED, OBEY])
async def test_c5_no_stale_answer_whatever_our_configuration(directive: str, policy: CachePolicy) -> None:
    site = Site(policy)
    control = f"max-age=60, {directive}, stale-while-revalidate=240, stale-if-error=240"
    site.origin.reply = lambda: answer(cache_control=control, etag='"a"')
    await site.get()
    await site.later(61)
    site.origin.reply = lambda: Refusal("origin_unreachable")
    with pytest.raises(Refusal):
        await site.get()
    site.origin.reply = lambda: answer(b"sorry", 503)
    assert (await site.get()).data.status == 503
    site.origin.reply = lambda: answer(b"new", cache_control=control, etag='"b"')
    result = await site.get()
    assert (result.source, result.data.body) == ("origin", b"new")


async def test_obeying_the_origin_means_no_lifetime_of_our_own() -> None:
    site = Site(OBEY)
    for _ in range(2):
        assert (await site.get()).status == "fwd=uri-miss; detail=no-lifetime"
    site.origin.reply = lambda: answer(cache_control="max-age=10, stale-while-revalidate=5, stale-if-error=100")
    await site.get("/b")
    sources = []
    for _ in range(3):
        sources.append((await site.get("/b")).source)
        await site.later(6)
        site.origin.reply = lambda: Refusal("origin_unreachable")
    assert sources == ["cache", "cache", "stale"]
    result = await site.get("/b")  # 18 s old: past both windows but for errors
    assert (result.source, result.status) == ("stale", "fwd=stale; detail=stale-if-error")
    await site.later(92)
    with pytest.raises(Refusal):
        await site.get("/b")


async def test_cdn_cache_control_replaces_cache_control() -> None:
    site = Site(OBEY)
    site.origin.reply = lambda: answer(cache_control="no-store", cdn_cache_control="max-age=100")
    await site.get()
    result = await site.get()
    assert result.source == "cache"
    assert result.data.headers["cdn-cache-control"] == "max-age=100"


@pytest.mark.parametrize(
    ("failure", "served"),
    [
        (lambda: answer(b"e", 500), True),
        (lambda: answer(b"e", 502), True),
        (lambda: answer(b"e", 503), True),
        (lambda: answer(b"e", 504), True),
        (lambda: Refusal("origin_unreachable"), True),
        (lambda: Refusal("origin_timeout"), True),
        (lambda: UpstreamTimeout("first_byte"), True),
        (lambda: answer(b"e", 501), False),
        (lambda: answer(b"e", 404), False),
        (lambda: answer(b"e", 403), False),
        (lambda: answer(b"e", 429), False),
        (lambda: Refusal("client_closed"), False),
        (lambda: Refusal("not_found"), False),
    ],
)
async def test_stale_if_error_is_for_outages_only(failure: object, served: bool) -> None:
    site = Site(OBEY)
    site.origin.reply = lambda: answer(cache_control="max-age=10, stale-if-error=100")
    await site.get()
    await site.later(11)
    site.origin.reply = failure  # type: ignore[assignment]
    if served:
        result = await site.get()
        assert (result.source, result.outcome, result.data.status, result.data.body) == ("stale", "stale", 200, b"body")
        assert result.status.endswith("detail=stale-if-error")
        return
    try:
        result = await site.get()
    except Refusal:
        return
    assert (result.source, result.data.body) == ("origin", b"e")


async def test_an_outage_without_anything_stored_is_the_callers_to_see() -> None:
    site = Site()
    site.origin.reply = lambda: Refusal("origin_unreachable")
    with pytest.raises(Refusal, match="origin_unreachable"):
        await site.get()
    site.origin.reply = lambda: answer(b"sorry", 503)
    result = await site.get()
    assert (result.data.status, result.status) == (503, "fwd=uri-miss; detail=status")


# -- validation


async def test_past_the_window_the_stored_answer_is_validated() -> None:
    site = Site()
    site.origin.reply = lambda: answer(etag='"a"', last_modified=MONDAY, x_version="1")
    await site.get()
    await site.later(300)
    site.origin.reply = lambda: answer(b"", 304, etag='"a"', x_version="2", set_cookie="a=b")
    result = await site.get()
    assert site.origin.asked[-1] == [(b"if-none-match", b'"a"'), (b"if-modified-since", MONDAY.encode())]
    assert (result.source, result.status) == ("origin", "fwd=stale; fwd-status=304; stored")
    assert (result.data.status, result.data.body, result.data.headers["x-version"]) == (200, b"body", "2")
    assert result.data.headers.getall("set-cookie") == ["a=b"]
    again = await site.get()
    assert (again.source, again.age, again.data.headers["x-version"]) == ("cache", 0, "2")
    assert "set-cookie" not in again.data.headers


async def test_a_refresh_is_a_conditional_request_too() -> None:
    site = Site()
    site.origin.reply = lambda: answer(etag='"a"')
    await site.get()
    await site.later(61)
    site.origin.reply = lambda: answer(b"", 304)
    await site.get()
    await site.background.drain()
    assert site.origin.asked == [[], [(b"if-none-match", b'"a"')]]
    assert (await site.get()).source == "cache"


async def test_a_304_about_another_answer_validates_nothing() -> None:
    site = Site()
    site.origin.reply = lambda: answer(etag='"a"')
    await site.get()
    await site.later(301)
    replies = iter([answer(b"", 304, etag='"zzz"'), answer(b"new", etag='"b"')])
    site.origin.reply = lambda: next(replies)
    result = await site.get()
    assert (result.data.status, result.data.body) == (200, b"new")
    assert site.origin.asked[1:] == [[(b"if-none-match", b'"a"')], []]


async def test_a_304_that_forbids_storing_ends_the_storing() -> None:
    site = Site()
    site.origin.reply = lambda: answer(etag='"a"')
    await site.get()
    await site.later(301)
    site.origin.reply = lambda: answer(b"", 304, cache_control="no-store")
    result = await site.get()
    assert (result.data.body, result.status) == (b"body", "fwd=stale; fwd-status=304; detail=no-store")
    site.origin.reply = lambda: answer(b"new")
    assert (await site.get()).status == "fwd=uri-miss; stored"


async def test_no_cache_is_validated_every_time() -> None:
    site = Site(OBEY)
    site.origin.reply = lambda: answer(cache_control="no-cache", etag='"a"')
    await site.get()
    site.origin.reply = lambda: answer(b"", 304)
    for _ in range(3):
        result = await site.get()
        assert (result.source, result.data.body, result.data.status) == ("origin", b"body", 200)
    assert site.origin.calls == 4


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"if_none_match": '"a"'}, 304),
        ({"if_none_match": 'W/"a", "x"'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"b"'}, 200),
        ({"if_none_match": '"b"', "if_modified_since": TUESDAY}, 200),
        ({"if_modified_since": MONDAY}, 304),
        ({"if_modified_since": TUESDAY}, 304),
        ({"if_modified_since": "Sun, 04 Jan 2026 00:00:00 GMT"}, 200),
    ],
)
async def test_a_clients_condition_is_answered_from_the_store(fields: dict[str, str], status: int) -> None:
    site = Site()
    site.origin.reply = lambda: answer(etag='"a"', last_modified=MONDAY, content_type="text/html", cache_control="max-age=60")
    cold = await site.get(**fields)
    assert site.origin.asked == [[]]  # the whole answer is asked for, not the client's condition passed on
    assert cold.data.status == status
    await site.later(5)
    warm = await site.get(**fields)
    assert warm.source == "cache"
    assert warm.data.status == status
    assert warm.data.headers["etag"] == '"a"'
    assert warm.data.headers["age"] == "5"
    assert warm.data.body == (b"" if status == 304 else b"body")
    assert ("content-type" in warm.data.headers) == (status == 200)


async def test_where_nothing_can_be_stored_the_clients_condition_is_passed_on() -> None:
    site = Site(OBEY)
    await site.get(if_none_match='"a"')
    site.origin.reply = lambda: answer(b"", 304, etag='"a"')
    result = await site.get(if_none_match='"a"')
    assert site.origin.asked == [[], None]
    assert (result.data.status, result.source) == (304, "origin")
    await site.later(11)
    await site.get(if_none_match='"a"')
    assert site.origin.asked[-1] == []


# -- methods


async def test_head_is_answered_from_what_get_stored() -> None:
    site = Site()
    await site.get()
    result = await site.get(method="HEAD")
    assert (result.source, result.data.body, result.data.length) == ("cache", b"", 4)
    assert result.data.headers["age"] == "0"
    assert (await site.get(method="HEAD", if_none_match="*")).data.status == 304
    await site.later(61)
    late = await site.get(method="HEAD")
    assert (late.source, late.status) == ("origin", "fwd=stale")
    assert (await site.get("/other", method="HEAD")).status == "fwd=uri-miss"
    assert (await site.get("/other")).source == "origin"  # an answer to HEAD is not stored


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"])
@pytest.mark.parametrize(
    ("status", "forgotten"), [(200, True), (204, True), (303, True), (400, False), (404, False), (500, False)]
)
async def test_an_unsafe_method_that_succeeds_invalidates_the_uri(method: str, status: int, forgotten: bool) -> None:
    site = Site()
    await site.get("/a?x=1")
    await site.get("/a")
    site.origin.reply = lambda: answer(b"", status)
    result = await site.get("/a?x=1", method=method)
    assert (result.source, result.status, result.outcome) == ("origin", "fwd=method", "bypass")
    site.origin.reply = lambda: answer(b"new")
    assert (await site.get("/a?x=1")).source == ("origin" if forgotten else "cache")
    assert (await site.get("/a")).source == "cache"


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "QUERY"])
async def test_a_safe_method_invalidates_nothing_and_is_not_cached(method: str) -> None:
    site = Site()
    await site.get()
    for _ in range(2):
        assert (await site.get(method=method)).status == "fwd=method"
    assert site.origin.calls == 3
    assert (await site.get()).source == "cache"


async def test_location_and_content_location_of_the_same_origin_are_invalidated_too() -> None:
    site = Site()
    for target in ("/list", "/items/7", "/view?id=7", "/other"):
        await site.get(target)
    site.origin.reply = lambda: answer(b"", 201, location="items/7", content_location="http://shop.example/view?id=7")
    await site.get("/list", method="POST")
    assert [(await site.get(target)).source for target in ("/list", "/items/7", "/view?id=7")] == ["origin"] * 3
    site.origin.reply = lambda: answer(
        b"", 201, location="http://elsewhere.example/other", content_location="https://shop.example/other"
    )
    await site.get("/list", method="POST")
    site.origin.reply = lambda: answer(b"", 201, location="http://[broken/other")
    await site.get("/list", method="POST")
    assert (await site.get("/other")).source == "cache"


async def test_an_answer_that_was_on_its_way_while_its_resource_changed_is_not_stored() -> None:
    site = Site()
    reading = site.request()
    site.origin.gate.clear()
    slow = Origin(lambda: answer(b"old"))
    slow.gate.clear()
    task = asyncio.ensure_future(cache_manager(reading, site.env, slow))
    await settle()
    site.origin.gate.set()
    await site.get(method="PUT")
    slow.gate.set()
    overtaken = await task
    assert (overtaken.data.body, overtaken.status) == (b"old", "fwd=uri-miss")
    site.origin.reply = lambda: answer(b"new")
    assert (await site.get()).data.body == b"new"


# several processes


def crew() -> tuple[Site, Site]:
    """Two processes of one gateway."""
    rings = Rings(2)
    return Site(forgotten=Voice(rings, 0)), Site(forgotten=Voice(rings, 1))


async def test_what_has_changed_is_forgotten_in_every_process() -> None:
    one, other = crew()
    for target in ("/a", "/a?x=1", "/é" * 40):
        await other.get(target)
        await other.get(target, user="u")
    await one.get("/a", method="POST")
    assert (await other.get("/a")).source == (await other.get("/a", user="u")).source == "origin"
    other.clock.advance(1.0)
    assert (await other.get("/a")).source == "origin", "not what was asked for at that moment"
    assert (await other.get("/a?x=1")).source == (await other.get("/é" * 40)).source == "cache"
    await one.get("/é" * 40, method="POST")
    assert (await other.get("/é" * 40)).source == "origin"
    assert (await other.get("/a")).source == "cache"


async def test_of_what_is_too_long_to_tell_everything_is_forgotten() -> None:
    one, other = crew()
    await other.get("/a")
    await one.get("/" + "long" * 1000, method="POST")
    assert (await other.get("/a")).source == "origin"
    other.clock.advance(1.0)
    assert (await other.get("/a")).source == "origin"
    assert (await other.get("/a")).source == "cache"


@pytest.mark.parametrize("message", [b"", b"\xff", b"7", b"[7]", b'[["too","few"]]', b'{"a":1}'])
async def test_of_what_is_not_understood_everything_is_forgotten(message: bytes) -> None:
    rings = Rings(2)
    site = Site(forgotten=Voice(rings, 0))
    await site.get("/a")
    Voice(rings, 1).tell(message)
    sources = []
    for _ in range(3):
        sources.append((await site.get("/a")).source)
        site.clock.advance(1.0)
    assert sources == ["origin", "origin", "cache"], "what was asked for at that very moment is not kept"


@pytest.mark.parametrize("changed", ["/a", "/" + "long" * 1000])
async def test_what_another_process_changes_while_it_is_loaded_is_not_stored(changed: str) -> None:
    one, other = crew()
    other.origin.gate.clear()
    task = asyncio.ensure_future(other.get("/a"))
    await settle()
    await one.get(changed, method="PUT")
    other.origin.gate.set()
    await task
    assert (await other.get("/a")).source == "origin"


async def test_an_uncached_route_to_the_same_origin_invalidates_for_the_cached_one() -> None:
    cached = Route("/*", "origin", cache=FIXED)
    writing = Route("/*", "origin", methods=("POST",))
    env = make_env(Policy(origins={"default": "http://127.0.0.1:3000"}, routes=(cached, writing)))
    origin = Origin()

    async def send(method: str, by: Route) -> str:
        request = Request(method, "/a")
        request.route = by
        return (await cache_manager(request, env, origin)).source

    assert [await send("GET", cached), await send("GET", cached)] == ["origin", "cache"]
    await send("POST", writing)
    assert await send("GET", cached) == "origin"


# -- what passes by


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"range": "bytes=0-1"}, "range"),
        ({"if_range": '"a"'}, "range"),
        ({"if_match": '"a"'}, "precondition"),
        ({"if_unmodified_since": MONDAY}, "precondition"),
        ({"upgrade": "websocket"}, "upgrade"),
        ({"authorization": "Bearer x"}, "authorization"),
        ({"x_api_key": "x"}, "x-api-key"),
        ({"cookie": "a=b"}, "cookie"),
    ],
)
async def test_requests_that_pass_the_cache_by(fields: dict[str, str], detail: str) -> None:
    site = Site()
    await site.get()
    result = await site.get(**fields)
    assert (result.source, result.outcome, result.age) == ("origin", "bypass", 0)
    assert result.status == f"fwd=bypass; detail={detail}"
    assert site.origin.asked[-1] is None
    assert site.origin.calls == 2


async def test_a_get_with_a_body_passes_by_since_no_key_holds_what_it_says() -> None:
    site = Site()
    await site.get()
    for body in (Body(b"x"), Body()):
        if not body.ready():
            body.length = None  # it still arrives
        request = site.request()
        request.body = body
        assert (await site.send(request)).status == "fwd=bypass; detail=body"


async def test_a_route_without_cache() -> None:
    site = Site(CachePolicy("off"))
    for method in ("GET", "HEAD", "POST"):
        result = await site.get(method=method)
        assert (result.source, result.status, result.outcome) == ("origin", "fwd=bypass", "bypass")
    assert site.origin.asked == [None] * 3
    assert not site.cache.shelf.slots


async def test_without_a_route_the_policy_of_the_project_applies() -> None:
    env, origin = make_env(), Origin()
    results = [await cache_manager(Request("GET", "/x"), env, origin) for _ in range(2)]
    assert [result.source for result in results] == ["origin", "cache"]


# -- C1, C2, C3, C7: whose answer it is


@pytest.mark.parametrize("policy", [FIXED, OBEY, CachePolicy("fixed", per="user"), CachePolicy("obey-origin", per="user")])
async def test_two_users_never_see_each_others_answer(policy: CachePolicy) -> None:
    site = Site(policy)
    for _ in range(3):
        for user in ("alice", "bob", None):
            name = user or "anyone"
            site.origin.reply = lambda name=name: answer(name.encode(), cache_control="max-age=60")  # type: ignore[misc]
            bearer = {} if user is None else {"authorization": f"Bearer {user}"}
            assert (await site.get(user=user, **bearer)).data.body == name.encode()
        await site.later(10)
    expected = 3 if policy.per == "user" else 7
    assert site.origin.calls == expected


async def test_a_user_without_authorization_header_is_a_user_all_the_same() -> None:
    site = Site(OBEY)
    site.origin.reply = lambda: answer(b"alice", cache_control="max-age=60")
    await site.get(user="alice")
    site.origin.reply = lambda: answer(b"anyone", cache_control="max-age=60")
    assert (await site.get()).data.body == b"anyone"
    assert (await site.get(user="alice")).source == "origin"


@pytest.mark.parametrize(("extra", "shared"), [("public", True), ("s-maxage=60", True), ("must-revalidate", True), ("", False)])
async def test_c2_an_answer_to_authorization_is_reused_only_when_it_says_so(extra: str, shared: bool) -> None:
    site = Site(OBEY)
    control = ", ".join(filter(None, ["max-age=60", extra]))
    site.origin.reply = lambda: answer(cache_control=control)
    await site.get(authorization="Bearer a")
    for fields in ({"authorization": "Bearer b"}, {"authorization": "Bearer a"}, {}):
        result = await site.get(**fields)
        assert (result.source == "cache") is shared
    if not shared:
        assert (await site.get()).source == "cache"  # the one stored for no one in particular
        assert (await site.get(authorization="Bearer a")).status == "fwd=miss; detail=authorization"


async def test_a_public_route_shares_by_the_operators_word() -> None:
    site = Site(CachePolicy("fixed", per="public"))
    await site.get(user="alice", authorization="Bearer a")
    assert (await site.get(user="bob", authorization="Bearer b")).source == "cache"
    site.origin.reply = lambda: answer(cache_control="private")
    await site.get("/b", user="alice")
    assert (await site.get("/b", user="bob")).source == "origin"


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"cache_control": "private"}, "private"),
        ({"cache_control": "no-store"}, "no-store"),
        ({"set_cookie": "a=b"}, "set-cookie"),
        ({"vary": "*"}, "vary"),
        ({"content_type": "text/event-stream"}, "event-stream"),
        ({"content_range": "bytes 0-1/4"}, "partial"),
    ],
)
@pytest.mark.parametrize("per", [None, "public", "user"])
async def test_c3_never_stored(fields: dict[str, str], detail: str, per: str | None) -> None:
    site = Site(CachePolicy("fixed", per=per))  # type: ignore[arg-type]
    site.origin.reply = lambda: answer(b"body", 200, **fields)
    user = "alice" if per else None
    for _ in range(2):
        result = await site.get(user=user)
        assert (result.source, result.status) == ("origin", f"fwd=uri-miss; detail={detail}")
    assert not site.cache.shelf.slots


@pytest.mark.parametrize(
    ("one", "other"),
    [("/a?a=1", "/a?a=2"), ("/a", "/A"), ("/a", "/a/"), ("/a", "/%61"), ("/a?a=1&b=2", "/a?b=2&a=1"), ("/a", "/a?x")],
)
async def test_c1_each_target_has_its_own_answer(one: str, other: str) -> None:
    site = Site()
    await site.get(one)
    assert (await site.get(other)).source == "origin"
    assert (await site.get(one)).source == "cache"


async def test_c1_what_the_origin_is_told_of_the_host_is_in_the_key() -> None:
    site = Site()
    await site.get()
    poisoned = site.request()
    poisoned.authority = "evil.example"
    assert (await site.send(poisoned)).source == "origin"
    shouted = site.request()
    shouted.authority = "SHOP.example"
    assert (await site.send(shouted)).source == "cache"
    secure = site.request()
    secure.scheme = "https"
    assert (await site.send(secure)).source == "origin"


async def test_c1_vary_selects() -> None:
    site = Site()
    site.origin.reply = lambda: answer(b"de", vary="Accept-Language")
    await site.get(accept_language="de")
    assert (await site.get(accept_language="de", accept="*/*")).data.body == b"de"
    site.origin.reply = lambda: answer(b"none", vary="Accept-Language")
    missed = await site.get()
    assert (missed.data.body, missed.status) == (b"none", "fwd=vary-miss; stored")
    assert (await site.get()).source == "cache"
    assert (await site.get(accept_language="de")).data.body == b"de"


async def test_two_lines_of_a_selecting_field_do_not_poison_one_of_them() -> None:
    site = Site()
    site.origin.reply = lambda: answer(b"evil", vary="accept-language")
    request = site.request(accept_language="xx")
    request.headers.append("accept-language", "en")
    await site.send(request)
    site.origin.reply = lambda: answer(b"good", vary="accept-language")
    assert (await site.get(accept_language="en")).data.body == b"good"


async def test_two_routes_to_different_origins_do_not_share() -> None:
    routes = tuple(Route("/*", "origin", target=name, cache=FIXED) for name in ("one", "two"))
    env = make_env(Policy(origins={"one": "http://127.0.0.1:1/x", "two": "http://127.0.0.1:1/y"}, routes=routes))
    for route in routes:
        request = Request("GET", "/a")
        request.route = route
        assert (await cache_manager(request, env, Origin())).source == "origin"


async def test_what_concerns_one_exchange_is_not_replayed() -> None:
    site = Site()
    site.origin.reply = lambda: answer(
        x_request_id="1",
        ratelimit='"a";r=1',
        x_ratelimit_remaining_requests="3",
        retry_after="1",
        connection="x-hop",
        x_hop="1",
        x_kept="1",
    )
    first = await site.get()
    assert first.data.headers["x-request-id"] == "1"
    assert {name for name, _ in (await site.get()).data.headers.items()} == {"x-kept", "age"}


async def test_the_stored_answer_is_not_changed_by_who_got_it() -> None:
    site = Site()
    first = await site.get()
    first.data.headers.append("x-added", "1")
    second = await site.get()
    second.data.headers.append("x-added", "2")
    second.data.headers.set("age", "999")
    assert {name for name, _ in (await site.get()).data.headers.items()} == {"age"}


async def test_an_expired_answer_without_validator_is_not_stored() -> None:
    site = Site(OBEY)
    site.origin.reply = lambda: answer(cache_control="max-age=10", age="15")
    assert (await site.get()).status == "fwd=uri-miss; detail=expired"
    site.origin.reply = lambda: answer(expires=formatdate(site.clock.time() - 5, usegmt=True))
    assert (await site.get()).status == "fwd=uri-miss; detail=expired"


async def test_an_answer_over_the_limit_is_passed_on_unstored() -> None:
    site = Site()
    site.origin.reply = lambda: answer(b"x" * (1024 * 1024 + 1))
    for _ in range(2):
        result = await site.get()
        assert (result.status, len(result.data.body)) == ("fwd=uri-miss; detail=too-large", 1024 * 1024 + 1)  # type: ignore[arg-type]


async def test_random_query_strings_leave_the_store_bounded() -> None:
    site = Site()
    body = b"x" * 100_000
    site.origin.reply = lambda: answer(body)
    for number in range(1_500):
        await site.get(f"/?{number}")
    shelf = site.cache.shelf
    assert shelf.size <= 64 * 1024 * 1024
    assert 500 < len(shelf.slots) < 1_500
    assert len((await site.env.wws.kv.list("v1:cache:")).keys) == 0


# -- hosts


class CarriedOn:
    """A coroutine that was run by hand up to its first wait, to be awaited for the rest."""

    def __init__(self, coro: Coroutine[Any, Any, CacheResult], waits_for: Any) -> None:
        self._coro = coro
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, CacheResult]:
        try:
            while True:
                self._waits_for = self._coro.send((yield self._waits_for))
        except StopIteration as stop:
            result: CacheResult = stop.value
            return result


@pytest.mark.parametrize("share", [True, False])
async def test_a_host_may_run_a_request_up_to_its_first_wait_outside_of_a_task(share: bool) -> None:
    site = Site(share_in_flight=share)
    loop = asyncio.get_running_loop()
    answers: list[str] = []

    async def rest(carried: CarriedOn) -> None:
        answers.append((await carried).status)

    def arrive(method: str) -> None:
        coro = cache_manager(site.request(method=method), site.env, site.origin)
        try:
            carried = CarriedOn(coro, coro.send(None))
        except StopIteration as stop:
            answers.append(stop.value.status)
        else:
            site.background(rest(carried))

    for _ in range(3):
        loop.call_soon(arrive, "GET")
    await settle()
    collapsed = "fwd=uri-miss; collapsed" if share else "fwd=uri-miss; stored"
    assert sorted(answers) == [collapsed, collapsed, "fwd=uri-miss; stored"]
    for method in ("GET", "POST", "GET"):
        site.clock.advance(1)
        loop.call_soon(arrive, method)
        await settle()
    assert answers[3:] == ["hit; ttl=59", "fwd=method", "fwd=uri-miss; stored"]
    site.clock.advance(61)
    loop.call_soon(arrive, "GET")
    await settle()
    await site.background.drain()
    assert answers[6:] == ["hit; ttl=-1"]
