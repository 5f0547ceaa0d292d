"""Looking at requests while they finish: live lines for `wws tail`, and the durations of steps for the dashboard.

Nobody looks most of the time, and then a request pays one comparison. Who looks asks again every second or so; who has not
asked for a while is forgotten. What is kept for one who asks too rarely is bounded: the oldest lines are lost, and counted.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Protocol

from wws.bindings import Context
from wws.http import Outcome, Request
from wws.observe.log import mask
from wws.observe.quantile import Counts, bucket

__all__ = ["CAPACITY", "STEPS", "Filter", "Taps", "Watch"]

CAPACITY: Final = 1000
"""Lines that wait for one who looks at them."""
FORGET: Final = 60.0
"""Seconds after which one who no longer asks is forgotten."""
WINDOW: Final = 60.0
"""Seconds over which durations are counted; the window before is told with them."""
TAILS: Final = 16
"""At a time."""
_TRACEBACKS: Final = 64
_LONGEST: Final = 16 * 1024  # characters of a traceback

STEPS: Final = ("auth_known", "auth_asked", "limit", "route", "cache_hit", "first_token", "first_token_fallback", "overhead")
"""Steps whose durations are counted: a credential known already or asked for, the limiter, the router, an answer from cache as a
whole, an AI answer's first token by the first model or after others failed, and the gateway's own share of any request."""

Line = dict[str, Any]
Tap = Callable[[Request, Context, int, Outcome, int, float], None]


class Taps(Protocol):
    """Who tells of finished requests while `tap` is set."""

    tap: Tap | None


class Filter(NamedTuple):
    """What a tail wants to see; empty texts and None for no such wish.

    `status` is `404` or a class such as `5xx`, several with commas; `sample` is the share of requests, 0 to 1.
    """

    status: str = ""
    route: str = ""
    user: str = ""
    function: str = ""
    errors: bool = False
    sample: float = 1.0

    def wants(self, line: Line, user_id: str) -> bool:
        """Whether a request's line is shown."""
        status = int(line["status"])
        if self.errors and status < 500 and line["error_type"] is None:
            return False
        if self.status and not any(_is(status, one) for one in self.status.split(",")):
            return False
        if self.route and line["route"] != self.route:
            return False
        if self.function and line["function"] != self.function:
            return False
        if self.user and self.user not in (user_id, line.get("subject_hash")):
            return False
        return self.sample >= 1.0 or _share(str(line["request_id"])) < self.sample

    @property
    def of_requests(self) -> bool:
        """Whether lines that belong to no request are left out."""
        return bool(self.status or self.route or self.user or self.function)


def _is(status: int, wanted: str) -> bool:
    wanted = wanted.strip().lower()
    return wanted == str(status) or (wanted.endswith("xx") and wanted[:1] == str(status // 100))


def _share(request_id: str) -> float:
    return int.from_bytes(blake2b(request_id.encode(), digest_size=4).digest(), "big") / 2**32


class _Tail:
    __slots__ = ("asked", "filter", "lines", "lost")

    def __init__(self, wanted: Filter, now: float) -> None:
        self.filter = wanted
        self.asked = now
        self.lines: deque[Line] = deque()
        self.lost = 0

    def add(self, line: Line) -> None:
        if len(self.lines) >= CAPACITY:
            self.lines.popleft()
            self.lost += 1
        self.lines.append(line)


class Watch:
    """One process's requests. `subject` names a user as the log does."""

    def __init__(
        self, taps: Taps, monotonic: Callable[[], float], time: Callable[[], float], subject: Callable[[str], str]
    ) -> None:
        self._taps = taps
        self._monotonic = monotonic
        self._time = time
        self._subject = subject
        self._tails: dict[str, _Tail] = {}
        self._tracebacks: dict[str, str] = {}
        self._handler = _Records(self._record)
        self._steps_asked: float | None = None
        self._since = 0.0
        self._counts: dict[str, Counts] = {}
        self._before: dict[str, Counts] = {}

    # what is asked

    def answer(self, what: str, value: Any) -> Any:
        """`tail` with a name, a filter's values and whether it begins; `tail_end` with a name; `steps`."""
        if what == "tail":
            name, wanted, first = value
            return self.tail(name, Filter(*wanted), first)
        return self.end(value) if what == "tail_end" else self.steps()

    def tail(self, name: str, wanted: Filter, first: bool) -> dict[str, Any]:
        """The lines since the last time that `name` asked: `{"lines", "lost"}`, `lost` None where nobody knows how many."""
        now = self._monotonic()
        self._forget(now)
        known = self._tails.get(name)
        if known is None:
            if len(self._tails) >= TAILS:
                return {"lines": [], "lost": 0, "full": True}
            self._tails[name] = _Tail(wanted, now)
            self._set()
            return {"lines": [], "lost": 0 if first else None}
        known.asked, lines, lost = now, list(known.lines), known.lost
        known.lines.clear()
        known.lost = 0
        return {"lines": lines, "lost": lost}

    def end(self, name: str) -> None:
        """`name` asks no more."""
        self._tails.pop(name, None)
        self._set()

    def steps(self) -> dict[str, dict[str, int]]:
        """How long the steps took in the last one to two windows, as counts by bucket; counting begins when somebody asks."""
        now = self._monotonic()
        self._forget(now)
        if self._steps_asked is None:
            self._counts, self._before, self._since = {}, {}, now
        self._steps_asked = now
        self._turn(now)
        self._set()
        told: dict[str, dict[str, int]] = {}
        for name in STEPS:
            sums = told[name] = {}
            for counts in (self._before.get(name, {}), self._counts.get(name, {})):
                for place, count in counts.items():
                    sums[str(place)] = sums.get(str(place), 0) + count
        return told

    # what happens

    def _seen(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int, total: float) -> None:
        if self._steps_asked is not None:
            self._measure(ctx, total)
        if self._tails:
            user_id = "" if ctx.user is None else ctx.user.id
            line = self._line(request, ctx, status, outcome, sent, total)
            for tail in self._tails.values():
                if tail.filter.wants(line, user_id):
                    tail.add(line)

    def _measure(self, ctx: Context, total: float) -> None:
        trail = ctx.trail
        self._turn(self._monotonic())
        took = {"limit": trail.limit, "overhead": total - (trail.upstream or 0.0) if not trail.stream else trail.steps()}
        took["auth_asked" if trail.auth_source == "origin" else "auth_known"] = trail.auth if trail.auth_source else None
        if trail.cache_outcome in ("hit", "stale"):
            took["cache_hit"] = total
        if trail.reason is not None:
            took["route"] = trail.route
            first = trail.first_token if trail.first_token is not None else trail.upstream
            if trail.provider is not None:
                took["first_token" if len(trail.attempts) < 2 else "first_token_fallback"] = first
        for name, seconds in took.items():
            if seconds is not None:
                counts = self._counts.setdefault(name, {})
                place = bucket(seconds)
                counts[place] = counts.get(place, 0) + 1

    def _line(self, request: Request, ctx: Context, status: int, outcome: Outcome, sent: int, total: float) -> Line:
        trail, route, user = ctx.trail, request.route, ctx.user
        line: Line = {
            "type": "request",
            "ts": round(self._time(), 3),
            "request_id": ctx.request_id,
            "method": request.method,
            "route": None if route is None else route.path,
            "function": route.target if route is not None and route.to == "function" else None,
            "status": status,
            "outcome": outcome,
            "error_type": trail.error_type,
            "duration_ms": round(total * 1000, 2),
            "overhead_ms": round((total - (trail.upstream or 0.0)) * 1000, 2),
            "bytes_out": sent,
            "cache": trail.cache_outcome,
        }
        if user is not None:
            line |= {"subject_hash": self._subject(user.id), "key_id": user.key_id}
        if trail.reason is not None:
            line |= {"provider": trail.provider, "model": trail.model, "attempts": len(trail.attempts), "reason": trail.reason}
        if (found := self._tracebacks.pop(ctx.request_id, None)) is not None:
            line["traceback"] = found
        return line

    def _record(self, record: logging.LogRecord) -> None:
        """A line of the program's own log. A traceback that names a request waits for that request's line."""
        trace = ""
        if record.exc_info and record.exc_info[1] is not None:
            trace = mask("".join(traceback.format_exception(*record.exc_info)))[-_LONGEST:]
        given = record.args if isinstance(record.args, tuple) else ()
        if trace and given and "request" in record.msg and isinstance(given[0], str):
            while len(self._tracebacks) >= _TRACEBACKS:
                del self._tracebacks[next(iter(self._tracebacks))]
            self._tracebacks[given[0]] = trace
            return
        line: Line = {"type": "log", "ts": round(record.created, 3), "level": record.levelname, "logger": record.name}
        line |= {"message": mask(record.getMessage())} | ({"traceback": trace} if trace else {})
        for tail in self._tails.values():
            if not tail.filter.of_requests and (not tail.filter.errors or record.levelno >= logging.ERROR):
                tail.add(line)

    # who looks

    def _turn(self, now: float) -> None:
        if now - self._since >= WINDOW:
            self._before = self._counts if now - self._since < 2 * WINDOW else {}
            self._counts, self._since = {}, now

    def _forget(self, now: float) -> None:
        self._tails = {name: tail for name, tail in self._tails.items() if now - tail.asked < FORGET}
        if self._steps_asked is not None and now - self._steps_asked >= FORGET:
            self._steps_asked = None
        self._set()

    def rest(self) -> None:
        """Forgets who no longer asks: to be called now and then, so that nobody is counted for nobody."""
        self._forget(self._monotonic())

    def _set(self) -> None:
        self._taps.tap = self._seen if self._tails or self._steps_asked is not None else None
        root = logging.getLogger()
        if self._tails and self._handler not in root.handlers:
            root.addHandler(self._handler)
        elif not self._tails and self._handler in root.handlers:
            root.removeHandler(self._handler)
            self._tracebacks.clear()


class _Records(logging.Handler):
    def __init__(self, take: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(logging.INFO)
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(record)
