"""`python -m bench.peers`: the 1 KB chat and the stream of `make bench` through other gateways, nginx and WWS beside them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import gateway, nginx, upstream
from bench.client import probe
from bench.cpu import rss_bytes
from bench.errors import BenchError, Missing
from bench.gateway import VARIANTS, Upstreams
from bench.limits import prepare
from bench.machine import ROOT, facts, free_port, require
from bench.measure import closed, streamed
from bench.payload import chat_body, paced_model
from bench.peers.gateways import PEERS, Peer, start
from bench.peers.report import Row, markdown, table
from bench.process import Program
from bench.session import Signer
from bench.world import Target
from bench.wrk import Call

_RESULTS = ROOT / "bench" / "peers" / "results.md"
_ENDLESS = 10_000_000
_WWS_EVERY_MS = 2


@dataclass(frozen=True, slots=True)
class _Bench:
    """What stands still during the run: nginx and the mocks, and how long a sample takes."""

    proxy: Target
    mock: str
    rounds: int
    seconds: float
    tell: Callable[[str], None]

    def chats(self, row: Row, target: Target) -> None:
        """Rounds of nginx and the gateway in turn, after one short run to warm it."""
        probe(target.call)
        closed(target, 1)
        for number in range(self.rounds):
            self.tell(f"{row.name}: chat, round {number + 1} of {self.rounds}")
            nginx_sample = closed(self.proxy, 2)
            own = closed(target, self.seconds)
            row.nginx.append(nginx_sample)
            row.chats.append(own)
        row.memory = rss_bytes(target.pid) / 1024**2

    def streams(self, row: Row, target: Target) -> None:
        for number in range(self.rounds):
            self.tell(f"{row.name}: stream, round {number + 1} of {self.rounds}")
            row.events.append(streamed(target, self.seconds))


def _mock_streams(every_ms: int) -> tuple[Program, str]:
    port = free_port()
    return upstream.start(port, Signer(), paced_model(_ENDLESS, every_ms)), f"http://127.0.0.1:{port}"


def _attempt(row: Row, what: str, measure: Callable[[], None]) -> None:
    """A gateway that fails is a row with the reason, and the others are still measured."""
    try:
        measure()
    except (BenchError, OSError) as error:
        row.reasons.append(f"{what}: {' '.join(str(error).split())[:400]}")


def _measure_peer(bench: _Bench, peer: Peer) -> Row:
    row = Row(peer.name, peer.version, peer.language, peer.auth, every_ms=peer.every_ms)

    def both() -> None:
        bench.tell(f"{peer.name}: installing {peer.version}")
        folder = peer.install()
        _attempt(row, "chat", lambda: chat(folder))
        _attempt(row, "stream", lambda: stream(folder))

    def chat(folder: Path) -> None:
        running = start(peer, folder, bench.mock + "/v1")
        with running.program:
            bench.chats(row, Target(running.program.pid, running.call(stream=False)))

    def stream(folder: Path) -> None:
        mock, base = _mock_streams(peer.every_ms)
        with mock:
            running = start(peer, folder, base + "/v1")
            with running.program:
                bench.streams(row, Target(running.program.pid, running.call(stream=True), streamed=True))

    _attempt(row, "install", both)
    return row


def _measure_nginx(bench: _Bench, base: str) -> Row:
    row = Row("nginx proxy_pass", facts()["nginx"], "C", "none", every_ms=_WWS_EVERY_MS)
    body = chat_body("bench", stream=True)
    _attempt(row, "chat", lambda: bench.chats(row, bench.proxy))
    call = Call(base + "/sse/v1/chat/completions", body=body)
    _attempt(row, "stream", lambda: bench.streams(row, Target(bench.proxy.pid, call, streamed=True)))
    return row


def _measure_wws(bench: _Bench, streams: str) -> Row:
    row = Row("WWS", facts()["WWS"], "Python", "API key, limiter, routing, metrics, ledger", every_ms=_WWS_EVERY_MS)

    def both() -> None:
        running = gateway.launch(VARIANTS["pipeline"], Upstreams(bench.mock, streams))
        with running.program:
            headers = {"authorization": f"Bearer {running.key}"}
            url = running.base_url + "/v1/chat/completions"
            chat = Target(running.program.pid, Call(url, body=chat_body("auto"), headers=headers))
            stream = Call(url, body=chat_body("streams/bench", stream=True), headers=headers)
            _attempt(row, "chat", lambda: bench.chats(row, chat))
            _attempt(row, "stream", lambda: bench.streams(row, Target(running.program.pid, stream, streamed=True)))

    _attempt(row, "start", both)
    return row


def _run(names: list[str], rounds: int, seconds: float, tell: Callable[[str], None]) -> list[Row]:
    mock_port, nginx_port = free_port(), free_port()
    parts: list[AbstractContextManager[Program]] = []
    wanted = [peer for peer in PEERS if not names or any(name.lower() in peer.name.lower() for name in names)]
    try:
        parts.append(nginx.start_mock(mock_port))
        streams_program, streams = _mock_streams(_WWS_EVERY_MS)
        parts.append(streams_program)
        measured = nginx.start_measure(nginx_port, mock_port, int(streams.rpartition(":")[2]))
        parts.append(measured)
        base = f"http://127.0.0.1:{nginx_port}"
        proxy = Target(measured.pid, Call(base + "/v1/chat/completions", body=chat_body("bench")))
        bench = _Bench(proxy, f"http://127.0.0.1:{mock_port}", rounds, seconds, tell)
        rows = [_measure_nginx(bench, base), _measure_wws(bench, streams)]
        return rows + [_measure_peer(bench, peer) for peer in wanted]
    finally:
        for part in reversed(parts):
            part.__exit__(None, None, None)


def main(arguments: list[str] | None = None) -> int:
    """0 when the table was written, whatever it says of single gateways; 1 without nginx or wrk; 2 usage."""
    parser = argparse.ArgumentParser(prog="bench.peers", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only this peer; may repeat; nothing is written"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one sample")
    options = parser.parse_args(arguments)
    try:
        require("nginx", "wrk", "taskset")
        known = {**facts(), "load average before": f"{os.getloadavg()[0]:.2f}"}
        prepare()
        with Console(stderr=True).status("starting") as status:
            rows = _run(options.only, max(1, options.rounds), max(2.0, options.seconds), status.update)
    except Missing as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    Console(width=None if sys.stdout.isatty() else 200).print(table(rows))
    for row in rows:
        for reason in row.reasons:
            print(f"{row.name}: {reason}")
    if not options.only:
        _RESULTS.write_text(markdown(rows, known, options.rounds, options.seconds))
        print(f"written to {_RESULTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
