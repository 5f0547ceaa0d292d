"""What the admin listener answers: the dashboard, metrics, status and health, and the admin API.

Never mounted on the public listener. Reading figures needs no token; whatever changes something, or shows live requests, does.
A listener on loopback answers to no other name: a page whose own name is made to point there (DNS rebinding) reads nothing.
"""

from __future__ import annotations

from typing import Any, Protocol

from wws.admin.access import is_loopback
from wws.admin.api import Api
from wws.admin.dashboard import Dashboard
from wws.errors import WwsError
from wws.http import Request, Response

_LOCAL = "localhost and 127.0.0.1"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Pages(Protocol):
    """Who has the gateway's own pages."""

    def own(self, path: str) -> Response:
        """The page at `path`, `/healthz` or `/readyz`."""
        ...


class Gathers(Protocol):
    """Who can ask every process of the gateway. Raises `WwsError` when they cannot be asked."""

    async def metrics(self) -> bytes:
        """Prometheus' text."""
        ...

    async def status(self) -> dict[str, Any]:
        """What `/status` answers."""
        ...


class Admin:
    """An app for `hosts.server.Server`."""

    def __init__(self, gateway: Pages, control: Gathers, api: Api, dashboard: Dashboard, *, private: bool = False) -> None:
        """`private`: the listener is on loopback."""
        self._gateway = gateway
        self._control = control
        self._api = api
        self._dashboard = dashboard
        self._private = private

    async def __call__(self, request: Request) -> Response:
        if self._private and not is_loopback(request.authority):
            return Response.text(f"This listener is for {_LOCAL}, and was asked as {request.authority}\n", 421)
        if request.path.startswith("/api/"):
            return await self._api(request)
        if request.method not in ("GET", "HEAD"):
            return Response.text("GET only\n", 405, {"allow": "GET, HEAD"})
        try:
            match request.path:
                case "/":
                    return self._dashboard.page()
                case "/dashboard.json":
                    return await self._dashboard.figures()
                case "/metrics":
                    return Response(await self._control.metrics(), 200, {"content-type": _TEXT})
                case "/status":
                    return Response.json(await self._control.status(), headers={"cache-control": "no-store"})
                case "/healthz" | "/readyz":
                    return self._gateway.own(request.path)
                case _:
                    return Response.text("/, /metrics, /status, /healthz, /readyz or /api/\n", 404)
        except WwsError as error:
            return Response.text(f"{error}\n", 503, {"retry-after": "1"})
