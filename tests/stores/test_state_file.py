"""A store's values as a file, and from the file into another store."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from wws.errors import StoreError
from wws.stores.memory import MemoryStore
from wws.stores.state_file import Imported, checked, export_state, group_of, import_state, records

PEPPER = b"p" * 32

VALUES = {
    "v1:key:a": b'{"hash":"00"}',
    "v1:gonekey:b": b"1",
    "ns:VISITS:Zürich\ud800": b"\x00\xff",
    "n" * 600: b"long",
    "v1:sess:00": b"s",
}


async def fill(store: MemoryStore) -> None:
    for key, value in VALUES.items():
        if "\ud800" not in key:
            await store.put(key, value, 600.0 if key.startswith("v1:sess:") else None)
    await store.put("v1:cache:00", b"an answer", 600.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.jsonl"


@pytest.fixture
async def full(clock: FakeClock) -> MemoryStore:
    store = MemoryStore(clock)
    await fill(store)
    return store


def looked_at(file: Path) -> tuple[str, bytes, list[str]]:
    """Its mode, what is in it, and what is in its folder."""
    return oct(file.stat().st_mode)[-3:], file.read_bytes(), [path.name for path in file.parent.iterdir()]


def put(file: Path, content: bytes) -> None:
    file.write_bytes(content)


async def test_the_file_is_its_owner_s_and_holds_no_pepper(full: MemoryStore, file: Path, clock: FakeClock) -> None:
    await export_state(full, file, PEPPER, clock)
    mode, text, names = looked_at(file)
    assert mode == "600"
    assert PEPPER not in text and PEPPER.hex().encode() not in text
    assert b"an answer" not in text
    assert names == [file.name]  # no draft is left


async def test_what_expired_meanwhile_is_left_out(full: MemoryStore, file: Path, clock: FakeClock) -> None:
    await export_state(full, file, PEPPER, clock)
    clock.advance(601)
    other = MemoryStore(clock)
    assert await import_state(other, file, PEPPER, clock) == Imported(3, 0, 1)
    assert await other.get("v1:sess:00") is None


async def test_what_is_there_is_newer(full: MemoryStore, file: Path, clock: FakeClock) -> None:
    """A session that was purged after the export stays purged."""
    await export_state(full, file, PEPPER, clock)
    await full.put("v1:sess:00", b"refused")
    assert await import_state(full, file, PEPPER, clock) == Imported(0, 4, 0)
    assert await full.get("v1:sess:00") == b"refused"


async def test_a_file_that_is_there_stays(full: MemoryStore, file: Path, clock: FakeClock) -> None:
    put(file, b"precious")
    with pytest.raises(StoreError, match="is there already"):
        await export_state(full, file, PEPPER, clock)
    assert looked_at(file)[1] == b"precious"


async def test_a_folder_that_is_not_there(full: MemoryStore, file: Path, clock: FakeClock) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        await export_state(full, file.parent / "nowhere" / "x", PEPPER, clock)
    with pytest.raises(StoreError, match="cannot be read"):
        await asyncio.to_thread(checked, file.parent / "nowhere", PEPPER)


async def test_an_export_that_fails_leaves_no_file(full: MemoryStore, file: Path, clock: FakeClock) -> None:
    class Failing(MemoryStore):
        async def kept(self, key: str) -> None:
            raise StoreError("gone")

    store = Failing(clock)
    await fill(store)
    with pytest.raises(StoreError, match="gone"):
        await export_state(store, file, PEPPER, clock)
    assert list(file.parent.iterdir()) == []


def edited(lines: list[bytes], at: int, line: str) -> bytes:
    """The lines with another one at a place, and the checksum that fits them."""
    changed = [*lines[:-1]]
    changed[at] = line.encode() + b"\n"
    last = json.loads(lines[-1])
    last["sha256"] = sha256(b"".join(changed)).hexdigest()
    return b"".join(changed) + json.dumps(last).encode() + b"\n"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda lines: b"", r":0: the file is empty"),
        (lambda lines: b"".join(lines[:-1]), r":5: the file ends without its last line"),
        (lambda lines: b"".join(lines[:1]), r":1: the file ends without its last line"),
        (lambda lines: b"".join([*lines[:2], *lines[3:]]), r":5: the checksum does not fit"),
        (lambda lines: b"".join([*lines, lines[1]]), r":6: more follows"),
        (lambda lines: b"".join(lines).replace(b'"value": "', b'"value": "AAAA', 1), r":6: the checksum does not fit"),
        (lambda lines: b"".join([b"not json\n", *lines]), r":1: not a line of JSON"),
        (lambda lines: b"".join([b"[]\n", *lines]), r":1: not a JSON object"),
        (lambda lines: b"".join([b"{}\n", *lines]), r":1: not a file of `wws state export`"),
        (lambda lines: b"".join(lines).replace(b'"version": 1', b'"version": 2', 1), r":1: version 2 of the format"),
        (lambda lines: edited(lines, 1, '{"key": "k", "value": "?"}'), r":2: the value of 'k' is not Base64"),
        (lambda lines: edited(lines, 1, '{"key": "", "value": ""}'), r":2: a record has `key` and `value`"),
        (lambda lines: edited(lines, 1, '{"key": "k", "value": "", "expires_at": true}'), r":2: a record has"),
        (lambda lines: edited(lines, 2, '{"key": "k", "value": "", "expires_at": "soon"}'), r":3: a record has"),
    ],
)  # fmt: skip
async def test_a_file_that_is_not_good_changes_nothing(
    damage: object, says: str, full: MemoryStore, file: Path, clock: FakeClock
) -> None:
    await export_state(full, file, PEPPER, clock)
    lines = looked_at(file)[1].splitlines(keepends=True)
    assert len(lines) == 6
    put(file, damage(lines))  # type: ignore[operator]
    other = MemoryStore(clock)
    with pytest.raises(StoreError, match=says) as caught:
        await import_state(other, file, PEPPER, clock)
    assert str(caught.value).endswith("Nothing was changed.")
    assert len(other) == 0


async def test_another_pepper_is_noticed(full: MemoryStore, file: Path, clock: FakeClock) -> None:
    await export_state(full, file, PEPPER, clock)
    with pytest.raises(StoreError, match=r":1: made under another pepper.*WWS_PEPPER"):
        await asyncio.to_thread(checked, file, b"q" * 32)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300), st.binary(max_size=300), max_size=20))
def test_any_keys_and_values_come_back(tmp_path_factory: pytest.TempPathFactory, values: dict[str, bytes]) -> None:
    clock, file = FakeClock(), tmp_path_factory.mktemp("state") / "file"

    async def there_and_back() -> dict[str, bytes]:
        store, other = MemoryStore(clock), MemoryStore(clock)
        for key, value in values.items():
            await store.put(key, value)
        await export_state(store, file, PEPPER, clock)
        await import_state(other, file, PEPPER, clock)
        return {key: kept.value async for key, kept in records(other)}

    kept = {key: value for key, value in values.items() if not key.startswith("v1:cache:")}
    assert asyncio.run(there_and_back()) == kept


def test_what_records_are() -> None:
    names = [
        group_of(key)
        for key in ("v1:key:a", "v1:keyused:a", "v1:gonekey:a", "v1:gone:a", "v1:sess:a", "v1:cache:a", "ns:V:a", "x")
    ]
    assert names == [
        "API keys", "when API keys were used", "revoked API keys",
        "purged sessions and users", "sessions", "cached answers", "KV namespaces", "other"
    ]  # fmt: skip
