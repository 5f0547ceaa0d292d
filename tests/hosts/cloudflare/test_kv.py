"""Workers KV behind our own port."""

from __future__ import annotations

import pytest

from tests.support.clock import FakeClock
from tests.support.web import KVNamespace, PlainWeb
from wws.errors import StoreError
from wws.hosts.cloudflare.kv import WorkersKV


@pytest.fixture
def namespace() -> KVNamespace:
    return KVNamespace(PlainWeb())


@pytest.fixture
def kv(namespace: KVNamespace, clock: FakeClock) -> WorkersKV:
    return WorkersKV(border(namespace), namespace, clock.time)


def border(namespace: KVNamespace) -> PlainWeb:
    """The border whose null the namespace gives."""
    web = PlainWeb()
    namespace._absent = web.ffi.jsnull
    return web


async def test_values_come_back_as_bytes(kv: WorkersKV) -> None:
    await kv.put("a", "caf\u00e9")
    await kv.put("b", b"\x00\xff")
    assert (await kv.get("a"), await kv.get("b")) == ("caf\u00e9".encode(), b"\x00\xff")
    await kv.delete("a")
    await kv.delete("a")
    assert await kv.get("a") is None
    assert await kv.get("nobody") is None


async def test_a_key_expires_when_it_was_told_to(kv: WorkersKV, namespace: KVNamespace, clock: FakeClock) -> None:
    """Sooner than the platform would, which keeps everything for a minute at least."""
    await kv.put("k", "v", 5.0)
    assert namespace.ttls["k"] == 60
    clock.advance(4.5)
    assert await kv.get("k") == b"v"
    clock.advance(0.5)
    assert await kv.get("k") is None
    assert (await kv.list()).keys == []
    await kv.put("k", "w", 61.5)
    assert namespace.ttls["k"] == 62


async def test_a_put_without_ttl_ends_an_earlier_one(kv: WorkersKV, clock: FakeClock) -> None:
    await kv.put("k", "one", 5.0)
    await kv.put("k", "two")
    clock.advance(1e6)
    assert await kv.get("k") == b"two"


async def test_pages_join_up(kv: WorkersKV) -> None:
    for n in range(25):
        await kv.put(f"p:{n:02}", "v")
    await kv.put("q", "v")
    seen, cursor = [], None
    while True:
        page = await kv.list("p:", cursor, 7)
        seen += page.keys
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"p:{n:02}" for n in range(25)]
    with pytest.raises(ValueError, match="limit is 1 to 1000"):
        await kv.list(limit=1001)


async def test_a_namespace_of_its_own_has_the_keys_as_functions_write_them(namespace: KVNamespace, clock: FakeClock) -> None:
    kv = WorkersKV(border(namespace), namespace, clock.time, prefix="ns:VISITS:")
    await kv.put("ns:VISITS:" + "k" * 512, "v")
    assert list(namespace.items) == ["k" * 512]
    assert await kv.get("ns:VISITS:" + "k" * 512) == b"v"


@pytest.mark.parametrize("call", ["get", "put", "delete", "list"])
async def test_what_the_platform_refuses_is_a_store_error(kv: WorkersKV, namespace: KVNamespace, call: str) -> None:
    namespace.fails = True
    arguments = {"get": ("k",), "put": ("k", "secret"), "delete": ("k",), "list": ()}[call]
    with pytest.raises(StoreError, match="429 Too Many Requests") as raised:
        await getattr(kv, call)(*arguments)
    assert "secret" not in str(raised.value)


async def test_what_was_read_is_remembered_for_a_moment(namespace: KVNamespace, clock: FakeClock) -> None:
    web = border(namespace)
    here, elsewhere = WorkersKV(web, namespace, clock.time, near=5.0), WorkersKV(web, namespace, clock.time)
    await elsewhere.put("k", "one", 120.0)
    assert [await here.get("k"), await here.get("k"), await here.get("nobody"), await here.get("nobody")] == [
        b"one",
        b"one",
        None,
        None,
    ]
    assert namespace.asked == 2
    await elsewhere.put("k", "two")
    assert await here.get("k") == b"one"
    clock.advance(5.0)
    assert await here.get("k") == b"two"
    await here.put("k", "three")
    assert await here.get("k") == b"three"
    await here.delete("k")
    assert await here.get("k") is None


async def test_nothing_is_remembered_past_its_own_end(namespace: KVNamespace, clock: FakeClock) -> None:
    here = WorkersKV(border(namespace), namespace, clock.time, near=5.0)
    await here.put("k", "v", 2.0)
    assert await here.get("k") == b"v"
    clock.advance(2.0)
    assert await here.get("k") is None


async def test_the_epoch_changes_when_something_may_have_been_taken_back(kv: WorkersKV) -> None:
    before = kv.epoch()
    await kv.put("k", "v")
    assert kv.epoch() == before
    await kv.put("gone", "1", durable=True)
    after = kv.epoch()
    assert after != before
    await kv.delete("k")
    assert kv.epoch() != after
