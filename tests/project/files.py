"""Loading texts for tests: what a person would see of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wws.errors import Problem
from wws.project.load import Examined, examine, loads
from wws.project.settings import Project

ENVIRON = {
    "SYNTHETIC_API_KEY": "syn_planted",
    "ZAI_API_KEY": "zai-planted",
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_planted",
    "WWS_ADMIN_TOKEN": "planted-admin-token",
    "WWS_CI_TOKEN": "planted-token-of-ci",
}
READY = '[providers.synthetic]\napi_key = "${SYNTHETIC_API_KEY}"\n[origin]\nurl = "http://127.0.0.1:3000"\n'
"""What a text needs beside itself to load in `wws serve`: five lines, so that what is put behind begins at line 5."""
FILE = Path("nowhere/wws.toml")


def examined(text: str, *, dev: bool = False, path: Path = FILE, environ: Mapping[str, str] = ENVIRON) -> Examined:
    return examine(path, text, environ=environ, allow_missing=dev)


def lines(problems: list[Problem]) -> list[tuple[int | None, str]]:
    return [(problem.line, problem.key) for problem in problems]


def problems(text: str, *, dev: bool = False, path: Path = FILE, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    """`line: key: message` of each problem."""
    return [f"{one.line}: {one.key}: {one.message}" for one in examined(text, dev=dev, path=path, environ=environ).problems]


def warnings(text: str, *, dev: bool = False, path: Path = FILE, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    """`line: key: message` of each warning of a text that loads."""
    found = examined(text, dev=dev, path=path, environ=environ)
    assert not found.problems
    return [f"{one.line}: {one.key}: {one.message}" for one in found.warnings]


def project(text: str, *, dev: bool = False, path: Path = FILE, environ: Mapping[str, str] = ENVIRON) -> Project:
    return loads(text, path, environ=environ, allow_missing=dev)
