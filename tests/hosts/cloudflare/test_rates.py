"""The platform's Rate Limiting binding."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.web import JsException, PlainWeb
from wws.core.policy import DEFAULT_ROUTES, Limit, Policy, Route
from wws.errors import StoreError
from wws.hosts.cloudflare.rates import BindingLimiter, binding, rates


class Binding:
    """Allows while it has not been asked more often than its limit."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.asked: list[Any] = []

    async def limit(self, what: Any) -> Any:
        self.asked.append(what)
        self.left -= 1
        if self.left < -1:
            raise JsException("internal error")
        return SimpleNamespace(success=self.left >= 0)


async def test_yes_no_and_a_failure() -> None:
    web = PlainWeb()
    counted = Binding(1)
    limiter = BindingLimiter(web, {(1, 60): counted})
    assert [await limiter.allow("u.ada:/a", 1, 60.0) for _ in range(2)] == [True, False]
    assert counted.asked[0] == {"key": "u.ada:/a"}
    with pytest.raises(StoreError, match="Rate Limiting binding"):
        await limiter.allow("u.ada:/a", 1, 60.0)
    assert limiter.consistency.startswith("approximate")


def test_a_binding_for_each_rate_that_is_wanted() -> None:
    rough = Limit(100, 60.0, approximate=True)
    policy = Policy(
        limits={"default": rough, "/a": Limit(5, 10.0, approximate=True), "/b": Limit(7, 60.0)},
        routes=(Route("/c", "origin", limit=rough), *DEFAULT_ROUTES),
    )
    assert rates(policy) == [(5, 10), (100, 60)]
    assert [binding(rate) for rate in rates(policy)] == ["WWS_RATE_5_10", "WWS_RATE_100_60"]
