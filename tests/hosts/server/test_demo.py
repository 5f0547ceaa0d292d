"""The demo parts: what stands in for what, and what is said about it."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.hosts.server.wire import exchange, parse
from tests.support.clock import FakeClock
from tests.support.services import make_env
from wws.bindings import Endpoint
from wws.core.policy import ModelRef, Policy, ProviderConfig
from wws.functions.auth_guard import auth_guard
from wws.hosts.server import demo
from wws.http import Request
from wws.providers import make_providers
from wws.providers.sandbox import SandboxProvider

SANDBOX = SandboxProvider(FakeClock())


def policy(*providers: ProviderConfig) -> Policy:
    return Policy(
        providers={one.name: one for one in providers},
        models={"code": (ModelRef("synthetic", "m"), ModelRef("zai", "n")), "own": (ModelRef("local", "x"),)},
    )


def stood_in(found: Policy) -> dict[str, str]:
    """Each provider name with who answers for it."""
    chosen = demo.stand_in(found, make_providers(found, FakeClock()), SANDBOX)
    return {name: "sandbox" if provider is SANDBOX else provider.name for name, provider in chosen.items()}


def test_who_has_no_key_is_stood_in_for() -> None:
    found = policy(
        ProviderConfig("synthetic", "synthetic", api_key="syn_planted"),
        ProviderConfig("zai", "zai"),
        ProviderConfig("local", "openai", "http://127.0.0.1:1/v1"),
    )
    assert stood_in(found) == {"synthetic": "synthetic", "zai": "sandbox", "local": "local", "sandbox": "sandbox"}


def test_with_nothing_configured_the_sandbox_answers_for_every_model() -> None:
    assert stood_in(policy()) == {"local": "sandbox", "synthetic": "sandbox", "zai": "sandbox", "sandbox": "sandbox"}


def test_an_origin_that_is_configured_is_left_alone() -> None:
    found = demo.with_origin(Policy(origins={"api": "http://127.0.0.1:9"}), "http://127.0.0.1:1")
    assert found.origins == {"api": "http://127.0.0.1:9", "default": "http://127.0.0.1:1"}


async def test_the_demo_origin_over_a_socket() -> None:
    server, url = await demo.start_origin(asyncio.get_running_loop())
    port = Endpoint(url).port
    try:

        def get(path: str, fields: str = "") -> bytes:
            return f"GET {path} HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n".encode()

        [page] = parse(await exchange(port, get("/")))
        assert (page.status, page.headers["cache-control"]) == (200, "public, max-age=60")
        assert b"demo origin" in page.body
        [who] = parse(await exchange(port, get("/api/whoami", "X-User-ID: u-1\r\nX-Request-Id: r-1\r\n")))
        assert json.loads(who.body) == {"user": "u-1", "request_id": "r-1"}
        assert who.headers["cache-control"] == "no-store"
        [nobody] = parse(await exchange(port, get("/api/whoami")))
        assert json.loads(nobody.body)["user"] is None
        [missing] = parse(await exchange(port, get("/none")))
        assert (missing.status, json.loads(missing.body)["from"]) == (404, "demo origin")
    finally:
        await server.stop(0.0)


async def test_the_demo_key_works_for_a_day() -> None:
    clock = FakeClock()
    env = make_env(clock=clock)
    key = await demo.make_key(env)
    request = Request("GET", "/", {"authorization": f"Bearer {key}"})
    assert (await auth_guard(request, env)).valid
    clock.advance(demo.KEY_LIFETIME - 1.0)
    assert (await auth_guard(request, env)).valid
    clock.advance(1.0)
    assert not (await auth_guard(request, env)).valid
    assert await demo.make_key(env) != key


@pytest.mark.parametrize("sandboxed", [[], ["synthetic", "zai"]])
@pytest.mark.parametrize("origin", [True, False])
def test_what_is_a_stand_in_is_said(sandboxed: list[str], origin: bool) -> None:
    text = demo.welcome("http://127.0.0.1:8787", "wws_live_key", sandboxed, origin)
    assert ("No key for synthetic, zai: the sandbox answers" in text) is bool(sandboxed)
    assert ("No [origin]: a small demo origin" in text) is origin
    [line] = [line for line in text.splitlines() if line.lstrip().startswith("curl ")]
    assert "http://127.0.0.1:8787/api/ai/chat" in line
    assert "Bearer wws_live_key" in line
    assert json.loads(line.split(" -d '")[1].rstrip("'"))["messages"]
