"""Importing the code of one version: whole, apart from others, and from the texts that were read."""

from __future__ import annotations

import asyncio
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from tests.project.functions.write import HELLO, folder, write
from wws.errors import FunctionError
from wws.project.functions.folder import scan
from wws.project.functions.loading import Functions
from wws.project.functions.modules import Modules


def code(root: Path, files: dict[str, str], name: str = "a") -> Any:
    found = folder(root, files)
    return Modules(found).code(found.functions[name])


def answer(handler: Any) -> Any:
    return asyncio.run(handler(None, None, None))


RETURNS = "async def fetch(request, env, ctx):\n    return {}\n"


@pytest.mark.parametrize(
    "how",
    [
        "from lib.x import y",
        "import lib.x\ny = lib.x.y",
        "from .lib.x import y",
        "from lib import x\ny = x.y",
        "from .lib import x\ny = x.y",
    ],
)
def test_files_import_one_another(tmp_path: Path, how: str) -> None:
    found = code(tmp_path, {"a.py": f"{how}\n" + RETURNS.format("y"), "lib/x.py": "from lib.z import y\n", "lib/z.py": "y = 7"})
    assert answer(found.fetch) == 7


def test_packages_and_strange_names(tmp_path: Path) -> None:
    files = {
        "lib/__init__.py": "from .inner import y",
        "lib/inner.py": "y = 3",
        "shop/[id]/[...rest].py": "from ...lib import y\n" + RETURNS.format("y"),
    }
    assert answer(code(tmp_path, files, "shop/[id]/[...rest]").fetch) == 3


def test_a_file_beside_a_folder_of_its_name(tmp_path: Path) -> None:
    files = {
        "_lib.py": "y = 3",
        "shop.py": "from ._lib import y\n" + RETURNS.format("y"),
        "shop/[id].py": "from .._lib import y\n" + RETURNS.format("y + 1"),
        "bad.py": "1 / 0\n" + HELLO,
        "bad/x.py": RETURNS.format("5"),
    }
    assert answer(code(tmp_path, files, "shop").fetch) == 3
    assert answer(code(tmp_path, files, "shop/[id]").fetch) == 4
    assert answer(code(tmp_path, files, "bad/x").fetch) == 5


def test_a_file_does_not_stand_in_for_the_standard_library(tmp_path: Path) -> None:
    files = {"json.py": HELLO, "a.py": "import json\n" + RETURNS.format("json.dumps(1)")}
    assert answer(code(tmp_path, files).fetch) == "1"


def test_versions_do_not_touch_one_another(tmp_path: Path) -> None:
    first = code(tmp_path, {"a.py": "import lib\n" + RETURNS.format("lib.x"), "lib.py": "x = 1"})
    second = code(tmp_path, {"lib.py": "x = 2"})
    assert (answer(first.fetch), answer(second.fetch)) == (1, 2)


def test_what_runs_is_what_was_read(tmp_path: Path) -> None:
    found = folder(tmp_path, {"a.py": RETURNS.format("1")})
    write(tmp_path, {"a.py": RETURNS.format("2")})
    assert answer(Modules(found).code(found.functions["a"]).fetch) == 1
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_closed_version_leaves_nothing_behind(tmp_path: Path) -> None:
    found = folder(tmp_path, {"lib/a.py": HELLO})
    modules = Modules(found)
    modules.code(found.functions["lib/a"])
    assert f"{modules.package}.lib.a" in sys.modules
    modules.close()
    assert not [name for name in sys.modules if name.startswith(modules.package)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nraise ValueError('no')\n" + HELLO, "a.py:2: cannot be imported: ValueError: no"),
        ("import nothing_of_this_name\n" + HELLO, "a.py:1: cannot be imported: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)\n" + HELLO, "a.py:1: cannot be imported: SystemExit: 3"),
        ("import lib\n" + HELLO, "lib.py:2: cannot be imported: ZeroDivisionError"),
        ("async def fetch(request): ...", "a.py:1: fetch: takes other arguments than (request, env, ctx)"),
        ("fetch = 3", "a.py: fetch: is no function"),
        ("def plain(a, b, c): ...\nfetch = plain", "a.py:1: fetch: is no coroutine function"),
    ],
)
def test_what_cannot_be_loaded_says_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FunctionError) as caught:
        code(tmp_path, {"a.py": text, "lib.py": "\n1 / 0"})
    assert str(caught.value).startswith(f"{tmp_path}/{said}")


def test_handlers_by_what_they_are_for(tmp_path: Path) -> None:
    found = code(
        tmp_path,
        {
            "_middleware.py": HELLO,
            "a.py": "async def get(r, e, c): ...\nasync def post(r, e, c): ...\nasync def queue(b, e, c): ...\n",
        },
    )
    assert (found.fetch, sorted(found.methods), sorted(found.events), len(found.around)) == (None, ["GET", "POST"], ["queue"], 1)
    assert found.allowed() == ("GET", "POST", "HEAD", "OPTIONS")


def test_a_traceback_shows_the_text_that_ran(tmp_path: Path) -> None:
    fetch = code(tmp_path, {"a.py": "async def fetch(r, e, c):\n    return 1 / 0  # here\n"}).fetch
    (tmp_path / "a.py").unlink()
    with pytest.raises(ZeroDivisionError) as caught:
        answer(fetch)
    assert "# here" in "".join(traceback.format_exception(caught.value))


# Loading behind the event loop


async def loaded(root: Path, files: dict[str, str]) -> Functions:
    return Functions(await asyncio.to_thread(lambda: scan(write(root, files))))


async def test_many_who_want_a_function_wait_for_one_import(tmp_path: Path) -> None:
    functions = await loaded(tmp_path, {"a.py": "import time\ntime.sleep(0.05)\ncount = []\n" + HELLO})
    a = functions.by_name["a"]
    assert a.code is None
    found = await asyncio.gather(*[a.load() for _ in range(5)])
    assert all(one is found[0] for one in found)
    assert a.code is found[0]
    assert await a.load() is found[0]
    functions.close()


async def test_a_file_that_never_ends_importing_keeps_only_its_own_callers_waiting(tmp_path: Path) -> None:
    forever = "import threading\nthreading.Event().wait()\n" + HELLO
    functions = await loaded(tmp_path, {"a_forever.py": forever, "b.py": HELLO})
    warming = asyncio.ensure_future(functions.warm())
    stuck = asyncio.ensure_future(functions.by_name["a_forever"].load())
    assert (await functions.by_name["b"].load()).fetch is not None
    assert not stuck.done() and not warming.done()
    stuck.cancel()
    warming.cancel()
    await asyncio.gather(stuck, warming, return_exceptions=True)
    functions.close()


async def test_warming_up_imports_everything_and_says_what_cannot_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    functions = await loaded(tmp_path, {"a.py": HELLO, "bad.py": "raise ValueError('no')\n" + HELLO, "worse.py": "def"})
    [error] = await functions.warm()
    assert "bad.py:1" in str(error)
    assert functions.by_name["a"].code is not None
    for _ in range(2):
        with pytest.raises(FunctionError, match="ValueError"):
            await functions.by_name["bad"].load()
    with pytest.raises(FunctionError, match="invalid syntax"):
        await functions.by_name["worse"].load()
    assert [record.message.split(" is ")[0] for record in caplog.records].count("function bad") == 1
    functions.close()
