"""What only the store on disk promises: across processes, across crashes, when it is full or damaged."""

from __future__ import annotations

import asyncio
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from blockbuster import BlockBuster

from tests.stores.contract import in_turns
from tests.support.clock import FakeClock
from wws.errors import StoreError
from wws.stores.lmdb import LmdbStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a" / "state"


@pytest.fixture(params=["apart", "in turns"])
def opened(request: pytest.FixtureRequest) -> Callable[[LmdbStore], LmdbStore]:
    """How it counts: as commands do, and as a gateway does."""
    return in_turns if request.param == "in turns" else lambda store: store


@pytest.fixture
def store(path: Path, clock: FakeClock, opened: Callable[[LmdbStore], LmdbStore]) -> Iterator[LmdbStore]:
    store = opened(LmdbStore(path, clock))
    yield store
    store.close()


@pytest.fixture
def small(path: Path, clock: FakeClock, opened: Callable[[LmdbStore], LmdbStore]) -> Iterator[LmdbStore]:
    """A store that is soon full."""
    store = opened(LmdbStore(path, clock, map_size=256 * 1024))
    yield store
    store.close()


def counted(store: LmdbStore) -> int:
    return store._counts.file.env.stat()["entries"]


def python(code: str, *args: object) -> subprocess.Popen[str]:
    """Another process with this store's code; `main(store, *args)` is what it runs."""
    frame = (
        "import asyncio, sys\nfrom wws.stores.lmdb import LmdbStore\n"
        f"{code}\nstore = LmdbStore(sys.argv[1])\nasyncio.run(main(store, *sys.argv[2:]))\nstore.close()\n"
    )
    argv = [sys.executable, "-c", frame, *map(str, args)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], send: str | None = None) -> str:
    out, _ = process.communicate(send, timeout=30)
    assert process.returncode == 0
    return out


def _is_whole(store: LmdbStore, written: dict[str, int]) -> None:
    """Every record can be read and fits its checksum; the durable ones before `written` are all there."""
    names, cursor, first = set(), None, True
    while first or cursor is not None:
        first = False
        page = asyncio.run(store.list("", cursor))
        names.update(page.keys)
        cursor = page.cursor
    for name in names:
        value = asyncio.run(store.get(name))
        assert value is not None
        assert sha256(value[32:]).digest() == value[:32], name
    for who, count in written.items():
        assert {f"hard:{who}:{n}" for n in range(count)} <= names
    decision = asyncio.run(store.take("count", 10**9, 86400.0))
    assert 10**9 - decision.remaining >= sum(written.values())


class TestProcesses:
    def test_four_processes_admit_exactly_the_limit(self, path: Path) -> None:
        code = """
async def main(store):
    print("ready", flush=True)
    sys.stdin.readline()
    print(sum([(await store.take("k", 37, 3600.0)).allowed for _ in range(200)]))
"""
        racers = [python(code, path) for _ in range(4)]
        for racer in racers:
            assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
        admitted = [int(ended(racer, "go\n")) for racer in racers]
        assert sum(admitted) == 37

    def test_one_process_sees_what_another_wrote(self, path: Path) -> None:
        """As the command line does while the gateway runs."""
        store = LmdbStore(path)
        try:
            asyncio.run(store.put("from here", "1", durable=True))
            other = python(
                """
async def main(store):
    await store.put("from there", await store.get("from here"))
    await store.delete("from here")
""",
                path,
            )
            ended(other)
            assert asyncio.run(store.get("from there")) == b"1"
            assert asyncio.run(store.get("from here")) is None
        finally:
            store.close()

    def test_what_was_acknowledged_outlives_a_kill(self, path: Path) -> None:
        writer = python(
            """
async def main(store):
    for n in range(100_000):
        await store.put(f"d{n}", str(n), durable=True)
        await store.take("k", 100_000, 86400.0)
        print(n, flush=True)
""",
            path,
        )
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        last = int([line for line in lines if line.endswith("\n")][-1])
        writer.communicate()
        store = LmdbStore(path)
        try:
            for n in range(last + 1):
                assert asyncio.run(store.get(f"d{n}")) == str(n).encode()
            decision = asyncio.run(store.take("k", 100_000, 86_400.0))
            assert 100_000 - decision.remaining >= last + 2, "counts outlive the process that made them"
        finally:
            store.close()

    def test_killed_again_and_again_it_is_never_damaged(self, path: Path) -> None:
        """Two processes write, and are killed at moments nobody chose. Every value that was acknowledged as durable is there,
        every value there is whole, and every count that was taken is counted."""
        code = """
import hashlib, random
async def main(store, who, begin):
    n = int(begin)
    while True:
        body = random.randbytes(random.randrange(1, 20_000))
        value = hashlib.sha256(body).digest() + body
        await store.put(f"soft:{who}:{n % 50}", value, 3600.0)
        if n % 3 == 0:
            await store.delete(f"soft:{who}:{(n * 7) % 50}")
        await store.take("count", 10**9, 86400.0)
        await store.put(f"hard:{who}:{n}", value, durable=True)
        print(n, flush=True)
        n += 1
"""
        begin, chance = {"a": 0, "b": 0}, Random(7)
        for _ in range(8):
            writers = {who: python(code, path, who, n) for who, n in begin.items()}
            for writer in writers.values():
                assert writer.stdout is not None
                writer.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.25))
            for who, writer in writers.items():
                writer.send_signal(signal.SIGKILL)
                assert writer.stdout is not None
                lines = writer.stdout.readlines()
                writer.communicate()
                whole = [int(line) for line in lines if line.endswith("\n")]
                begin[who] = (whole[-1] if whole else begin[who]) + 1
            store = LmdbStore(path)
            try:
                _is_whole(store, begin)
            finally:
                store.close()

    def test_one_object_per_process(self, path: Path, store: LmdbStore) -> None:
        with pytest.raises(StoreError, match="already open in this process"):
            LmdbStore(path)


class TestRestart:
    def test_everything_is_there_again(self, path: Path, clock: FakeClock) -> None:
        first = LmdbStore(path, clock)

        async def fill() -> None:
            await first.put("pending at the end", "1")
            await first.put("k", "v", 60.0)
            await first.take("c", 5, 60.0, 5)

        asyncio.run(fill())
        first.close()
        first.close()
        again = LmdbStore(path, clock)
        try:
            assert asyncio.run(again.get("pending at the end")) == b"1"
            assert asyncio.run(again.get("k")) == b"v"
            assert not asyncio.run(again.take("c", 5, 60.0)).allowed
            clock.advance(61)
            assert asyncio.run(again.get("k")) is None
        finally:
            again.close()

    def test_after_a_reboot_values_stay_and_counting_begins_anew(self, path: Path, clock: FakeClock) -> None:
        first = LmdbStore(path, clock)
        asyncio.run(first.put("k", "v"))
        asyncio.run(first.take("c", 5, 60.0, 5))
        first.close()
        (path / "counters.boot").write_text("the boot before")
        again = LmdbStore(path, clock)
        try:
            assert asyncio.run(again.get("k")) == b"v"
            assert asyncio.run(again.take("c", 5, 60.0, 5)).allowed
        finally:
            again.close()

    def test_unreadable_counts_are_begun_anew(self, path: Path, clock: FakeClock) -> None:
        LmdbStore(path, clock).close()
        (path / "counters.mdb").write_bytes(b"\xa5" * 65536)
        again = LmdbStore(path, clock)
        try:
            assert asyncio.run(again.take("c", 5, 60.0)).allowed
        finally:
            again.close()

    def test_unreadable_values_are_never_thrown_away(self, path: Path, clock: FakeClock) -> None:
        LmdbStore(path, clock).close()
        (path / "kv.mdb").write_bytes(b"\xa5" * 65536)
        with pytest.raises(StoreError, match="kv.mdb is damaged or no store of this version: move it away"):
            LmdbStore(path, clock)
        assert (path / "kv.mdb").read_bytes() == b"\xa5" * 65536


class TestPlace:
    def test_only_the_owner_may_look(self, path: Path, store: LmdbStore) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((path / "kv.mdb").stat().st_mode) == 0o600
        assert stat.S_IMODE((path / "counters.mdb").stat().st_mode) == 0o600

    def test_a_file_where_the_directory_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "state").write_text("mine")
        with pytest.raises(StoreError, match="state cannot be used as a store: "):
            LmdbStore(tmp_path / "state")

    async def test_used_after_closing(self, path: Path, clock: FakeClock, store: LmdbStore) -> None:
        await asyncio.get_running_loop().run_in_executor(None, store.close)
        for call in (store.get("k"), store.put("k", "v"), store.take("k", 5, 60.0), store.give("k", 5, 60.0), store.list()):
            with pytest.raises(StoreError, match="closed"):
                await call


class TestFull:
    async def test_counts_that_may_be_forgotten_make_room(self, small: LmdbStore, clock: FakeClock) -> None:
        admitted = 0
        for n in range(20_000):
            admitted += (await small.take(f"k{n}", 5, 1.0)).allowed
            clock.advance(0.01)
        assert admitted == 20_000

    async def test_everything_expiring_at_once_makes_room(self, small: LmdbStore, clock: FakeClock) -> None:
        """The worst case for LMDB: the file is full to the last page, and a removal needs pages too."""
        for last in (62.0, 300.0):
            with pytest.raises(StoreError):
                for n in range(20_000):
                    await small.take(f"k{clock.time()}{n}", 5, 60.0)
            clock.advance(last)
            for n in range(500):
                assert (await small.take(f"n{n}", 5, 60.0)).allowed

    async def test_full_of_counts_that_are_needed(self, small: LmdbStore) -> None:
        with pytest.raises(StoreError, match=r"counters.mdb is full at 0.25 MiB: give it more, .*map_size=1GiB"):
            for n in range(20_000):
                await small.take(f"k{n}", 5, 60.0)
        assert not (await small.take("k0", 1, 60.0)).allowed, "and still counts what it holds"

    async def test_full_of_values(self, small: LmdbStore, clock: FakeClock) -> None:
        with pytest.raises(StoreError, match="kv.mdb is full"):
            for n in range(2000):
                await small.put(f"k{n}", "v" * 1000, 60.0, durable=True)
        assert await small.get("k0") == b"v" * 1000
        clock.advance(61)
        await small.put("now", "there is room", durable=True)
        assert await small.get("now") == b"there is room"

    async def test_a_write_that_failed_unseen_is_told_at_the_next(self, small: LmdbStore, clock: FakeClock) -> None:
        with pytest.raises(StoreError, match="kv.mdb is full"):
            for n in range(2000):
                await small.put(f"k{n}", "v" * 1000, 60.0)
                await small.list(limit=1)  # waits for what is pending
        clock.advance(61)
        await small.put("now", "there is room", durable=True)
        assert await small.get("now") == b"there is room"

    def test_or_at_the_end(self, path: Path, clock: FakeClock) -> None:
        store = LmdbStore(path, clock, map_size=64 * 1024)

        async def fill() -> None:
            for n in range(200):
                await store.put(f"k{n}", "v" * 1000, durable=True)

        with pytest.raises(StoreError, match="kv.mdb is full"):
            asyncio.run(fill())
        asyncio.run(store.put("one", "more"))
        with pytest.raises(StoreError, match="kv.mdb is full"):
            store.close()
        store.close()

    async def test_what_is_removed_makes_room(self, small: LmdbStore) -> None:
        with pytest.raises(StoreError, match="kv.mdb is full"):
            for n in range(2000):
                await small.put(f"k{n}", "v" * 1000, durable=True)
        for n in range(50):
            await small.delete(f"k{n}")
        await small.put("now", "there is room", durable=True)
        assert await small.get("k0") is None and await small.get("now") is not None

    async def test_cached_answers_make_room_and_nothing_else_does(self, small: LmdbStore) -> None:
        for n in range(40):
            await small.put(f"v1:key:{n}", "k" * 1000, durable=True)
        for n in range(400):
            await small.put(f"v1:cache:{n:04}", "a" * 1000, 600.0)
            await small.list(limit=1)  # waits for what is pending
        await small.put("v1:sess:x", "s" * 1000, 600.0, durable=True)
        for n in range(40):
            assert await small.get(f"v1:key:{n}") == b"k" * 1000
        assert await small.get("v1:sess:x") is not None
        cached = [n for n in range(400) if await small.get(f"v1:cache:{n:04}") is not None]
        assert 20 < len(cached) < 300
        assert small._kv.used <= small._kv.size + 64 * 1024

    async def test_revocations_are_written_into_a_full_store(self, small: LmdbStore) -> None:
        """What nobody waits for is refused, and told at the next write; what must be on the disk has a reserve."""
        with pytest.raises(StoreError, match=r"kv.mdb is full"):
            for n in range(2000):
                await small.put(f"k{n}", "v" * 1000)
                await small.list(limit=1)
        for n in range(10):
            await small.put(f"v1:gonekey:{n}", b"1", durable=True)
            assert await small.get(f"v1:gonekey:{n}") == b"1"
        await small.put("one", "more")
        await small.list(limit=1)
        assert await small.get("one") is None
        with pytest.raises(StoreError, match=r"kv.mdb is full"):
            await small.put("two", "more")

    async def test_what_shares_a_commit_shares_no_failure(self, small: LmdbStore) -> None:
        with pytest.raises(StoreError, match=r"kv.mdb is full"):
            for n in range(2000):
                await small.put(f"k{n}", "v" * 1000)
                await small.list(limit=1)
        refused = small.put("session", "s" * 100)
        revoked = small.put("v1:gonekey:a", b"1", durable=True)
        await asyncio.gather(refused, revoked)
        assert await small.get("v1:gonekey:a") == b"1"
        assert await small.get("session") is None
        with pytest.raises(StoreError, match=r"kv.mdb is full"):
            await small.delete("session")

    async def test_the_files_and_their_room(self, small: LmdbStore) -> None:
        await small.put("k", "v" * 10_000, durable=True)
        (values, used, size), (counts, _, _) = small.files()
        assert (values, counts, size) == ("kv.mdb", "counters.mdb", 256 * 1024)
        assert 10_000 < used < size

    async def test_writers_wait_for_a_disk_that_is_slow(self, store: LmdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wws.stores.lmdb_commit._MOST_PENDING", 10)
        for n in range(200):
            await store.put(f"k{n}", "v")
            assert len(store._writes.pending) <= 10
        assert len((await store.list()).keys) == 200


class TestExpiry:
    async def test_counts_of_passing_callers_do_not_pile_up(self, store: LmdbStore, clock: FakeClock) -> None:
        most = 0
        for n in range(10_000):
            await store.take(f"k{n}", 5, 1.0)
            clock.advance(0.01)
            most = max(most, counted(store))
        assert most < 1000, "about a hundred of them are needed at any time"

    async def test_expired_values_do_not_pile_up(self, store: LmdbStore, clock: FakeClock) -> None:
        for n in range(500):
            await store.put(f"k{n}", "v", 1.0, durable=True)
            clock.advance(0.5)
        assert store._kv.env.stat()["entries"] < 50

    async def test_sweeping_in_bounded_steps(self, store: LmdbStore, clock: FakeClock) -> None:
        for n in range(100):
            await store.put(f"k{n:02}", "v", 10.0 if n % 2 else None)
            await store.take(f"k{n:02}", 5, 10.0 if n % 2 else 3600.0)
        assert (await store.list("nobody")).keys == []
        assert await store.sweep() == 0
        clock.advance(20)
        steps = [await store.sweep(20) for _ in range(6)]
        assert steps == [20, 20, 20, 20, 20, 0]
        assert counted(store) == 50 and len((await store.list()).keys) == 50

    async def test_a_page_over_many_expired_keys_ends(
        self, store: LmdbStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wws.stores.lmdb._SCANNED", 10)
        for n in range(30):
            await store.put(f"k{n:02}", "v", 10.0 if n < 25 else None)
        await store.put("last", "v", durable=True)
        clock.advance(20)
        page = await store.list("k")
        assert page == ([], "k09")
        pages = [page := await store.list("k", page.cursor) for _ in range(2)]
        assert pages == [([], "k19"), (["k25", "k26", "k27", "k28", "k29"], None)]


class TestWrites:
    async def test_a_write_is_read_before_it_is_committed(self, store: LmdbStore) -> None:
        await store.put("k", "1", durable=True)
        await store.put("k", "2")
        assert await store.get("k") == b"2"
        deleting = asyncio.ensure_future(store.delete("k"))
        await asyncio.sleep(0)
        assert await store.get("k") is None
        await store.put("k", "3")
        await deleting
        assert await store.get("k") == b"3"
        assert (await store.list()).keys == ["k"]

    async def test_many_writes_share_a_commit(self, store: LmdbStore) -> None:
        before = store._kv.env.info()["last_txnid"]
        await asyncio.gather(*(store.put(f"k{n}", "v", durable=True) for n in range(500)))
        assert store._kv.env.info()["last_txnid"] - before <= 3

    async def test_a_waiter_that_gives_up_does_not_stop_the_commit(self, store: LmdbStore) -> None:
        waiters = [asyncio.ensure_future(store.put(f"k{n}", "v", durable=True)) for n in range(3)]
        await asyncio.sleep(0)
        waiters[0].cancel()
        await asyncio.gather(*waiters[1:])
        assert await store.get("k0") == b"v"
        assert len((await store.list()).keys) == 3

    async def test_closing_keeps_what_is_under_way(self, path: Path, clock: FakeClock, _no_blocking_calls: BlockBuster) -> None:
        """As the gateway does when it is stopped: from inside the event loop, which may be blocked then."""
        _no_blocking_calls.deactivate()
        first = LmdbStore(path, clock)
        await first.put("k0", "v")
        await asyncio.sleep(0)  # its commit has begun
        waiters = [asyncio.ensure_future(first.put(f"k{n}", "v", durable=True)) for n in range(1, 20)]
        await asyncio.sleep(0)
        first.close()
        await asyncio.gather(*waiters)
        again = LmdbStore(path, clock)
        assert len((await again.list()).keys) == 20
        again.close()
        _no_blocking_calls.activate()

    def test_one_store_serves_one_event_loop_after_another(self, store: LmdbStore) -> None:
        for n in range(5):
            asyncio.run(store.put(f"k{n}", str(n)))  # ends while its commit is under way
            assert f"k{n}" in asyncio.run(store.list()).keys
            asyncio.run(store.put(f"k{n}", "again"))
            asyncio.run(store.put(f"d{n}", str(n), durable=True))
        assert len(asyncio.run(store.list()).keys) == 10


async def test_another_process_sees_the_epoch_change(store: LmdbStore, path: Path) -> None:
    before = store.epoch()
    await store.put("a", "1")
    assert store.epoch() == before
    code = """
async def main(store):
    await store.put("b", "2")
    print(store.epoch(), end=" ")
    await store.put("gone", "1", durable=True)
    print(store.epoch())
"""
    first, second = ended(python(code, path)).split()
    assert int(first) == before and int(second) == store.epoch() != before
    assert await store.get("gone") == b"1"
