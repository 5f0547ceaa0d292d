from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wws.errors import FunctionStopped
from wws.hosts.server.watchdog import BLOCKS, STOPS, Place, Watchdog, place

FOLDER = Path("/project/functions")
SPIN = """
def spin(seconds, clock):
    end = clock() + seconds
    while clock() < end:
        pass

def catching(seconds, clock):
    end = clock() + seconds
    while clock() < end:
        try:
            spin(seconds, clock)
        except Exception:
            pass

def through(work, *arguments):
    return work(*arguments)
"""


def code(name: str = "api/busy", text: str = SPIN) -> dict[str, Any]:
    """A file of the project, run."""
    names: dict[str, Any] = {}
    exec(compile(text, f"{FOLDER}/{name}.py", "exec"), names)  # noqa: S102 - it stands above
    return names


class Watched:
    def __init__(self) -> None:
        self.all: list[tuple[str, ...]] = []
        self.dog = Watchdog(asyncio.get_running_loop(), self.measure)

    def measure(self, name: str, labels: tuple[str, ...], value: float) -> None:
        self.all.append((name, *labels))

    @property
    def counted(self) -> list[tuple[str, ...]]:
        """Of the project's code: a machine that is busy with other things holds up the loop too."""
        return [one for one in self.all if one[1] != "gateway"]


@pytest.fixture
async def watched() -> Any:
    made = Watched()
    made.dog.use(FOLDER, 0.05, 0.3)
    made.dog.start()
    yield made
    made.dog.stop()


async def test_a_function_that_computes_too_long_is_named_once(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    await asyncio.sleep(0)
    for _ in range(20):
        code()["spin"](0.2, time.monotonic)
        await asyncio.sleep(0.1)
        if watched.counted:
            break
    assert watched.counted == [(BLOCKS, "api/busy")]
    assert len(caplog.records) == 1
    text = caplog.records[0].message
    assert text.startswith("function api/busy (/project/functions/api/busy.py:"), text
    assert "in spin) holds up the event loop" in text
    assert int(text.split(".py:")[1].split(",")[0]) in (4, 5)


async def test_each_time_anew(watched: Watched) -> None:
    for _ in range(20):  # on a busy machine the thread may come too late to see one
        code()["spin"](0.15, time.monotonic)
        await asyncio.sleep(0.15)
        if len(watched.counted) == 2:
            break
    assert watched.counted == [(BLOCKS, "api/busy")] * 2


@pytest.mark.parametrize("name", ["spin", "catching"])
async def test_one_that_never_gives_way_is_stopped(watched: Watched, name: str) -> None:
    with pytest.raises(FunctionStopped, match=r"function api/busy \(/project/functions/api/busy\.py:\d+, in \w+\) held up"):
        code()[name](60.0, time.monotonic)
    await asyncio.sleep(0.1)
    assert watched.counted.count((STOPS, "api/busy")) == 1
    assert set(watched.counted) <= {(BLOCKS, "api/busy"), (STOPS, "api/busy")}


async def test_one_that_waits_in_the_system_is_stopped(watched: Watched) -> None:
    began = time.monotonic()
    waiting = threading.Event()
    with pytest.raises(FunctionStopped):
        code()["through"](waiting.wait, 60.0)
    assert time.monotonic() - began < 30.0


async def test_the_gateway_itself_is_never_interrupted(watched: Watched) -> None:
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        pass
    await asyncio.sleep(0.05)
    assert set(watched.all) == {(BLOCKS, "gateway")}, "nothing of the project's stands here"


async def test_an_idle_loop_is_no_trouble(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    await asyncio.sleep(0.3)
    assert not watched.counted and not caplog.records


async def test_one_that_keeps_all_threads_from_running_is_stopped(watched: Watched) -> None:
    backtracks = code(text="import re\n\ndef spin():\n    re.match('(a*)*b', 'a' * 60)\n")["spin"]
    with pytest.raises(FunctionStopped, match="function api/busy"):
        backtracks()


STUCK = """
import asyncio, ctypes, signal, sys
from pathlib import Path
from wws.hosts.server import watchdog

watchdog.STUCK = watchdog._REWOUND = 0.1

async def main():
    dog = watchdog.Watchdog(asyncio.get_running_loop(), lambda *_: None)
    dog.replaced = sys.argv[1] == "replaced"
    dog.use(Path("/project/functions"), 0.05, 0.2)
    dog.start()
    await asyncio.sleep(0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    ctypes.PyDLL(None).sleep(2)  # holds on to the interpreter
    print("went on")

asyncio.run(main())
"""


@pytest.mark.parametrize(("place", "status"), [("replaced", 1), ("alone", 0)])
def test_what_takes_no_signal_is_given_up_where_another_takes_its_place(place: str, status: int) -> None:
    done = subprocess.run([sys.executable, "-c", STUCK, place], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert "Timeout" in done.stderr and "in main" in done.stderr, "where it stood"
    assert ("went on" in done.stdout) == (status == 0)


def test_where_a_stack_stands() -> None:
    frames: list[Any] = []
    ours = {"__file__": "x"}
    exec(compile("def call(work): return work()", place.__code__.co_filename, "exec"), ours)  # noqa: S102 - as the gateway's own

    def look() -> None:
        frames.append(place(sys._getframe(1), (f"{FOLDER}/",)))

    code()["through"](look)
    code()["through"](ours["call"], look)
    look()
    assert frames[0] == (Place("api/busy", "/project/functions/api/busy.py", 16, "through"), True)
    assert frames[1][0] is not None and frames[1][1] is False, "in the midst of the gateway's own"
    assert frames[2] == (None, False)


@pytest.fixture(autouse=True)
def quiet_after() -> Iterator[None]:
    """No signal that was on its way may come into another test."""
    yield
    time.sleep(0.02)
