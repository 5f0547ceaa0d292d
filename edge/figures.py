"""Measures what the gateway costs on the edge runtimes, and writes the tables into docs/platforms.md: `make edge-figures`.

Each platform is asked the same. Everything runs on this machine, runtime, neighbours and client, so each figure is the best of
several rounds: what others do meanwhile only ever adds. `python -m edge.figures deno` measures one platform.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from edge.client import ASKED, ROUNDS, WARM, YOUNG, Client, delays, p50, young
from edge.runtimes import RUNTIMES, Running, Runtime, resident
from tests.e2e.ask import hello
from tests.e2e.neighbours import Neighbours
from tests.support.provider import Exchange

EVENTS, PAUSE, STREAMS = 60, 0.02, 5
PAGE = Path(__file__).parents[1] / "docs" / "platforms.md"
END = "<!-- end of figures -->\n"
COLD, EVENT, HEAP = 0.6, 5.0, 128.0
"""At most so many seconds from a snapshot, milliseconds for an event, MiB of Python's heap."""
CHAT = "/v1/chat/completions"


class Row(NamedTuple):
    """`most` None: nothing is promised."""

    words: str
    value: float
    unit: str
    most: float | None = None
    beside: str = ""


class Shape(NamedTuple):
    """An exchange with the gateway, and the same with the neighbour that answers it, where one does."""

    words: str
    target: str
    known: bool = False
    body: object = None
    status: int = 200
    direct: tuple[str, str, object] | None = None


def shapes(around: Neighbours) -> list[Shape]:
    """What is asked."""
    chat = hello(model="main/coder")
    provider = urlsplit(around.main.url)
    base, upstream = f"http://{provider.netloc}", {**chat, "model": "coder", "stream": True}
    open_page, own_page = [(around.origin.url, target, None) for target in ("/open", "/private/page")]
    return [
        Shape("a refusal (401)", "/private/page", status=401),
        Shape("an answer from cache, session and limit checked", "/mine/figures", known=True),
        Shape("an open page of the origin", "/open", direct=open_page),
        Shape("a page of the origin, session and limit checked", "/private/page", True, direct=own_page),
        Shape(
            "a chat, session and limit checked, put together from a stream", CHAT, known=True, body=chat,
            direct=(base, f"{provider.path}/chat/completions", upstream),
        ),
    ]  # fmt: skip


async def stamped(exchange: Exchange) -> None:
    """A stream whose every event says when it was sent."""
    await exchange.events([], end=False)
    for _ in range(EVENTS):
        chunk = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": f"{time.monotonic():.6f}"}}]}
        event = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        await exchange.raw(b"%x\r\n%s\r\n" % (len(event), event))
        await asyncio.sleep(PAUSE)
    await exchange.raw(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def measured(runtime: Runtime, around: Neighbours, folder: Path) -> list[Row]:
    """The rows of a platform's table."""
    rows = []
    for words, snapshot, most in (("no snapshot", False, None), ("from a memory snapshot", True, COLD)):
        took = runtime.cold(around, folder / f"cold-{snapshot}", snapshot=snapshot)
        median = f" (median {statistics.median(took):.2f})"
        rows.append(Row(f"process start to first answer, {words}", min(took), "s", most, median))
    token = around.supabase.mint()
    asked = shapes(around)
    with runtime.running(around, folder / "warm", disk=False) as host:
        rows.append(Row("memory of the process, after the start", resident(host.process), "MiB"))
        first = young(host.url, asked[-1].target, token, asked[-1].body)
        rows += [Row(f"added, p50: {shape.words}", added(host, around, shape, token), "ms", runtime.most) for shape in asked]
        rows.append(Row(f"the whole of such a chat, p50 of the first {YOUNG} of a process", first, "ms"))
        rows += streamed(around, host, token)
        rows.append(Row("memory of the process, after all this", resident(host.process), "MiB"))
        client = Client(host.url)
        heap = int(client.ask(client.request("/heap"), 200)) / 2**20
        client.close()
        rows.append(Row("of it Python's heap", heap, "MiB", HEAP))
    with runtime.running(around, folder / "disk", disk=True) as host:
        rows.append(
            Row(
                "added, p50: the answer from cache, where counts go to this machine's disk",
                added(host, around, asked[1], token), "ms",
            )
        )  # fmt: skip
    return rows


def added(host: Running, around: Neighbours, shape: Shape, token: str) -> float:
    """Milliseconds of the exchange, less those of the neighbour's own. A neighbour that has to remember much is slower."""
    around.reset()
    direct = 0.0 if shape.direct is None else p50(shape.direct[0], shape.direct[1], token, shape.direct[2])
    around.reset()
    return p50(host.url, shape.target, token if shape.known else None, shape.body, shape.status) - direct


def streamed(around: Neighbours, host: Running, token: str) -> list[Row]:
    """The way of an event: through the gateway, and what that is more than without it."""
    around.main.script("stamped", stamped)
    provider = urlsplit(around.main.url)
    body = hello(model="stamped", stream=True)
    direct = [delays(f"http://{provider.netloc}", f"{provider.path}/chat/completions", None, body) for _ in range(STREAMS)]
    through = [delays(host.url, CHAT, token, hello(model="main/stamped", stream=True)) for _ in range(STREAMS)]
    added = min(map(statistics.median, through)) - min(map(statistics.median, direct))
    latest = min(statistics.quantiles(one, n=20)[-1] for one in through)
    return [
        Row("added to each event of a stream, p50", added, "ms", EVENT),
        Row("the way of an event, from the provider's write to the client's read, p95", latest, "ms", EVENT),
    ]


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, best of {ROUNDS} rounds of {ASKED} after {WARM:,}"
    lines = [f"| on {machine} | | at most | |", "|---|---|---|---|"]
    for row in rows:
        digits = 0 if row.unit == "MiB" else 2
        most = "" if row.most is None else f"{row.most:g} {row.unit}"
        verdict = "" if row.most is None else "kept" if row.value <= row.most else "**not kept**"
        lines.append(f"| {row.words} | {row.value:.{digits}f} {row.unit}{row.beside} | {most} | {verdict} |")
    return "\n".join([*lines, ""])


def put(page: str, name: str, text: str) -> str:
    """The page with the table of a platform replaced. Raises `ValueError` when it has no place for it."""
    begin = f"<!-- figures: {name} -->\n"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"the page has no {begin.strip()} ... {END.strip()}")
    return before + begin + text + END + after


def main(names: list[str]) -> None:
    """Measures, prints, and writes the page."""
    for runtime in RUNTIMES:
        if names and runtime.name not in names:
            continue
        with Neighbours() as around, tempfile.TemporaryDirectory() as folder:
            text = table(measured(runtime, around, Path(folder)))
        sys.stdout.write(f"{runtime.name}\n{text}\n")
        PAGE.write_text(put(PAGE.read_text(), runtime.name, text))


if __name__ == "__main__":
    main(sys.argv[1:])
