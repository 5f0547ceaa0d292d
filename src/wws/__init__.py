"""WWS, Web Worker Services: the serverless function layer for the edge.

What a function needs is importable from here:

    from wws import Response

    async def fetch(request, env, ctx):
        return Response.json({"hello": ctx.user.id})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wws._version import __version__
    from wws.bindings import KV, Context, Counter, Env
    from wws.core.auth.user import User
    from wws.errors import ConfigError, FetchRefused, Refusal, StoreError, UpstreamError, WwsError
    from wws.forms import File, Form
    from wws.functions.auth_guard import auth_guard
    from wws.functions.cache_manager import cache_manager
    from wws.functions.model_router import model_router
    from wws.functions.rate_limiter import rate_limiter
    from wws.http import Body, Headers, Request, Response, Stream
    from wws.url import URL

__all__ = [
    "KV",
    "URL",
    "Body",
    "ConfigError",
    "Context",
    "Counter",
    "Env",
    "FetchRefused",
    "File",
    "Form",
    "Headers",
    "Refusal",
    "Request",
    "Response",
    "StoreError",
    "Stream",
    "UpstreamError",
    "User",
    "WwsError",
    "__version__",
    "auth_guard",
    "cache_manager",
    "model_router",
    "rate_limiter",
]

_HOME = {
    "wws._version": ("__version__",),
    "wws.bindings": ("KV", "Context", "Counter", "Env"),
    "wws.core.auth.user": ("User",),
    "wws.errors": ("ConfigError", "FetchRefused", "Refusal", "StoreError", "UpstreamError", "WwsError"),
    "wws.functions.auth_guard": ("auth_guard",),
    "wws.functions.cache_manager": ("cache_manager",),
    "wws.functions.model_router": ("model_router",),
    "wws.functions.rate_limiter": ("rate_limiter",),
    "wws.forms": ("File", "Form"),
    "wws.http": ("Body", "Headers", "Request", "Response", "Stream"),
    "wws.url": ("URL",),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    """Names are imported when they are first asked for: `wws --help` needs none of them, and nothing here may slow a start."""
    module = _MODULE.get(name)
    if module is None:
        raise AttributeError(f"module 'wws' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
