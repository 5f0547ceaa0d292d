"""CPU and memory from /proc: the format of proc(5), and real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from hypothesis import given
from hypothesis import strategies as st

from bench.cpu import Stat, cpu_seconds, descendants, parse_stat, rss_bytes

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def _line(pid: int, name: str, parent: int, times: tuple[int, int, int, int], pages: int) -> str:
    """/proc/PID/stat with the fields of proc(5) counted from 1."""
    fields = ["0"] * 53
    fields[1], fields[2], fields[3], fields[4] = str(pid), f"({name})", "S", str(parent)
    fields[14:18] = map(str, times)
    fields[24] = str(pages)
    return " ".join(fields[1:]) + "\n"


@given(
    pid=st.integers(1, 4_000_000),
    name=st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=15),
    parent=st.integers(0, 4_000_000),
    times=st.tuples(*[st.integers(0, 10**12)] * 4),
    pages=st.integers(0, 10**9),
)
def test_every_command_name_is_skipped(pid: int, name: str, parent: int, times: tuple[int, int, int, int], pages: int) -> None:
    assert parse_stat(_line(pid, name, parent, times, pages)) == Stat(pid, parent, sum(times), pages)


def test_a_command_name_that_looks_like_fields() -> None:
    assert parse_stat(_line(7, "a) S 1 (b", 3, (1, 2, 4, 8), 9)) == Stat(7, 3, 15, 9)


def test_descendants_are_found_at_any_depth_and_others_are_not() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 13: 10, 20: 1, 21: 20}
    stats = {pid: Stat(pid, parent, 0, 0) for pid, parent in parents.items()}
    assert {stat.pid for stat in descendants(10, stats)} == {10, 11, 12, 13}


def test_a_process_that_ended_has_no_descendants() -> None:
    assert descendants(99, {1: Stat(1, 0, 5, 5)}) == []


def test_own_process_is_charged_for_what_it_burns() -> None:
    before, spent = cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() - spent < 0.15:
        pass
    burnt = time.process_time() - spent
    assert abs(cpu_seconds(os.getpid()) - before - burnt) <= 3 * _TICK


def test_a_child_is_charged_to_its_parent_while_it_lives_and_after() -> None:
    burn = (
        "import subprocess, sys, time\n"
        "code = 'import time\\nwhile time.process_time() < 0.3: pass\\nprint(1, flush=True); input()'\n"
        "child = subprocess.Popen([sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print('burnt', flush=True); input()\n"
        "child.communicate(b'\\n'); print('waited', flush=True); input()\n"
    )
    with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == b"burnt\n"
        alive, size = cpu_seconds(process.pid), rss_bytes(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"waited\n"
        after, smaller = cpu_seconds(process.pid), rss_bytes(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.wait(10)
    assert alive >= 0.3 - 2 * _TICK
    assert after >= alive
    assert size > smaller > 1_000_000


def test_a_process_that_is_gone_used_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait(10)
    assert cpu_seconds(process.pid) == 0
    assert rss_bytes(process.pid) == 0
