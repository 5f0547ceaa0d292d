"""What the neighbour of a bad function notices: `python -m bench.neighbours`, or `make neighbours`.

A gateway of one process serves a good function and bad ones. The good one is asked 200 times a second over one connection, by a
plan: a question that leaves late because the one before it is not answered counts from the time it was planned for. Meanwhile a
bad one is asked, one request after the other. Printed for each: how long the good one took, and what the bad one's caller got.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

RATE = 200
SECONDS = float(os.environ.get("NEIGHBOUR_SECONDS", "8"))
_PATIENCE = 60.0
_OPEN = 'config = {"auth": "none", "timeout": "2s"}\n'
_ALONE = 'config = {"auth": "none", "timeout": "2s", "isolate": True, "memory": "64MiB"}\n'
_HEAD = "async def fetch(request, env, ctx):\n"
_LOOP = _HEAD + "    while True:\n        pass\n"
_BLOCK = "import time\n" + _HEAD + "    time.sleep(600)\n"
_EAT = _HEAD + "    eaten = []\n    while True:\n        eaten.append(bytearray(2**20))\n"
_GOOD = "from wws import Response\n" + _HEAD + "    return Response.text('good')\n"

FUNCTIONS = {
    "good": _OPEN + _GOOD,
    "waits": _OPEN + "import asyncio\n" + _HEAD + "    await asyncio.sleep(600)\n",
    "raises": _OPEN + _HEAD + "    raise ValueError('no')\n",
    "imports": _OPEN + "raise ValueError('at import')\n" + _HEAD + "    ...\n",
    "syntax": "async def fetch(request, env, ctx)\n",
    "loops": _OPEN + _LOOP,
    "blocks": _OPEN + _BLOCK,
    "apart/good": _ALONE + _GOOD,
    "apart/loops": _ALONE + _LOOP,
    "apart/blocks": _ALONE + _BLOCK,
    "apart/eats": _ALONE + _EAT,
}
CASES = {
    "nobody": None,
    "waits for ever": "waits",
    "raises": "raises",
    "raises at import": "imports",
    "has a syntax error": "syntax",
    "loops for ever": "loops",
    "blocks for ever": "blocks",
    "isolated, and good": "apart/good",
    "isolated, loops for ever": "apart/loops",
    "isolated, blocks for ever": "apart/blocks",
    "isolated, eats memory": "apart/eats",
}
TOML = """
[server]
listen = "127.0.0.1:0"
admin = "off"
log = "off"
[kv]
store = "memory:"
[limits]
address = "off"
default = "1000000/min"
[functions]
block_limit = "2s"
"""


HEADING = """\
| the bad function | good requests | not answered well | p50 ms | p99 ms | longest ms | what its own callers got |
|---|---|---|---|---|---|---|"""


def out(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)


class Seen(NamedTuple):
    """Seconds that the good function took each time, its answers that were not good, and the bad one's by status."""

    took: list[float]
    wrong: int
    bad: Counter[str]


def ask(port: int, path: str, connection: HTTPConnection | None = None) -> tuple[int, bytes]:
    """Status and body."""
    own = connection or HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        own.request("GET", path)
        response = own.getresponse()
        return response.status, response.read()
    finally:
        if connection is None:
            own.close()


def measure(port: int, bad: str | None) -> Seen:
    """One case."""
    over, answers = threading.Event(), Counter[str]()

    def misbehave() -> None:
        while not over.is_set():
            status, body = ask(port, f"/{bad}")
            answers[f"{status} {json.loads(body)['code']}" if status >= 400 else str(status)] += 1

    nuisance = threading.Thread(target=misbehave, daemon=True)
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    ask(port, "/good", connection)
    if bad is not None:
        nuisance.start()
    took, wrong, begin = [], 0, time.perf_counter()
    for number in range(int(RATE * SECONDS)):
        planned = begin + number / RATE
        time.sleep(max(0.0, planned - time.perf_counter()))
        status, body = ask(port, "/good", connection)
        took.append(time.perf_counter() - planned)
        wrong += (status, body) != (200, b"good")
    over.set()
    if bad is not None:
        nuisance.join()
    connection.close()
    return Seen(took, wrong, answers)


def row(name: str, seen: Seen) -> str:
    """A row of the table; times in milliseconds."""
    took = sorted(seen.took)
    p50, p99, most = (1000 * took[min(len(took) - 1, int(len(took) * part))] for part in (0.5, 0.99, 1.0))
    bad = ", ".join(f"{answer} ({count})" for answer, count in seen.bad.most_common()) or "-"
    return f"| {name} | {len(took)} | {seen.wrong} | {p50:.1f} | {p99:.1f} | {most:.1f} | {bad} |"


def main() -> int:
    """Every case, one after the other, in one gateway."""
    with tempfile.TemporaryDirectory(prefix="wws-neighbours-") as name:
        folder = Path(name)
        (folder / "wws.toml").write_text(TOML)
        for path, text in FUNCTIONS.items():
            file = folder / "functions" / f"{path}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        log = folder / "log"
        with log.open("wb") as errors:
            command = [str(Path(sys.executable).parent / "wws"), "serve", "--config", str(folder / "wws.toml")]
            gateway = subprocess.Popen(command, stderr=errors)
        try:
            while not (ready := re.search(r"ready on http://127\.0\.0\.1:(\d+)", log.read_text())):
                if gateway.poll() is not None:
                    sys.stderr.write(log.read_text())
                    return 1
                time.sleep(0.05)
            port = int(ready[1])
            out(HEADING)
            wrong = 0
            for case, bad in CASES.items():
                seen = measure(port, bad)
                wrong += seen.wrong
                out(row(case, seen))
        finally:
            gateway.send_signal(signal.SIGTERM)
            gateway.wait(_PATIENCE)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
