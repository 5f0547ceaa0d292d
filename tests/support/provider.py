"""A stand-in for an AI provider: an OpenAI- and Anthropic-compatible HTTP server on a real socket of this machine.

The `model` of a request chooses what happens: one of BEHAVIOURS (`status-429`, `fail-500-once`, `stream-cut`, ...), or a good
answer for any other name. `script(model, behaviour, ...)` adds behaviours for one test. `requests` holds everything received.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Self

ECHO = "You said: "
USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19, "prompt_tokens_details": {"cached_tokens": 4}}


class Received(NamedTuple):
    """One request as it arrived. Header names are lower case; `json` is None where the body is none."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    json: Any

    @property
    def model(self) -> str:
        return str(self.json.get("model", "")) if isinstance(self.json, dict) else ""


class Exchange:
    """One request and the way to answer it."""

    def __init__(self, standin: ProviderStandIn, received: Received, writer: asyncio.StreamWriter) -> None:
        self.standin = standin
        self.received = received
        self.writer = writer
        self.nth = standin.seen(received.model)
        """1 for the first request with this model."""

    async def raw(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """A whole answer."""
        fields = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.raw(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + body)

    async def json(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        """A whole JSON answer."""
        await self.send(status, json.dumps(value, separators=(",", ":")).encode(), headers)

    async def events(self, events: list[bytes], *, pause: float = 0.0, end: bool = True) -> None:
        """A chunked stream, each event in a write of its own; without `end` the body stays open."""
        await self.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in events:
            await self.raw(b"%x\r\n%s\r\n" % (len(event), event))
            await asyncio.sleep(pause)
        if end:
            await self.raw(b"0\r\n\r\n")

    async def hang(self) -> None:
        """Stays silent until the other side gives up or the stand-in closes."""
        await self.standin.closing.wait()

    def abort(self) -> None:
        """Resets the connection."""
        self.writer.transport.abort()

    # good answers

    @property
    def said(self) -> str:
        """The text of the last message."""
        messages = self.received.json.get("messages") or [{}]
        content = messages[-1].get("content")
        return content if isinstance(content, str) else json.dumps(content)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.nth}", "object": kind, "created": 1_790_000_000, "model": self.served}

    @property
    def served(self) -> str:
        """The model that answers, in the provider's words."""
        return self.standin.serves.get(self.received.model, self.received.model)

    def chunks(self, finish: str = "stop") -> list[bytes]:
        """The events of a good stream: role, words or a tool call, finish reason, usage if asked for, the end mark."""
        body = self.received.json
        asked = bool((body.get("stream_options") or {}).get("include_usage"))
        unknown = {"usage": None} if asked else {}

        def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            return sse({**self._head("chat.completion.chunk"), "choices": [choice], **unknown})

        events = [chunk({"role": "assistant", "content": ""})]
        if body.get("tools"):
            name = body["tools"][0]["function"]["name"]
            start = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
            events.append(chunk({"tool_calls": [start]}))
            events += [chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}) for part in ('{"city":', '"Bern"}')]
            finish = "tool_calls"
        else:
            first, *others = (ECHO + self.said).split(" ")
            events += [chunk({"content": word}) for word in (first, *[" " + word for word in others])]
        events.append(chunk({}, finish))
        if asked:
            events.append(sse({**self._head("chat.completion.chunk"), "choices": [], "usage": USAGE}))
        return [*events, b"data: [DONE]\n\n"]

    def completion(self, finish: str = "stop") -> dict[str, Any]:
        """A good chat completion."""
        body = self.received.json
        message: dict[str, Any] = {"role": "assistant", "content": ECHO + self.said}
        if body.get("tools"):
            function = {"name": body["tools"][0]["function"]["name"], "arguments": '{"city":"Bern"}'}
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
            }
            finish = "tool_calls"
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {**self._head("chat.completion"), "choices": [choice], "usage": USAGE}

    def message(self) -> dict[str, Any]:
        """A good Anthropic message."""
        return {
            "id": f"msg_{self.nth}",
            "type": "message",
            "role": "assistant",
            "model": self.served,
            "content": [{"type": "text", "text": ECHO + self.said}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 12, "output_tokens": 7},
        }

    def message_events(self) -> list[bytes]:
        """The events of a good Anthropic stream."""
        whole = self.message()
        start = {**whole, "content": [], "stop_reason": None}
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": whole["content"][0]["text"]}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 7}},
            {"type": "message_stop"},
        ]
        return [f"event: {event['type']}\n".encode() + sse(event) for event in events]

    def stream(self) -> list[bytes]:
        """The events of a good stream in the shape of the path that was asked."""
        return self.message_events() if self.received.path.endswith("/messages") else self.chunks()

    async def answer(self) -> None:
        """A good answer to whatever was asked."""
        path, body = self.received.path, self.received.json
        if path.endswith("/models"):
            data = [{"id": name, "object": "model", "created": 0, "owned_by": "standin"} for name in self.standin.models]
            await self.json(200, {"object": "list", "data": data})
        elif not isinstance(body, dict):
            await self.json(400, {"error": {"message": "not JSON", "type": "invalid_request_error", "param": None, "code": None}})
        elif path.endswith("/embeddings"):
            inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
            data = [{"object": "embedding", "index": i, "embedding": [0.6, 0.8]} for i, _ in enumerate(inputs)]
            usage = {"prompt_tokens": 3, "total_tokens": 3}
            await self.json(200, {"object": "list", "data": data, "model": self.served, "usage": usage})
        elif body.get("stream"):
            await self.events(self.stream())
        elif path.endswith("/messages"):
            await self.json(200, self.message())
        else:
            await self.json(200, self.completion())


def sse(value: object) -> bytes:
    """One event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def openai_error(message: str, code: str | None = None, kind: str = "invalid_request_error") -> dict[str, Any]:
    """An error body in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


Behaviour = Callable[[Exchange], Awaitable[None]]


def status(code: int, body: object | None = None, headers: dict[str, str] | None = None) -> Behaviour:
    """Always this status."""

    async def behave(exchange: Exchange) -> None:
        await exchange.json(code, openai_error(f"upstream text {code}") if body is None else body, headers)

    return behave


def first(times: int, behaviour: Behaviour) -> Behaviour:
    """This behaviour for the first requests with the model, good answers afterwards."""

    async def behave(exchange: Exchange) -> None:
        await (behaviour(exchange) if exchange.nth <= times else exchange.answer())

    return behave


async def reset(exchange: Exchange) -> None:
    exchange.abort()


async def silent(exchange: Exchange) -> None:
    await exchange.hang()


async def slow(exchange: Exchange) -> None:
    await asyncio.sleep(exchange.standin.delay)
    await exchange.answer()


async def stream_cut(exchange: Exchange) -> None:
    events = exchange.stream()
    await exchange.events(events[: len(events) // 2], end=False)
    exchange.abort()


async def stream_short(exchange: Exchange) -> None:
    """The body ends in good order, the answer does not."""
    events = exchange.stream()
    await exchange.events(events[: len(events) // 2])


async def stream_stall(exchange: Exchange) -> None:
    events = exchange.stream()
    await exchange.events(events[: len(events) // 2], end=False)
    await exchange.hang()


async def stream_slow_start(exchange: Exchange) -> None:
    await exchange.events([], end=False)
    await asyncio.sleep(exchange.standin.delay)
    for event in exchange.stream():
        await exchange.raw(b"%x\r\n%s\r\n" % (len(event), event))
    await exchange.raw(b"0\r\n\r\n")


async def stream_malformed(exchange: Exchange) -> None:
    events = exchange.stream()
    await exchange.events([*events[:2], b'data: {"choices":[{"delta":{"content":"hal\n\n', *events[2:]])


async def stream_no_done(exchange: Exchange) -> None:
    await exchange.events([event for event in exchange.stream() if b"[DONE]" not in event])


async def stream_error(exchange: Exchange) -> None:
    await exchange.events([*exchange.stream()[:3], sse({"error": {"code": "1305", "message": "upstream text"}})])


async def stream_error_first(exchange: Exchange) -> None:
    await exchange.events([sse({"error": {"code": "1305", "message": "upstream text"}})])


async def stream_split(exchange: Exchange) -> None:
    """The bytes are cut anywhere but between events, with CRLF and comments."""
    data = b": ping\r\n\r\n" + b"".join(exchange.stream()).replace(b"\n", b"\r\n")
    await exchange.events([data[at : at + 37] for at in range(0, len(data), 37)])


async def finish_sensitive(exchange: Exchange) -> None:
    if exchange.received.json.get("stream"):
        await exchange.events(exchange.chunks("sensitive"))
    else:
        await exchange.json(200, exchange.completion("sensitive"))


async def usage_refused(exchange: Exchange) -> None:
    if "stream_options" in exchange.received.json:
        await exchange.json(400, openai_error("Unknown parameter: 'stream_options'."))
    else:
        await exchange.answer()


async def not_http(exchange: Exchange) -> None:
    await exchange.raw(b"220 mail.example.com ESMTP\r\n")
    exchange.writer.close()


async def short_body(exchange: Exchange) -> None:
    await exchange.raw(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"id":')
    exchange.writer.close()


async def close_after(exchange: Exchange) -> None:
    """A good answer on a connection that is closed without saying so."""
    await exchange.answer()
    exchange.writer.close()


async def html(exchange: Exchange) -> None:
    await exchange.send(200, b"<html><body>Welcome</body></html>", {"content-type": "text/html"})


STATUSES = (400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422, 425, 500, 502, 503, 504, 529)
BEHAVIOURS: dict[str, Behaviour] = {
    **{f"status-{code}": status(code) for code in STATUSES},
    **{f"fail-{code}-once": first(1, status(code)) for code in (408, 500, 502, 503)},
    "status-301": status(301, {}, {"location": "http://127.0.0.1:1/elsewhere"}),
    "status-429": status(429, openai_error("slow down", "rate_limit_exceeded"), {"retry-after": "2"}),
    "status-429-long": status(429, openai_error("slow down", "rate_limit_exceeded"), {"retry-after": "600"}),
    "status-429-bare": status(429, openai_error("slow down")),
    "status-429-once": first(1, status(429, openai_error("slow down"), {"retry-after-ms": "20"})),
    "context": status(400, openai_error("This model's maximum context length is 8192 tokens.", "context_length_exceeded")),
    "policy": status(400, {"error": {"code": "1301", "message": "Sensitive content in the input."}}),
    "unknown-model": status(404, openai_error("The model `unknown-model` does not exist", "model_not_found")),
    "text-error": status(401, {"error": "Invalid API Key."}),
    "billing": status(429, {"error": {"code": "1113", "message": "Insufficient balance"}}),
    "error-in-200": status(200, {"error": {"code": "1305", "message": "The service may be overloaded"}}),
    "error-in-200-once": first(1, status(200, {"error": {"code": "1230", "message": "processing error"}})),
    "empty-object": status(200, {}),
    "html": html,
    "reset": reset,
    "reset-once": first(1, reset),
    "silent": silent,
    "slow": slow,
    "not-http": not_http,
    "short-body": short_body,
    "close-after": close_after,
    "stream-cut": stream_cut,
    "stream-short": stream_short,
    "stream-stall": stream_stall,
    "stream-slow-start": stream_slow_start,
    "stream-malformed": stream_malformed,
    "stream-no-done": stream_no_done,
    "stream-error": stream_error,
    "stream-error-first": stream_error_first,
    "stream-split": stream_split,
    "finish-sensitive": finish_sensitive,
    "usage-refused": usage_refused,
}  # fmt: skip


class Seen(list[Received]):
    """What was received, and how often each model was asked: to count anew for each request made long runs slower and slower."""

    def __init__(self) -> None:
        super().__init__()
        self.of_model: Counter[str] = Counter()

    def append(self, received: Received) -> None:
        """One more."""
        super().append(received)
        self.of_model[received.model] += 1

    def clear(self) -> None:
        """Forgets all."""
        super().clear()
        self.of_model.clear()


class ProviderStandIn:
    """`async with ProviderStandIn() as provider: ...`. `url` is the OpenAI base, `anthropic_url` the other one."""

    def __init__(self, *, delay: float = 0.2) -> None:
        self.delay = delay
        self.requests = Seen()
        self.models = ["standin-1", "standin-2"]
        self.serves: dict[str, str] = {}
        """What answers for a model, where that is another one (aliases)."""
        self.closing = asyncio.Event()
        self.open = 0
        """Connections open now."""
        self.accepted = 0
        self._behaviours = dict(BEHAVIOURS)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def script(self, model: str, behaviour: Behaviour) -> None:
        """What happens to requests for `model`, from now on."""
        self._behaviours[model] = behaviour

    def seen(self, model: str) -> int:
        """The number of requests for `model` so far."""
        return self.requests.of_model[model]

    async def idle(self) -> None:
        """Waits until no connection is open."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.anthropic_url = f"http://127.0.0.1:{self.port}/anthropic"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.closing.set()
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.accepted += 1
        try:
            while not writer.is_closing():
                received = await _receive(reader)
                self.requests.append(received)
                exchange = Exchange(self, received, writer)
                behaviour = self._behaviours.get(received.model, Exchange.answer)
                await _while_connected(behaviour(exchange), reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side is gone
        finally:
            self.open -= 1
            writer.close()


async def _while_connected(answer: Awaitable[None], reader: asyncio.StreamReader) -> None:
    """Answers until done or until the caller closes, whichever is first: a provider notices who has left."""
    task = asyncio.ensure_future(answer)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=0.02)
            if (reader.at_eof() or reader.exception() is not None) and not task.done():
                raise ConnectionResetError
        task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _receive(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.split("\r\n")[:-2]
    method, path, _ = line.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    try:
        value = json.loads(body) if body else None
    except ValueError:
        value = None
    return Received(method, path, headers, body, value)
