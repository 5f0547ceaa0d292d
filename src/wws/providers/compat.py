"""A provider with an OpenAI-compatible server, and perhaps Anthropic's endpoint beside it. What differs is its `Dialect`."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Final, NamedTuple

from wws import codec
from wws._version import __version__
from wws.bindings import Call, Clock, Dial, Endpoint, Verdict
from wws.core.policy import ProviderConfig
from wws.core.route.catalogue import entry
from wws.http import Headers, Pair, Parts, Response, Stream
from wws.providers import verdict
from wws.providers.dialect import Dialect, Draft, Model, value_of

__all__ = ["OPENAI", "CompatProvider"]

OPENAI: Final = Dialect(kind="openai")
"""Any OpenAI-compatible server: nothing is known of it but the contract."""

LARGE: Final = 64 * 1024
"""Bytes of messages that are not copied into the body to send, where they are a view of the body that came."""
MAX_MODELS: Final = 512
"""Models whose facts are kept; callers may name models freely, so the number must have an end."""
MAX_ERROR: Final = 64 * 1024
"""Bytes of an error body that are read to understand it."""

# Fields of the caller that pass. Everything else stays behind: credentials, cookies, forwarding and tracing fields.
PASSED: Final = (b"anthropic-version", b"anthropic-beta")
ANTHROPIC_VERSION: Final = (b"anthropic-version", b"2023-06-01")

_TRUE, _FALSE = codec.piece(True), codec.piece(False)
_ASK_USAGE: Final = codec.piece({"include_usage": True})


class _Way(NamedTuple):
    """Where an operation goes, with its header fields ready to send."""

    endpoint: Endpoint
    method: str
    target: str
    plain: list[Pair]
    stream: list[Pair]
    anthropic: bool = False


class CompatProvider:
    """A `bindings.Provider`. Raises `ValueError` for a configuration it cannot use: no base URL, or one that is none."""

    def __init__(self, config: ProviderConfig, clock: Clock, dialect: Dialect = OPENAI) -> None:
        base = config.base_url or dialect.base_url
        if base is None:
            raise ValueError(f"provider {config.name}: kind {config.kind!r} needs a base_url")
        self.name = config.name
        self.base_url = base
        self.dialect = dialect
        self.finish_reasons: Mapping[str, str | None] = dialect.finish_names
        self._finishes = bool(dialect.finish)
        self._clock = clock
        self._key = config.api_key
        self._models: dict[str, Model] = {}
        self._usage_refused = False
        self._touched = frozenset(dialect.rewrites)
        self._ways = self._make_ways(config, Endpoint(base))
        self.operations = frozenset(self._ways)

    def _make_ways(self, config: ProviderConfig, endpoint: Endpoint) -> dict[str, _Way]:
        key = (self._key or "").strip()
        # Headers checks: a control character in a key is an error here, not on the wire
        bearer = Headers({"authorization": f"Bearer {key}"} if key else {}).raw
        json: Pair = (b"content-type", b"application/json")
        # identity: what comes back is inspected, and is sent on without being decoded (http: content codings)
        common: list[Pair] = [(b"accept-encoding", b"identity"), (b"user-agent", b"wws/" + __version__.encode())]
        plain: list[Pair] = [(b"accept", b"application/json"), *common]
        stream: list[Pair] = [(b"accept", b"text/event-stream"), *common]
        targets = {
            "chat": ("POST", "/chat/completions"),
            "embeddings": ("POST", "/embeddings"),
            "models": ("GET", "/models"),
        }
        ways = {}
        for operation, (method, path) in targets.items():
            if operation in self.dialect.operations:
                sent = [*bearer, json] if method == "POST" else bearer
                ways[operation] = _Way(endpoint, method, endpoint.base + path, [*sent, *plain], [*sent, *stream])
        anthropic = _anthropic_endpoint(config, self.dialect, endpoint)
        if anthropic is not None:
            own = bearer if self.dialect.bearer or not key else Headers({"x-api-key": key}).raw
            base = anthropic.base.removesuffix("/v1")
            ways["messages"] = _Way(anthropic, "POST", base + "/v1/messages", [*own, json, *plain], [*own, json, *stream], True)
        return ways

    def send(self, call: Call, dial: Dial) -> Awaitable[Response]:
        """See `bindings.Provider`. `call.operation` is one of `operations`."""
        way = self._ways[call.operation]
        headers = way.stream if call.stream else way.plain  # the same list each time: a dial may know it
        if way.anthropic:
            first = call.headers.first
            headers = headers + [(name, first[name]) for name in PASSED if name in first]
            if PASSED[0] not in first:
                headers.append(ANTHROPIC_VERSION)
        body = self._write(call) if way.method == "POST" else b""
        answer = dial.send(way.endpoint, way.method, way.target, headers, body, call.timeouts, call.deadline)
        return self._usage_asked(answer, call, dial, way, headers) if call.hide_usage else answer

    async def _usage_asked(self, answer: Awaitable[Response], call: Call, dial: Dial, way: _Way, headers: list[Pair]) -> Response:
        """The answer, or the one to the same call without our field where that was what was refused."""
        response = await answer
        if response.status == 400 and await self._refuses_usage(response):
            # Ours was the field that was refused, not the caller's: once without it, and never again with it.
            self._usage_refused = True
            call.hide_usage = False
            return await dial.send(way.endpoint, way.method, way.target, headers, self._write(call), call.timeouts, call.deadline)
        return response

    def classify(self, status: int, headers: Headers, body: bytes) -> Verdict | None:
        """See `bindings.Provider`. `body` may be a plain answer, a stream that came whole, or the data of one event."""
        if 200 <= status < 300 and verdict.good(body):
            return verdict.finished(self.dialect, body) if self._finishes else None
        return verdict.judge(self.dialect, status, headers, body, self._clock.time(), self._key)

    def _write(self, call: Call) -> bytes | Parts:
        """The body to send: the caller's members with our model, in this provider's dialect."""
        model = self._models.get(call.model.model) or self._learn(call.model.model)
        members = {**call.body, "model": model.piece}
        if call.operation == "chat":
            self._translate(members, model, call)
        if call.stream:
            members["stream"] = _TRUE
        elif "stream" in members:
            members["stream"] = _FALSE
        text = members.get("messages")
        if type(text) is memoryview and len(text) > LARGE:
            return _in_parts(members, text)
        return codec.join(members)

    def _translate(self, members: dict[str, codec.Piece], model: Model, call: Call) -> None:
        dialect = self.dialect
        if self._touched and not self._touched.isdisjoint(members):
            draft = Draft(members, model, call.stream, call.warnings)
            for name, rewrite in dialect.rewrites.items():
                if name in members:
                    rewrite(draft)
        if dialect.messages is not None and "messages" in members:
            text = bytes(members["messages"])
            for reason in dialect.messages_reasons:
                if reason(text):
                    dialect.messages(Draft(members, model, call.stream, call.warnings))
                    break
        if call.stream:
            self._ask_usage(members, call)
        elif "stream_options" in members:
            del members["stream_options"]  # OpenAI: only with "stream": true

    def _ask_usage(self, members: dict[str, codec.Piece], call: Call) -> None:
        """Usage is always asked for: a stream whose caller did not ask would cost nothing, by our books (LiteLLM #25410)."""
        call.hide_usage = False
        given = members.get("stream_options")
        if given is None:
            if not self._usage_refused:
                members["stream_options"] = _ASK_USAGE
                call.hide_usage = True
            return
        options = value_of("stream_options", given)
        if isinstance(options, dict) and not options.get("include_usage") and not self._usage_refused:
            members["stream_options"] = codec.piece({**options, "include_usage": True})
            call.hide_usage = True

    async def _refuses_usage(self, response: Response) -> bool:
        if isinstance(response.body, Stream):
            body = b""
            async for chunk in response.body:
                body += chunk
                if len(body) > MAX_ERROR:
                    await response.body.aclose()
                    break
            response.body = body
        return b"stream_options" in response.body or b"include_usage" in response.body

    def _learn(self, name: str) -> Model:
        known = entry(self.dialect.kind, name)
        served = known.serves if known is not None and known.serves is not None else ""
        model = Model(name, codec.piece(name), f"{name} {served}".lower(), known.max_output if known is not None else None)
        if len(self._models) >= MAX_MODELS:
            self._models.clear()
        self._models[name] = model
        return model

    def __repr__(self) -> str:
        return f"<CompatProvider {self.name} {self.base_url}>"


def _in_parts(members: dict[str, codec.Piece], messages: memoryview) -> Parts:
    """The JSON object of `members`, whose messages are too large to be copied: they stay where they lie, behind all others."""
    others = {name: text for name, text in members.items() if name != "messages"}
    head = codec.join(others)[:-1] + (b',"messages":' if others else b'"messages":')
    return Parts([head, messages, b"}"])


def _anthropic_endpoint(config: ProviderConfig, dialect: Dialect, endpoint: Endpoint) -> Endpoint | None:
    """The Anthropic base: as configured, else the kind's own. Behind another base URL it is the same path on that server,
    so that nothing goes to a host which the configuration does not name (z.ai's mainland server has the same paths)."""
    if config.anthropic_url is not None:
        return Endpoint(config.anthropic_url)
    if dialect.anthropic_url is None:
        return None
    own = Endpoint(dialect.anthropic_url)
    if config.base_url is None or endpoint.origin == own.origin:
        return own
    if endpoint.unix is not None:
        return Endpoint(f"http+unix://{endpoint.unix}:{own.base}")
    return Endpoint(f"{endpoint.scheme}://{endpoint.authority}{own.base}")
