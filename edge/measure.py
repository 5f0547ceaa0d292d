"""What a platform costs, measured: `python -m edge.measure deno deno-plain workerd` prints the table of docs/platforms.md.

cold      from the start of the process to its first whole answer
overhead  a chat by a known session through the gateway, less the same asked of the provider itself; one connection, one at a time
event     from the moment a provider sends an event of a stream to the moment the client has it
memory    of the process (RSS) after all that
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.ask import hello
from tests.e2e.neighbours import Neighbours
from tests.scenarios.hosts import Host, host_class
from tests.scenarios.project import ENVIRONMENT, project
from tests.scenarios.stream import events, opened
from tests.support.provider import Exchange, sse

CHAT = "/v1/chat/completions"
STARTS, CHATS, WARM, EVENTS = 3, 400, 150, 100
PAUSE = 0.02
IN_MEMORY = {"WWS_KV": ":memory:"}
"""Deno's database: a file would measure the disk, which every count is written to."""


def per_request(url: str, target: str, token: str, body: object, count: int) -> list[float]:
    """Seconds of each of `count` requests, after some that do not count."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    data, fields = json.dumps(body), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    taken = []
    for _ in range(WARM + count):
        began = time.perf_counter()
        connection.request("POST", target, data, fields)
        response = connection.getresponse()
        answer = response.read()
        taken.append(time.perf_counter() - began)
        assert response.status == 200, answer
    connection.close()
    return taken[WARM:]


async def timed(exchange: Exchange) -> None:
    """A stream whose words are the moments at which they are sent."""
    await exchange.events([], end=False)
    for number in range(EVENTS):
        choice = {"index": 0, "delta": {"content": f"{time.monotonic()} "}, "finish_reason": None}
        event = sse({"id": "1", "object": "chat.completion.chunk", "created": number, "model": "timed", "choices": [choice]})
        await exchange.raw(b"%x\r\n%s\r\n" % (len(event), event))
        await asyncio.sleep(PAUSE)
    await exchange.raw(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def delays(url: str, token: str) -> list[float]:
    """Seconds from sending to having, of each event but the first, for which the answer itself is begun."""
    found = []
    with opened(url, CHAT, token, hello(model="main/timed", stream=True)) as response:
        for event in events(response):
            now = time.monotonic()
            if b"[DONE]" not in event:
                value = json.loads(event.removeprefix(b"data: "))
                found.append(now - float(value["choices"][0]["delta"]["content"]))
    return found[1:]


def rss(host: Any) -> float:
    """MB of the host's process."""
    process = getattr(host, "process", None) or host.workerd.process
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1000


def measured(name: str, around: Neighbours, folder: Path) -> dict[str, str]:
    """One platform's row."""
    made: Any = host_class(name)
    toml = project(around, made.own).replace('default = "1000/min"', 'default = "100000/min"')
    colds = []
    for number in range(STARTS):
        with made(folder / f"{name}-{number}", toml, {**ENVIRONMENT, **IN_MEMORY}) as host:
            colds.append(host.cold)
            if number < STARTS - 1:
                continue
            return {"platform": name, "cold": f"{min(colds):.2f} s", **_running(host, around)}
    raise AssertionError("no start was asked for")


def _running(host: Host, around: Neighbours) -> dict[str, str]:
    token = around.supabase.mint()
    around.main.script("timed", timed)
    body = hello("x" * 900, model="main/coder", stream=False)
    through = per_request(host.url, CHAT, token, body, CHATS)
    direct = per_request(around.main.url, "/v1/chat/completions", token, {**body, "stream": True}, CHATS)
    waits = delays(host.url, token)
    return {
        "overhead p50": f"{(statistics.median(through) - statistics.median(direct)) * 1000:.2f} ms",
        "event p50": f"{statistics.median(waits) * 1000:.1f} ms",
        "event max": f"{max(waits) * 1000:.1f} ms",
        "memory": f"{rss(host):.0f} MB",
    }


def main(names: list[str]) -> None:
    """Measures the platforms and prints their rows."""
    rows = []
    with Neighbours() as around, tempfile.TemporaryDirectory() as folder:
        rows = [measured(name, around, Path(folder)) for name in names]
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *[[row[column] for column in columns] for row in rows]]
    sys.stdout.write("".join([f"| {' | '.join(line)} |\n" for line in lines]))


if __name__ == "__main__":
    main(sys.argv[1:] or ["deno"])
