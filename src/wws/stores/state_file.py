"""A store's values as a file: to keep, to look at, or to be read into another store.

JSON lines, UTF-8. The first says what the file is, the last how many records there are and the SHA-256 of every byte before it:

    {"format": "wws-state", "version": 1, "created_at": 1790000000.0, "pepper": "9f86d081884c7d65"}
    {"key": "v1:key:4fXk2p9QmZa", "value": "BASE64", "expires_at": null}
    {"records": 1, "sha256": "..."}

API keys and sessions stand in a store as digests keyed with the pepper, and so in the file; the pepper itself does not. Cached
answers and counts are left out: the ones can be had again, the others are about the last minute.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from hashlib import sha256
from hmac import HMAC
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from wws.bindings import Clock, Kept
from wws.core.cache.key import STORED_PREFIX
from wws.errors import StoreError
from wws.stores import WholeStore

__all__ = ["GROUPS", "Group", "Imported", "checked", "export_state", "group_of", "import_state", "records"]

_FORMAT: Final = "wws-state"
_VERSION: Final = 1
_LINE: Final = 64 * 2**20
"""Characters of one line; a value has at most a few MiB."""
_BATCH: Final = 500
"""Lines that are written or read at a time."""
_REVOKED: Final = "v1:gone"

GROUPS: Final = (
    ("v1:key:", "API keys"),
    ("v1:keyused:", "when API keys were used"),
    ("v1:gonekey:", "revoked API keys"),
    ("v1:sess:", "sessions"),
    ("v1:gone", "purged sessions and users"),
    ("ns:", "KV namespaces"),
    (STORED_PREFIX, "cached answers"),
    ("", "other"),
)
"""What records are, by the beginning of their keys; the first that fits."""


class Group(NamedTuple):
    """The records of one kind: how many, and the bytes of keys and values."""

    name: str
    records: int
    bytes: int


class Imported(NamedTuple):
    """What became of a file's records: written, there already, or expired."""

    written: int
    present: int
    expired: int


class _Record(NamedTuple):
    key: str
    kept: Kept


def group_of(key: str) -> str:
    """What a record is."""
    return next(name for prefix, name in GROUPS if key.startswith(prefix))


async def records(store: WholeStore) -> AsyncIterator[tuple[str, Kept]]:
    """Every value there is, in the order of keys. What changes meanwhile may be in it or not. Raises `StoreError`."""
    cursor: str | None = None
    while True:
        page = await store.list("", cursor)
        for key in page.keys:
            kept = await store.kept(key)
            if kept is not None:
                yield key, kept
        cursor = page.cursor
        if cursor is None:
            return


async def export_state(store: WholeStore, file: Path, pepper: bytes, clock: Clock) -> int:
    """Writes the values of `store` into a new file, mode 0600, which has its name when it is whole; how many.

    Raises `StoreError`, for a file that is there already too. The file is written by a thread.
    """
    new = await asyncio.to_thread(_NewFile, file)
    try:
        head = {"format": _FORMAT, "version": _VERSION, "created_at": clock.time(), "pepper": _mark(pepper)}
        count = 0
        lines: list[dict[str, Any]] = [head]
        async for key, kept in records(store):
            if key.startswith(STORED_PREFIX):
                continue
            lines.append({"key": key, "value": base64.b64encode(kept.value).decode(), "expires_at": kept.expires_at})
            count += 1
            if len(lines) >= _BATCH:
                await asyncio.to_thread(new.write, lines)
                lines = []
        await asyncio.to_thread(new.write, lines)
        await asyncio.to_thread(new.done, {"records": count, "sha256": new.digest.hexdigest()})
    finally:
        await asyncio.to_thread(new.close)
    return count


class _NewFile:
    """A file of mode 0600 that is written under another name until it is `done`. Raises `StoreError`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.digest = sha256()
        if file.exists():
            raise self._taken()
        try:
            handle, self._draft = tempfile.mkstemp(prefix=".state-", dir=file.parent)  # mode 0600
        except OSError as error:
            raise self._failed(error) from error
        self._out = os.fdopen(handle, "wb")

    def write(self, lines: list[dict[str, Any]]) -> None:
        """More lines."""
        data = b"".join([json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n" for line in lines])
        self.digest.update(data)
        try:
            self._out.write(data)
        except OSError as error:
            raise self._failed(error) from error

    def done(self, last: dict[str, Any]) -> None:
        """It is whole and on the disk, and has its name."""
        self.write([last])
        try:
            self._out.flush()
            os.fsync(self._out.fileno())
            os.link(self._draft, self._file)
        except FileExistsError:
            raise self._taken() from None
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Removes the draft."""
        with suppress(OSError):  # of a full disk, which has been told
            self._out.close()
        os.unlink(self._draft)

    def _taken(self) -> StoreError:
        return StoreError(f"{self._file} is there already: name a new file, or move it away")

    def _failed(self, error: OSError) -> StoreError:
        return StoreError(f"{self._file} cannot be written: {error.strerror}")


def checked(file: Path, pepper: bytes) -> int:
    """Reads a file through and changes nothing: how many records it has.

    Raises `StoreError` with the line and what is wrong with it: not this format, changed or cut off since it was written, or
    made under another pepper, whose keys and sessions nobody could use here.
    """
    return sum(1 for _ in _read(file, pepper))


async def import_state(store: WholeStore, file: Path, pepper: bytes, clock: Clock) -> Imported:
    """Writes the records of a file that `checked` finds good into `store`. Raises `StoreError`, before anything is written
    where the file is to blame.

    A key that is in the store already stays as it is: the store's is the newer one, and may be a revocation.
    """
    await asyncio.to_thread(checked, file, pepper)
    written = present = expired = 0
    last: _Record | None = None
    reading = _read(file, pepper)
    while batch := await asyncio.to_thread(lambda: [*islice(reading, _BATCH)]):
        for record in batch:
            now, ends = clock.time(), record.kept.expires_at
            if ends is not None and ends <= now:
                expired += 1
            elif await store.get(record.key) is not None:
                present += 1
            else:
                await _put(store, record, now, durable=record.key.startswith(_REVOKED))
                written += 1
                last = record
    if last is not None:  # what is on the disk after this one, is all of it
        await _put(store, last, clock.time(), durable=True)
    return Imported(written, present, expired)


async def _put(store: WholeStore, record: _Record, now: float, *, durable: bool) -> None:
    ends = record.kept.expires_at
    ttl = None if ends is None else max(ends - now, 0.001)
    await store.put(record.key, record.kept.value, ttl, durable=durable)


def _mark(pepper: bytes) -> str:
    """Tells peppers apart and gives none away."""
    return HMAC(pepper, b"wws state file", "sha256").hexdigest()[:16]


def _read(file: Path, pepper: bytes) -> Iterator[_Record]:
    """The records, checked one by one; the end of the file when that is reached."""
    digest = sha256()
    number = count = 0
    try:
        with file.open("rb") as lines:
            while raw := lines.readline(_LINE):
                number += 1
                fields = _fields(file, number, raw)
                if number == 1:
                    _head(file, fields, pepper)
                elif "records" in fields:
                    if lines.read(1):
                        raise _wrong(file, number, "more follows after the line that should be the last")
                    if fields["records"] != count or fields.get("sha256") != digest.hexdigest():
                        raise _wrong(
                            file, number, "the checksum does not fit: the file was changed or lost a part since it was written"
                        )
                    return
                else:
                    count += 1
                    yield _record(file, number, fields)
                digest.update(raw)
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from error
    raise _wrong(file, number, "the file ends without its last line: it was cut off" if number else "the file is empty")


def _fields(file: Path, number: int, raw: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(raw.decode("utf-8", "surrogatepass"))
    except ValueError:
        raise _wrong(file, number, "not a line of JSON") from None
    if not isinstance(fields, dict):
        raise _wrong(file, number, "not a JSON object")
    return fields


def _head(file: Path, fields: dict[str, Any], pepper: bytes) -> None:
    if fields.get("format") != _FORMAT:
        raise _wrong(file, 1, "not a file of `wws state export`")
    if fields.get("version") != _VERSION:
        found = fields.get("version")
        raise _wrong(
            file, 1, f"version {found!r} of the format, and this program reads version {_VERSION}: use the WWS that wrote it"
        )
    if fields.get("pepper") != _mark(pepper):
        raise _wrong(
            file,
            1,
            "made under another pepper, so no key in it would work here: set WWS_PEPPER, or copy the file `pepper` of that store",
        )


def _record(file: Path, number: int, fields: dict[str, Any]) -> _Record:
    key, value, expires_at = fields.get("key"), fields.get("value"), fields.get("expires_at")
    number_or_none = expires_at is None or (isinstance(expires_at, int | float) and not isinstance(expires_at, bool))
    if not isinstance(key, str) or not key or not isinstance(value, str) or not number_or_none:
        raise _wrong(file, number, "a record has `key` and `value`, which are texts, and `expires_at`, a number or null")
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError:
        raise _wrong(file, number, f"the value of {key!r} is not Base64") from None
    return _Record(key, Kept(data, expires_at))


def _wrong(file: Path, number: int, what: str) -> StoreError:
    return StoreError(f"{file}:{number}: {what}. Nothing was changed.")
