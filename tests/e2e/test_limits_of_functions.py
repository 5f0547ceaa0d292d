"""Functions that loop, block, eat memory, or cannot be loaded: all others are served, and what is wrong is told, and where."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.e2e.ask import Answer, ask
from tests.e2e.program import Gateway, until
from tests.e2e.projects import SERVER
from tests.project.functions.write import write

TOML = (
    SERVER
    + """log = "off"
[kv]
store = "lmdb:./state"
[limits]
address = "off"
default = "100000/min"
[functions]
timeout = "2s"
block_after = "100ms"
block_limit = "500ms"
isolates = 2
isolate_queue = 1
[vars]
GREETING = "hello"
[[kv_namespaces]]
binding = "VISITS"
[[queues]]
binding = "JOBS"
function = "isolated/work"
[[services]]
binding = "GOOD"
function = "good"
[fetch]
allow = ["127.0.0.1"]
"""
)
ALONE = 'config = {"auth": "none", "isolate": True}\n'
OPEN = 'config = {"auth": "none"}\n'
FILES = {
    "good.py": OPEN + "from wws import Response\nasync def fetch(request, env, ctx):\n    return Response.text('good')\n",
    "loops.py": OPEN + "async def fetch(request, env, ctx):\n    while True:\n        pass\n",
    "blocks.py": OPEN + "import time\nasync def fetch(request, env, ctx):\n    time.sleep(600)\n",
    "pours.py": OPEN
    + """
from wws import Response
async def fetch(request, env, ctx):
    async def pieces():
        yield "one"
        while True:
            pass
    return Response.stream(pieces())
""",
    "waits.py": OPEN + "import asyncio\nasync def fetch(request, env, ctx):\n    await asyncio.sleep(600)\n",
    "swallows.py": OPEN
    + """
import asyncio
async def fetch(request, env, ctx):
    end = asyncio.get_running_loop().time() + 5
    while asyncio.get_running_loop().time() < end:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            pass
""",
    "imports.py": OPEN + "raise ValueError('at import')\nasync def fetch(request, env, ctx): ...\n",
    "syntax.py": "async def fetch(request, env, ctx)\n",
    "isolated/loops.py": ALONE + "async def fetch(request, env, ctx):\n    while True:\n        pass\n",
    "isolated/eats.py": 'config = {"auth": "none", "isolate": True, "memory": "64MiB"}\n'
    + "async def fetch(request, env, ctx):\n    eaten = []\n    while True:\n        eaten.append(bytearray(2**20))\n",
    "isolated/computes.py": 'config = {"auth": "none", "isolate": True, "cpu": "1s", "timeout": "20s"}\n'
    + "async def fetch(request, env, ctx):\n    while True:\n        pass\n",
    "isolated/dies.py": ALONE + "import os\nasync def fetch(request, env, ctx):\n    os._exit(3)\n",
    "isolated/raises.py": ALONE + "async def fetch(request, env, ctx):\n    return {}['secret key']\n",
    "isolated/imports.py": ALONE + "raise ValueError('at import')\nasync def fetch(request, env, ctx): ...\n",
    "isolated/_middleware.py": """
async def fetch(request, env, ctx):
    response = await ctx.next()
    response.headers.set("x-around", ctx.data.get("seen", "nothing"))
    return response
""",
    "isolated/work.py": ALONE
    + """
import os
from lib.words import loud
from wws import Response

async def get(request, env, ctx):
    visits = int(await env.VISITS.get("n") or 0) + 1
    await env.VISITS.put("n", str(visits))
    inner = (await env.GOOD.fetch("/good")).body.decode()
    ctx.data["seen"] = "this"
    keys = (await env.VISITS.list()).keys
    return Response.json({
        "pid": os.getpid(), "visits": visits, "greeting": loud(env.GREETING), "inner": inner, "keys": keys,
        "query": request.query, "pepper": os.environ.get("WWS_PEPPER"),
    })

async def post(request, env, ctx):
    ctx.wait_until(env.VISITS.put("said", await request.text()))
    return Response.json({"ids": await env.JOBS.send_batch(await request.json())}, 202)

async def put(request, env, ctx):
    async def pieces():
        for number in range(3):
            yield f"piece {number};"
    return Response.stream(pieces())

async def delete(request, env, ctx):
    try:
        await env.VISITS.put("n", "x", expiration_ttl=1)
    except ValueError as error:
        return Response.text(str(error), 400)

async def queue(batch, env, ctx):
    for message in batch.messages:
        await env.VISITS.put(f"got:{message.body}", str(message.attempts))
        message.ack()
""",
    "lib/words.py": "def loud(text):\n    return text.upper()\n",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("limits")
    write(folder / "functions", FILES)
    made = Gateway(folder, TOML, env={"WWS_PEPPER": "0" * 64})
    made.start()
    yield made
    assert made.stop() == 0


def beside(gateway: Gateway, path: str) -> Answer:
    """The answer of a bad function, with a good one asked all the while: it must answer, and go on answering."""
    found: list[Answer] = []
    asking = threading.Thread(target=lambda: found.append(ask(gateway.url, path)))
    asking.start()
    while asking.is_alive():
        assert ask(gateway.url, "/good").body == b"good"
    asking.join()
    assert ask(gateway.url, "/good").body == b"good"
    return found[0]


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["code"]


@pytest.mark.parametrize("name", ["loops", "blocks"])
def test_one_that_never_gives_way_is_named_and_stopped(gateway: Gateway, name: str) -> None:
    assert code(beside(gateway, f"/{name}")) == (504, "function_timeout")
    line = 4 if name == "loops" else 4
    file = gateway.folder / "functions" / f"{name}.py"
    told = f"function {name} ({file}:"
    until(
        lambda: f"{told}{line}, in fetch) is stopped" in gateway.stderr or f"{told}3, in fetch) is stopped" in gateway.stderr,
        "the line",
    )
    assert told in gateway.stderr and "holds up the event loop" in gateway.stderr
    again = ask(gateway.url, f"/{name}")
    assert code(again) == (503, "function_suspended") and 1 <= int(again.headers["retry-after"]) <= 10


def test_a_stream_that_never_gives_way_is_cut(gateway: Gateway) -> None:
    with pytest.raises((ConnectionError, HTTPException)):
        ask(gateway.url, "/pours")
    assert ask(gateway.url, "/good").body == b"good"
    assert "in pieces) is stopped" in gateway.stderr


def test_one_that_takes_too_long_is_answered_for(gateway: Gateway) -> None:
    assert code(beside(gateway, "/waits")) == (504, "function_timeout")


def test_one_that_goes_on_regardless_is_told(gateway: Gateway) -> None:
    assert code(beside(gateway, "/swallows")) == (504, "function_timeout")
    until(lambda: "function swallows" in gateway.stderr and "goes on although" in gateway.stderr, "the word of it")


@pytest.mark.parametrize("name", ["imports", "syntax", "isolated/imports"])
def test_one_that_cannot_be_loaded(gateway: Gateway, name: str) -> None:
    assert code(beside(gateway, f"/{name}")) == (500, "function_broken")
    until(lambda: f"{name}.py:" in gateway.stderr, "where it is")


def test_an_isolated_function_is_as_any_other(gateway: Gateway) -> None:
    first = ask(gateway.url, "/isolated/work?a=b")
    assert first.status == 200, gateway.stderr
    assert first.headers["x-around"] == "this"
    told = first.json
    assert gateway.process is not None and told.pop("pid") not in (gateway.process.pid, os.getpid())
    visits, keys = told.pop("visits"), told.pop("keys")  # the other tests ask too
    assert "n" in keys
    assert told == {"greeting": "HELLO", "inner": "good", "query": {"a": "b"}, "pepper": None}
    assert ask(gateway.url, "/isolated/work").json["visits"] == visits + 1
    assert ask(gateway.url, "/isolated/work", "PUT").body == b"piece 0;piece 1;piece 2;"
    refused = ask(gateway.url, "/isolated/work", "DELETE")
    assert (refused.status, b"expiration_ttl is at least 60" in refused.body) == (400, True)
    assert ask(gateway.url, "/isolated/work", "PATCH").status == 405
    assert ask(gateway.url, "/isolated/work", "POST", body=["one", "two"]).status == 202
    until(
        lambda: {"got:one", "got:two", "said"} <= set(ask(gateway.url, "/isolated/work").json["keys"]),
        "the queue's delivery, and what was left behind the answer",
    )


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        ("loops", (504, "function_timeout"), "time"),
        ("eats", (500, "function_failed"), "memory"),
        ("computes", (500, "function_failed"), "cpu"),
        ("dies", (500, "function_failed"), "status 3"),
    ],
)
def test_an_isolated_function_harms_nobody(gateway: Gateway, name: str, answer: tuple[int, str], reason: str) -> None:
    assert code(beside(gateway, f"/isolated/{name}")) == answer
    until(lambda: f"the process of isolated function isolated/{name} is ended: {reason}" in gateway.stderr, "the reason")
    assert ask(gateway.url, "/isolated/work").status == 200, "another process takes its place"


def test_what_an_isolated_function_raises_is_in_the_log_alone(gateway: Gateway) -> None:
    raised = ask(gateway.url, "/isolated/raises")
    assert code(raised) == (500, "function_failed") and b"secret" not in raised.body
    until(lambda: "KeyError: 'secret key'" in gateway.stderr, "its traceback")
    assert "isolated/raises.py" in gateway.stderr


def test_a_line_for_isolated_functions_has_an_end(gateway: Gateway) -> None:
    answers: list[tuple[int, str]] = []
    asking = [threading.Thread(target=lambda: answers.append(code(ask(gateway.url, "/isolated/loops")))) for _ in range(6)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert set(answers) <= {(504, "function_timeout"), (503, "overloaded")}
    assert answers.count((503, "overloaded")) >= 1


STUCK = """
import ctypes, signal
from wws import Response

config = {"auth": "none"}

async def fetch(request, env, ctx):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    ctypes.PyDLL(None).sleep(600)
"""


def test_a_worker_that_is_stuck_for_good_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "functions", {"good.py": FILES["good.py"], "stuck.py": STUCK})
    toml = SERVER + 'workers = 2\nlog = "off"\n[kv]\nstore = "lmdb:./state"\n[functions]\nblock_limit = "200ms"\n'
    with Gateway(tmp_path, toml) as gateway:
        with pytest.raises((ConnectionError, HTTPException)):
            ask(gateway.url, "/stuck")
        assert "stuck.py" in gateway.stderr, "where it stood"
        for _ in range(20):
            assert ask(gateway.url, "/good").body == b"good"

        def both_ready() -> bool:
            workers = ask(gateway.admin_url, "/status").json["workers"]
            return [one["state"] for one in workers] == ["ready", "ready"] and sum(one["restarts"] for one in workers) == 1

        until(both_ready, "another worker")
