"""A provider inside the process, for demonstrations and tests: it answers every operation, always the same to the same
question, and says what it is. It knows nothing, costs nothing and calls nobody.

A tool is called when the last user message contains the tool's name. Tokens are counted as a quarter of the bytes.
"""

from __future__ import annotations

import hashlib
import struct
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from math import sqrt
from typing import Any

from wws import codec
from wws.bindings import Call, Clock, Dial, Verdict
from wws.core.wire import sse
from wws.core.wire.tap import DONE
from wws.errors import Refusal
from wws.http import Headers, Response, Stream

__all__ = ["SandboxProvider"]

PREFIX = "sandbox (no AI provider is configured): you said: "
DIMENSIONS = 256
MAX_DIMENSIONS = 4096
MAX_ECHO = 2000
"""Characters of a message that are said back."""
BLANK_SCHEMA: dict[str, Any] = {"string": "sandbox", "integer": 1, "number": 1.0, "boolean": True, "array": [], "null": None}


class SandboxProvider:
    """A `bindings.Provider` that ignores its Dial. `created` is the clock's time; everything else follows from the request."""

    base_url = "sandbox:"
    operations = frozenset({"chat", "messages", "embeddings", "models"})
    plain_only = True
    """It never is silent, so a plain answer need not be put together from a stream."""

    def __init__(self, clock: Clock, name: str = "sandbox") -> None:
        self.name = name
        self.finish_reasons: Mapping[str, str | None] = {}
        self._clock = clock

    async def send(self, call: Call, dial: Dial) -> Response:
        """Answers. Raises `Refusal` for a body it cannot read, as a provider would answer 400."""
        if call.operation == "models":
            return _json({"object": "list", "data": [self._model("sandbox")]})
        try:
            body = {name: codec.value(text) for name, text in call.body.items()}
        except ValueError:
            raise Refusal("invalid_json") from None
        model = call.model.model
        if call.operation == "embeddings":
            return _json(_embeddings(model, body))
        reply = _Reply(body, model, int(self._clock.time()))
        if call.operation == "messages":
            return _stream(reply.message_events()) if call.stream else _json(reply.message())
        if call.stream:
            options = body.get("stream_options")
            asked = isinstance(options, dict) and options.get("include_usage") is True
            call.hide_usage = not asked  # it is always told, as other providers are always asked for it
            return _stream(reply.chunks(asked))
        return _json(reply.completion())

    def classify(self, status: int, headers: Headers, body: bytes) -> Verdict | None:
        """None: it never fails."""
        return None

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": int(self._clock.time()), "owned_by": "wws"}


class _Reply:
    """One answer, in each of the shapes it may be asked for."""

    def __init__(self, body: dict[str, Any], model: str, created: int) -> None:
        self.model = model
        self.created = created
        said = _last_user_text(body.get("messages"))
        self.id = hashlib.sha256(codec.encode([model, body.get("messages")])).hexdigest()[:24]
        self.tool = _tool_asked_for(body.get("tools"), said)
        self.text = "" if self.tool else PREFIX + said[:MAX_ECHO]
        self.tokens_in = max(1, len(codec.encode([body.get("system"), body.get("messages")])) // 4)
        delivered = self.text if self.tool is None else self.tool[0] + self.tool[1]
        self.tokens_out = max(1, len(delivered.encode()) // 4)

    # OpenAI's shapes

    def _usage(self) -> dict[str, Any]:
        total = self.tokens_in + self.tokens_out
        return {"prompt_tokens": self.tokens_in, "completion_tokens": self.tokens_out, "total_tokens": total}

    def _tool_calls(self) -> list[dict[str, Any]]:
        assert self.tool is not None  # noqa: S101
        function = {"name": self.tool[0], "arguments": self.tool[1]}
        return [{"id": f"call_{self.id}", "type": "function", "function": function}]

    def completion(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.tool:
            message["tool_calls"] = self._tool_calls()
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if self.tool else "stop"}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.id}", "object": kind, "created": self.created, "model": self.model}

    async def chunks(self, asked: bool) -> AsyncIterator[bytes]:
        """The role first, a word at a time, the finish reason, the usage, the end mark. Where usage was `asked` for, every chunk
        has the member, as OpenAI's have."""
        unknown = {"usage": None} if asked else {}

        def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return sse.write(codec.encode({**self._head("chat.completion.chunk"), "choices": [choice], **unknown}))

        yield chunk({"role": "assistant", "content": None if self.tool else ""})
        if self.tool:
            yield chunk({"tool_calls": [{"index": 0, **self._tool_calls()[0]}]})
        for word in _words(self.text):
            yield chunk({"content": word})
        yield chunk({}, "tool_calls" if self.tool else "stop")
        yield sse.write(codec.encode({**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()}))
        yield DONE

    # Anthropic's shapes

    def _blocks(self) -> list[dict[str, Any]]:
        if self.tool is None:
            return [{"type": "text", "text": self.text}]
        return [{"type": "tool_use", "id": f"toolu_{self.id}", "name": self.tool[0], "input": codec.decode(self.tool[1])}]

    def message(self) -> dict[str, Any]:
        return self._message(self._blocks(), "tool_use" if self.tool else "end_turn", self.tokens_out)

    def _message(self, content: list[dict[str, Any]], stop: str | None, tokens_out: int) -> dict[str, Any]:
        return {
            "id": f"msg_{self.id}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": self.tokens_in, "output_tokens": tokens_out},
        }

    async def message_events(self) -> AsyncIterator[bytes]:
        """message_start, one content block in deltas, message_delta with the stop reason, message_stop."""

        def event(kind: str, **members: Any) -> bytes:
            return sse.write(codec.encode({"type": kind, **members}), kind.encode())

        [block] = self._blocks()
        yield event("message_start", message=self._message([], None, 1))
        if self.tool is None:
            yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
            for word in _words(self.text):
                yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        else:
            yield event("content_block_start", index=0, content_block={**block, "input": {}})
            yield event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": self.tool[1]})
        yield event("content_block_stop", index=0)
        delta = {"stop_reason": "tool_use" if self.tool else "end_turn", "stop_sequence": None}
        yield event("message_delta", delta=delta, usage={"output_tokens": self.tokens_out})
        yield event("message_stop")


def _json(value: object) -> Response:
    return Response.json(value)


def _stream(events: AsyncIterator[bytes]) -> Response:
    return Response(Stream(events), headers={"content-type": "text/event-stream", "cache-control": "no-cache, no-transform"})


def _last_user_text(messages: Any) -> str:
    """The text of the last user message: a string, or the text parts of a list."""
    if not isinstance(messages, list) or not messages:
        raise Refusal("invalid_request", "`messages` must be a list of at least one message.", param="messages")
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            if isinstance(content, list):
                texts = [part.get("text") for part in content if isinstance(part, dict)]
                return " ".join([text for text in texts if isinstance(text, str)])
    return ""


def _words(text: str) -> list[str]:
    return [word + " " for word in text.split(" ")[:-1]] + [text.split(" ")[-1]] if text else []


def _tool_asked_for(tools: Any, said: str) -> tuple[str, str] | None:
    """Name and JSON arguments of the first tool whose name the user wrote; OpenAI's and Anthropic's way to list tools."""
    for tool in tools if isinstance(tools, list) else []:
        if not isinstance(tool, dict):
            continue
        function = tool.get("function")
        listed = function if isinstance(function, dict) else tool
        name = listed.get("name")
        if isinstance(name, str) and name and name in said:
            schema = listed.get("parameters") or listed.get("input_schema")
            return name, codec.encode(_example(schema if isinstance(schema, dict) else {}, 4) or {}).decode()
    return None


def _example(schema: dict[str, Any], depth: int) -> Any:
    """A value that a JSON schema admits, for the simple schemas that tools have."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind != "object" or depth == 0:
        return BLANK_SCHEMA.get(kind) if isinstance(kind, str) else None
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    required = schema.get("required")
    names = required if isinstance(required, list) else list(properties)
    return {name: _example(properties[name], depth - 1) for name in names if isinstance(properties.get(name), dict)}


def _embeddings(model: str, body: dict[str, Any]) -> dict[str, Any]:
    given = body.get("input")
    inputs = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    size = body.get("dimensions", DIMENSIONS)
    if given is None or given == []:
        raise Refusal("invalid_request", "`input` must be text, or a list of texts.", param="input")
    if type(size) is not int or not 1 <= size <= MAX_DIMENSIONS:
        raise Refusal("invalid_request", f"`dimensions` must be a number from 1 to {MAX_DIMENSIONS}.", param="dimensions")
    data = []
    for index, text in enumerate(inputs):
        vector: Any = _vector(codec.encode(text), size)
        if body.get("encoding_format") == "base64":
            vector = b64encode(struct.pack(f"<{size}f", *vector)).decode()  # as OpenAI's SDK asks: little-endian float32
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = max(1, len(codec.encode(given)) // 4)
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def _vector(text: bytes, size: int) -> list[float]:
    """A unit vector that follows from the text: SHAKE-256 of it, as 16-bit numbers around 0."""
    raw = hashlib.shake_256(text).digest(2 * size)
    numbers = [number + 0.5 for number in struct.unpack(f"<{size}h", raw)]
    length = sqrt(sum([number * number for number in numbers]))
    return [number / length for number in numbers]
