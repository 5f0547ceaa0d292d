"""Dials for tests: one that answers from a script, and a plain one over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeAlias

from wws import codec
from wws.bindings import Endpoint
from wws.core.policy import Timeouts
from wws.errors import ConnectFailed, UpstreamCut, UpstreamTimeout
from wws.http import Body, Headers, Pair, Response


class Sent(NamedTuple):
    """One call as it was made."""

    endpoint: Endpoint
    method: str
    target: str
    headers: list[Pair]
    body: bytes
    timeouts: Timeouts
    deadline: float | None

    def header(self, name: str) -> str | None:
        """The value of a header of the call."""
        values = [value.decode() for field, value in self.headers if field == name.encode()]
        return ", ".join(values) if values else None


Answer: TypeAlias = Response | Exception | Callable[[Sent], Response] | Callable[[Sent], Awaitable[Response]]
"""A response, an error to raise, or a function of the call that returns (or awaits) a response."""


class ScriptedDial:
    """Answers by method and target; `calls` holds every call made.

    `dial.on("GET", "/user", first, second)` gives each answer once and the last one ever after. A call that nothing was
    scripted for fails the test.
    """

    def __init__(self) -> None:
        self.calls: list[Sent] = []
        self._script: dict[tuple[str, str], list[Answer]] = {}

    def on(self, method: str, target: str, *answers: Answer) -> None:
        """Scripts the answers to `method` at `target`, instead of those scripted before."""
        if not answers:
            raise ValueError("at least one answer")
        self._script[method, target] = list(answers)

    def count(self, target: str) -> int:
        """The number of calls of `target`."""
        return sum(call.target == target for call in self.calls)

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: list[Pair],
        body: bytes | Body,
        timeouts: Timeouts,
        deadline: float | None = None,
    ) -> Response:
        """See `wws.bindings.Dial`."""
        data = body if isinstance(body, bytes) else await body.read()
        sent = Sent(endpoint, method, target, list(headers), data, timeouts, deadline)
        self.calls.append(sent)
        answers = self._script.get((method, target))
        if answers is None:
            raise AssertionError(f"unexpected upstream call: {method} {endpoint.url} {target}")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Response):
            return Response(answer.body, answer.status, answer.headers)  # a caller may change what it gets
        result: Any = answer(sent)
        if isinstance(result, Response):
            return result
        response: Response = await result
        return response


def json_answer(value: object, status: int = 200, **headers: str) -> Response:
    """A JSON answer; `retry_after="3"` becomes the header `retry-after`."""
    fields = {"content-type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    return Response(codec.encode(value), status, fields)


class SocketDial:
    """One connection per exchange, over real sockets, for answers with a `content-length`. `patience` is in seconds of the
    event loop, which a fake clock does not move; the deadline, which is of that clock, is not looked at."""

    def __init__(self, patience: float = 5.0) -> None:
        self.patience = patience

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: list[Pair],
        body: bytes | Body,
        timeouts: Timeouts,
        deadline: float | None = None,
    ) -> Response:
        """See `wws.bindings.Dial`."""
        data = body if isinstance(body, bytes) else await body.read()
        try:
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        except OSError as error:
            raise ConnectFailed(str(error)) from None
        try:
            head = [f"{method} {target} HTTP/1.1", f"host: {endpoint.authority}", f"content-length: {len(data)}"]
            head += [f"{name.decode()}: {value.decode()}" for name, value in headers]
            writer.write("\r\n".join([*head, "", ""]).encode() + data)
            async with asyncio.timeout(self.patience):
                return await _read_answer(reader)
        except TimeoutError:
            raise UpstreamTimeout("first_byte") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise UpstreamCut(str(error), answered=False) from None
        finally:
            writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> Response:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:]) if name]
    answer_headers = Headers(fields)
    return Response(await reader.readexactly(int(answer_headers["content-length"])), int(lines[0].split()[1]), answer_headers)
