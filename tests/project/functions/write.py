"""Writing a functions folder for tests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from wws.project.functions.folder import Folder, scan

HELLO = """
from wws import Response

async def fetch(request, env, ctx):
    return Response.text("hello")
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return root


def folder(root: Path, files: dict[str, str]) -> Folder:
    return scan(write(root, files))
