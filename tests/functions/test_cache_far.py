"""Stored answers in the deployment's KV: for the next process, bounded, and never in the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.functions.cache_parts import FIXED, OBEY, Site, answer, settle
from tests.support.clock import FakeClock
from wws.bindings import MAX_VALUE, KeyPage
from wws.core.policy import CachePolicy
from wws.errors import StoreError
from wws.functions import cache_far
from wws.stores.memory import MemoryStore


class Store(MemoryStore):
    """A memory store that counts its calls and can be told to fail or to hang."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.calls: list[str] = []
        self.broken = False
        self.hanging = False

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.broken:
            raise StoreError("gone")
        if self.hanging:
            await asyncio.Event().wait()

    async def get(self, key: str) -> bytes | None:
        await self._called("get")
        return await super().get(key)

    async def put(self, key: str, value: bytes | str, expiration_ttl: float | None = None, *, durable: bool = False) -> None:
        await self._called("put")
        await super().put(key, value, expiration_ttl, durable=durable)

    async def delete(self, key: str) -> None:
        await self._called("delete")
        await super().delete(key)

    async def names(self) -> list[str]:
        page: KeyPage = await self.list("v1:cache:")
        return page.keys


def site_with(cache: CachePolicy = FIXED, store: Store | None = None, clock: FakeClock | None = None) -> tuple[Site, Store]:
    site = Site(cache)
    if clock is not None:
        site.clock = clock
        site.env.wws.clock = clock
    store = store or Store(site.clock)
    site.env.wws.kv = store
    return site, store


async def warmed(cache: CachePolicy = FIXED, **fields: str) -> tuple[Site, Store]:
    site, store = site_with(cache)
    site.origin.reply = lambda: answer(b"body", 200, **fields)
    await site.get()
    await site.get()
    await site.background.drain()
    return site, store


def restarted(site: Site, store: Store) -> Site:
    """Another process over the same store and clock."""
    return site_with(site.route.cache, store, site.clock)[0]


async def test_what_is_asked_for_again_is_there_after_a_restart() -> None:
    site, store = await warmed(x_version="1")
    await site.later(20)
    other = restarted(site, store)
    result = await other.get()
    assert (result.source, result.status, result.age, result.data.body) == ("cache", "hit; ttl=40", 20, b"body")
    assert result.data.headers["x-version"] == "1"
    assert other.origin.calls == 0
    store.calls.clear()
    assert (await other.get()).source == "cache"
    assert store.calls == []  # from here on it is in memory


async def test_what_is_asked_for_once_is_not_written() -> None:
    site, store = site_with()
    for number in range(50):
        await site.get(f"/?{number}")
    await site.background.drain()
    assert await store.names() == []


async def test_a_stale_answer_of_the_store_is_served_and_refreshed() -> None:
    site, store = await warmed()
    await site.later(100)
    other = restarted(site, store)
    other.origin.reply = lambda: answer(b"new")
    result = await other.get()
    assert (result.source, result.data.body, result.age) == ("stale", b"body", 100)
    await other.background.drain()
    assert (await other.get()).data.body == b"new"
    await other.background.drain()
    third = restarted(other, store)
    assert (await third.get()).data.body == b"new"  # the refreshed one was written too


async def test_all_who_wait_for_the_store_get_its_stale_answer() -> None:
    site, store = await warmed()
    await site.later(100)
    other = restarted(site, store)
    results = await asyncio.gather(*[other.get() for _ in range(10)])
    assert results[0].source == "stale"
    assert all(result.source == "stale" or result.status == "fwd=uri-miss; collapsed" for result in results)
    await other.background.drain()
    assert other.origin.calls == 1  # the refresh


async def test_an_answer_past_its_window_is_validated_or_fetched_anew() -> None:
    site, store = await warmed(cache_control="max-age=30", etag='"a"', cache=CachePolicy("fixed", 30, 40))
    await site.later(59)
    other = restarted(site, store)
    other.origin.reply = lambda: answer(b"", 304)
    result = await other.get()
    assert (result.status, result.data.body) == ("fwd=stale; fwd-status=304; stored", b"body")
    plain, plain_store = await warmed(cache=CachePolicy("fixed", 30, 40))
    await plain.later(59)
    assert (await restarted(plain, plain_store).get()).status == "fwd=uri-miss; stored"


async def test_each_selection_has_its_own_answer_behind_a_marker() -> None:
    site, store = site_with()
    for language in ("de", "en"):
        site.origin.reply = lambda language=language: answer(language.encode(), vary="accept-language")  # type: ignore[misc]
        await site.get(accept_language=language)
        await site.get(accept_language=language)
    await site.background.drain()
    assert len(await store.names()) == 3
    other = restarted(site, store)
    assert (await other.get(accept_language="en")).data.body == b"en"
    assert (await other.get(accept_language="de")).data.body == b"de"
    assert (await other.get(accept_language="fr")).source == "origin"


async def test_a_change_of_the_resource_forgets_every_selection() -> None:
    site, store = await warmed(vary="accept-language")
    await site.get(method="POST")
    await site.later(1)
    other = restarted(site, store)
    other.origin.reply = lambda: answer(b"new", vary="accept-language")
    await other.get(accept_language="x")
    await other.get(accept_language="x")  # a new marker is written
    await other.background.drain()
    assert (await restarted(other, store).get()).source == "origin"


async def test_a_resource_that_begins_to_vary_gets_a_marker() -> None:
    site, store = await warmed()
    await site.later(301)
    site.origin.reply = lambda: answer(b"de", vary="accept-language")
    await site.get(accept_language="de")
    await site.get(accept_language="de")
    await site.background.drain()
    other = restarted(site, store)
    assert (await other.get(accept_language="de")).data.body == b"de"
    assert (await other.get()).source == "origin"


async def test_a_store_that_could_not_forget_serves_nothing_older_than_the_change() -> None:
    site, store = await warmed()
    site.clock.advance(1)
    store.broken = True
    await site.get(method="DELETE")
    store.broken = False
    site.clock.advance(2)
    assert (await site.get()).source == "origin"


@pytest.mark.parametrize("per", ["user"])
async def test_nothing_of_one_user_is_in_the_shared_store(per: Any) -> None:
    site, store = site_with(CachePolicy("fixed", per=per))
    for _ in range(3):
        await site.get(user="alice", authorization="Bearer x")
    await site.background.drain()
    assert await store.names() == []
    assert store.calls.count("put") == 0


async def test_a_large_answer_stays_in_the_process() -> None:
    site, store = site_with()
    site.origin.reply = lambda: answer(b"x" * MAX_VALUE)
    await site.get()
    assert (await site.get()).source == "cache"
    await site.background.drain()
    assert await store.names() == []


async def test_a_field_that_the_form_cannot_say_stays_in_the_process() -> None:
    site, store = site_with()
    name = "x" * 70_000
    site.origin.reply = lambda: answer(b"body", 200, **{name: "1"})
    await site.get()
    assert (await site.get()).source == "cache"
    await site.background.drain()
    assert await store.names() == []


@pytest.mark.parametrize("how", ["broken", "hanging"])
async def test_a_store_that_fails_costs_no_answer_and_is_left_alone(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_far, "_STORE_SECONDS", 0.01)
    site, store = site_with()
    setattr(store, how, True)
    assert (await site.get()).source == "origin"
    assert store.calls == ["get"]
    assert (await site.get()).source == "cache"
    await site.background.drain()
    assert (await site.get("/b")).source == "origin"
    assert store.calls == ["get"]  # within the pause it is not asked
    await site.later(1)
    await site.get("/c")
    assert store.calls == ["get", "get"]
    await site.later(1)
    await site.get("/c", method="POST")
    assert store.calls == ["get", "get", "delete"]
    setattr(store, how, False)
    await site.later(1)
    await site.get("/d")
    await site.get("/d")
    await site.background.drain()
    assert len(await store.names()) == 1


async def test_a_put_that_fails_is_nobodys_error() -> None:
    site, store = site_with()
    await site.get()
    store.broken = True
    assert (await site.get()).source == "cache"
    await site.background.drain()
    assert store.calls == ["get", "put"]


@pytest.mark.parametrize(
    "garbage", [b"", b"wws1", b"wwsv", b"wwsv12345678", b"wwsv12345678accept", b"something else", b"\xff" * 100]
)
async def test_garbage_in_the_store_is_a_miss(garbage: bytes) -> None:
    site, store = await warmed()
    (name,) = await store.names()
    await store.put(name, garbage)
    other = restarted(site, store)
    assert (await other.get()).source == "origin"


async def test_an_answer_filed_under_another_selection_is_not_served() -> None:
    site, store = await warmed(vary="accept-language")
    values = {name: await store.get(name) or b"" for name in await store.names()}
    marker, variant = sorted(values, key=lambda name: values[name].startswith(b"wws1"))
    entry = await store.get(variant)
    assert entry is not None
    await store.put(marker, entry)
    other = restarted(site, store)
    assert (await other.get(accept_language="de")).source == "origin"


async def test_writes_are_bounded_in_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_far, "_PUTS_PER_MINUTE", 5)
    site, store = site_with()
    for number in range(20):
        await site.get(f"/{number}")
        await site.get(f"/{number}")
    await site.background.drain()
    assert len(await store.names()) == 5
    await site.later(60)
    await site.get("/again")
    await site.get("/again")
    await site.background.drain()
    assert store.calls.count("put") == 6


async def test_the_store_forgets_when_the_answer_is_of_no_use_any_more() -> None:
    site, store = await warmed()
    await site.later(299)
    assert len(await store.names()) == 1
    await site.later(100)
    assert await store.names() == []


async def test_an_uncacheable_resource_does_not_ask_the_store_each_time() -> None:
    site, store = site_with(OBEY)
    for _ in range(5):
        await site.get()
        await settle()
    assert store.calls == ["get"]


async def test_requests_with_credentials_do_not_ask_the_store() -> None:
    site, store = await warmed(OBEY, cache_control="max-age=60, public")
    other = restarted(site, store)
    store.calls.clear()
    assert (await other.get(authorization="Bearer x")).source == "origin"
    assert (await other.get("/b", cookie="a=b")).source == "origin"
    assert store.calls == []


async def test_a_resource_that_varies_by_something_else_gets_a_new_marker() -> None:
    site, store = await warmed(vary="accept-language")
    await site.later(301)
    site.origin.reply = lambda: answer(b"quiet", vary="dnt")
    await site.get(dnt="1")
    await site.get(dnt="1")
    await site.background.drain()
    other = restarted(site, store)
    assert (await other.get(dnt="1")).data.body == b"quiet"
    assert (await other.get()).source == "origin"
