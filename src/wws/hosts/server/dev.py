"""`wws dev`: the project is read again when one of its files is saved, and mistakes are shown where they are met.

Never part of `wws serve`: what is shown here, tracebacks and file names, is for who writes the code.
"""

from __future__ import annotations

import asyncio
import html
import logging
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from wws import codec
from wws.hosts.server.reload import Reloaded
from wws.hosts.server.saved import changes
from wws.hosts.server.serving import Serving
from wws.http import Headers, Request, Response

__all__ = ["Pages", "develop", "keep_reloading"]

_KEPT: Final = 64
_LOGGERS: Final = ("wws.functions", "wws.gateway")


async def develop(serving: Serving) -> None:
    """Does all of this for a process that serves, until it stops."""
    serving.lenient = True
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # we say ourselves what was saved
    pages = Pages(serving.process.application)
    serving.server.app = pages
    config = await asyncio.to_thread(serving.started.path.resolve)
    await keep_reloading(changes(config, serving.stop), config.parent, serving.reload, pages)


async def keep_reloading(
    saved: AsyncIterator[set[Path]], folder: Path, reload: Callable[[], Awaitable[Reloaded]], pages: Pages
) -> None:
    """Reloads after each change, and says how it went."""
    async for paths in saved:
        started = time.perf_counter()
        reloaded = await reload()
        took = (time.perf_counter() - started) * 1000
        pages.problems = [] if reloaded.ok else reloaded.problems
        names = ", ".join(sorted({_name(path, folder) for path in paths})[:3]) or "the project"
        state = "reloaded" if reloaded.ok else "not reloaded, the version before answers on"
        _say(f"{names}: {state} ({took:.0f} ms)")


def _name(path: Path, folder: Path) -> str:
    with suppress(ValueError):
        return path.relative_to(folder).as_posix()
    return path.name


def _say(line: str) -> None:
    sys.stderr.write(f"wws {line}\n")
    sys.stderr.flush()


App = Callable[[Request], Coroutine[Any, Any, Response]]


class Pages:
    """An app around the gateway's: where a request fails on our side, a page for browsers and a problem for all others says why.

    While the project's own files are wrong, a browser that asks for a page is shown that, and everything else is answered by
    the last version that was right.
    """

    def __init__(self, app: App) -> None:
        self.problems: list[str] = []
        self._app = app
        self._failed = _Failures()
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self._failed)

    def close(self) -> None:
        """Hears of failures no more."""
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self._failed)

    async def __call__(self, request: Request) -> Response:
        page = _wants_page(request)
        if self.problems and page:
            return _page(
                "The project is wrong", self.problems, "Everything but pages is still answered by the version before.", 500
            )
        response = await self._app(request)
        if response.status < 500 or not isinstance(response.body, bytes):
            return response
        reason = self._failed.take(_request_id(response))
        if reason is None:
            return response
        shown = _page("A function failed", [reason], f"{request.method} {request.path}", response.status) if page else None
        shown = shown or _problem(response, response.body, reason)
        shown.notes, shown.finish = response.notes, response.finish
        return shown


class _Failures(logging.Handler):
    """Why requests failed, by their id, as the log tells it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._reasons: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if not (isinstance(record.args, tuple) and record.args and str(record.msg).startswith("request %s")):
            return
        while len(self._reasons) >= _KEPT:
            del self._reasons[next(iter(self._reasons))]
        text = record.getMessage().partition(": ")[2] or record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text = "".join(traceback.format_exception(*record.exc_info))
        self._reasons[str(record.args[0])] = text

    def take(self, request_id: str) -> str | None:
        return self._reasons.pop(request_id, None)


def _request_id(response: Response) -> str:
    for line in response.notes.split("\r\n"):
        if line.startswith("x-request-id: "):
            return line[14:]
    return ""


def _wants_page(request: Request) -> bool:
    """Whether a browser asks for something to show: `Accept` names HTML before anything goes (RFC 9110 section 12.5.1)."""
    return request.method in ("GET", "HEAD") and "text/html" in (request.headers.get("accept") or "")


def _problem(response: Response, body: bytes, reason: str) -> Response:
    try:
        told = codec.decode(body)
    except ValueError:
        told = {}
    fields = told if isinstance(told, dict) else {}
    headers = Headers([(name, value) for name, value in response.headers.raw if name not in (b"content-type", b"content-length")])
    headers.append("content-type", "application/problem+json")
    return Response(codec.encode({**fields, "reason": reason}), response.status, headers)


_STYLE = """
body { margin: 0; padding: 40px 24px; background: #14181f; color: #e8edf3; font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 980px; margin: auto; } h1 { font-size: 20px; color: #ff7b72; margin: 0 0 4px; }
p { color: #9aa7b5; margin: 0 0 18px; }
pre { background: #1d232d; border-left: 3px solid #ff7b72; padding: 16px; overflow-x: auto; white-space: pre-wrap;
  font: 13px/1.5 monospace; }
"""


def _page(title: str, problems: Iterable[str], words: str, status: int) -> Response:
    blocks = "".join([f"<pre>{html.escape(problem)}</pre>" for problem in problems])
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
        f"<main><h1>{html.escape(title)}</h1><p>{html.escape(words)}</p>{blocks}<p>Shown by wws dev only. Save the file and "
        "load this page again.</p></main></html>"
    )
    return Response.html(text, status, {"cache-control": "no-store"})
