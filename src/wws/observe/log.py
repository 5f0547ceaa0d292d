"""One JSON line for each finished request, and the program's own log, both on standard error.

What is written is an allow-list: never headers, bodies, query values, raw paths, prompts, or what an upstream said.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import sys
from collections.abc import Callable
from typing import Final, Literal

from wws import codec
from wws.bindings import Context
from wws.core.text import joined, ms
from wws.core.trail import Trail
from wws.http import Outcome, Request
from wws.observe.tally import Cell

Level = Literal["all", "errors", "off"]
_MILLIS: Final = [f'{milli:03},"request_id":"' for milli in range(1000)]
_joined: Final = joined
FLUSH: Final = 0.2  # seconds that lines wait to be written together
_TOGETHER: Final = 4096  # PIPE_BUF of Linux
_MOST: Final = 256 * 1024  # bytes that may wait
_TEXTS: Final = 4096
_NAME: Final = 128  # characters of a name that a caller chose; those there are, are shorter

# The second line behind the allow-list: what looks like a credential never reaches the log, whoever wrote it there.
_SECRETS: Final = re.compile(
    r"(?:sk-|sb_secret_|sb_publishable_|syn_|wws_live_|eyJ)[A-Za-z0-9_\-.]{6,}|Bearer\s+\S+", re.IGNORECASE
)


def mask(text: str) -> str:
    """`text` without what looks like a credential."""
    return _SECRETS.sub("***", text)


class Redacting(logging.Filter):
    """Masks credentials in a record's final text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always lets the record pass."""
        text = record.getMessage()
        if _SECRETS.search(text):
            record.msg, record.args = _SECRETS.sub("***", text), ()
        return True


class RequestLog:
    """Writes request lines in batches: a system call for each would cost more than the line."""

    __slots__ = (
        "_level", "_lines", "_loop", "_models", "_now", "_pepper", "_size", "_stamp", "_time", "_timer", "_version", "_write",
    )  # fmt: skip

    def __init__(
        self,
        level: Level,
        *,
        loop: asyncio.AbstractEventLoop,
        time: Callable[[], float],
        pepper: bytes,
        version: str,
        write: Callable[[bytes], object] | None = None,
    ) -> None:
        self._level = level
        self._loop = loop
        self._time = time
        self._pepper = pepper
        self._version = version
        self._write = write or _to_stderr
        self._lines: list[str] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._now = 0
        self._stamp = ""
        self._models: dict[str, str] = {}

    def use(self, level: Level, version: str) -> None:
        """The configuration is another one from now on."""
        self._level = level
        self._version = version

    def into(self, write: Callable[[bytes], object]) -> None:
        """Lines go there from now on."""
        self._write = write

    def add(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int, total: float, cell: Cell) -> None:
        """Writes the line of a request that took `total` seconds and was counted in `cell`.

        What requests of one cell have in common is written out once, and the rest by hand: building a dictionary for each
        and encoding it cost five times as much.
        """
        if self._level == "off" or (self._level == "errors" and status < 500):
            return
        trail = ctx.trail
        time = self._time()
        now = int(time)
        if now != self._now:
            self._now, self._stamp = now, f'{{"ts":{now}.'
        usage, size, upstream = trail.usage, request.body.length, trail.upstream
        requested = "" if trail.model_requested is None else self._requested(trail.model_requested)
        more = "" if trail.reason is None else _retries(request)
        if trail.degraded or len(trail.attempts) > 1:
            more = self._particulars(trail) + more
        own = total if upstream is None else total - upstream
        tail = cell.tail or self._tail(request, ctx, status, outcome, cell)
        bytes_in = "null" if size is None else size
        milli = _MILLIS[int((time - now) * 1000)]
        if usage is None:
            line = _joined(
                self._stamp, milli, ctx.request_id, '","duration_ms":', total, ',"overhead_ms":', own,
                ',"bytes_in":', bytes_in, ',"bytes_out":', sent, requested, more, tail,
            )  # fmt: skip
        else:
            line = _joined(
                self._stamp, milli, ctx.request_id, '","duration_ms":', total, ',"overhead_ms":', own,
                ',"bytes_in":', bytes_in, ',"bytes_out":', sent, ',"tokens_in":', usage.tokens_in,
                ',"tokens_out":', usage.tokens_out, ',"tokens_cached":', usage.tokens_cached, requested, more, tail,
            )  # fmt: skip
        self._take(line)

    def _take(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size > _MOST:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(FLUSH, self.flush)

    def _requested(self, model: str) -> str:
        """The model that a caller named, as a member. The names are few, so each is encoded once."""
        if len(model) > _NAME:
            model = model[:_NAME]
        known = self._models.get(model)
        if known is None:
            if len(self._models) >= _TEXTS:
                self._models.clear()
            known = self._models[model] = f',"model_requested":{codec.encode(model).decode()}'
        return known

    def _particulars(self, trail: Trail) -> str:
        """What one request has that others of its cell may not have."""
        part = ""
        if len(trail.attempts) > 1:
            told = [f"{codec.encode([a.provider, a.model, a.outcome])[:-1].decode()},{ms(a.seconds)}]" for a in trail.attempts]
            part = f',"attempts":[{",".join(told)}]'
        if trail.degraded:
            part += f',"degraded":{codec.encode(trail.degraded).decode()}'
        return part

    def _tail(self, request: Request, ctx: Context, status: int, outcome: Outcome, cell: Cell) -> str:
        """What every request of the cell ends with."""
        trail, route, user = ctx.trail, request.route, ctx.user
        fields: dict[str, object] = {
            "route": None if route is None else route.path,
            "method": request.method,
            "status": status,
            "outcome": outcome,
            "error_type": trail.error_type,
            "config_version": self._version,
        }
        if user is not None:
            fields["subject_hash"] = self.subject(user.id)
            if user.key_id is not None:
                fields["key_id"] = user.key_id
        if trail.limit_rule is not None:
            fields["limit_rule"] = trail.limit_rule.name
        if trail.reason is not None:
            fields |= {
                "provider": trail.provider,
                "model_served": trail.model,
                "route_reason": trail.reason,
                "stream": trail.stream,
            }
        elif trail.cache_outcome is not None:
            fields["cache"] = trail.cache_outcome
        tail = f",{codec.encode(fields)[1:].decode()}\n"
        if cell.tail is not None:
            cell.tail = tail
        return tail

    def subject(self, user_id: str) -> str:
        """A user as the log names them: a keyed digest of the id."""
        return hashlib.blake2b(user_id.encode(), key=self._pepper[:64], digest_size=8).hexdigest()

    def flush(self) -> None:
        """Writes what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            data = "".join(self._lines).encode()
            self._lines.clear()
            self._size = 0
            self._write(data)


def _retries(request: Request) -> str:
    retries = request.headers.first.get(b"x-stainless-retry-count")
    return "" if retries is None or not retries.isdigit() else f',"client_retry_count":{int(retries[:6])}'


def _to_stderr(data: bytes) -> None:
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()


def in_pieces(data: bytes) -> None:
    """Writes whole lines to a standard error that several processes share.

    What is written to a pipe at once is kept together up to PIPE_BUF bytes (POSIX, write); of more the lines of two
    processes could end up in one another.
    """
    while data:
        end = len(data) if len(data) <= _TOGETHER else data.rfind(b"\n", 0, _TOGETHER) + 1 or data.find(b"\n") + 1 or len(data)
        _to_stderr(data[:end])
        data = data[end:]


def configure() -> None:
    """The program's own log: plain lines on standard error, credentials masked."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Redacting())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
