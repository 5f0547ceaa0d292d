from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wws.project.reference import render
from wws.project.schema import KEYS, TABLES

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render(), "run: python -m wws.project.reference > docs/configuration.md"


def test_the_command_in_the_page_writes_it() -> None:
    done = subprocess.run([sys.executable, "-m", "wws.project.reference"], capture_output=True, text=True, check=True)
    assert done.stdout == PAGE.read_text()


def test_every_key_and_table_is_on_it() -> None:
    page = render()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(KEYS)
    assert page.count("\n## ") == len(TABLES)
    for key in KEYS:
        assert key.about.replace("|", "\\|") in page


def test_cells_do_not_break_their_row() -> None:
    for line in render().splitlines():
        if line.startswith("| `"):
            assert line.replace("\\|", "").count("|") == 5
