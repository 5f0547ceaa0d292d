"""The relay to AI providers with scripted ones behind it: a clock that only moves when it is told to, answers from a list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.support.clock import FakeClock
from tests.support.services import Background, make_env
from wws.bindings import Context, Env, Provider
from wws.core.policy import Attempts, ModelRef, Policy, ProviderConfig, Route
from wws.core.trail import Trail
from wws.errors import UpstreamCut
from wws.functions.ai import relay_ai
from wws.functions.upstreams import Upstream, upstreams_of
from wws.http import Headers, Pieces, Request, Response, Stream
from wws.providers import make_providers

__all__ = ["World", "chunk", "completion", "error", "events", "read", "refused", "streamed", "words"]

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "served"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}


def data(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None) -> bytes:
    return data({**HEAD, "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}]})


def words(*texts: str) -> list[bytes]:
    return [chunk({"role": "assistant", "content": ""}), *[chunk({"content": text}) for text in texts]]


def events(*texts: str, finish: str = "stop") -> list[bytes]:
    """A good stream."""
    return [*words(*texts), chunk(finish=finish), data({**HEAD, "choices": [], "usage": USAGE}), b"data: [DONE]\n\n"]


class Broken(Pieces):
    """Pieces, and then the connection is cut."""

    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            raise UpstreamCut("cut", answered=True) from None


Closed = list[bool]


def streamed(*pieces: bytes, cut: bool = False, closed: Closed | None = None) -> Response:
    """An answer that comes in these pieces."""
    source = Broken(list(pieces)) if cut else Pieces(list(pieces))

    async def close() -> None:
        if closed is not None:
            closed.append(True)

    return Response(Stream(source, close), 200, SSE)


def completion(text: str = "plain") -> Response:
    """A plain answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return Response.json({"id": "1", "object": "chat.completion", "model": "served", "choices": [choice], "usage": USAGE})


def error(code: str) -> bytes:
    return data({"error": {"code": code, "message": "upstream text"}})


def refused(status: int, code: str | None = None, **headers: str) -> Response:
    """An error answer; `retry_after="3"` becomes the header `retry-after`."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response.json({"error": {"message": "upstream text", "code": code}}, status, fields)


Answer = Response | Exception | Callable[[], Response]


class World:
    """`script` holds the answers by model, the last one for good; `calls` the models that were asked, `sent` what they got."""

    def __init__(self, attempts: Attempts | None = None, kind: str = "openai", **config: Any) -> None:
        loop = asyncio.get_running_loop()
        self.clock = FakeClock(monotonic=loop.time())
        names = ("one", "two", "three")
        self.policy = Policy(
            providers={
                name: ProviderConfig(name, kind, f"http://{name}.test/v1", api_key="sk-test-key", **config) for name in names
            },
            attempts=attempts or Attempts(),
            models={
                "code": tuple([ModelRef(name, "m") for name in names[:2]]),
                "three": tuple([ModelRef(name, "m") for name in names]),
                "only": (ModelRef("one", "m"),),
            },
            rules=(),
        )
        providers: dict[str, Provider] = make_providers(self.policy, self.clock)
        self.env: Env = make_env(self.policy, self.clock, providers=providers, dial=self)
        self.script: dict[str, list[Answer]] = {}
        self.calls: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.gathers: list[float] = []
        self.slept: list[float] = []
        self.trail = Trail(0.0)
        self.background = Background()

    async def send(
        self, endpoint: Any, method: str, target: str, headers: Any, body: Any, timeouts: Any, deadline: float | None = None
    ) -> Response:
        """The dial."""
        name = endpoint.host.split(".")[0]
        self.calls.append(name)
        self.sent.append(json.loads(body))
        self.gathers.append(timeouts.gather)
        answers = self.script[name]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer()
        return Response(answer.body, answer.status, Headers(answer.headers.items()))

    async def ask(
        self, model: str = "code", *, stream: bool = False, mode: str = "stream", patience: float = 60.0, **members: Any
    ) -> Response:
        """One request. Raises `Refusal`."""
        asked = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **members}
        if stream:
            asked["stream"] = True
        return await self.post(Request("POST", "/v1/chat/completions", body=json.dumps(asked)), mode, patience)

    async def post(self, request: Request, mode: str = "stream", patience: float = 60.0) -> Response:
        """One request as it is. Raises `Refusal`."""
        now = self.clock.monotonic()
        self.trail = Trail(now)
        context = Context("request-1", now + patience, self.trail, self.background)
        return await relay_ai(request, self.env, context, Route("/v1/*", "ai", mode=mode))  # type: ignore[arg-type]

    async def text(self, model: str = "code", **options: Any) -> str:
        """The text of a plain answer."""
        response = await self.ask(model, **options)
        assert isinstance(response.body, bytes)
        content: str = json.loads(response.body)["choices"][0]["message"]["content"]
        return content

    def route(self, name: str = "one") -> Upstream:
        return upstreams_of(self.env).of(ModelRef(name, "m"))

    @property
    def outcomes(self) -> list[str]:
        """Of the attempts of the last request."""
        return [attempt.outcome for attempt in self.trail.attempts]


async def read(response: Response) -> bytes:
    """All that a host would send of a response, which it tells the end of."""
    body = response.body
    if isinstance(body, bytes):
        return body
    transform = body.transform
    assert transform is not None
    out = body.held
    outcome = "done"
    try:
        async for piece in body:
            out += transform.feed(piece)
    except UpstreamCut:
        outcome = "cut"
    out += transform.end(outcome)
    assert response.finish is not None
    response.finish(outcome, len(out))
    return out
