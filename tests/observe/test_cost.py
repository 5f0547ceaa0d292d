from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from wws.observe.cost import BY, costs
from wws.observe.ledger import Ledger

DAY = 86_400
NOON = 20_000 * DAY + DAY // 2


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    rows: list[tuple[object, ...]] = [
        # minute, subject, key, route, provider, model, requests, errors, attempts, in, out, cached, usd
        (NOON // 60, "u1", "", "/v1/*", "zai", "glm-4.7", 2, 0, 2, 100, 10, 5, 0.5),
        (NOON // 60 + 1, "u1", "", "/v1/*", "zai", "glm-4.7", 1, 1, 3, 50, 0, 0, 0.25),
        (NOON // 60, "u2", "k1", "/api/ai/*", "main", "coder", 4, 0, 4, 1, 1, 0, 0.0),
        ((NOON - DAY) // 60, "u1", "", "/v1/*", "zai", "glm-4.7", 9, 0, 9, 9, 9, 9, 9.0),
    ]
    Ledger(path, lambda: NOON, {}).write(rows)
    return path


@pytest.mark.parametrize("name", BY)
def test_by_anything(file: Path, name: str) -> None:
    rows = costs(file, [name])
    assert sum(row.requests for row in rows) == 16
    assert sum(row.cost_usd for row in rows) == 9.75


def test_sums(file: Path) -> None:
    assert costs(file, ["day", "model"], NOON) == [
        (("2024-10-04", "main/coder"), 4, 0, 4, 1, 1, 0, 0.0),
        (("2024-10-04", "zai/glm-4.7"), 3, 1, 5, 150, 10, 5, 0.75),
    ]


def test_from_and_until(file: Path) -> None:
    assert [row.requests for row in costs(file, ["user"], NOON - DAY, NOON)] == [9]
    assert costs(file, ["user"], NOON + DAY) == []


def test_no_ledger_yet(tmp_path: Path) -> None:
    assert costs(tmp_path / "none", ["day"]) == []
    sqlite3.connect(tmp_path / "empty").close()
    (tmp_path / "empty").touch()
    assert costs(tmp_path / "empty", ["day"]) == []


def test_what_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no database at all, but a text that is long enough" * 40)
    with pytest.raises(sqlite3.Error):
        costs(tmp_path / "x", ["day"])
