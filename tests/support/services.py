"""Services for tests: real memory store, fake clock, and ports that fail loudly when a test did not expect them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from tests.support.clock import FakeClock
from wws.bindings import Endpoint, Env, Secrets, Services
from wws.core.policy import Policy, Timeouts
from wws.http import Body, Pair, Response
from wws.stores.memory import MemoryStore


class NoDial:
    """A Dial that must not be used."""

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: list[Pair],
        body: bytes | Body,
        timeouts: Timeouts,
        deadline: float | None = None,
    ) -> Response:
        raise AssertionError(f"unexpected upstream call: {method} {endpoint.url} {target}")


class NoCrypto:
    """A Crypto that must not be used."""

    async def verify(self, algorithm: str, jwk: Any, signed: bytes, signature: bytes) -> bool:
        raise AssertionError("unexpected signature check")


class Background:
    """Collects background work; `drain` runs it to its end."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()

    def __call__(self, awaitable: Awaitable[Any]) -> None:
        self.tasks.add(asyncio.ensure_future(awaitable))

    async def drain(self) -> None:
        while self.tasks:
            tasks, self.tasks = self.tasks, set()
            await asyncio.gather(*tasks)


def make_env(policy: Policy | None = None, clock: FakeClock | None = None, **parts: Any) -> Env:
    """An Env over a memory store; `parts` replace single services (dial=, crypto=, providers=, kv=, counter=)."""
    clock = clock or FakeClock()
    store = MemoryStore(clock=clock)
    fields: dict[str, Any] = {
        "policy": policy or Policy(),
        "kv": store,
        "counter": store,
        "dial": NoDial(),
        "crypto": NoCrypto(),
        "secrets": Secrets(pepper=b"p" * 32),
        "clock": clock,
        "background": Background(),
    }
    return Env(Services(**{**fields, **parts}))
