"""Live lines of all processes as one stream of server-sent events (WHATWG HTML, section 9.2).

    event: line   a request's line, or one of the program's log, as JSON
    event: lost   {"lines": N}: so many lines did not fit while the reader was too slow; null where nobody knows how many
    : idle        a comment now and then, by which a reader, and whatever stands between, sees that the stream lives

The lines are fetched when the reader has taken those before, so a slow one loses lines and never holds up the gateway.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from wws import codec
from wws.admin.answers import NotDone
from wws.http import Request, Response, Stream
from wws.observe.watch import TAILS, Filter

__all__ = ["Gather", "Tails"]

Gather = Callable[[str, Any], Awaitable[list[Any]]]
"""Asks every process: what, with which value; their answers. Raises `WwsError`."""

PAUSE: Final = 0.25
"""Seconds between two looks."""
IDLE: Final = 15.0
"""Seconds without a line until a comment: under the 60 s at which proxies close what is silent."""


class Tails:
    """`sleep` waits so many seconds."""

    def __init__(self, gather: Gather, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._gather = gather
        self._sleep = sleep

    async def stream(self, request: Request) -> Response:
        """The stream of the requests that the query's filters want. Raises `NotDone`."""
        wanted = _filter(request.query)
        name = secrets.token_hex(8)
        begun = await self._gather("tail", [name, list(wanted), True])
        if any(one.get("full") for one in begun):
            await self._gather("tail_end", name)
            raise NotDone("release_conflict", f"{TAILS} others look on already")

        async def end() -> None:
            await self._gather("tail_end", name)

        return Response(
            Stream(self._events(name, wanted), end), 200, {"content-type": "text/event-stream", "cache-control": "no-store"}
        )

    async def _events(self, name: str, wanted: Filter) -> AsyncIterator[bytes]:
        silent = 0.0
        yield b": wws tail\n\n"
        while True:
            answers = await self._gather("tail", [name, list(wanted), False])
            lines = sorted([line for one in answers for line in one["lines"]], key=lambda line: float(line["ts"]))
            lost = [one["lost"] for one in answers if one["lost"] != 0]
            text = b"".join([b"event: line\ndata: " + codec.encode(line) + b"\n\n" for line in lines])
            if lost:
                count = None if None in lost else sum(lost)
                text = b"event: lost\ndata: " + codec.encode({"lines": count}) + b"\n\n" + text
            silent = 0.0 if text else silent + PAUSE
            if silent >= IDLE:
                text, silent = b": idle\n\n", 0.0
            if text:
                yield text
            await self._sleep(PAUSE)


def _filter(query: dict[str, str]) -> Filter:
    given = dict(query)
    errors = given.pop("errors", "") not in ("", "0", "false")
    try:
        sample = float(given.pop("sample", "1"))
    except ValueError:
        sample = -1.0
    if not 0 < sample <= 1:
        raise NotDone("invalid_request", "sample is a number over 0 and up to 1")
    unknown = given.keys() - {"status", "route", "user", "function"}
    if unknown:
        raise NotDone("invalid_request", f"unknown filter {sorted(unknown)[0]}; allowed: {', '.join(Filter._fields)}")
    for one in given.get("status", "").split(","):
        word = one.strip().lower()
        if word and not (len(word) == 3 and word[0] in "12345" and (word[1:] == "xx" or word.isdigit())):
            raise NotDone("invalid_request", f"status {one!r}; allowed: a status such as 404, or a class such as 5xx")
    return Filter(**given, errors=errors, sample=sample)
