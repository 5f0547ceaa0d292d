"""A plain HTTP client: one connection for each question, nothing retried, nothing followed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

__all__ = ["Answer", "ask", "hello"]

_PATIENCE = 20.0


class Answer(NamedTuple):
    """Header names in lower case; the values of a repeated field joined by commas."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    url: str,
    target: str,
    method: str | None = None,
    *,
    token: str | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request. A `body` that is not bytes is sent as JSON; with a body the method is POST unless it is given."""
    fields = dict(headers or {})
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    if data is not None:
        fields.setdefault("Content-Type", "application/json")
    connection = HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE)
    try:
        connection.request(method or ("GET" if data is None else "POST"), target, data, fields)
        response = connection.getresponse()
        received: dict[str, str] = {}
        for name, value in response.getheaders():
            name = name.lower()
            received[name] = f"{received[name]}, {value}" if name in received else value
        return Answer(response.status, received, response.read())
    finally:
        connection.close()


def hello(text: str = "Hello", **members: object) -> dict[str, object]:
    """The body of a chat with one message."""
    return {"messages": [{"role": "user", "content": text}], **members}
