from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from wws.stores import open_store
from wws.stores.lmdb import LmdbStore
from wws.stores.memory import MemoryStore
from wws.stores.redis import RedisStore


def test_memory(tmp_path: Path, clock: FakeClock) -> None:
    assert isinstance(open_store("memory:", tmp_path, clock), MemoryStore)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["lmdb:./.wws/state", "lmdb:.wws/state", "lmdb:{base}/.wws/state"])
def test_lmdb_below_the_projects_folder(url: str, tmp_path: Path) -> None:
    store = open_store(url.format(base=tmp_path), tmp_path)
    assert isinstance(store, LmdbStore)
    store.close()
    assert (tmp_path / ".wws" / "state" / "kv.mdb").exists()


def test_lmdb_with_a_size(tmp_path: Path) -> None:
    store = open_store("lmdb:state?map_size=32MiB", tmp_path)
    store.close()
    assert 32 * 2**20 < (tmp_path / "state" / "counters.mdb").stat().st_size < 48 * 2**20


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", 'allowed are "memory:", "lmdb:DIRECTORY"'),
        ("memory", 'is not an address: allowed are "memory:"'),
        ("memory:x", "write just memory:"),
        ("lmdb:", "names no directory"),
        ("lmdb:?map_size=1GiB", "names no directory"),
        ("lmdb:x?size=1", "unknown option 'size'"),
        ("lmdb:x?map_size=", "not ''"),
        ("lmdb:x?map_size=1GB", "not '1GB'"),
        ("lmdb:x?map_size=0MiB", "a size such as 512MiB"),
        ("lmdb:x?map_size=99999999GiB", "a size such as"),
        ("redis://", "a host that is none"),
        ("redis:localhost", "no address of Redis"),
        ("valkey://localhost", "unknown scheme 'valkey'"),
        ("sqlite:x.db", "unknown scheme 'sqlite'"),
        ("/var/lib/wws", "is not an address"),
    ],
)
def test_errors_name_what_is_allowed(url: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as error:
        open_store(url, tmp_path)
    assert says in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_redis_is_not_connected_to_before_it_is_used(tmp_path: Path) -> None:
    store = open_store("redis://nobody:secret@127.0.0.1:1/2", tmp_path)
    assert isinstance(store, RedisStore)
    assert str(store.address) == "redis://127.0.0.1:1/2"
    store.close()


def test_a_project_in_memory_loads_no_lmdb_and_no_client_of_redis() -> None:
    code = """import sys; from wws.stores import open_store; open_store('memory:', None)
sys.exit(bool({'lmdb', 'redis', 'hiredis'} & sys.modules.keys()))"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
