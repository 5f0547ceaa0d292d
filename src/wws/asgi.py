"""`wws.asgi:app`: the gateway in an ASGI server.

    WWS_CONFIG=wws.toml uvicorn wws.asgi:app

or mounted in another application:

    from wws.asgi import Asgi
    gateway = Asgi("wws.toml")
    api = FastAPI(lifespan=gateway.lifespan)
    api.mount("/ai", gateway)
"""

from __future__ import annotations

from wws.hosts.asgi.app import Asgi

__all__ = ["Asgi", "app"]

app = Asgi()
"""Serves the project of `WWS_CONFIG`, else ./wws.toml."""
