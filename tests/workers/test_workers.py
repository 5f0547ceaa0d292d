"""Several workers: one gateway to its callers, whatever happens to one of them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.ask import ask, hello
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until, wws
from tests.support.provider import slow
from tests.workers.conftest import Begin
from tests.workers.load import Load, chat, pids, status, workers

CHAT = "/api/ai/chat"


def counted(gateway: Gateway) -> float:
    """Chats that the metrics say were answered, by all workers there were."""
    text = ask(gateway.admin_url, "/metrics").body.decode()
    return sum(float(value) for value in re.findall(r'^wws_requests_total\{[^}]*route="/api/ai/\*"[^}]*\} (\S+)$', text, re.M))


def test_one_ready_line_and_both_workers_serve(begin: Begin) -> None:
    gateway = begin()
    key = gateway.create_key()["key"]
    assert gateway.stderr.count("wws ready on ") == 1
    assert len(pids(gateway)) == 2 and gateway.process is not None and gateway.process.pid not in pids(gateway)
    idle = [socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) for _ in range(40)]
    shares = until(
        lambda: (found := [one["connections"] for one in workers(gateway)]) and sum(found) == 40 and found, "forty connections"
    )
    assert min(shares) >= 1, shares  # neither has taken them all, though a busy machine may favour one
    for connection in idle:
        connection.close()
    assert ask(gateway.url, CHAT, token=key, body=hello()).status == 200
    assert ask(gateway.admin_url, "/readyz").status == 200


def test_metrics_are_those_of_all_and_never_go_back(begin: Begin) -> None:
    gateway = begin()
    key = gateway.create_key()["key"]
    with Load(4, chat(gateway.url, key)) as load:
        load.go_on(100)
    assert not load.failures
    until(lambda: counted(gateway) == load.done, "every answer in the counts")
    victim = pids(gateway)[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in (found := pids(gateway)) and len(found) == 2, "another worker")
    assert counted(gateway) == load.done
    assert ask(gateway.url, CHAT, token=key, body=hello()).status == 200
    until(lambda: counted(gateway) == load.done + 1, "one more")
    text = ask(gateway.admin_url, "/metrics").body.decode()
    assert "\nwws_workers 2.0\n" in text and "\nwws_worker_restarts_total 1.0\n" in text
    assert [one["restarts"] for one in status(gateway)["workers"]].count(1) == 1


class Gate:
    """A provider that answers nothing while it is closed."""

    def __init__(self) -> None:
        self.closed = False
        self.waiting = 0

    async def __call__(self, exchange: Any) -> None:
        self.waiting += 1
        try:
            while self.closed:  # noqa: ASYNC110 -- it is opened by another thread
                await asyncio.sleep(0.005)
        finally:
            self.waiting -= 1
        await slow(exchange)


def _all_held(gate: Gate, load: Load, gateway: Gateway, callers: int) -> dict[int, int]:
    """How many questions each worker has in hand, when every caller waits and no worker has all of them."""
    for _ in range(20):
        gate.closed = True
        until(lambda: gate.waiting == callers, "every question at the provider")
        held = until(lambda: _connections(gateway, callers), "a connection for every question")
        if min(held.values()):
            return held
        gate.closed = False
        load.go_on(callers)
    raise AssertionError("one worker always had all of them")


def _connections(gateway: Gateway, together: int) -> dict[int, int] | None:
    """Each worker's connections, once there are so many: one that its caller has closed may be seen a moment later."""
    found = {one["pid"]: one["connections"] for one in workers(gateway)}
    return found if sum(found.values()) == together else None


def test_a_killed_worker_costs_its_own_requests_and_no_others(
    begin: Begin, around: Neighbours, record_property: Callable[[str, object], None]
) -> None:
    gate = Gate()
    around.main.script("paced", gate)
    limit, callers = 200, 8
    gateway = begin(limit=f"{limit}/hour")
    key = gateway.create_key()["key"]
    with Load(callers, chat(gateway.url, key, model="paced")) as load:
        load.go_on(20)
        held = _all_held(gate, load, gateway, callers)
        victim = max(held, key=lambda pid: held[pid])
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        until(lambda: victim not in (found := pids(gateway)) and len(found) == 2, "another worker")
        record_property("seconds until there was another worker", time.monotonic() - killed)
        gate.closed = False
        until(lambda: load.results[429] > 20, "the end of the limit")
    lost = {result: count for result, count in load.results.items() if result not in (200, 429)}
    assert sum(lost.values()) == held[victim], load.results
    assert all(str(result).startswith(("RemoteDisconnected", "ConnectionResetError")) for result in lost), lost
    assert load.results[200] == limit - held[victim]  # what was lost had been counted before it was asked


def test_a_provider_gets_no_more_at_a_time_than_it_takes(begin: Begin, around: Neighbours) -> None:
    busy: list[int] = [0, 0]

    async def watched(exchange: Any) -> None:
        busy[0] += 1
        busy[1] = max(busy)
        try:
            await slow(exchange)
        finally:
            busy[0] -= 1

    around.main.script("paced", watched)
    gateway = begin(provider="concurrency = 2\nqueue = 100")
    key = gateway.create_key()["key"]
    with Load(8, chat(gateway.url, key, model="paced")) as load:
        load.go_on(30)
        [route] = [route for route in status(gateway)["upstreams"] if route["model"] == "paced"]
        most = busy[1]
        victim = pids(gateway)[0]
        os.kill(victim, signal.SIGKILL)
        load.go_on(20)
    assert most == 2
    assert busy[1] <= 4  # the provider may not have seen yet that the two of the killed worker are gone
    assert route["places"]["limit"] == 2 and route["places"]["in_use"] <= 2
    assert load.results[200] > 40 and sum(load.failures.values()) <= 8, load.results


def test_a_worker_that_is_told_to_end_finishes_and_is_replaced(begin: Begin) -> None:
    gateway = begin()
    key = gateway.create_key()["key"]
    with Load(6, chat(gateway.url, key)) as load:
        load.go_on(30)
        for _ in range(3):
            first = pids(gateway)[0]
            os.kill(first, signal.SIGTERM)
            until(lambda pid=first: pid not in (found := pids(gateway)) and len(found) == 2, "another worker")  # type: ignore[misc]
    assert not load.failures


def test_all_workers_are_replaced_under_load(begin: Begin) -> None:
    gateway = begin()
    key = gateway.create_key()["key"]
    before = set(pids(gateway))
    with Load(6, chat(gateway.url, key)) as load:
        load.go_on(30)
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGUSR2)
        until(lambda: len(now := set(pids(gateway))) == 2 and not now & before, "two new workers")
        load.go_on(30)
    assert not load.failures
    assert status(gateway)["restarts"] == 0  # nobody failed


def test_all_are_killed_and_what_counts_is_there_again(begin: Begin, around: Neighbours) -> None:
    supabase = around.supabase
    gateway = begin(more=f'[auth]\nsupabase_url = "{supabase.url}"\nsupabase_key = "{supabase.publishable_key}"')
    session = supabase.mint("HS256")  # only the auth server can tell whether it is good
    assert ask(gateway.url, CHAT, token=session, body=hello()).status == 200
    assert supabase.calls["user"] == 1
    good, bad = gateway.create_key(), gateway.create_key()
    assert ask(gateway.url, CHAT, token=bad["key"], body=hello()).status == 200
    assert gateway.run("keys", "revoke", bad["id"]).status == 0
    assert ask(gateway.url, CHAT, token=bad["key"], body=hello()).status == 401
    assert gateway.process is not None
    for pid in [gateway.process.pid, *pids(gateway)]:
        os.kill(pid, signal.SIGKILL)
    gateway.process.wait()
    gateway.start()
    assert ask(gateway.url, CHAT, token=good["key"], body=hello()).status == 200
    assert ask(gateway.url, CHAT, token=bad["key"], body=hello()).status == 401
    supabase.mode = "down"
    assert ask(gateway.url, CHAT, token=session, body=hello()).status == 200
    assert supabase.calls["user"] == 1  # the session was there too, and nobody was asked again


def test_workers_end_when_their_parent_is_gone(begin: Begin) -> None:
    gateway = begin()
    left = pids(gateway)
    assert gateway.process is not None
    gateway.process.kill()
    gateway.process.wait()
    for pid in left:
        until(lambda pid=pid: not Path(f"/proc/{pid}").exists() or _zombie(pid), "the end of a worker")  # type: ignore[misc]
    gateway.start()  # the address is free
    assert ask(gateway.url, "/healthz").status == 200


def _zombie(pid: int) -> bool:
    """It has ended, and whoever adopted it has not looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# what each has in its own memory


def _page(gateway: Gateway, method: str = "GET") -> tuple[str | None, int]:
    answer = ask(gateway.url, "/pages/a", method=method)
    assert answer.status == 200, answer.body
    return answer.headers.get("x-wws-cache"), answer.json["number"]


def test_what_one_worker_changes_no_other_serves_from_its_memory(begin: Begin, around: Neighbours) -> None:
    cache = '{ fresh = "600s", stale = "600s", per = "public" }'
    page = f'[[routes]]\npath = "/pages/*"\nto = "origin"\nauth = "none"\nlimit = "100000/min"\ncache = {cache}'
    gateway = begin(3, more=f'[origin]\nurl = "{around.origin.url}"\n{page}')
    for _ in range(5):
        until(lambda: all(_page(gateway)[0] == "HIT" for _ in range(12)), "the page in the memory of every worker")
        _, changed = _page(gateway, "POST")
        assert min(number for _, number in [_page(gateway) for _ in range(12)]) > changed


# what does not start


def test_an_address_that_is_taken(begin: Begin, tmp_path: Path) -> None:
    gateway = begin()
    port = int(gateway.url.rpartition(":")[2])
    other = tmp_path / "other"
    other.mkdir()
    (other / "wws.toml").write_text(gateway.config.read_text().replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{port}"'))
    ran = wws("serve", cwd=other)
    assert ran.status == 1
    assert f"server.listen: cannot listen on 127.0.0.1:{port}" in ran.err and "Traceback" not in ran.err


def test_a_store_that_cannot_be_opened_is_told_once(begin: Begin, tmp_path: Path) -> None:
    text = begin().config.read_text()
    other = tmp_path / "other"
    (other / "state" / "kv.mdb").mkdir(parents=True)
    (other / "wws.toml").write_text(text)
    ran = wws("serve", cwd=other)
    assert ran.status == 1
    assert ran.err.count("error: ") == 1 and "kv.mdb" in ran.err and "Traceback" not in ran.err
    assert "wws ready" not in ran.err


def test_a_unix_socket_is_shared_and_removed(begin: Begin, tmp_path: Path) -> None:
    path = tmp_path / "wws.sock"
    gateway = begin()
    assert gateway.stop() == 0
    gateway.config.write_text(gateway.config.read_text().replace('listen = "127.0.0.1:0"', f'listen = "unix:{path}"'))
    gateway.start()
    for _ in range(8):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
    assert gateway.stop() == 0
    assert not path.exists()
