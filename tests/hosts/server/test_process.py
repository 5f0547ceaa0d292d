"""What lives as long as the process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from wws.core.policy import Policy
from wws.functions.namespace import Namespace
from wws.hosts.server import process
from wws.hosts.server.process import Process
from wws.http import Headers, Request
from wws.observe.ledger import ledger_file
from wws.project.load import loads
from wws.project.secret import Secret
from wws.project.settings import Project
from wws.stores.memory import MemoryStore


def project(**parts: Any) -> Project:
    return Project(Path("/srv/shop/wws.toml"), Policy(), **parts)


def test_what_a_project_binds() -> None:
    store = MemoryStore()
    found = process._bindings(
        project(kv_namespaces=("VISITS",), vars={"COLOUR": "blue", "N": 3, "TOKEN": Secret("planted")}), store
    )
    assert isinstance(found.pop("VISITS"), Namespace)
    assert [type(found.pop(name)).__name__ for name in ("ai", "cache", "fetch")] == ["AI", "CacheBinding", "Fetch"]
    assert found == {"COLOUR": "blue", "N": 3, "TOKEN": "planted"}


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("lmdb:./.wws/state", Path("/srv/shop/.wws/state/ledger.sqlite")),
        ("lmdb:/var/lib/wws?map_size=1GiB", Path("/var/lib/wws/ledger.sqlite")),
        ("redis://10.0.0.1:6379/0", Path("/srv/shop/.wws/ledger.sqlite")),
        ("memory:", None),
    ],
)
def test_where_the_ledger_lies(url: str, file: Path | None) -> None:
    assert ledger_file(url, Path("/srv/shop")) == file


FIRST = """
[server]
log = "off"
[kv]
store = "memory:"
[origin]
url = "http://127.0.0.1:9"
[[routes]]
path = "/one"
to = "origin"
"""


async def test_a_switch_changes_what_the_next_request_gets(tmp_path: Path) -> None:
    def loaded(text: str) -> Project:
        return loads(text, tmp_path / "wws.toml", environ={})

    first, second = [await asyncio.to_thread(loaded, text) for text in (FIRST, FIRST.replace("/one", "/two"))]
    it = Process(first, MemoryStore(), asyncio.get_running_loop())
    it.switch(it.prepare(first, first.policy, {}))
    one, two = (Request("GET", path, headers=Headers({"host": "shop.test"})) for path in ("/one", "/two"))
    assert (await it.application(one)).status != 404 and (await it.application(two)).status == 404
    later = it.prepare(second, second.policy, {})
    it.application.gateway.ready = False
    it.switch(later)
    assert (await it.application(one)).status == 404 and (await it.application(two)).status != 404
    assert it.application.own("/readyz").status == 503  # draining goes on
    assert it.application.in_flight == 0 and it.generation is later
    it.close()
