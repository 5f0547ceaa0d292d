"""What the admin listener answers: metrics, status and health. Never mounted on the public listener."""

from __future__ import annotations

from typing import Any, Protocol

from wws.errors import WwsError
from wws.http import Request, Response

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

    def __init__(self, gateway: Pages, control: Gathers) -> None:
        self._gateway = gateway
        self._control = control

    async def __call__(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response.text("GET only\n", 405, {"allow": "GET, HEAD"})
        try:
            match request.path:
                case "/metrics":
                    return Response(await self._control.metrics(), 200, {"content-type": _TEXT})
                case "/status":
                    return Response.json(await self._control.status(), headers={"cache-control": "no-store"})
                case "/healthz" | "/readyz":
                    return self._gateway.own(request.path)
                case _:
                    return Response.text("/metrics, /status, /healthz or /readyz\n", 404)
        except WwsError as error:
            return Response.text(f"{error}\n", 503, {"retry-after": "1"})
