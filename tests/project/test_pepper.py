from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from wws.errors import ConfigError
from wws.project.pepper import FILE, LENGTH, VARIABLE, pepper

STORE = "lmdb:./.wws/state"


def test_it_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    made = pepper(STORE, tmp_path, {})
    file = tmp_path / ".wws" / "state" / FILE
    assert len(made) == LENGTH
    assert file.read_bytes() == made
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert pepper(STORE, tmp_path, {}) == made
    assert os.listdir(file.parent) == [FILE]


def test_another_store_has_another(tmp_path: Path) -> None:
    assert pepper(STORE, tmp_path, {}) != pepper("lmdb:other", tmp_path, {})


def test_options_of_the_store_are_not_part_of_its_folder(tmp_path: Path) -> None:
    assert pepper(STORE, tmp_path, {}) == pepper(f"{STORE}?map_size=1GiB", tmp_path, {})


def test_the_environment_comes_first_and_leaves_no_file(tmp_path: Path) -> None:
    assert pepper(STORE, tmp_path, {VARIABLE: "0123456789abcdef"}) == b"0123456789abcdef"
    assert list(tmp_path.iterdir()) == []


def test_memory_gets_a_new_one_each_time(tmp_path: Path) -> None:
    assert pepper("memory:", tmp_path, {}) != pepper("memory:", tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def refused(store: str, folder: Path, environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        pepper(store, folder, environ)
    [problem] = caught.value.problems
    return str(problem)


def test_a_short_one_is_refused_unseen(tmp_path: Path) -> None:
    found = refused(STORE, tmp_path, {VARIABLE: "planted"})
    assert found == "WWS_PEPPER: shorter than 16 bytes; make one with: openssl rand -hex 32"


def test_a_store_of_several_machines_needs_a_given_one(tmp_path: Path) -> None:
    assert "the same one on each" in refused("redis://host:6379/0", tmp_path, {})


def test_a_damaged_file_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / ".wws" / "state" / FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(b"short")
    assert refused(STORE, tmp_path, {}).startswith(f"{file}: 5 bytes long instead of 32")
    assert file.read_bytes() == b"short"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / ".wws").write_text("a file in the way")
    assert refused(STORE, tmp_path, {}) == f"{tmp_path}/.wws/state/{FILE}: cannot be read or written: Not a directory"


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.starmap(pepper, [(STORE, tmp_path, {})] * 16)
    assert len(set(found)) == 1
    assert os.listdir(tmp_path / ".wws" / "state") == [FILE]
