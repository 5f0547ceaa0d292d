"""Calls and policies for the tests of providers."""

from __future__ import annotations

from typing import Any

from wws import codec
from wws.bindings import Call
from wws.core.policy import ModelRef, Timeouts
from wws.http import Headers, Response

HELLO = [{"role": "user", "content": "Hello"}]


def call(
    operation: str = "chat",
    model: str = "m",
    *,
    stream: bool = False,
    headers: dict[str, str] | None = None,
    raw: dict[str, bytes] | None = None,
    **members: Any,
) -> Call:
    """A call whose body has these members; `raw` gives some as JSON text."""
    if operation in ("chat", "messages"):
        members = {"model": "auto", "messages": HELLO, **members}
    body = {name: codec.piece(value) for name, value in members.items()}
    if raw:
        body |= codec.split(b"{" + b",".join([codec.encode(name) + b":" + text for name, text in raw.items()]) + b"}")
    return Call(operation, ModelRef("p", model), body, stream, Headers(headers or {}), Timeouts(), 1e9)


def ok(value: object = None) -> Response:
    """A good answer."""
    return Response.json(value if value is not None else {"id": "1", "choices": [{"index": 0}]})
