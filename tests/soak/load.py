"""Callers of every kind: those who read to the end, those who leave, those who send nonsense. What they expect, they check."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.soak.project import FAULTS, RELIABLE

__all__ = ["CALLERS", "Load"]

CALLERS = 24
_PATIENCE = 40.0


class Unexpected(Exception):
    """An answer that its caller should not have had."""


class Answer(NamedTuple):
    status: int
    body: bytes
    keeps: bool


class _Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, method: str, target: str, token: str | None, body: bytes = b"") -> None:
        fields = [f"{method} {target} HTTP/1.1", "host: soak"]
        if token is not None:
            fields.append(f"authorization: Bearer {token}")
        if body:
            fields += ["content-type: application/json", f"content-length: {len(body)}"]
        self.writer.write("\r\n".join(fields).encode() + b"\r\n\r\n" + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = text.split("\r\n")[:-2]
        return int(line.split(" ")[1]), {
            name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)
        }

    async def answer(self) -> Answer:
        status, headers = await self.head()
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        elif headers.get("content-length", "0") != "0":
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(status, body, headers.get("connection", "").lower() != "close")

    def drop(self) -> None:
        self.writer.transport.abort()


def _chat(model: str, *, stream: bool = False, words: int = 3) -> bytes:
    messages = [{"role": "user", "content": "word " * words}]
    return json.dumps({"model": model, "messages": messages, **({"stream": True} if stream else {})}).encode()


_CHAT = "/v1/chat/completions"


class Load:
    """`run` is the load until `stop` is set. `done` counts what was asked, by kind, `wrong` what should not have come of it."""

    def __init__(self, url: str, tokens: list[str], seed: int = 1) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._tokens = tokens
        self._random = Random(seed)
        self.done: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.stop = asyncio.Event()
        self.kinds: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "plain, one connection for several": (10, self._plain),
            "streams to the end": (10, self._streams),
            "streams that are left": (6, self._left),
            "left before the first byte": (4, self._left_early),
            "providers that fail": (10, self._faults),
            "streams that are cut upstream": (4, self._cut),
            "in line for a place": (3, self._narrow),
            "pages, cached and not": (8, self._pages),
            "no credential, bad credential": (4, self._refused),
            "long prompts": (1, self._long_prompt),
            "what is no HTTP": (2, self._junk),
            "connections that say nothing": (1, self._mute),
        }

    async def run(self) -> None:
        """Calls until it is told to stop, and returns when the last caller has gone."""
        await asyncio.gather(*[self._caller() for _ in range(CALLERS)])

    async def _caller(self) -> None:
        names = list(self.kinds)
        weights = [weight for weight, _ in self.kinds.values()]
        while not self.stop.is_set():
            name = self._random.choices(names, weights)[0]
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.kinds[name][1]()
            except Unexpected as error:
                self.wrong[f"{name}: {error}"] += 1
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.wrong[f"{name}: {type(error).__name__}"] += 1
            self.done[name] += 1
            await asyncio.sleep(self._random.uniform(0.0, 0.05))

    @contextlib.asynccontextmanager
    async def _line(self):  # type: ignore[no-untyped-def]
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=2**20)
        line = _Line(reader, writer)
        try:
            yield line
        finally:
            line.drop()

    @property
    def _token(self) -> str:
        return self._random.choice(self._tokens)

    # the kinds

    async def _plain(self) -> None:
        async with self._line() as line:
            for _ in range(self._random.randrange(1, 8)):
                line.send("POST", _CHAT, self._token, _chat(RELIABLE))
                answer = await line.answer()
                _must(answer, 200, b'"choices"')
                if not answer.keeps:
                    break

    async def _streams(self) -> None:
        async with self._line() as line:
            model = self._random.choice((RELIABLE, "backup/late"))
            line.send("POST", _CHAT, self._token, _chat(model, stream=True))
            _must(await line.answer(), 200, b"data: [DONE]")

    async def _left(self) -> None:
        async with self._line() as line:
            line.send("POST", _CHAT, self._token, _chat("backup/long", stream=True))
            status, _ = await line.head()
            if status != 200:
                raise Unexpected(f"{status}")
            for _ in range(self._random.randrange(1, 4)):
                await line.reader.readuntil(b"\n\n")

    async def _left_early(self) -> None:
        async with self._line() as line:
            line.send("POST", _CHAT, self._token, _chat("backup/late", stream=self._random.random() < 0.5))
            await line.writer.drain()
            await asyncio.sleep(self._random.uniform(0.0, 0.4))

    async def _faults(self) -> None:
        async with self._line() as line:
            line.send("POST", _CHAT, self._token, _chat(self._random.choice(FAULTS)))
            _must(await line.answer(), 200, b'"choices"')

    async def _cut(self) -> None:
        async with self._line() as line:
            line.send("POST", _CHAT, self._token, _chat(self._random.choice(("stream-cut", "stream-stall")), stream=True))
            _must(await line.answer(), 200, b"data: ")

    async def _narrow(self) -> None:
        async with self._line() as line:
            line.send("POST", _CHAT, self._token, _chat("narrow"))
            _must(await line.answer(), 200, b'"choices"')

    async def _pages(self) -> None:
        async with self._line() as line:
            for _ in range(5):
                place = self._random.choice(("/pages/", "/other/"))
                line.send("GET", f"{place}{self._random.randrange(300)}", self._token if self._random.random() < 0.5 else None)
                answer = await line.answer()
                _must(answer, 200, b'"number"')
                if not answer.keeps:
                    break

    async def _refused(self) -> None:
        async with self._line() as line:
            line.send("POST", _CHAT, self._random.choice((None, "nonsense", "a.b.c")), _chat(RELIABLE))
            _must(await line.answer(), 401, b"error")

    async def _long_prompt(self) -> None:
        async with self._line() as line:
            line.send("POST", _CHAT, self._token, _chat("backup/brief", words=40_000))
            _must(await line.answer(), 200, b'"choices"')

    async def _junk(self) -> None:
        async with self._line() as line:
            line.writer.write(
                self._random.choice((b"\x16\x03\x01junk\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nhost: x\r\n"))
            )
            await line.writer.drain()
            await asyncio.sleep(0.05)

    async def _mute(self) -> None:
        async with self._line():
            await asyncio.sleep(self._random.uniform(0.0, 0.5))


def _must(answer: Answer, status: int, part: bytes) -> None:
    if answer.status != status:
        code = re.search(rb'"code": ?"(\w+)"', answer.body)
        raise Unexpected(f"{answer.status} {code[1].decode() if code else ''} instead of {status}")
    if part not in answer.body:
        raise Unexpected(f"no {part.decode()} in the answer")
