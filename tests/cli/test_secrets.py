from __future__ import annotations

from pathlib import Path

from tests.cli.run import process, wws


def test_put_list_delete(folder: Path) -> None:
    done = process("secrets", "put", "API_KEY", stdin="planted-value\n", cwd=folder)
    assert (done.status, done.out) == (0, "added API_KEY\n"), done.err
    assert "planted" not in done.out + done.err
    (folder / "value.txt").write_text("other\n")
    assert wws("secrets", "put", "API_KEY", "--from-file", "value.txt", "--json").json == {"name": "API_KEY", "replaced": True}
    listed = wws("secrets", "list", "--json")
    assert [one["name"] for one in listed.json] == ["API_KEY"]
    assert "other" not in listed.out
    assert wws("secrets", "list").out.startswith("API_KEY\t20")
    assert wws("secrets", "delete", "API_KEY").out == "deleted API_KEY\n"
    assert wws("secrets", "list", "--json").json == []


def test_a_value_is_no_argument(folder: Path) -> None:
    assert wws("secrets", "put", "API_KEY", "planted").status == 2
    assert not (folder / ".wws").exists()


def test_what_is_wrong_is_told_with_status_1(folder: Path) -> None:
    for arguments, stdin, words in (
        (("put", "NOT-A-NAME"), "x", "is no name"),
        (("put", "A"), "\n", "a value has 1 to"),
        (("put", "A", "--from-file", "none.txt"), "", "No such file"),
        (("delete", "A"), "", "there is no secret A"),
    ):
        done = wws("secrets", *arguments, stdin=stdin)
        assert (done.status, done.out) == (1, ""), arguments
        assert words in done.err


def test_a_project_checks_with_them(folder: Path) -> None:
    (folder / "wws.toml").write_text(
        '[origin]\nurl = "http://127.0.0.1:1"\n[providers.zai]\napi_key = "${ZAI_API_KEY}"\n[models]\ncode = "zai/glm-4.7"\n'
    )
    assert wws("check", "--strict").status == 1
    wws("secrets", "put", "ZAI_API_KEY", stdin="planted")
    assert wws("check", "--strict").status == 0
