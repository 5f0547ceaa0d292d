"""Closed loop: wrk with a script that sends one fixed request and prints what it counted as JSON."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError
from bench.machine import LOAD_CORE, WORK, pinned

__all__ = ["Call", "Counts", "judge", "parse", "run", "script"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, the same every time. `status` is what the answer must have; `limited`: or 429, once the limit is reached."""

    url: str
    method: str = "POST"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    limited: bool = False

    def all_headers(self) -> dict[str, str]:
        return {"content-type": "application/json", **self.headers} if self.body else dict(self.headers)


@dataclass(frozen=True, slots=True)
class Counts:
    """What wrk counted. Latencies in microseconds, as a closed loop sees them; `bad_status` counts answers of 400 and more."""

    requests: int
    seconds: float
    bad_status: int
    socket_errors: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


_MARK = "BENCH-JSON "

# `summary.errors` and `latency:percentile` are wrk's own (wrk SCRIPTING: done(summary, latency, requests)).
_DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '%s{"requests":%%d,"microseconds":%%d,"status":%%d,"connect":%%d,"read":%%d,"write":%%d,"timeout":%%d,"p50":%%.1f,"p99":%%.1f}\\n',
    summary.requests, summary.duration, e.status, e.connect, e.read, e.write, e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""  # fmt: skip


def script(call: Call, body_file: Path) -> str:
    """The Lua text. Header values are ours and plain ASCII, for which Lua's quoting is JSON's."""
    lines = [f"wrk.method = {json.dumps(call.method)}"]
    if call.body:
        lines.append(f'wrk.body = assert(io.open({json.dumps(str(body_file))}, "rb")):read("*a")')
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in call.all_headers().items()]
    return "\n".join(lines) + _DONE % _MARK


def parse(output: str) -> Counts:
    """The counts in wrk's output. Raises `BenchError` when the script's line is not there."""
    for line in output.splitlines():
        if line.startswith(_MARK):
            got = json.loads(line.removeprefix(_MARK))
            return Counts(
                requests=got["requests"],
                seconds=got["microseconds"] / 1e6,
                bad_status=got["status"],
                socket_errors=got["connect"] + got["read"] + got["write"] + got["timeout"],
                p50=got["p50"],
                p99=got["p99"],
            )
    raise BenchError(f"wrk printed no counts: {output.strip()[-400:]}")


def run(call: Call, seconds: float, connections: int = 32) -> Counts:
    """One run from the load's core. Raises `BenchError` on socket errors or on answers of the wrong kind."""
    folder = WORK / "wrk"
    folder.mkdir(parents=True, exist_ok=True)
    body_file, lua = folder / "body", folder / "call.lua"
    body_file.write_bytes(call.body)
    lua.write_text(script(call, body_file))
    duration = max(1, round(seconds))  # wrk takes whole seconds
    command = [
        "wrk",
        "-t",
        "1",
        "-c",
        str(connections),
        "-d",
        f"{duration}s",
        "--timeout",
        "20s",
        "--latency",
        "-s",
        str(lua),
        call.url,
    ]
    try:
        done = subprocess.run(
            pinned(LOAD_CORE, command),
            capture_output=True,
            text=True,
            timeout=duration + 30,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as late:
        raise BenchError(f"wrk did not end: {call.url}") from late
    counts = parse(done.stdout + done.stderr)
    judge(call, counts)
    return counts


def judge(call: Call, counts: Counts) -> None:
    """Raises `BenchError` when a run is not what the shape says: errors, no answers, or another kind of status."""
    expected_bad = counts.bad_status if call.limited else counts.requests if call.status >= 400 else 0
    if counts.requests == 0 or counts.socket_errors or counts.bad_status != expected_bad:
        raise BenchError(
            f"{call.method} {call.url}: {counts.requests} answers, {counts.socket_errors} socket errors, "
            f"{counts.bad_status} of status 400 or more where {expected_bad} were expected"
        )
