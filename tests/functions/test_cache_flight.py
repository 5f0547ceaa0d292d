"""Misses at the same time make one request to the origin (rule C6), and none of them waits for what it cannot share."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.functions.cache_parts import FIXED, OBEY, Origin, Pieces, Site, answer, sent, settle
from wws.core.policy import CachePolicy
from wws.errors import Refusal, UpstreamCut
from wws.functions import cache_flight
from wws.functions.cache_manager import CacheResult, cache_manager
from wws.http import Response


def storm(site: Site, count: int, target: str = "/a", **fields: str) -> list[asyncio.Task[CacheResult]]:
    return [asyncio.ensure_future(site.get(target, **fields)) for _ in range(count)]


async def test_c6_two_hundred_misses_make_one_request() -> None:
    site = Site()
    site.origin.gate.clear()
    tasks = storm(site, 200)
    await settle()
    assert site.origin.calls == 1
    site.origin.gate.set()
    results = await asyncio.gather(*tasks)
    assert site.origin.calls == 1
    assert {result.data.body for result in results} == {b"body"}
    assert Counter(result.status for result in results) == {"fwd=uri-miss; stored": 1, "fwd=uri-miss; collapsed": 199}
    assert {(result.source, result.outcome, result.age) for result in results} == {("origin", "miss", 0)}
    assert len(site.cache.flights) == 0


async def test_where_the_host_forbids_sharing_each_goes_alone() -> None:
    site = Site(share_in_flight=False)
    site.origin.gate.clear()
    tasks = storm(site, 10)
    await settle()
    assert site.origin.calls == 10
    site.origin.gate.set()
    await asyncio.gather(*tasks)
    assert (await site.get()).source == "cache"


async def test_different_targets_do_not_wait_for_each_other() -> None:
    site = Site()
    site.origin.gate.clear()
    tasks = storm(site, 5, "/a") + storm(site, 5, "/a?x") + storm(site, 5, "/b")
    await settle()
    assert site.origin.calls == 3
    site.origin.gate.set()
    await asyncio.gather(*tasks)


async def test_the_leaders_disconnect_does_not_cancel_the_shared_load() -> None:
    site = Site()
    site.origin.gate.clear()
    leader, *others = storm(site, 20)
    await settle()
    leader.cancel()
    await settle()
    assert leader.cancelled()
    assert site.origin.calls == 1
    site.origin.gate.set()
    assert {result.data.body for result in await asyncio.gather(*others)} == {b"body"}
    assert site.origin.calls == 1
    await site.background.drain()


async def test_a_load_that_everybody_left_is_still_stored() -> None:
    site = Site()
    pieces = Pieces(b"one ", b"two")
    site.origin.reply = lambda: answer(pieces.stream())
    site.origin.gate.clear()
    (leader,) = storm(site, 1)
    await settle()
    leader.cancel()
    await settle()
    site.origin.gate.set()
    await site.background.drain()
    assert len(site.cache.flights) == 0
    result = await site.get()
    assert (result.source, result.data.body) == ("cache", b"one two")


async def test_a_load_that_everybody_left_and_nobody_may_keep_is_closed() -> None:
    site = Site()
    pieces = Pieces(b"mine")
    site.origin.reply = lambda: answer(pieces.stream(), cache_control="private")
    site.origin.gate.clear()
    (leader,) = storm(site, 1)
    await settle()
    leader.cancel()
    await settle()
    site.origin.gate.set()
    await site.background.drain()
    assert pieces.closed


async def test_a_load_that_everybody_left_may_fail_quietly() -> None:
    site = Site()
    site.origin.reply = lambda: Refusal("origin_unreachable")
    site.origin.gate.clear()
    (leader,) = storm(site, 1)
    await settle()
    leader.cancel()
    await settle()
    site.origin.gate.set()
    await site.background.drain()
    assert len(site.cache.flights) == 0


async def test_a_waiters_disconnect_concerns_nobody_else() -> None:
    site = Site()
    site.origin.gate.clear()
    tasks = storm(site, 5)
    await settle()
    tasks[2].cancel()
    await settle()
    site.origin.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, CacheResult) for result in results] == [True, True, False, True, True]
    assert site.origin.calls == 1


async def test_an_uncacheable_leader_releases_all_waiters_at_once() -> None:
    site = Site()
    site.origin.reply = lambda: answer(cache_control="private")
    site.origin.gate.clear()
    tasks = storm(site, 50)
    await settle()
    assert site.origin.calls == 1
    leaders_gate, site.origin.gate = site.origin.gate, asyncio.Event()
    leaders_gate.set()
    await settle()
    assert site.origin.calls == 50  # all are at the origin, none waits for another
    site.origin.gate.set()
    results = await asyncio.gather(*tasks)
    assert {result.status for result in results} == {"fwd=uri-miss; detail=private"}


async def test_hit_for_miss_is_remembered_for_a_while() -> None:
    site = Site()
    site.origin.reply = lambda: answer(cache_control="private")
    await site.get()
    site.origin.gate.clear()
    tasks = storm(site, 10)
    await settle()
    assert site.origin.calls == 11
    site.origin.gate.set()
    await asyncio.gather(*tasks)
    await site.later(11)
    site.origin.gate.clear()
    tasks = storm(site, 10)
    await settle()
    assert site.origin.calls == 12
    site.origin.gate.set()
    await asyncio.gather(*tasks)


async def test_what_was_not_stored_for_one_user_does_not_keep_others_from_sharing() -> None:
    site = Site(OBEY)
    site.origin.reply = lambda: answer(cache_control="max-age=60")
    assert (await site.get(user="alice")).status == "fwd=uri-miss; detail=authorization"
    site.origin.gate.clear()
    tasks = storm(site, 10)
    await settle()
    assert site.origin.calls == 2
    site.origin.gate.set()
    await asyncio.gather(*tasks)


async def test_a_304_that_the_origin_sent_for_the_clients_own_copy_says_nothing_about_storing() -> None:
    site = Site()
    site.origin.reply = lambda: answer(b"", 304)  # by a handler that passes the client's condition on all the same
    assert (await site.get(if_none_match='"a"')).data.status == 304
    site.origin.reply = answer
    site.origin.gate.clear()
    tasks = storm(site, 10)
    await settle()
    assert site.origin.calls == 2
    site.origin.gate.set()
    await asyncio.gather(*tasks)


async def test_a_server_error_lets_one_waiter_after_the_other_try() -> None:
    site = Site()
    at_once = most = 0

    class Failing(Origin):
        async def __call__(self, conditional: object) -> Response:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            self.asked.append(None)
            await asyncio.sleep(0)
            at_once -= 1
            return answer(b"sorry", 500)

    site.origin = Failing()
    results = await asyncio.gather(*storm(site, 20))
    assert {result.data.status for result in results} == {500}
    assert (site.origin.calls, most) == (20, 1)


async def test_an_outage_is_told_to_all_who_waited_without_asking_again() -> None:
    site = Site()
    site.origin.reply = lambda: Refusal("origin_unreachable")
    site.origin.gate.clear()
    tasks = storm(site, 20)
    await settle()
    site.origin.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {Refusal}
    assert site.origin.calls == 1
    site.origin.reply = answer
    assert (await site.get()).source == "origin"


async def test_in_an_outage_waiters_get_the_stale_answer_that_may_stand_in() -> None:
    site = Site(OBEY)
    site.origin.reply = lambda: answer(cache_control="max-age=10, stale-if-error=100", etag='"a"')
    await site.get()
    await site.later(11)
    site.origin.gate.clear()
    site.origin.reply = lambda: Refusal("origin_unreachable")
    tasks = storm(site, 10)
    await settle()
    assert site.origin.calls == 2
    site.origin.gate.set()
    results = await asyncio.gather(*tasks)
    assert {(result.source, result.data.body) for result in results} == {("stale", b"body")}


async def test_a_bug_in_the_handler_is_raised_and_leaves_nothing_behind() -> None:
    site = Site()
    site.origin.reply = lambda: ZeroDivisionError("a bug")
    site.origin.gate.clear()
    tasks = storm(site, 3)
    await settle()
    site.origin.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {ZeroDivisionError}
    assert len(site.cache.flights) == 0


async def test_a_validation_is_shared_too() -> None:
    site = Site()
    site.origin.reply = lambda: answer(etag='"a"')
    await site.get()
    await site.later(301)
    site.origin.reply = lambda: answer(b"", 304)
    site.origin.gate.clear()
    tasks = storm(site, 30)
    await settle()
    site.origin.gate.set()
    results = await asyncio.gather(*tasks)
    assert site.origin.calls == 2
    assert {(result.data.status, result.data.body) for result in results} == {(200, b"body")}


async def test_no_cache_answers_are_validated_by_each_for_itself() -> None:
    site = Site(OBEY)
    site.origin.reply = lambda: answer(cache_control="no-cache", etag='"a"')
    await site.get()
    site.origin.reply = lambda: answer(b"", 304)
    site.origin.gate.clear()
    tasks = storm(site, 5)
    await settle()
    assert site.origin.calls == 6
    site.origin.gate.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("fields", [{"authorization": "Bearer x"}, {"cookie": "a=b"}])
async def test_what_may_be_private_is_never_collapsed(fields: dict[str, str]) -> None:
    site = Site(OBEY)
    site.origin.reply = lambda: answer(cache_control="max-age=60, public")
    site.origin.gate.clear()
    tasks = storm(site, 5, **fields)
    await settle()
    assert site.origin.calls == 5
    site.origin.gate.set()
    await asyncio.gather(*tasks)
    assert (await site.get(**fields)).source == "cache"


async def test_one_users_own_requests_are_collapsed_and_no_others() -> None:
    site = Site(CachePolicy("fixed", per="user"))
    site.origin.gate.clear()
    tasks = [asyncio.ensure_future(site.get(user=user)) for user in ("alice", "bob") for _ in range(5)]
    await settle()
    assert site.origin.calls == 2
    site.origin.gate.set()
    await asyncio.gather(*tasks)


async def test_waiters_with_other_selecting_values_load_their_own() -> None:
    site = Site()
    asked: list[str] = []

    async def get(language: str) -> CacheResult:
        request = site.request(accept_language=language)

        async def handler(conditional: object) -> Response:
            asked.append(language)
            await asyncio.sleep(0)
            return answer(language.encode(), vary="accept-language")

        return await cache_manager(request, site.env, handler)

    results = await asyncio.gather(*[get(language) for language in ("de", "en", "de", "fr", "en")])
    assert [result.data.body for result in results] == [b"de", b"en", b"de", b"fr", b"en"]
    assert sorted(asked) == ["de", "en", "fr"]
    # Known to vary: now they do not even wait for one another.
    await site.later(301)
    asked.clear()
    results = await asyncio.gather(*[get(language) for language in ("de", "en", "de")])
    assert sorted(asked) == ["de", "en"]


async def test_nobody_waits_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_flight, "WAIT_SECONDS", 0.01)
    site = Site()
    stuck = Origin()
    stuck.gate.clear()
    leader = asyncio.ensure_future(cache_manager(site.request(), site.env, stuck))
    await settle()
    result = await site.get()  # waits, then goes alone
    assert (result.source, result.status) == ("origin", "fwd=uri-miss; stored")
    stuck.gate.set()
    await leader
    assert len(site.cache.flights) == 0


async def test_a_load_that_has_lasted_too_long_is_waited_for_no_more() -> None:
    site = Site()
    stuck = Origin()
    stuck.gate.clear()
    leader = asyncio.ensure_future(cache_manager(site.request(), site.env, stuck))
    await settle()
    await site.later(5)
    assert (await site.get()).status == "fwd=uri-miss; stored"
    stuck.gate.set()
    await leader


async def test_loads_whose_end_nobody_told_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_flight, "MAX_FLIGHTS", 3)
    site = Site()
    site.origin.reply = lambda: answer(Pieces(b"x").stream())
    for number in range(3):
        await site.get(f"/{number}")  # a host that never reads the stream, nor says that it will not
    assert len(site.cache.flights) == 3
    await site.later(6)
    site.origin.reply = answer
    await site.get("/b")
    assert len(site.cache.flights) == 0


# -- streams


async def test_a_stream_others_wait_for_is_read_at_once_when_it_is_known_to_be_small() -> None:
    site = Site()
    pieces = Pieces(b"one ", b"two")

    def reply() -> Response:
        response = answer(pieces.stream())
        response.length = 7
        return response

    site.origin.reply = reply
    site.origin.gate.clear()
    tasks = storm(site, 10)
    await settle()
    site.origin.gate.set()
    results = await asyncio.gather(*tasks)  # though nobody has read the leader's body yet
    assert [result.data.body for result in results] == [b"one two"] * 10
    assert site.origin.calls == 1


async def test_a_stream_of_unknown_length_reaches_the_leader_as_it_comes_and_the_others_at_its_end() -> None:
    site = Site()
    pieces = Pieces(b"one ", b"two", held=True)
    site.origin.reply = lambda: answer(pieces.stream())
    site.origin.gate.clear()
    leader, *others = storm(site, 5)
    await settle()
    site.origin.gate.set()
    first = await leader
    reading = asyncio.ensure_future(sent(first.data))
    await settle()
    assert not any(task.done() for task in others)
    pieces.gate.set()
    assert await reading == b"one two"
    assert [(await task).data.body for task in others] == [b"one two"] * 4
    assert site.origin.calls == 1


async def test_when_the_leaders_stream_is_cut_the_next_waiter_leads() -> None:
    site = Site()
    broken, whole = Pieces(b"one ", UpstreamCut("cut", answered=True)), Pieces(b"one ", b"two")
    replies = iter([answer(broken.stream()), answer(whole.stream())])
    site.origin.reply = lambda: next(replies)
    site.origin.gate.clear()
    leader, second, third = storm(site, 3)
    await settle()
    site.origin.gate.set()
    with pytest.raises(UpstreamCut):
        await sent((await leader).data)
    assert await sent((await second).data) == b"one two"
    assert (await third).data.body == b"one two"
    assert site.origin.calls == 2


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ((b"one ", UpstreamCut("cut", answered=True)), "origin_unreachable"),
        ((b"one ",), "origin_malformed"),
        ((b"x" * 99,), "origin_malformed"),
    ],
)
async def test_a_stream_read_at_once_that_is_not_whole_is_an_error_for_all(
    pieces: tuple[bytes | Exception, ...], code: str
) -> None:
    site = Site()

    def reply() -> Response:
        response = answer(Pieces(*pieces).stream())
        response.length = 7
        return response

    site.origin.reply = reply
    site.origin.gate.clear()
    tasks = storm(site, 3)
    await settle()
    site.origin.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result.code for result in results if isinstance(result, Refusal)] == [code] * 3
    assert not site.cache.shelf.slots
    assert len(site.cache.flights) == 0


async def test_a_storm_on_a_fixed_route_after_each_expiry() -> None:
    site = Site(FIXED)
    for _ in range(5):
        results = await asyncio.gather(*storm(site, 40))
        assert {result.data.body for result in results} == {b"body"}
        await site.later(301)
    assert site.origin.calls == 5
