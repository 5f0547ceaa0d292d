"""The gateway's side of the bindings of isolated functions: which there are, and what may be asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wws.bindings import Env
from wws.errors import Refusal
from wws.functions.ai_binding import AI
from wws.functions.fetch import Fetch, Fetched
from wws.functions.namespace import Namespace
from wws.functions.queue import Queue
from wws.functions.scope import Scope
from wws.functions.service import Service
from wws.hosts.server.isolate.frames import plain, unplain
from wws.http import Response, Stream

__all__ = ["answer", "kinds", "refused"]

_KINDS: Final = ((Namespace, "kv"), (Queue, "queue"), (Service, "service"), (AI, "ai"), (Fetch, "fetch"))
_METHODS: Final = {
    "kv": frozenset({"get", "put", "delete", "list"}),
    "queue": frozenset({"send", "send_batch"}),
    "service": frozenset({"fetch"}),
    "ai": frozenset({"chat", "embeddings"}),
    "fetch": frozenset({"__call__"}),
}
"""What each kind of binding may be asked."""


def kinds(env: Env) -> dict[str, str]:
    """The kind of each binding that an isolated function has, by name."""
    return {
        name: kind for name, binding in vars(env).items() for type_, kind in _KINDS if isinstance(binding, type_)
    }  # fmt: skip


def values(env: Env) -> dict[str, Any]:
    """Variables and secrets, by name."""
    return {name: one for name, one in vars(env).items() if isinstance(one, str | int | float | bool)}


async def answer(scope: Scope, bound: Mapping[str, str], header: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What a binding gives to a call: a header and a body. Raises whatever it does, `LookupError` for what may not be asked."""
    name, method = header.get("binding"), header.get("method")
    kind = bound.get(name) if isinstance(name, str) else None
    if kind is None or method not in _METHODS[kind]:
        raise LookupError(f"isolated functions cannot ask {method} of env.{name}")
    binding = getattr(scope, str(name))
    ask = binding if method == "__call__" else getattr(binding, str(method))
    result = await ask(*unplain(header.get("args", [])), **unplain(header.get("kwargs", {})))
    if isinstance(result, Fetched):
        told = {"status": result.status, "headers": result.headers.items(), "url": result.url, "redirected": result.redirected}
        return told, await result.bytes()
    if isinstance(result, Response):
        body = result.body
        whole = b"".join([piece async for piece in body]) if isinstance(body, Stream) else body
        return {"status": result.status, "headers": result.headers.items()}, whole
    if hasattr(result, "__aiter__"):  # a stream of chunks: they are handed over when the last one has come
        return {"value": plain([chunk async for chunk in result])}, b""
    return {"value": plain(result)}, b""


def refused(error: Exception) -> dict[str, Any]:
    """An error as the other side raises it again."""
    fields = {"type": type(error).__name__, "message": str(error)}
    return {**fields, "code": error.code, "message": error.message} if isinstance(error, Refusal) else fields
