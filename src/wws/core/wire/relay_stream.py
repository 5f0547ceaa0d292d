"""A streamed answer on its way to its caller, from the first byte of the provider to the last.

    nothing_sent    no event has come
    preamble_only   events without anything to see: a role, an id
    content_sent    the caller sees a part of the answer
    ended           it is whole, or it is over

Until it is committed, nothing of it has been sent, so that an attempt which fails is one the caller never hears of. It may be
committed with the first token, or, `whole`, not before its end. After that a failure can only be told inside the stream:
by an error event, and never by a normal finish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from wws.core.wire.tap import Shape, UsageTap

__all__ = ["HEARTBEAT", "LINGER", "PING", "RelayStream", "State"]

State = Literal["nothing_sent", "preamble_only", "content_sent", "ended"]

HEARTBEAT = 15.0
"""Seconds of silence towards the caller. Load balancers cut at 60."""
LINGER = 3.0
"""Seconds that a whole answer may go on with usage or its end mark. Some providers leave the connection open after it."""
LINGER_DONE = 0.25
"""The same after the end mark, where only the end of the body is missing."""
PING = b": ping\n\n"
"""A comment: WHATWG HTML, section 9.2.7 (authoring notes) recommends one every 15 seconds."""


class RelayStream(UsageTap):
    """A `Transform` of the stream once it is committed; before that it is fed by `take`.

    `idle` are the seconds between two events that count as a stall. Comments do not count as events, neither the provider's
    nor our own (LiteLLM #38358). All times are monotonic seconds.
    """

    __slots__ = ("_beat", "_counted", "_held", "_idle", "_since", "committed", "ending", "whole")

    def __init__(
        self,
        shape: Shape = "openai",
        *,
        hide_usage: bool = False,
        finish: Mapping[str, str | None] | None = None,
        on_error: Callable[[bytes], bytes] | None = None,
        whole: bool = False,
        idle: float = 30.0,
    ) -> None:
        super().__init__(shape, hide_usage=hide_usage, finish=finish, on_error=on_error)
        self.whole = whole
        self._idle = idle
        self._held: list[bytes] = []
        self._counted = -1
        self._since = self._beat = 0.0
        self.committed = False
        self.ending = ""
        """Set by `tick` when the stream is to be ended by whoever sends it: `done` as whole, `stall` as failed."""

    @property
    def state(self) -> State:
        """How far the answer has come, as the caller would see it."""
        if self.error is not None or self.complete:
            return "ended"
        if self.visible:
            return "content_sent"
        return "preamble_only" if self.events else "nothing_sent"

    @property
    def ready(self) -> bool:
        """Whether it may be committed: there is something to see, or, where it is held back as a whole, its end mark."""
        return (self.done if self.whole else self.visible) and self.error is None

    def take(self, chunk: bytes) -> None:
        """More of the stream, before it is committed."""
        out = self.feed(chunk)
        if out:
            self._held.append(out)

    def finish(self) -> None:
        """The stream has ended in good order before it was committed: a last event may lack its blank line."""
        if self._splitter.pending and self.error is None:
            self.take(b"\n\n")

    def commit(self) -> bytes:
        """What was held back, to be sent before anything else; from here on `feed` gives what is to be sent."""
        self.committed = True
        held = self._held
        data = held[0] if len(held) == 1 else b"".join(held)
        held.clear()
        return data

    def tick(self, now: float) -> bytes:
        """Looks at the timers of a committed stream, some times a second; gives a heartbeat when one is due."""
        if self.events != self._counted:
            self._counted = self.events
            self._since = self._beat = now
            return b""
        quiet = now - self._since
        if self.complete:
            if quiet >= (LINGER_DONE if self.done else LINGER):
                self.ending = "done"
        elif quiet >= self._idle:
            self.ending = "stall"
        elif now - self._beat >= HEARTBEAT:
            self._beat = now
            return PING
        return b""

    def held_up(self) -> None:
        """The caller does not take what is sent: the provider is not to blame for the silence."""
        self._counted = -1
