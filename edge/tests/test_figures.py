"""The tables of docs/platforms.md, as `make edge-figures` writes them."""

from __future__ import annotations

import pytest

from edge.figures import END, PAGE, Row, put, table
from edge.runtimes import RUNTIMES


def test_a_figure_stands_beside_what_is_promised() -> None:
    lines = table([Row("slow", 3.004, "ms", 2.5), Row("small", 30.2, "MiB", 128.0), Row("cold", 2.0, "s", None, " (median 3)")])
    assert lines.splitlines()[2:] == [
        "| slow | 3.00 ms | 2.5 ms | **not kept** |",
        "| small | 30 MiB | 128 MiB | kept |",
        "| cold | 2.00 s (median 3) |  |  |",
    ]


def test_the_page_has_a_place_for_every_platform() -> None:
    page = PAGE.read_text()
    for runtime in RUNTIMES:
        changed = put(page, runtime.name, "a table\n")
        assert f"<!-- figures: {runtime.name} -->\na table\n{END}" in changed
        assert len(changed.split("\n## ")) == len(page.split("\n## "))
    with pytest.raises(ValueError, match="figures: moon"):
        put(page, "moon", "")
