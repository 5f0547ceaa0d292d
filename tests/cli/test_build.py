from __future__ import annotations

from pathlib import Path

from tests.cli.run import process, wws

GOOD = 'name = "shop"\n[origin]\nurl = "http://127.0.0.1:3000"\n'


def test_for_people_and_machines(folder: Path) -> None:
    (folder / "wws.toml").write_text(GOOD)
    done = process("build", cwd=folder)
    assert done.status == 0, done.err
    found = wws("build", "--json").json
    assert done.out.startswith(f"{found['path']}  version {found['version']}, 1 files")
    assert (folder / found["path"]).stat().st_size == found["bytes"]
    assert found["target"] == "self-hosted"


def test_a_wrong_project_is_not_built(folder: Path) -> None:
    (folder / "wws.toml").write_text("naem = 1\n" + GOOD)
    done = wws("build", "--json")
    assert (done.status, done.err) == (1, "")
    assert done.json["error"]["problems"][0]["line"] == 1
    assert not (folder / ".wws").exists()


def test_a_target_there_is_not(folder: Path) -> None:
    (folder / "wws.toml").write_text(GOOD)
    done = wws("build", "--target", "moon")
    assert done.status == 2
    assert 'found "moon"; allowed: self-hosted' in done.err
