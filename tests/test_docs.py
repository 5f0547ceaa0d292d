"""The pages say what the program does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.project import files
from wws.cli.app import COMMANDS
from wws.cli.reference import helps
from wws.cli.reference import render as render_commands
from wws.errors import TABLE

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md")])
SOURCE = {path.relative_to(ROOT / "src" / "wws").as_posix(): path.read_text() for path in (ROOT / "src").rglob("*.py")}


def page(name: str) -> str:
    return (ROOT / name).read_text()


def named(text: str) -> set[str]:
    """What the first column of a page's tables names in backquotes."""
    cells = re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


# Commands


def test_the_page_of_commands_is_up_to_date() -> None:
    assert page("docs/commands.md") == render_commands(), "run: python -m wws.cli.reference > docs/commands.md"


def test_the_command_in_that_page_writes_it_whatever_the_terminal() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "wws.cli.reference"], capture_output=True, text=True, check=True, env={"COLUMNS": "50", "PATH": ""}
    )
    assert shown.stdout == page("docs/commands.md")


def test_every_command_is_on_it_with_an_example() -> None:
    found = dict(helps())
    assert {name.split()[1] for name in found if name != "wws"} == set(COMMANDS)
    for name, text in found.items():
        assert re.search(rf"^ +{re.escape(name if name != 'wws' else 'wws init')}", text, re.MULTILINE), name
        assert f"\n## `{name}`\n" in page("docs/commands.md")


@pytest.mark.parametrize("file", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_wws_command_that_a_page_uses_exists(file: Path) -> None:
    commands = dict(helps())
    blocks = re.findall(r"```(?:sh|console|)\n(.*?)```", file.read_text(), re.DOTALL)
    lines = [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    used = [line for line in lines if re.match(r"wws [a-z]", line)]
    used += re.findall(r"`(wws [a-z][^`]*)`", file.read_text())
    for line in used:
        if line.startswith("wws ready"):  # that is what it prints
            continue
        words = line.split()
        name = " ".join(words[:3]) if " ".join(words[:3]) in commands else " ".join(words[:2])
        assert name in commands, line
        for option in re.findall(r"(?<= )--[a-z-]+", line):
            assert option in commands[name], line


def test_the_makefile_has_what_the_pages_say() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", page("Makefile"), re.MULTILINE))
    for file in PAGES:
        used = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", file.read_text(), re.MULTILINE))
        assert used <= targets, file
    assert {"run", "test", "check", "bench"} <= targets
    for name in ("run", "test"):
        assert f"make {name}" in page("README.md")


# Headers


def sent() -> set[str]:
    """Every header name that the gateway itself writes into an answer."""
    lines = SOURCE["core/wire/notes.py"] + SOURCE["core/limit/fields.py"]
    names = set(re.findall(r"""(?:\\n|['"])([a-z][a-z0-9-]+): [a-z{"]""", lines))
    for module in ("functions/refuse.py", "functions/ending.py"):
        names |= set(re.findall(r"\(b\"([a-z][a-z-]+)\", ", SOURCE[module]))
    names |= set(re.findall(r"\(b\"([a-z]+)\", b\"%", SOURCE["functions/cache_store.py"]))
    outgoing = SOURCE["hosts/server/outgoing.py"] + SOURCE["hosts/server/pump.py"] + SOURCE["hosts/server/server.py"]
    return names | set(re.findall(r"b?\"([a-z][a-z-]+): [a-z%{]", outgoing))


def test_every_header_that_is_sent_is_on_the_page() -> None:
    names = sent()
    assert {"x-request-id", "server-timing", "ratelimit", "x-ratelimit-reset-requests", "retry-after-ms", "age", "date"} <= names
    assert {"x-wws-fallback", "x-wws-warning", "x-wws-degraded", "content-length", "allow", "x-accel-buffering"} <= names
    assert names <= named(page("docs/headers.md"))


def test_every_header_of_ours_on_the_page_is_sent() -> None:
    said = {name for name in named(page("docs/headers.md")) if name.startswith(("x-wws-", "ratelimit", "x-ratelimit-"))}
    assert said <= sent()


def test_what_the_origin_is_told_is_on_the_page() -> None:
    told = set(re.findall(r"\(b\"([a-z][a-z-]+)\", ", SOURCE["functions/relay.py"]))
    assert {"x-user-id", "x-forwarded-for", "via"} <= told
    assert told <= named(page("docs/headers.md"))


# Errors and configuration


def test_codes_that_pages_name_exist() -> None:
    for name in ("docs/auth.md", "docs/limits.md", "docs/cache.md", "docs/server-behavior.md", "docs/architecture.md"):
        for status, code in re.findall(r"\b([45]\d\d) `([a-z_]+)`", page(name)):
            assert TABLE[code].status == int(status), (name, code)


def blocks(kind: str) -> list[tuple[str, str]]:
    return [
        (str(file.relative_to(ROOT)), block)
        for file in PAGES
        for block in re.findall(rf"```{kind}\n(.*?)```", file.read_text(), re.DOTALL)
    ]


@pytest.mark.parametrize(("name", "text"), blocks("toml"))
def test_every_toml_of_a_page_can_be_used(name: str, text: str) -> None:
    tomllib.loads(text)
    ready = files.READY if "[origin]" not in text and "[providers" not in text else ""
    order = text if re.match(r"\s*\w+ =", text) else ready + text
    problems = [one for one in files.problems(order) if "there is no functions/" not in one and "no function has" not in one]
    assert problems == [], name


@pytest.mark.parametrize(("name", "text"), blocks("json"))
def test_every_json_of_a_page_is_json(name: str, text: str) -> None:
    assert json.loads(text), name


@pytest.mark.parametrize(("name", "text"), blocks("python"))
def test_every_python_of_a_page_compiles(name: str, text: str) -> None:
    assert compile(text, name, "exec").co_filename == name


# What can be seen


def test_every_metric_is_on_the_page_with_its_labels() -> None:
    said = dict(re.findall(r"^\| `(wws_\w+)` \| ([\w, ]*) ?\|", page("docs/observability.md"), re.MULTILINE))
    source = SOURCE["observe/metrics.py"]
    found = dict(re.findall(r'"(wws_\w+)", "[^"]+",\s+(?:labels=)?\(([^)]*)\)', source))
    assert len(found) == 26
    for name, labels in found.items():
        assert [label.strip() for label in said[name].split(",")] == re.findall(r'"(\w+)"', labels), name
    host = "".join(text for name, text in SOURCE.items() if name.startswith("hosts/server/"))
    others = set(re.findall(r'"(wws_\w+)"', host))
    for name, labels in re.findall(r'"(wws_store_\w+)", "[^"]+"(?:, labels=\(("\w+"),\))?', SOURCE["observe/store.py"]):
        assert said[name].strip() == labels.strip('"'), name
        others.add(name)
    assert "wws_store_errors" in others
    assert set(said) == set(found) | others


def test_every_field_of_the_log_is_on_the_page() -> None:
    source = SOURCE["observe/log.py"]
    fields = set(re.findall(r'"(\w+)": ', source)) | set(re.findall(r'\\?"(\w+)\\?":(?=[\\{\["\'])', source))
    fields |= set(re.findall(r'fields\["(\w+)"\]', source))
    assert {"ts", "request_id", "subject_hash", "attempts", "tokens_in", "config_version"} <= fields
    assert fields <= named(page("docs/observability.md"))


def test_every_column_of_the_ledger_is_on_the_page() -> None:
    columns = set(re.findall(r"(\w+) (?:INTEGER|TEXT|REAL) NOT NULL", SOURCE["observe/ledger.py"]))
    assert len(columns) == 13
    assert columns <= named(page("docs/observability.md"))


# The pages themselves


@pytest.mark.parametrize("file", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", file.read_text()):
        if not target.startswith("https://") and target != "results.md":  # which `make bench` writes
            assert (file.parent / target).exists(), target


@pytest.mark.parametrize("file", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(file: Path) -> None:
    for name in re.findall(
        r"`((?:src|tests|docs|bench|requirements|core|stores|hosts|observe|project)/[\w/.]+\.\w+)`", file.read_text()
    ):
        assert (ROOT / name).exists() or (ROOT / "src" / "wws" / name).exists(), name


def test_every_page_is_listed_in_the_readme() -> None:
    listed = set(re.findall(r"\]\((docs/[a-z-]+\.md)\)", page("README.md")))
    assert listed == {f"docs/{file.name}" for file in ROOT.glob("docs/*.md")}


def test_every_dependency_is_on_its_page() -> None:
    known = set(re.findall(r"^\| \[([a-z-]+)\]", page("docs/dependencies.md"), re.MULTILINE))
    project = tomllib.loads(page("pyproject.toml"))["project"]["dependencies"]
    runs = {re.split(r"[>=<; ]", line)[0] for line in project}
    development = {line for line in page("requirements/dev.in").split() if re.fullmatch(r"[a-z-]+", line)}
    tools = {"make", "check", "and", "need", "on", "top", "of", "what", "test", "run"}  # words of the comment
    assert runs <= known
    assert known - runs <= development
    assert {name for name in development if f"\n{name}\n" in page("requirements/dev.in")} - tools <= known


def test_the_main_page_s_status_is_the_commands_there_are() -> None:
    [there] = re.findall(r"the commands (`init`[^.]+)\.", page("README.md"))
    assert set(re.findall(r"`(\w+)`", there)) == set(COMMANDS)
