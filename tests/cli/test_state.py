from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.run import process, wws


@pytest.fixture
def project(folder: Path) -> Path:
    wws("init")
    return folder


def test_keys_move_to_another_store_and_work_there(project: Path) -> None:
    made = wws("keys", "create", "--name", "n8n", "--json").json
    gone = wws("keys", "create", "--name", "old", "--json").json
    wws("keys", "revoke", gone["id"])
    done = wws("state", "export", "state.jsonl", "--json").json
    assert done["records"] == 2
    assert done["bytes"] == Path("state.jsonl").stat().st_size
    assert made["key"] not in Path("state.jsonl").read_text()
    assert wws("state", "import", "state.jsonl", "--check", "--json").json["records"] == 2

    pepper = Path(".wws/state/pepper").read_bytes()
    Path("wws.toml").write_text(Path("wws.toml").read_text().replace("lmdb:./.wws/state", "lmdb:./other"))
    assert wws("state", "import", "state.jsonl").status == 1  # the new store has a pepper of its own
    Path("other/pepper").write_bytes(pepper)
    assert wws("state", "import", "state.jsonl", "--json").json == {
        "file": "state.jsonl", "records": 2, "written": 2, "present": 0, "expired": 0,
    }  # fmt: skip
    assert [key["id"] for key in wws("keys", "list", "--json").json] == [made["id"]]


def test_what_is_there_and_the_room_it_takes(project: Path) -> None:
    wws("keys", "create", "--name", "n8n")
    done = wws("state", "stats", "--json").json
    [keys] = [group for group in done["records"] if group["name"] == "API keys"]
    assert keys["records"] == 1
    assert 100 < keys["bytes"] < 1000
    assert [file["file"] for file in done["files"]] == ["kv.mdb", "counters.mdb"]
    assert all(0 <= file["used"] < file["size"] == 256 * 1024 * 1024 for file in done["files"])


def test_for_people(project: Path) -> None:
    wws("keys", "create", "--name", "n8n")
    done = process("state", "export", "state.jsonl", cwd=project)
    assert done.out == "wrote 1 record to state.jsonl\n"
    assert "WWS_PEPPER" in done.err
    assert process("state", "import", "state.jsonl", "--check", cwd=project).out == "state.jsonl is good: 1 record\n"
    done = process("state", "import", "state.jsonl", cwd=project)
    assert done.out == "wrote 0 records; 1 were there already, 0 had expired\n"
    assert "API keys\t1\t" in process("state", "stats", cwd=project).out


def test_troubles_are_one_line_and_status_1(project: Path) -> None:
    Path("state.jsonl").write_text("{}\n")
    for arguments, says in (
        (("export", "state.jsonl"), "is there already"),
        (("import", "state.jsonl"), "not a file of `wws state export`"),
        (("import", "nothing"), "cannot be read: No such file or directory"),
    ):
        done = wws("state", *arguments)
        assert (done.status, done.out) == (1, "")
        assert done.err.startswith("error: ") and says in done.err and done.err.count("\n") == 1
        assert says in json.loads(wws("state", *arguments, "--json").out)["error"]["message"]
