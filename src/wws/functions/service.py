"""`env.SERVICE.fetch(...)`: another function of the project, called without a network in between.

    response = await env.AUTH.fetch("/check", method="POST", body=b"...")

The called function runs with the caller's user and deadline, and with the middlewares around its file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wws.bindings import Context
from wws.errors import Refusal
from wws.functions.invoke import Function, run
from wws.functions.refuse import refuse
from wws.functions.scope import Bound, Scope
from wws.http import Headers, Request, Response

__all__ = ["Service", "ServiceCall"]

MAX_DEPTH: Final = 16
"""Functions that call functions: Cloudflare allows 32 invocations of workers for one request."""


class Service(Bound):
    """A binding of `[[services]]` before it is bound to a request."""

    def __init__(self, name: str) -> None:
        self.name = name

    def bound(self, scope: Scope) -> ServiceCall:
        return ServiceCall(self.name, scope)


class ServiceCall:
    """The service as a function sees it."""

    def __init__(self, name: str, scope: Scope) -> None:
        self._name = name
        self._scope = scope

    async def fetch(
        self,
        request: Request | str,
        *,
        method: str = "GET",
        headers: Headers | Mapping[str, str] | None = None,
        body: bytes | str = b"",
    ) -> Response:
        """The answer of the service to a request, or to one made of a path or address.

        What it raises is logged and answered 500, as to any caller. Raises `Refusal` (`loop_detected`) where functions call one
        another without end.
        """
        scope = self._scope
        depth = scope._depth + 1
        if depth > MAX_DEPTH:
            raise Refusal("loop_detected")
        outer: Context = scope._ctx
        if isinstance(request, str):
            request = Request.of(request, method, headers, body, base=scope._request)
        if request.user is None:
            request.user = outer.user
        ctx = Context(outer.request_id, outer.deadline, outer.trail, outer.wait_until)
        ctx.user, ctx.params = outer.user, request.params
        function: Function | None = scope._env.wws.functions.get(self._name)
        try:
            if function is None:
                raise Refusal("not_found", "There is no function of this service's name.")
            return await run(function, request, Scope(scope._env, request, ctx, depth), ctx)
        except Refusal as refusal:
            if refusal.code == "loop_detected":
                raise
            return refuse(refusal, openai=False)
