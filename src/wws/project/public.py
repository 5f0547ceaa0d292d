"""The public folder: which file answers which path. The list is made once; what is not on it cannot be asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wws.core.wire.files import ENCODINGS
from wws.errors import Problem

__all__ = ["Asset", "Public", "scan"]

_KINDS: Final = {
    ".avif": "image/avif", ".css": "text/css", ".csv": "text/csv", ".gif": "image/gif", ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon", ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript",
    ".json": "application/json", ".map": "application/json", ".md": "text/markdown", ".mjs": "text/javascript",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4", ".ogg": "audio/ogg", ".pdf": "application/pdf", ".png": "image/png", ".svg": "image/svg+xml",
    ".txt": "text/plain", ".wasm": "application/wasm", ".webm": "video/webm", ".webmanifest": "application/manifest+json",
    ".webp": "image/webp", ".woff": "font/woff", ".woff2": "font/woff2", ".xml": "application/xml", ".zip": "application/zip",
}  # fmt: skip
_TEXT: Final = frozenset({"application/json", "application/manifest+json", "application/xml", "image/svg+xml"})
_SHOWN: Final = frozenset({".well-known"})  # RFC 8615; other names that begin with a dot are nobody's to see
_INDEX: Final = "index.html"
_PAGE: Final = ".html"
NOT_FOUND: Final = "404.html"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. `variants` are the encodings that lie beside it: coding to file and bytes. `modified` is in seconds since 1970.

    `redirect` is the path that a folder's is without its slash.
    """

    file: Path
    size: int
    modified: float
    etag: bytes
    type: bytes
    variants: Mapping[str, tuple[Path, int]] = field(default_factory=dict)
    redirect: str | None = None


@dataclass(frozen=True, slots=True)
class Public:
    """Assets by path, decoded. `missing` is the page for what is not there."""

    root: Path
    assets: Mapping[str, Asset] = field(default_factory=dict)
    missing: Asset | None = None
    problems: tuple[Problem, ...] = ()


def scan(root: Path) -> Public:
    """The folder as it is now; one that is not there serves nothing."""
    problems: list[Problem] = []
    files = {file.relative_to(root).as_posix(): file for file in _files(root, root.resolve(), problems)}
    assets: dict[str, Asset] = {}
    for name, file in files.items():
        beside = {coding: files[name + end] for coding, end in ENCODINGS.items() if name + end in files}
        assets[f"/{name}"] = _asset(file, beside)
    pages: dict[str, Asset] = {}
    for name in files:
        asset = assets[f"/{name}"]
        folder, _, last = name.rpartition("/")
        if last == _INDEX:
            path = f"/{folder}/" if folder else "/"
            pages[path] = asset
            if folder:
                pages.setdefault(f"/{folder}", Asset(asset.file, 0, 0.0, b"", b"", redirect=path))
        elif last.endswith(_PAGE) and name != NOT_FOUND:
            pages[f"/{name.removesuffix(_PAGE)}"] = asset
    return Public(root, {**pages, **assets}, assets.get(f"/{NOT_FOUND}"), tuple(problems))


def _files(folder: Path, root: Path, problems: list[Problem]) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith(".") and entry.name not in _SHOWN:
            continue
        if not entry.resolve().is_relative_to(root):
            problems.append(Problem(str(entry), None, "", "leads out of the folder, so it is not served"))
        elif entry.is_dir():
            yield from _files(entry, root, problems)
        elif entry.is_file():
            yield entry


def _asset(file: Path, beside: Mapping[str, Path]) -> Asset:
    state = file.stat()
    # As nginx makes it: the time of the last change and the size.
    etag = f'"{state.st_mtime_ns:x}-{state.st_size:x}"'.encode()
    variants = {coding: (path, path.stat().st_size) for coding, path in beside.items()}
    return Asset(file, state.st_size, state.st_mtime, etag, _type(file).encode(), variants)


def _type(file: Path) -> str:
    end = file.suffix.lower()
    kind = _KINDS.get(end, "application/octet-stream")
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind in _TEXT else kind
