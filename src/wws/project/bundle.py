"""A bundle: one file that holds a version of a project, whole and checked, and the same bytes whenever the project is the same.

It is a zip archive (PKWARE APPNOTE 6.3) of stored members: `manifest.json` first, then the project's files in order of their
names, all with the time 1980-01-01. Stored, because two versions of zlib may compress the same bytes differently.

    {"format": 1, "name": ..., "wws": ..., "policy": ..., "source": ..., "files": {NAME: {"sha256": ..., "size": ...}}}

`version` of a bundle is the beginning of the SHA-256 of its manifest, so two bundles with one version hold the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wws.errors import WwsError
from wws.project.files import CONFIG, acceptable

__all__ = ["FORMAT", "MANIFEST", "MAX_BYTES", "MAX_FILES", "SUFFIX", "Bundle", "BundleError", "open_bundle", "pack", "unpack"]

FORMAT = 1
MANIFEST = "manifest.json"
SUFFIX = ".wws"
MAX_BYTES = 64 * 1024 * 1024
"""Of a bundle, its files together: what Cloudflare takes as one worker (developers.cloudflare.com/workers/platform/limits)."""
MAX_FILES = 20_000
"""Files of a bundle: what Cloudflare takes as static assets of one worker."""
_VERSION = 12  # hexadecimal digits: 48 bits, for one project's versions
_MANIFEST_BYTES = 4 * 1024 * 1024
_BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
"""What `zipfile` raises for bytes that are no archive; ValueError for one whose directory lies before its beginning."""
_TIME = (1980, 1, 1, 0, 0, 0)
_KEYS = {"format": int, "name": str, "wws": str, "policy": str, "source": str, "files": dict}


class BundleError(WwsError):
    """This is no bundle, or a broken one; the message says what was found where."""


class Bundle(NamedTuple):
    """What a bundle says and holds: `files` by name, wws.toml among them."""

    version: str
    manifest: dict[str, Any]
    files: dict[str, bytes]


def pack(name: str, wws: str, policy: str, files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """The version and the bytes of a bundle of `files`. `policy` is the version of its policy. Raises `BundleError`."""
    if len(files) > MAX_FILES or (size := sum(map(len, files.values()))) > MAX_BYTES:
        found = f"{len(files)} files" if len(files) > MAX_FILES else f"{size} bytes"
        raise BundleError(f"the project has {found}; allowed in a bundle: {MAX_FILES} files of {MAX_BYTES} bytes together")
    listed = {path: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for path, data in sorted(files.items())}
    source = hashlib.sha256(_encode(listed)).hexdigest()
    manifest = _encode({"format": FORMAT, "name": name, "wws": wws, "policy": policy, "source": source, "files": listed})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, data in ((MANIFEST, manifest), *sorted(files.items())):
            member = zipfile.ZipInfo(path, _TIME)
            member.create_system, member.external_attr = 3, 0o100644 << 16  # a plain file of Unix
            archive.writestr(member, data)
    return _version(manifest), out.getvalue()


def open_bundle(data: bytes, most: int = MAX_BYTES) -> Bundle:
    """Reads and verifies a bundle: every name, size and digest. Nothing is written. Raises `BundleError`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _bounded(members, most)
            if not members or members[0].filename != MANIFEST:
                raise BundleError(f"no bundle: its first member is not {MANIFEST}; `wws build` makes one")
            raw = archive.read(members[0])
            manifest = _manifest(raw)
            files = {member.filename: archive.read(member) for member in members[1:]}
    except _BROKEN as error:
        raise BundleError(f"no bundle: {str(error) or type(error).__name__}; `wws build` makes one") from None
    _same(manifest["files"], files)
    return Bundle(_version(raw), manifest, files)


def unpack(bundle: Bundle, folder: Path) -> None:
    """Writes the files of a verified bundle below `folder`, which must not exist. Raises `OSError`."""
    folder.mkdir(parents=True)
    for name, data in bundle.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _version(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:_VERSION]


def _bounded(members: list[zipfile.ZipInfo], most: int) -> None:
    """What the archive's directory says, before anything is unpacked; zipfile reads no more of a member than stands there."""
    if len(members) > MAX_FILES + 1:
        raise BundleError(f"{len(members)} members; allowed: {MAX_FILES}")
    if (size := sum([member.file_size for member in members])) > most + _MANIFEST_BYTES:
        raise BundleError(f"{size} bytes unpacked; allowed: {most}")
    seen: set[str] = set()
    for member in members:
        name = member.filename
        if name in seen:
            raise BundleError(f"{name!r} is in it twice")
        seen.add(name)
        if name != MANIFEST and not acceptable(name):
            raise BundleError(f"{name!r} is no name of a project's file; allowed: {CONFIG}, functions/..., public/...")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise BundleError(f"{name!r} is compressed or encrypted; allowed: stored")


def _manifest(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise BundleError(f"{MANIFEST} is not JSON") from None
    if not isinstance(found, dict) or any(type(found.get(key)) is not kind for key, kind in _KEYS.items()):
        raise BundleError(f"{MANIFEST} lacks one of {', '.join(_KEYS)}")
    if found["format"] != FORMAT:
        raise BundleError(f"{MANIFEST} is of format {found['format']}; this WWS reads format {FORMAT}")
    return found


def _same(listed: dict[str, Any], files: Mapping[str, bytes]) -> None:
    if CONFIG not in files:
        raise BundleError(f"{CONFIG} is missing")
    if listed.keys() != files.keys():
        odd = sorted(listed.keys() ^ files.keys())[0]
        raise BundleError(f"{odd!r} is {'listed but missing' if odd in listed else 'not listed in ' + MANIFEST}")
    for name, data in files.items():
        said = listed[name]
        digest = hashlib.sha256(data).hexdigest()
        if not isinstance(said, dict) or said.get("sha256") != digest or said.get("size") != len(data):
            raise BundleError(f"{name!r} is not what {MANIFEST} says: its SHA-256 is {digest}")
