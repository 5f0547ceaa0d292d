"""Running a project's functions in a test, in this process: no server, no network, nothing on disk.

    from wws.testing import App

    async def test_hello():
        async with App("path/to/project") as app:
            answer = await app.fetch("/hello?name=you", user="alice")
            assert answer.status == 200
            assert answer.json() == {"hello": "you"}

Routes, policies, limits and middlewares are the project's own. KV namespaces are empty memory, AI providers are the sandbox, and
the world outside is what the test puts into `app.outside`.
"""

from __future__ import annotations

import asyncio
import base64
import json as _json
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from wws import codec
from wws.bindings import Context, Endpoint, Env, Secrets, Services, SystemClock
from wws.core.auth.digest import Pepper
from wws.core.auth.session import Session, encode, session_key
from wws.core.policy import Policy, Timeouts
from wws.core.trail import Trail
from wws.errors import ConnectFailed
from wws.functions.env import bindings
from wws.functions.invoke import Code
from wws.functions.jobs import ScheduledEvent, deliver, run_scheduled
from wws.functions.namespace import Namespace
from wws.functions.queue import Queue
from wws.functions.scope import Scope
from wws.gateway import Gateway
from wws.http import Body, Headers, Pair, Request, Response, Stream
from wws.project.functions.loading import Functions
from wws.project.load import load
from wws.project.secret import Secret
from wws.project.settings import Project
from wws.providers.sandbox import SandboxProvider
from wws.stores.memory import MemoryStore
from wws.stores.memory_jobs import MemoryJobs

__all__ = ["Answer", "App", "Outside"]

Handler = Callable[[Request], Awaitable[Response]]
_DEADLINE = 60.0


class Answer:
    """What a caller got: `status`, `headers` (the gateway's own among them), and the whole body."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as a JSON value. Raises `ValueError` when it is none."""
        return codec.decode(self.body)

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"


class Outside:
    """The world that functions fetch from: addresses to answers. What is not in it cannot be reached.

    An answer is a `Response`, or a function that gets the `Request` and gives one. The longest prefix of an address counts.
    `requests` are those that came.
    """

    def __init__(self) -> None:
        self._answers: dict[str, Response | Handler] = {}
        self.requests: list[Request] = []

    def __setitem__(self, url: str, answer: Response | Handler) -> None:
        self._answers[url] = answer

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: list[Pair],
        body: bytes | Body,
        timeouts: Timeouts,
        deadline: float | None = None,
    ) -> Response:
        """See `wws.bindings.Dial`."""
        data = body if isinstance(body, bytes) else await body.read()
        authority = endpoint.authority
        request = Request(method, target, Headers.trusted(list(headers)), data, authority=authority, scheme=endpoint.scheme)
        self.requests.append(request)
        known = [url for url in self._answers if request.url.startswith(url)]
        if not known:
            raise ConnectFailed(f"{endpoint.scheme}://{authority} is not among app.outside")
        answer = self._answers[max(known, key=len)]
        response = answer if isinstance(answer, Response) else await answer(request)
        copy = Response(None, response.status, Headers.trusted(list(response.headers.raw)))
        copy.body, copy.length = response.body, response.length
        return copy


class App:
    """A project ready to be asked. `folder` holds its wws.toml; `variables` stand for the environment and `.dev.vars`."""

    def __init__(self, folder: str | Path, variables: Mapping[str, str] | None = None) -> None:
        self.outside = Outside()
        self._folder = Path(folder)
        self._variables = dict(variables or {})
        self._tasks: set[asyncio.Future[Any]] = set()
        self._number = 0

    async def __aenter__(self) -> Self:
        self.project: Project = await asyncio.to_thread(
            load, self._folder / "wws.toml", environ=self._variables, allow_missing=True
        )
        store = MemoryStore()
        clock = SystemClock()
        sandbox = SandboxProvider(clock)
        policy: Policy = self.project.policy
        names = {ref.provider for refs in policy.models.values() for ref in refs} | set(policy.providers) | {"sandbox"}
        services = Services(
            policy, store, store, self.outside, _NoCrypto(), Secrets(os.urandom(32)), dict.fromkeys(sorted(names), sandbox),
            clock, self._background, resolve=self._resolve,
        )  # fmt: skip
        self._functions = Functions(self.project.functions)
        services.functions = self._functions.by_name
        seen = bindings(policy, self.project.services)
        seen.update({name: Namespace(store, name) for name in self.project.kv_namespaces})
        seen.update({name: v.reveal() if isinstance(v, Secret) else v for name, v in self.project.vars.items()})
        self._jobs = MemoryJobs()
        seen.update({one.binding: Queue(self._jobs, one.binding, one.terms.max_messages) for one in self.project.queues})
        self.env = Env(services, seen)
        self._gateway = Gateway(self.env)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()
        self._functions.close()

    async def fetch(
        self,
        target: str,
        method: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        json: Any = None,
        user: str | None = None,
        client: str = "192.0.2.1",
    ) -> Answer:
        """One request to a path of the project. `user` is the id of a user who is signed in; `json` is sent as the body."""
        fields = dict(headers or {})
        if json is not None:
            body = _json.dumps(json)
            fields.setdefault("content-type", "application/json")
        if user is not None:
            fields["authorization"] = f"Bearer {await self._signed_in(user)}"
        method = method or ("POST" if body else "GET")
        request = Request(method, target, fields, body, authority="app.test", client=client)
        self._number += 1
        clock = self.env.wws.clock.monotonic
        ctx = Context(f"test-{self._number}", clock() + _DEADLINE, Trail(clock()), self._background)
        return await self._answer(request, await self._gateway.handle(request, self.env, ctx))

    async def _answer(self, request: Request, response: Response) -> Answer:
        stream = response.body
        data = stream.held + b"".join([piece async for piece in _sent(stream)]) if isinstance(stream, Stream) else stream
        if response.finish is not None:
            response.finish("done", len(data))
        lines = [line.split(": ", 1) for line in response.notes.split("\r\n") if line]
        noted = [(name.encode(), value.encode("latin-1")) for name, value in lines]
        return Answer(
            response.status, Headers.trusted([*response.headers.raw, *noted]), b"" if request.method == "HEAD" else data
        )

    async def scheduled(self, function: str, *, cron: str = "* * * * *", at: datetime | None = None) -> None:
        """Runs the `scheduled` handler of a function, as a tick at `at` (now). Raises `RuntimeError` with what went wrong."""
        handler = (await self._loaded(function)).events["scheduled"]
        env, ctx = self._around(function)
        event = ScheduledEvent(cron, at or datetime.now(UTC))
        ran = await run_scheduled(function, handler, event, env, ctx, _DEADLINE)
        if ran.outcome != "ok":
            raise RuntimeError(f"function {function}: {ran.error}")

    async def deliver(self, binding: str) -> int:
        """Delivers what waits in a queue to its function, in batches of `max_batch`; how many messages were acknowledged."""
        settings = next(one for one in self.project.queues if one.binding == binding)
        if settings.function is None:
            raise ValueError(f"[[queues]] {binding} names no function")
        handler = (await self._loaded(settings.function)).events["queue"]
        done = 0
        while True:
            messages, _ = await self._jobs.lease(binding, settings.terms.max_batch, settings.terms.visibility, 0.0)
            if not messages:
                return done
            env, ctx = self._around(settings.function)
            found = await deliver(settings.function, handler, binding, messages, env, ctx, settings.terms, _DEADLINE)
            await self._jobs.settle(binding, found)
            done += sum([one.action == "ack" for one in found])

    async def _loaded(self, function: str) -> Code:
        return await self._functions.by_name[function].load()

    def _around(self, name: str) -> tuple[Scope, Context]:
        """The `env` and `ctx` of a run that nobody asked for."""
        self._number += 1
        now = self.env.wws.clock.monotonic()
        ctx = Context(f"test-{self._number}", now + _DEADLINE, Trail(now), self._background)
        ctx.params = {}
        return Scope(self.env, Request("POST", f"/{name}"), ctx), ctx

    async def drain(self) -> None:
        """Waits for what functions left to `ctx.wait_until`. Raises what it raised."""
        while self._tasks:
            tasks, self._tasks = self._tasks, set()
            await asyncio.gather(*tasks)

    def _background(self, awaitable: Awaitable[Any]) -> None:
        self._tasks.add(asyncio.ensure_future(awaitable))

    async def _resolve(self, host: str, port: int) -> list[str]:
        """Every name is a public address here: where functions may go is tested by what they ask for."""
        return [host] if host.replace(".", "").isdigit() or ":" in host else ["203.0.114.1"]

    async def _signed_in(self, user: str) -> str:
        """A token of a session that was verified a moment ago."""
        wws = self.env.wws
        now = wws.clock.time()
        parts = [{"alg": "ES256", "typ": "JWT", "kid": "test"}, {"sub": user, "exp": int(now) + 3600}]
        token = ".".join([*[_base64url(_json.dumps(part).encode()) for part in parts], _base64url(user.encode() + b"-" * 64)])
        record = Session(user, "authenticated", None, None, False, now + 3600, now, now, now + 3600)
        await wws.kv.put(session_key(Pepper(wws.secrets.pepper).hex(token.encode())), encode(record), 3600.0)
        return token


async def _sent(stream: Stream) -> Any:
    transform = stream.transform
    async for piece in stream:
        yield piece if transform is None else transform.feed(piece)
    if transform is not None:
        yield transform.end("done")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _NoCrypto:
    async def verify(self, algorithm: str, jwk: Mapping[str, Any], signed: bytes, signature: bytes) -> bool:
        return False
