from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wws.project import bundle
from wws.project.bundle import BundleError, open_bundle, pack, unpack

FILES = {"wws.toml": b'name = "p"\n', "functions/hello.py": b"x = 1\n", "public/a.bin": bytes(range(256))}


def packed(files: dict[str, bytes] | None = None) -> bytes:
    return pack("p", "1.0", "abc", FILES if files is None else files)[1]


def rewritten(change: Callable[[list[tuple[str, bytes]]], object], method: int = zipfile.ZIP_STORED) -> bytes:
    """The bundle of FILES with its members changed."""
    with zipfile.ZipFile(io.BytesIO(packed())) as archive:
        members = [(member.filename, archive.read(member)) for member in archive.infolist()]
    change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def test_there_and_back(tmp_path: Path) -> None:
    version, data = pack("p", "1.0", "abc", FILES)
    opened = open_bundle(data)
    assert (opened.version, opened.files) == (version, FILES)
    assert opened.manifest["files"]["wws.toml"]["size"] == 11
    unpack(opened, tmp_path / "v")
    assert {path.relative_to(tmp_path / "v").as_posix(): path.read_bytes() for path in (tmp_path / "v").rglob("*.*")} == FILES


def test_the_same_files_give_the_same_bytes_in_any_order() -> None:
    names = list(FILES)
    random.Random(1).shuffle(names)
    assert packed({name: FILES[name] for name in names}) == packed() == packed({name: FILES[name] for name in reversed(names)})


def test_every_change_is_another_version() -> None:
    versions = {
        pack("p", "1.0", "abc", FILES)[0],
        pack("q", "1.0", "abc", FILES)[0],
        pack("p", "1.1", "abc", FILES)[0],
        pack("p", "1.0", "abd", FILES)[0],
        pack("p", "1.0", "abc", {**FILES, "public/a.bin": b""})[0],
        pack("p", "1.0", "abc", {**FILES, "public/b.bin": b""})[0],
    }
    assert len(versions) == 6


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no bundle"),
        (b"PK\x03\x04 and nothing", "no bundle"),
        (packed()[:-30], "no bundle"),
        (rewritten(lambda m: m.pop(0)), "its first member"),
        (rewritten(lambda m: m.append(("../evil.py", b""))), "'../evil.py' is no name"),
        (rewritten(lambda m: m.append(("/etc/cron.d/x", b""))), "is no name"),
        (rewritten(lambda m: m.append((".dev.vars", b"A=1"))), "is no name"),
        (rewritten(lambda m: m.append(("public/more.txt", b""))), "not listed"),
        (rewritten(lambda m: m.pop()), "is missing"),
        (rewritten(lambda m: m.pop(1)), "'functions/hello.py' is listed but missing"),
        (rewritten(lambda m: m.__setitem__(1, (m[1][0], b"x = 2\n"))), "'functions/hello.py' is not what"),
        (rewritten(lambda m: m.__setitem__(0, (m[0][0], b"[]"))), "lacks one of"),
        (rewritten(lambda m: m.__setitem__(0, (m[0][0], b"{"))), "not JSON"),
        (rewritten(lambda m: m.__setitem__(0, (m[0][0], m[0][1].replace(b'"format":1', b'"format":2')))), "format 2"),
        (rewritten(lambda m: None, zipfile.ZIP_DEFLATED), "compressed"),
    ],
)
def test_what_is_no_good_bundle(data: bytes, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        open_bundle(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice() -> None:
    with pytest.raises(BundleError, match="twice"):
        open_bundle(rewritten(lambda m: m.append(m[-1])))


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_MANIFEST_BYTES", 0)
    with pytest.raises(BundleError, match="bytes unpacked; allowed: 10"):
        open_bundle(packed(), 10)
    monkeypatch.setattr(bundle, "MAX_FILES", 2)
    with pytest.raises(BundleError, match="3 files; allowed in a bundle: 2 files"):
        packed()
    monkeypatch.setattr(bundle, "MAX_BYTES", 100)
    with pytest.raises(BundleError, match="100 bytes together"):
        packed({"wws.toml": b"x" * 101})


@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(0, 255))
@example(b"", 1143, 4)  # a directory that begins before the file does
def test_nothing_but_a_bundle_error_comes_of_broken_bytes(junk: bytes, place: int, byte: int) -> None:
    whole = bytearray(packed())
    whole[place % len(whole)] = byte
    for data in (junk, bytes(whole)):
        try:
            opened = open_bundle(data)
        except BundleError:
            continue
        assert opened.files == FILES


def test_the_manifest_is_readable() -> None:
    with zipfile.ZipFile(io.BytesIO(packed())) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert set(manifest) == {"format", "name", "wws", "policy", "source", "files"}
