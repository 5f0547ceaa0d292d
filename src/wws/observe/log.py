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
from typing import Literal

from wws import codec
from wws.bindings import Context
from wws.core.wire.notes import ms
from wws.http import Outcome, Request

Level = Literal["all", "errors", "off"]
FLUSH = 0.2  # seconds that lines wait to be written together
_MOST = 256 * 1024  # bytes that may wait
_SUBJECTS = 4096
_TEXTS = 4096

# The second line behind the allow-list: what looks like a credential never reaches the log, whoever wrote it there.
_SECRETS = re.compile(r"(?:sk-|sb_secret_|sb_publishable_|syn_|wws_live_|eyJ)[A-Za-z0-9_\-.]{6,}|Bearer\s+\S+", re.IGNORECASE)


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
        "_level",
        "_lines",
        "_loop",
        "_monotonic",
        "_pepper",
        "_size",
        "_subjects",
        "_texts",
        "_time",
        "_timer",
        "_version",
        "_write",
    )

    def __init__(
        self,
        level: Level,
        *,
        loop: asyncio.AbstractEventLoop,
        time: Callable[[], float],
        monotonic: Callable[[], float],
        pepper: bytes,
        version: str,
        write: Callable[[bytes], object] | None = None,
    ) -> None:
        self._level = level
        self._loop = loop
        self._time = time
        self._monotonic = monotonic
        self._pepper = pepper
        self._version = version
        self._write = write or _to_stderr
        self._lines: list[str] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._subjects: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def __call__(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int) -> None:
        if self._level == "off" or (self._level == "errors" and status < 500):
            return
        line = self._line(request, ctx, status, outcome, sent)
        self._lines.append(line)
        self._size += len(line)
        if self._size > _MOST:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(FLUSH, self.flush)

    def _line(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int) -> str:
        """One JSON object, written out by hand: building a dictionary to encode it costs three times as much."""
        trail = ctx.trail
        total = self._monotonic() - trail.started
        route, user, text = request.route, ctx.user, self._text
        size = "null" if request.body.length is None else request.body.length
        line = (
            f'{{"ts":{self._time():.3f},"request_id":"{ctx.request_id}","route":{text(None if route is None else route.path)},'
            f'"method":"{request.method}","status":{status},"outcome":"{outcome}","error_type":{text(trail.error_type)},'
            f'"duration_ms":{ms(total)},"overhead_ms":{ms(total - (trail.upstream or 0.0))},"bytes_in":{size},'
            f'"bytes_out":{sent},"config_version":"{self._version}"'
        )
        if user is not None:
            line += f',"subject_hash":"{self._subject(user.id)}"'
            if user.key_id is not None:
                line += f',"key_id":{self._text(user.key_id)}'
        if trail.limit_rule is not None:
            line += f',"limit_rule":{self._text(trail.limit_rule.name)}'
        if trail.reason is not None:
            line += self._ai_part(ctx, request)
        elif trail.cache_outcome is not None:
            line += f',"cache":"{trail.cache_outcome}"'
        if trail.degraded:
            line += f',"degraded":{codec.encode(trail.degraded).decode()}'
        return line + "}\n"

    def _ai_part(self, ctx: Context, request: Request) -> str:
        trail, text = ctx.trail, self._text
        attempts = ",".join([f"[{text(a.provider)},{text(a.model)},{text(a.outcome)},{ms(a.seconds)}]" for a in trail.attempts])
        part = (
            f',"provider":{text(trail.provider)},"model_requested":{text(trail.model_requested)},"model_served":{text(trail.model)},'
            f'"route_reason":{text(trail.reason)},"stream":{"true" if trail.stream else "false"},"attempts":[{attempts}]'
        )
        usage = trail.usage
        if usage is not None:
            part += f',"tokens_in":{usage.tokens_in},"tokens_out":{usage.tokens_out},"tokens_cached":{usage.tokens_cached}'
        retries = request.headers.first.get(b"x-stainless-retry-count")
        if retries is not None and retries.isdigit():
            part += f',"client_retry_count":{int(retries[:6])}'
        return part

    def _text(self, value: str | None) -> str:
        """`value` as JSON text. The values are few (routes, models, reasons), so each is encoded once."""
        if value is None:
            return "null"
        known = self._texts.get(value)
        if known is None:
            if len(self._texts) >= _TEXTS:
                self._texts.clear()
            known = self._texts[value] = codec.encode(value).decode()
        return known

    def _subject(self, user_id: str) -> str:
        known = self._subjects.get(user_id)
        if known is None:
            if len(self._subjects) >= _SUBJECTS:
                self._subjects.clear()
            digest = hashlib.blake2b(user_id.encode(), key=self._pepper[:64], digest_size=8).hexdigest()
            known = self._subjects[user_id] = digest
        return known

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


def _to_stderr(data: bytes) -> None:
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()


def configure() -> None:
    """The program's own log: plain lines on standard error, credentials masked."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Redacting())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
