"""`env.ai`: the models of the project from inside a function, by the same router, fallbacks and ledger as the public endpoints.

answer = await env.ai.chat(messages=[{"role": "user", "content": "Hello"}])
answer["choices"][0]["message"]["content"]

async for chunk in await env.ai.chat(prompt="Hello", stream=True):
    chunk["choices"][0]["delta"].get("content")
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from wws import codec
from wws.bindings import Context, Env
from wws.core.policy import Route
from wws.core.trail import Trail
from wws.core.wire.sse import Parser
from wws.errors import Refusal, UpstreamCut, WwsError
from wws.functions.ai import relay_ai
from wws.functions.scope import Bound, Scope
from wws.http import Request, Response, Stream

__all__ = ["AI", "Models"]

_ROUTE: Final = Route("env.ai", "ai", auth="none")
_CHAT: Final = "/v1/chat/completions"
_EMBEDDINGS: Final = "/v1/embeddings"
_DONE: Final = b"[DONE]"  # the last event of a stream in OpenAI's form


class AI(Bound):
    """`env.ai` before it is bound to a request."""

    def bound(self, scope: Scope) -> Models:
        return Models(scope._env, scope._request, scope._ctx)


class Models:
    """The models, asked on behalf of one request: its user is told to the ledger, its deadline holds."""

    def __init__(self, env: Env, request: Request, ctx: Context) -> None:
        self._env = env
        self._request = request
        self._ctx = ctx

    async def chat(
        self, *, model: str = "auto", messages: list[dict[str, Any]] | None = None, prompt: str | None = None,
        stream: bool = False, **members: Any,
    ) -> Any:  # fmt: skip
        """A chat completion as a dict, or with `stream` an async iterator of its chunks.

        `prompt` stands for one message of the user. `members` are further members of the request: `temperature`, `tools`, `task`
        (which the rules look at) and whatever else the provider takes. Raises `Refusal` as the public endpoint answers, and
        `UpstreamError` when a stream breaks off.
        """
        if messages is None:
            if prompt is None:
                raise ValueError("chat takes messages=[...] or prompt=...")
            messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "messages": messages, **members, **({"stream": True} if stream else {})}
        response, ctx, request = await self._call(_CHAT, body)
        if isinstance(response.body, Stream):
            return self._chunks(response, response.body, ctx, request)
        return self._whole(response, response.body, ctx, request)

    async def embeddings(self, input: Any, *, model: str, **members: Any) -> Any:
        """Embeddings of a text or a list of texts, as a dict in OpenAI's shape. Raises as `chat`."""
        response, ctx, request = await self._call(_EMBEDDINGS, {"model": model, "input": input, **members})
        body = response.body
        return self._whole(response, body if isinstance(body, bytes) else b"".join([piece async for piece in body]), ctx, request)

    async def _call(self, path: str, body: dict[str, Any]) -> tuple[Response, Context, Request]:
        wws, outer = self._env.wws, self._ctx
        request = Request("POST", path, {"content-type": "application/json"}, codec.encode(body), client=self._request.client)
        ctx = Context(outer.request_id, outer.deadline, Trail(wws.clock.monotonic()), wws.background)
        request.user = ctx.user = outer.user
        request.route = _ROUTE
        try:
            response = await relay_ai(request, self._env, ctx, _ROUTE)
        except Refusal as refusal:
            ctx.trail.error_type = ctx.trail.error_type or refusal.row.error_type
            wws.observe(request, ctx, refusal.row.status, "done", 0)
            raise
        return response, ctx, request

    def _whole(self, response: Response, body: bytes, ctx: Context, request: Request) -> Any:
        if response.finish is not None:
            response.finish("done", len(body))
        self._env.wws.observe(request, ctx, response.status, "done", len(body))
        return codec.decode(body)

    async def _chunks(self, response: Response, stream: Stream, ctx: Context, request: Request) -> AsyncIterator[Any]:
        """What a host does when it sends a stream, with a reader in the client's place."""
        parser, transform = Parser(), stream.transform
        outcome, sent = "client_closed", 0
        last = b""
        try:
            held, stream.held = stream.held, b""
            for chunk in _read(parser, held):
                yield chunk
            try:
                async for piece in stream:
                    data = piece if transform is None else transform.feed(piece)
                    sent += len(data)
                    for chunk in _read(parser, data):
                        yield chunk
            except WwsError:
                outcome = "cut"
                raise
            outcome = "done"
        finally:
            if transform is not None:
                last = transform.end(outcome)
            if outcome != "done":
                await stream.aclose()
            if response.finish is not None:
                response.finish(outcome, sent)
            self._env.wws.observe(request, ctx, response.status, outcome, sent)
        for chunk in _read(parser, last):
            yield chunk


def _read(parser: Parser, data: bytes) -> list[Any]:
    """The chunks that end in `data`. Raises `UpstreamCut` for an error in their place."""
    chunks = [codec.decode(event.data) for event in parser.feed(data) if event.data != _DONE]
    for chunk in chunks:
        if isinstance(chunk, dict) and "error" in chunk and "choices" not in chunk:
            error = chunk["error"]
            raise UpstreamCut(str(error.get("message")) if isinstance(error, dict) else "the stream broke off", answered=True)
    return chunks
