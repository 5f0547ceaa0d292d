"""What requests to AI providers need of one configuration, looked up once."""

from __future__ import annotations

from typing import Any, Final

from wws.bindings import Env, Services
from wws.core.policy import Policy
from wws.core.route.choose import Router
from wws.functions.model_router import router_of
from wws.functions.upstreams import upstreams_of

__all__ = ["Setup", "setup_of"]

_STATE: Final = "setup"


class Setup:
    """The services of a host and parts of its policy at hand. `everywhere` are the operations that every provider has."""

    __slots__ = (
        "_routers", "attempts", "budget", "clock", "depth", "env", "everywhere", "limit", "policy", "providers", "routes", "wws",
    )  # fmt: skip

    def __init__(self, env: Env) -> None:
        self.env = env
        self.wws: Services = env.wws
        self.policy: Policy = env.wws.policy
        self.clock = env.wws.clock.monotonic
        self.limit = self.policy.json_limit
        self.depth = self.policy.json_depth
        self.attempts = self.policy.attempts
        self.budget = max(1, self.attempts.max)
        self.providers = env.wws.providers
        self.routes = upstreams_of(env)
        self._routers: dict[tuple[str, ...] | None, Router] = {}
        served = [provider.operations for provider in self.providers.values()]
        self.everywhere: frozenset[str] = frozenset.intersection(*served) if served else frozenset()

    def router(self, allowed: tuple[str, ...] | None) -> Router:
        """That of a route restricted to the aliases `allowed`."""
        known = self._routers.get(allowed)
        if known is None:
            known = self._routers[allowed] = router_of(self.env, allowed)
        return known


def setup_of(env: Env) -> Setup:
    """That of this host; made once."""
    state: dict[str, Any] = env.wws.state
    known: Setup | None = state.get(_STATE)
    if known is None:
        known = state[_STATE] = Setup(env)
    return known
