"""What watches an AI stream on its way through: usage, served model, finish reason, errors, and how it ended.

Whole events leave as the bytes they came as; nothing is ever sent of an event that did not arrive whole, so that an
error event can follow at any point.

Nearly all events of a stream differ in one text only, so what is around that text is remembered (`_alike`), and an event that
is the same around another plain text is not decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from wws import codec
from wws.core.trail import Usage
from wws.core.wire import sse, usage

__all__ = ["DONE", "UsageTap", "error_event"]

Shape = Literal["openai", "anthropic"]

DONE: Final = b"data: [DONE]\n\n"
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

# How a stream ended early -> the code and the text its caller gets. Silence would read as success: SDKs do not miss [DONE].
_ENDINGS: Final[dict[str, tuple[str, str]]] = {
    "done": ("upstream_disconnect", "The provider ended the answer early."),
    "cut": ("upstream_disconnect", "The provider ended the answer early."),
    "stall": ("provider_timeout", "The provider stopped sending before the answer was complete."),
    "error": ("provider_error", "The provider failed before the answer was complete."),
    "stopped": ("overloaded", "The gateway was stopped before the answer was complete. Ask again."),
}
# Members of a delta that are something to see or to wait for; a role alone is not.
_TOKENS: Final = ("content", "reasoning_content", "tool_calls", "reasoning", "refusal", "function_call", "audio")
# Those of them that are texts, and Anthropic's.
_TEXTS: Final = ("content", "reasoning_content", "reasoning", "text", "thinking")
_LEARNED: Final = 8  # times that a stream's events may change their form; after that they are decoded
_MOST_CHOICES: Final = 1024  # indexes beyond it are taken for the first
_ANTHROPIC_TOKENS: Final = frozenset({"content_block_start", "content_block_delta"})


def error_event(shape: Shape, code: str, message: str) -> bytes:
    """A failure inside a stream whose status has been sent.

    OpenAI's shape: an event with an `error` object, whose `message` SDKs raise. Anthropic's: an event named `error`
    (docs.anthropic.com, streaming: error events).
    """
    if shape == "anthropic":
        kind = "overloaded_error" if code == "provider_overloaded" else "api_error"
        return sse.write(codec.encode({"type": "error", "error": {"type": kind, "message": message}}), b"error")
    return sse.write(codec.encode({"error": {"message": message, "type": code, "param": None, "code": code}}))


class UsageTap:
    """A stream's `Transform` (see `wws.http`).

    `hide_usage` takes out the chunk that only carries usage, for a caller who did not ask for it (it must be asked for
    upstream always). `finish` renames a provider's own finish reasons; None makes one an error. `on_error` gets the data of
    an error event (or of a finish reason that is one) and gives the event to send instead of it; an upstream's own
    words never pass.

    What it has seen: `usage`, `model`, `finish_reason` (as the provider wrote it), `visible` (a token of any kind),
    `error` (the data of the event, or why there can be no more), `done` (the end mark), `malformed` (events dropped),
    `events` (all of them; comments are none).
    """

    __slots__ = (
        "_after", "_anthropic", "_before", "_choices", "_finish", "_finished_choices", "_hide", "_lessons", "_on_error",
        "_plain", "_shape", "_splitter", "done", "error", "events", "finish_reason", "malformed", "model", "usage", "visible",
    )  # fmt: skip

    def __init__(
        self,
        shape: Shape = "openai",
        *,
        hide_usage: bool = False,
        finish: Mapping[str, str | None] | None = None,
        on_error: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._shape: Shape = shape
        self._anthropic = shape == "anthropic"
        self._hide = hide_usage
        self._finish = finish
        self._on_error = on_error
        self._splitter = sse.Splitter()
        self.usage: Usage | None = None
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.visible = False
        self.error: bytes | None = None
        self.done = False
        self.malformed = 0
        self.events = 0
        self._choices = 1  # bit by bit, which have been seen
        self._finished_choices = 0
        self._plain = False  # the event just seen was a token and nothing else
        self._before = self._after = b""  # what is around the text of such an event
        self._lessons = _LEARNED

    @property
    def complete(self) -> bool:
        """Whether the answer is whole: every choice has its finish reason or the end mark has come, and no error."""
        return (self.done or self._all_finished()) and self.error is None

    def _all_finished(self) -> bool:
        return self.finish_reason is not None and not self._choices & ~self._finished_choices

    def feed(self, chunk: bytes) -> bytes:
        """The whole events there are, without those that must not pass."""
        if self.error is not None:
            return b""
        if not self._splitter.pending:
            if self._alike(chunk):
                self.events += 1
                return chunk
            if chunk[-2:] == b"\n\n":
                # One event in a read of its own, as providers send them: `data: ...`, or `event: ...` and `data: ...`.
                last = len(chunk) - 2
                line = chunk.find(b"\n")
                if line == last:
                    if chunk[:6] == b"data: ":
                        out = self._look(chunk, 6)
                        return chunk if out is None else out
                elif chunk[line : line + 7] == b"\ndata: " and chunk[:6] == b"event:" and chunk.find(b"\n", line + 7) == last:
                    out = self._look(chunk, line + 7)
                    return chunk if out is None else out
        return self._cut(chunk)

    def end(self, outcome: str) -> bytes:
        """What is still to be said: nothing after a whole answer but its end mark if that is missing, else an error event."""
        if self.error is not None or outcome == "client_closed":
            return b""
        out = b""
        if outcome == "done" and (pending := self._splitter.pending):
            # A last event whose blank line was not sent; or what is left of the blank line, when it came in two pieces.
            out = self._cut(b"\n\n") if pending.strip(b"\r\n") else pending
        if self.done or self.error is not None:
            return out
        if self._all_finished():
            return out + (_STOP if self._anthropic else DONE)
        code, message = _ENDINGS.get(outcome, _ENDINGS["error"])
        self.error = code.encode()
        return out + error_event(self._shape, code, message)

    def _cut(self, chunk: bytes) -> bytes:
        try:
            events = self._splitter.feed(chunk)
        except sse.EventTooLarge:
            self.error = b"event_too_large"
            return error_event(self._shape, "provider_error", "The provider sent an event that is too large.")
        out: list[bytes] = []
        for raw in events:
            if self._alike(raw):
                self.events += 1
                instead = None
            elif raw[:6] == b"data: " and raw.find(b"\n") == len(raw) - 2:
                instead = self._look(raw, 6)
            else:
                event = sse.parse(raw)
                instead = None if event is None else self._see(event.data)
            out.append(raw if instead is None else instead)
            if self.error is not None:
                break
        return b"".join(out)

    def _alike(self, raw: bytes) -> bool:
        """Whether `raw` is the event that was learned, with another text in the same place.

        The text has nothing that JSON would read as anything but itself: no quotation mark, no backslash, no control character
        (RFC 8259 section 7), and it is UTF-8. So `raw` is one event, and there is nothing in it to take note of.
        """
        before, after = self._before, self._after
        if not before or not raw.startswith(before) or not raw.endswith(after):
            return False
        last = len(raw) - len(after)
        return last >= len(before) and _plain(raw[len(before) : last])

    def _look(self, raw: bytes, start: int) -> bytes | None:
        """`_see` for an event that is one line of data, which begins at `start`."""
        self._plain = False
        instead = self._see(raw[start:-2])
        if self._plain and self._lessons and instead is None:
            self._learn(raw, start)
        return instead

    def _learn(self, raw: bytes, start: int) -> None:
        """Remembers what is around the text of `raw`, a token and nothing else."""
        if self._before and raw.startswith(self._before) and raw.endswith(self._after):
            return  # it was the text that was unusual
        self._lessons -= 1
        delta = _delta(codec.decode(raw[start:-2]), self._anthropic)
        for name in _TEXTS:
            text = delta.get(name)
            if type(text) is not str or not text:
                continue
            at = raw.rfind(b'"' + text.encode() + b'"') + 1
            if at == 0:
                return  # it is written in another way
            before, after = raw[:at], raw[at + len(text.encode()) :]
            # What shows that it is this text that was found, and not another one that is the same.
            other = codec.decode((before + b"another" + after)[start:-2])
            if _delta(other, self._anthropic).get(name) == "another":
                self._before, self._after = before, after
            return

    def _see(self, data: bytes) -> bytes | None:
        """Takes note of one event; None lets it pass as it is, bytes stand in for it."""
        self.events += 1
        try:
            event = codec.decode(data)
        except ValueError:
            if data.strip() == b"[DONE]":
                self.done = True
                return None
            event = None
        if type(event) is not dict:
            self.malformed += 1
            return b""
        if event.get("error"):
            return self._fail(data)
        if self._anthropic:
            self._see_anthropic(event)
            return None
        if self.model is None:
            self.model = usage.clean_model(event.get("model"))
        choices = event.get("choices")
        told = False
        if type(choices) is list and choices:
            for choice in choices:
                if type(choice) is dict:
                    if not self.visible and type(delta := choice.get("delta")) is dict:
                        self.visible = any(delta.get(name) for name in _TOKENS)
                    index = choice.get("index")
                    if index:
                        index = index if type(index) is int and 0 < index < _MOST_CHOICES else 0
                        self._choices |= 1 << index
                    if (reason := choice.get("finish_reason")) and type(reason) is str:
                        told = True
                        self.finish_reason = reason
                        self._finished_choices |= 1 << (index or 0)
                        if self._finish is not None and reason in self._finish:
                            return self._finished(data, event, choice, self._finish[reason])
        if counted := event.get("usage"):
            self.usage = usage.read(counted) or self.usage
            if self._hide and not choices:
                return b""
        elif not told:
            self._plain = self.visible
        return None

    def _see_anthropic(self, event: dict[str, Any]) -> None:
        """message_start has the model and the tokens in, message_delta the stop reason and the tokens out so far."""
        kind = event.get("type")
        if kind in _ANTHROPIC_TOKENS:
            self.visible = self._plain = True
        elif kind == "message_start":
            message = event.get("message")
            if type(message) is dict:
                self.model = usage.clean_model(message.get("model"))
                self.usage = usage.read(message.get("usage"))
        elif kind == "message_delta":
            delta = event.get("delta")
            if type(delta) is dict and type(reason := delta.get("stop_reason")) is str:
                self.finish_reason = reason
                self._finished_choices = 1
            now = usage.read(event.get("usage"))
            if now is not None:
                before = self.usage or now
                self.usage = Usage(now.tokens_in or before.tokens_in, now.tokens_out, now.tokens_cached or before.tokens_cached)
        elif kind == "message_stop":
            self.done = True

    def _finished(self, data: bytes, event: dict[str, Any], choice: dict[str, Any], name: str | None) -> bytes:
        """A finish reason of the provider's own, in a word that clients know; or the error it stands for."""
        if name is None:
            return self._fail(data)
        choice["finish_reason"] = name
        self.usage = usage.read(event.get("usage")) or self.usage
        return sse.write(codec.encode(event))

    def _fail(self, data: bytes) -> bytes:
        self.error = data
        if self._on_error is not None:
            return self._on_error(data)
        return error_event(self._shape, "provider_error", "The provider failed before the answer was complete.")


def _plain(text: bytes) -> bool:
    """Whether `text` between quotation marks is itself in JSON."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        return False
    return decoded.isprintable() and decoded.find('"') < 0 and decoded.find("\\") < 0


def _delta(event: Any, anthropic: bool) -> dict[str, Any]:
    """The part of an event that has its token; empty where there is none, or more than one."""
    if not anthropic:
        choices = event.get("choices")
        event = choices[0] if type(choices) is list and len(choices) == 1 else None
    delta = event.get("delta") if type(event) is dict else None
    return delta if type(delta) is dict else {}
