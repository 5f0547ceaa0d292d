"""What a function gets as `env`: the project's bindings, those that act on behalf of a request bound to it."""

from __future__ import annotations

from typing import Any

from wws.bindings import Context, Env
from wws.http import Request

__all__ = ["Bound", "Scope"]


class Bound:
    """A binding that acts for the request at hand: `env.ai` counts for the user who asks, `env.AUTH` passes the user on."""

    def bound(self, scope: Scope) -> Any:
        """What the function sees in its place."""
        raise NotImplementedError


class Scope:
    """The `env` of one invocation. `depth` counts functions that call functions."""

    def __init__(self, env: Env, request: Request, ctx: Context, depth: int = 0) -> None:
        self._env = env
        self._request = request
        self._ctx = ctx
        self._depth = depth
        self.wws = env.wws  # asked of every scope, and what is not found here at once is found at a price

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._env, name)
        if isinstance(value, Bound):
            value = value.bound(self)
        self.__dict__[name] = value
        return value

    def __repr__(self) -> str:
        return repr(self._env)
