"""`env` inside a process of isolated functions: each call is asked of the gateway, which alone has the store and the network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

from wws import errors
from wws.bindings import KeyPage
from wws.errors import Refusal, WwsError
from wws.functions.fetch import Fetched
from wws.hosts.server.isolate.frames import Frame, plain, unplain
from wws.http import Headers, Request, Response

__all__ = ["Inside", "raised"]

Ask = Callable[[dict[str, Any]], Awaitable[Frame]]
_LIMIT: Final = 1 << 40  # the gateway has held to the limit of `[fetch]` already
_BUILT_IN: Final[dict[str, type[Exception]]] = {
    one.__name__: one for one in (ValueError, TypeError, LookupError, KeyError, TimeoutError, OSError)
}


class Inside:
    """What a function gets as `env`."""

    def __init__(self, kinds: Mapping[str, str], values: Mapping[str, Any], ask: Ask) -> None:
        self.__dict__.update(values)
        self.__dict__.update({name: _KINDS[kind](name, ask) for name, kind in kinds.items()})

    def __getattr__(self, name: str) -> Any:
        there = ", ".join(sorted(vars(self)))
        raise AttributeError(f"an isolated function has no binding {name!r}; it has: {there or 'none'}")

    def __repr__(self) -> str:
        return f"<Env {', '.join(sorted(vars(self)))}>"


class _Binding:
    def __init__(self, name: str, ask: Ask) -> None:
        self._name = name
        self._ask = ask

    async def _call(self, method: str, *args: Any, **kwargs: Any) -> Frame:
        asked = {"binding": self._name, "method": method, "args": plain(args), "kwargs": plain(kwargs)}
        header, body = await self._ask(asked)
        if "type" in header:
            raise raised(header)
        return header, body

    async def _value(self, method: str, *args: Any, **kwargs: Any) -> Any:
        header, _ = await self._call(method, *args, **kwargs)
        return unplain(header["value"])


class _KV(_Binding):
    async def get(self, key: str, type: str = "text") -> Any:
        return await self._value("get", key, type)

    async def put(self, key: str, value: str | bytes, expiration_ttl: float | None = None) -> None:
        await self._value("put", key, value, expiration_ttl)

    async def delete(self, key: str) -> None:
        await self._value("delete", key)

    async def list(self, prefix: str = "", cursor: str | None = None, limit: int = 1000) -> KeyPage:
        return KeyPage(*await self._value("list", prefix, cursor, limit))


class _Queue(_Binding):
    async def send(self, body: object, delay: float = 0.0) -> Any:
        return await self._value("send", body, delay)

    async def send_batch(self, bodies: Any, delay: float = 0.0) -> Any:
        return await self._value("send_batch", list(bodies), delay)


class _AI(_Binding):
    async def chat(self, **members: Any) -> Any:
        found = await self._value("chat", **members)
        return _each(found) if members.get("stream") else found

    async def embeddings(self, input: Any, **members: Any) -> Any:
        return await self._value("embeddings", input, **members)


class _Fetch(_Binding):
    async def __call__(self, url: str | Request, **options: Any) -> Fetched:
        address, options = await _address(url, options)
        header, body = await self._call("__call__", address, **options)
        return Fetched(_response(header, body), header["url"], header["redirected"], _LIMIT)


class _Service(_Binding):
    async def fetch(self, request: Request | str, **options: Any) -> Response:
        address, options = await _address(request, options)
        return _response(*await self._call("fetch", address, **options))


_KINDS: Final[dict[str, type[_Binding]]] = {"kv": _KV, "queue": _Queue, "service": _Service, "ai": _AI, "fetch": _Fetch}


async def _address(request: str | Request, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A request as the address and the options that say the same."""
    if isinstance(request, Request):
        said = {"method": request.method, "headers": dict(request.headers.items()), "body": await request.bytes()}
        return request.url, {**said, **options}
    headers = options.get("headers")
    return request, {**options, "headers": dict(headers.items())} if isinstance(headers, Headers) else options


async def _each(chunks: list[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


def _response(header: Mapping[str, Any], body: bytes) -> Response:
    return Response(body, header["status"], Headers([(name, value) for name, value in header["headers"]]))


def raised(header: Mapping[str, Any]) -> Exception:
    """The error that a call ended with on the other side."""
    name, message = header["type"], header["message"]
    if name == "Refusal":
        return Refusal(header["code"], message)
    if name in _BUILT_IN:
        return _BUILT_IN[name](message)
    found = getattr(errors, name, WwsError) if name in errors.__all__ else WwsError
    if not (isinstance(found, type) and issubclass(found, WwsError)):
        found = WwsError
    error = found.__new__(found)
    Exception.__init__(error, message)
    return error
