"""What the admin listener answers: metrics and health. Never mounted on the public listener."""

from __future__ import annotations

from typing import Protocol

from wws.http import Request, Response
from wws.observe.metrics import Metrics, exposition

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Pages(Protocol):
    """Who has the gateway's own pages."""

    def own(self, path: str) -> Response:
        """The page at `path`, `/healthz` or `/readyz`."""
        ...


class Admin:
    """An app for `hosts.server.Server`."""

    def __init__(self, gateway: Pages, metrics: Metrics) -> None:
        self._gateway = gateway
        self._metrics = metrics

    async def __call__(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response.text("GET only\n", 405, {"allow": "GET, HEAD"})
        match request.path:
            case "/metrics":
                return Response(exposition(self._metrics), 200, {"content-type": _TEXT})
            case "/healthz" | "/readyz":
                return self._gateway.own(request.path)
            case _:
                return Response.text("/metrics, /healthz or /readyz\n", 404)
