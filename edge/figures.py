"""Measures what the gateway costs on an edge runtime, and writes the table into docs/platforms.md: `make edge-figures`.

Everything runs on this machine, runtime, neighbours and client, so each figure is the best of several rounds: what others do
meanwhile only ever adds.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge.heap import heap_host
from tests.e2e.ask import hello
from tests.e2e.neighbours import Neighbours
from tests.scenarios.hosts.workerd import WorkerdHost
from tests.scenarios.project import ENVIRONMENT, project
from tests.support.provider import Exchange

ROUNDS, ASKED, EVENTS = 5, 100, 60
PAUSE = 0.02
PAGE = Path(__file__).parents[1] / "docs" / "platforms.md"
BEGIN, END = "<!-- figures: workerd -->\n", "<!-- end of figures -->\n"


def timed(url: str, target: str, token: str | None, body: object, rounds: int = ROUNDS) -> float:
    """Milliseconds of an exchange over one kept connection: the median of a round, of the best round."""
    fields = {"Content-Type": "application/json", **({} if token is None else {"Authorization": f"Bearer {token}"})}
    data = None if body is None else json.dumps(body).encode()
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    medians = []
    for _ in range(rounds):
        took = []
        for _ in range(ASKED):
            started = time.perf_counter()
            connection.request("GET" if data is None else "POST", target, data, fields)
            connection.getresponse().read()
            took.append((time.perf_counter() - started) * 1000)
        medians.append(statistics.median(took))
    connection.close()
    return min(medians)


def cold(url: str, port: Callable[[], int], stop: Callable[[], None]) -> float:
    """Seconds from the start of the process to its first answer, whole."""
    started = time.perf_counter()
    netloc = f"{urlsplit(url).hostname}:{port()}"
    connection = HTTPConnection(netloc, timeout=30)
    connection.request("POST", "/v1/chat/completions", b"{}", {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    took = time.perf_counter() - started
    connection.close()
    stop()
    if answer.status != 401:
        raise RuntimeError(f"the first answer was {answer.status}")
    return took


async def stamped(exchange: Exchange) -> None:
    """A stream whose every event says when it was sent."""
    await exchange.events([], end=False)
    for _ in range(EVENTS):
        chunk = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": f"{time.monotonic():.6f}"}}]}
        event = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        await exchange.raw(b"%x\r\n%s\r\n" % (len(event), event))
        await asyncio.sleep(PAUSE)
    done = b"data: [DONE]\n\n"
    await exchange.raw(b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done))


def delays(url: str, target: str, token: str | None, model: str) -> list[float]:
    """Milliseconds that each event of a stream took to come."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    fields = {"Content-Type": "application/json", **({} if token is None else {"Authorization": f"Bearer {token}"})}
    connection.request("POST", target, json.dumps(hello(model=model, stream=True)).encode(), fields)
    response = connection.getresponse()
    took: list[float] = []
    waiting = b""
    while piece := response.read1(65536):
        now = time.monotonic()
        *events, waiting = (waiting + piece).split(b"\n\n")
        sent = [json.loads(event[6:])["choices"][0]["delta"]["content"] for event in events if event.startswith(b"data: {")]
        took += [(now - float(one)) * 1000 for one in sent]
    connection.close()
    return took


def busy(process: int) -> float:
    """Seconds of CPU that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> float:
    """MiB of a process in memory."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell a process's memory")


def measured(around: Neighbours, folder: Path) -> list[tuple[str, str]]:
    """The rows of the table."""
    toml = project(around, WorkerdHost.own)
    rows = []
    for words, dedicated in (("no snapshot", False), ("a snapshot of the worker, as Cloudflare makes one", True)):
        with WorkerdHost(folder / f"cold-{dedicated}", toml, ENVIRONMENT, dedicated=dedicated) as host:
            host.stop()
            took = [cold(host.url, host.start, host.stop) for _ in range(ROUNDS)]
        rows.append((f"cold start: process start to first answer, {words}", f"{min(took):.2f} s ({statistics.median(took):.2f})"))
    with heap_host(WorkerdHost(folder / "warm", toml, ENVIRONMENT, dedicated=True)) as host:
        token = around.supabase.mint()
        rows.append(("memory of the process, after the start", f"{resident(host.process):.0f} MiB"))
        rows += warm(around, host.url, host.process, token)
        rows += streamed(around, host.url, token)
        rows.append(("memory of the process, after all this", f"{resident(host.process):.0f} MiB"))
        rows.append(("of it Python's heap", f"{host.heap():.0f} MiB"))
    return rows


def warm(around: Neighbours, url: str, process: int, token: str) -> list[tuple[str, str]]:
    """What the gateway adds to an exchange, p50, and the CPU that the runtime takes for it."""
    chat = hello(model="main/coder")
    asked: list[tuple[str, tuple[Any, ...], tuple[Any, ...] | None]] = [
        ("a refusal (401)", (url, "/private/page", None, None), None),
        ("an answer from cache, session and limit checked", (url, "/mine/figures", token, None), None),
        ("an open page of the origin", (url, "/open", None, None), (around.origin.url, "/open", None, None)),
        (
            "a page of the origin, session and limit checked",
            (url, "/private/page", token, None),
            (around.origin.url, "/private/page", None, None),
        ),
        (
            "a chat, session and limit checked, put together from a stream",
            (url, "/v1/chat/completions", token, chat),
            (around.main.url, "/chat/completions", None, {**chat, "model": "coder", "stream": True}),
        ),
    ]
    rows = []
    for words, through, direct in asked:
        base = timed(*_joined(direct)) if direct else 0.0
        took = busy(process)
        added = timed(*through) - base
        took = (busy(process) - took) / ROUNDS / ASKED * 1000
        rows.append((f"added, p50: {words}", f"{added:.2f} ms, CPU {took:.2f} ms"))
    return rows


def _joined(place: tuple[Any, ...]) -> tuple[Any, ...]:
    """A base address with a path of its own, and the target below it."""
    url, target, *rest = place
    return (url, urlsplit(url).path + target, *rest)


def streamed(around: Neighbours, url: str, token: str) -> list[tuple[str, str]]:
    """What the gateway adds to the way of an event."""
    around.main.script("stamped", stamped)
    base = urlsplit(around.main.url).path + "/chat/completions"
    direct = [delays(around.main.url, base, None, "stamped") for _ in range(3)]
    through = [delays(url, "/v1/chat/completions", token, "main/stamped") for _ in range(5)]
    added = min(statistics.median(one) for one in through) - min(statistics.median(one) for one in direct)
    latest = min(statistics.quantiles(one[1:], n=20)[-1] for one in through)
    return [("added to each event of a stream, p50", f"{added:.2f} ms"), ("the way of an event, p95", f"{latest:.2f} ms")]


def table(rows: list[tuple[str, str]]) -> str:
    """The rows in Markdown, between their marks."""
    lines = "".join([f"| {words} | {figure} |\n" for words, figure in rows])
    load = os.getloadavg()[0]
    machine = f"{os.cpu_count()} cores, load {load:.1f}, best of {ROUNDS} rounds (cold start: in parentheses the median)"
    return f"{BEGIN}| on {machine} | |\n|---|---|\n{lines}{END}"


def main() -> None:
    """Measures, prints, and writes the page."""
    with Neighbours() as around, tempfile.TemporaryDirectory() as folder:
        text = table(measured(around, Path(folder)))
    sys.stdout.write(text)
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + text + after)


if __name__ == "__main__":
    main()
