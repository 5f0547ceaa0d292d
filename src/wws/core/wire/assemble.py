"""Puts the plain answer together from the events of a stream: OpenAI's chat completion; Anthropic's is in `assemble_message`.

A plain caller is served by streaming upstream, so that a silent provider is told from a slow one. What is put together
holds everything the events held: unknown members too, since reasoning and tool calls get lost where proxies rebuild only
what they know (LiteLLM #32068, kilocode #13691). No I/O: bytes in, the answer out.

Nearly all events of an answer differ in one text only. So what stands before and after that text is learned from one
event, and the next ones are not decoded as long as they have the same surroundings.
"""

from __future__ import annotations

from typing import Any

from wws import codec
from wws.core.trail import Usage
from wws.core.wire import sse, usage
from wws.core.wire.merge import merge, whole

__all__ = ["Assembler", "ChatAssembler"]

_PREFIX = b"data: "
_DONE = b"[DONE]"
_LESSONS = 8
"""Events that surroundings may be learned from; a stream that changes them each time is decoded throughout."""
# Members of a delta that are something to see or to wait for; a role alone is not.
_TOKENS = frozenset({"content", "reasoning_content", "tool_calls", "reasoning", "refusal", "function_call", "audio"})
_RUN = 256
"""Events that are looked at together. They are some 200 bytes each, of which the text is a few."""
_NOTHING = b"\x00"  # no event begins with it


class Assembler:
    """What both shapes have in common: cutting the stream into events, and what a reader wants to know meanwhile.

    `visible`: a token of any kind has come. `done`: the end mark. `finish_reason` as the provider wrote it. `error`: the
    data of an error event, or why there can be no more; nothing is read after it. `malformed`: events that were skipped.
    `events`: whole events so far, comments not counted.
    """

    __slots__ = ("_splitter", "done", "error", "events", "finish_reason", "malformed", "visible")

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self.visible = False
        self.done = False
        self.finish_reason: str | None = None
        self.error: bytes | None = None
        self.malformed = 0
        self.events = 0

    @property
    def complete(self) -> bool:
        """Whether the answer is whole: every choice has finished or the end mark has come, and no error."""
        return (self.done or self._finished()) and self.error is None

    @property
    def usage(self) -> Usage | None:
        """The tokens as the provider counted them."""
        raise NotImplementedError

    @property
    def model(self) -> str | None:
        """The model that answers."""
        raise NotImplementedError

    def result(self) -> bytes:
        """The plain answer as far as it has come, as JSON."""
        raise NotImplementedError

    def feed(self, chunk: bytes) -> None:
        """More of the stream, cut anywhere."""
        if self.error is None:
            self._cut(chunk)

    def end(self) -> None:
        """The stream has ended in good order: a last event may lack its blank line."""
        if self._splitter.pending and self.error is None:
            self._cut(b"\n\n")

    def _cut(self, chunk: bytes) -> None:
        try:
            events = self._splitter.feed(chunk)
        except sse.EventTooLarge:
            self._fail(b"event_too_large")
            return
        for raw in events:
            event = sse.parse(raw)
            if event is not None:
                self._take(event.data)
                if self.error is not None:
                    return

    def _take(self, data: bytes) -> None:
        """One event."""
        self.events += 1
        if data == _DONE:
            self.done = True
            return
        try:
            event = codec.decode(data)
        except ValueError:
            if data.strip() == _DONE:
                self.done = True
            else:
                self.malformed += 1
            return
        if type(event) is not dict:
            self.malformed += 1
        elif event.get("error"):
            self._fail(data)
        else:
            self._see(event, data)

    def _fail(self, why: bytes) -> None:
        self.error = why

    def _see(self, event: dict[str, Any], data: bytes) -> None:
        raise NotImplementedError

    def _finished(self) -> bool:
        return self.finish_reason is not None


class _Choice:
    """One of the choices as it grows. `texts` are the pieces of members of the delta that came as plain text."""

    __slots__ = ("finish", "fields", "message", "texts")

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self.texts: dict[str, list[bytes]] = {}
        self.fields: dict[str, Any] = {}
        self.finish: str | None = None


class ChatAssembler(Assembler):
    """A chat completion from `chat.completion.chunk` events (platform.openai.com, API reference: chat streaming)."""

    __slots__ = (
        "_after", "_before", "_between", "_choices", "_fields", "_head", "_learned", "_lessons", "_run", "_tail", "_torn",
        "_usage",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._fields: dict[str, Any] = {}
        self._usage: Any = None
        self._choices: dict[int, _Choice] = {}
        self._before, self._after, self._between = _NOTHING, _NOTHING, _NOTHING
        self._head = self._tail = 1  # lengths of the first two
        self._learned: list[bytes] = []
        self._lessons = _LESSONS
        self._run: list[bytes] = []
        self._torn = False

    def feed(self, chunk: bytes) -> None:
        """See `Assembler.feed`."""
        if chunk.startswith(self._before) and chunk.endswith(self._after) and not self._torn:
            # One event that is like the last ones, or several: looked at later, many together.
            run = self._run
            run.append(chunk)
            if len(run) >= _RUN:
                self._settle()
            return
        if self._run:
            self._settle()
        if self.error is not None:
            return
        if self._torn or chunk[-2:] != b"\n\n" or chunk.find(b"\r") >= 0:
            self._cut(chunk)
            self._torn = bool(self._splitter.pending)
        else:
            self._read(chunk)

    def end(self) -> None:
        """See `Assembler.end`."""
        if self._run:
            self._settle()
        super().end()

    def _settle(self) -> None:
        """Reads the events of the run: what their surroundings leave is the text, as long as no quote ends it earlier."""
        run, self._run = self._run, []
        before, after, learned = self._before, self._after, self._learned  # what is read here may teach other ones
        data = run[0] if len(run) == 1 else b"".join(run)
        texts = data[self._head : -self._tail].split(self._between)
        text = b"".join(texts)
        if text.find(b'"') < 0 and text.find(b"\\") < 0:
            learned.append(text)
            self.events += len(texts)
            return
        for text in texts:
            if text.find(b'"') >= 0 or text.find(b"\\") >= 0:
                try:
                    text = codec.decode(b'"' + text + b'"').encode("utf-8", "surrogatepass")
                except ValueError:
                    # Not one text: something else, or whole events of another kind among those of this one.
                    for event in (before + text + after)[:-2].split(b"\n\n"):
                        self._one(event)
                        if self.error is not None:
                            return
                    continue
            learned.append(text)
            self.events += 1

    def _read(self, chunk: bytes) -> None:
        """Whole events, each ending in two LF: those that are like one another in one go."""
        start, end = 0, len(chunk)
        while start < end:
            if chunk.startswith(self._before, start):
                last = chunk.rfind(self._between, start)
                if last > start:
                    last += self._tail
                    self._run.append(chunk[start:last])
                    start = last
                    continue
                stop = chunk.index(b"\n\n", start) + 2
                if stop - start >= self._head + self._tail and chunk.endswith(self._after, start, stop):
                    self._run.append(chunk[start:stop])
                    start = stop
                    continue
            stop = chunk.index(b"\n\n", start)
            if self._run:
                self._settle()
            self._one(chunk[start:stop])
            if self.error is not None:
                return
            start = stop + 2

    def _one(self, event: bytes) -> None:
        """One event, without its end."""
        if event[:6] == _PREFIX and event.find(b"\n") < 0:
            self._take(event[6:])
        elif (parsed := sse.parse(event)) is not None:
            self._take(parsed.data)

    @property
    def usage(self) -> Usage | None:
        """See `Assembler.usage`."""
        return usage.read(self._usage)

    @property
    def model(self) -> str | None:
        """See `Assembler.model`."""
        return usage.clean_model(self._fields.get("model"))

    def _finished(self) -> bool:
        if self.finish_reason is None:
            return False
        return all(choice.finish is not None for choice in self._choices.values())

    def _fail(self, why: bytes) -> None:
        self.error = why
        self._before = self._after = _NOTHING  # what comes after it is not read

    def _see(self, event: dict[str, Any], data: bytes) -> None:
        choices = event.pop("choices", None)
        counted = event.pop("usage", None)
        if counted:
            self._usage = counted
        fields = self._fields
        if event.keys() != fields.keys():
            for name, value in event.items():
                if value is not None:
                    # One id, created and model per stream: the first ones, whatever a later chunk says.
                    fields.setdefault(name, value)
        if type(choices) is list:
            alone = len(choices) == 1 and not counted
            for choice in choices:
                if type(choice) is dict:
                    self._grow(choice, data, alone)

    def _grow(self, chunk: dict[str, Any], data: bytes, alone: bool) -> None:
        """One choice of an event; `alone`: the event has no other, and counts no tokens."""
        index = chunk.pop("index", 0)
        if type(index) is not int:
            index = 0
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        delta = chunk.pop("delta", None)
        reason = chunk.pop("finish_reason", None)
        if type(delta) is dict and delta:
            self._speak(choice, delta)
            if self._lessons > 0 and alone and len(delta) == 1 and not reason and not any(chunk.values()):
                self._learn(choice, delta, data)
            if not self.visible:
                for name, value in delta.items():
                    if value and name in _TOKENS:
                        self.visible = True
        if type(reason) is str and reason:
            choice.finish = self.finish_reason = reason
        for name, value in chunk.items():
            if value is not None:
                merge(choice.fields, name, value)

    def _speak(self, choice: _Choice, delta: dict[str, Any]) -> None:
        for name, value in delta.items():
            if name == "role":
                choice.message.setdefault("role", value)
            elif type(value) is str:
                pieces = choice.texts.get(name)
                if pieces is None:
                    pieces = choice.texts[name] = []
                pieces.append(value.encode("utf-8", "surrogatepass"))
            elif value is not None:
                merge(choice.message, name, value)
            else:
                choice.message.setdefault(name, None)

    def _learn(self, choice: _Choice, delta: dict[str, Any], data: bytes) -> None:
        """Takes the surroundings of the only text in `delta`, which is all that the event `data` has to say.

        Where nothing is escaped and the text's name stands only once, it stands before the text.
        """
        ((name, value),) = delta.items()
        pieces = choice.texts.get(name)
        quoted = b'"%b"' % name.encode()
        if pieces is None or type(value) is not str or not value:
            return
        if b"\\" in data or b"\n" in data or data.count(quoted) != 1:
            return
        self._lessons -= 1
        start = data.index(b'"', data.index(quoted) + len(quoted)) + 1
        end = start + len(pieces[-1])
        self._before, self._after = _PREFIX + data[:start], data[end:] + b"\n\n"
        self._between = self._after + self._before
        self._head, self._tail = len(self._before), len(self._after)
        self._learned = pieces

    def result(self) -> bytes:
        """See `Assembler.result`."""
        if self._run:
            self._settle()
        fields = dict(self._fields)
        fields["object"] = "chat.completion"
        fields["choices"] = [_plain(index, self._choices[index]) for index in sorted(self._choices)]
        if self._usage:
            fields["usage"] = self._usage
        return codec.encode(fields)


def _plain(index: int, choice: _Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for name, value in choice.message.items():
        message[name] = whole(value)
    for name, pieces in choice.texts.items():
        message[name] = b"".join(pieces).decode("utf-8", "replace")
    calls = message.get("tool_calls")
    if calls:
        for call in calls:
            if type(call) is dict:
                call.pop("index", None)  # it tells the pieces of a stream apart; a plain answer has none
        message["content"] = message["content"] or None
    return {"index": index, "message": message, "finish_reason": choice.finish, "logprobs": None, **whole(choice.fields)}
