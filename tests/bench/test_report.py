"""Medians, ratios, verdicts and the two tables."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from bench.measure import Plan, Result, Sample, summary
from bench.report import line, markdown, ratio, table, verdict
from bench.shapes import SHAPES, Shape

_BY_NAME = {shape.name: shape for shape in SHAPES}


def _result(name: str, wws: list[float], nginx: list[float]) -> Result:
    return Result(_BY_NAME[name], [Sample(value) for value in wws], [Sample(value) for value in nginx])


def test_the_median_is_of_each_field_and_skips_what_is_not_known() -> None:
    samples = [Sample(3, 10, 1, None), Sample(1, 30, 2, None), Sample(2, 20, None, None)]
    assert summary(samples) == Sample(2, 20, 1.5, None)


def test_a_ratio_is_of_pairs_of_the_same_round() -> None:
    """A round in which the whole machine was twice as slow does not change it."""
    assert ratio(_result("chat", [30, 60, 33], [20, 40, 20])) == 1.5


def test_a_ratio_of_rounds_that_do_not_match_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio(_result("chat", [30, 60], [20]))


@pytest.mark.parametrize(("figure", "said"), [(1.5, "aim"), (1.51, "budget"), (2.0, "budget"), (2.01, "OVER")])
def test_verdicts(figure: float, said: str) -> None:
    assert verdict(figure, _BY_NAME["chat"]) == said


def test_no_budget_no_verdict() -> None:
    assert verdict(99.0, _BY_NAME["assembled"]) == ""
    assert verdict(1.0, Shape("x", "x", budget=2.0)) == "budget"


def test_a_row_of_a_ratio() -> None:
    result = Result(_BY_NAME["chat"], [Sample(32.44, 28_123.4, 1.1, 2.2)], [Sample(16.2, 60_001, 0.5, 0.61)])
    assert line(result).cells == (
        "proxied chat, 1 KB, session cached",
        "32.4 us",
        "16.2 us",
        "2.00 x",
        "2.0 x",
        "1.5 x",
        "OVER",
        "28,123 / 60,001",
        "1.10 / 2.20",
        "0.50 / 0.61",
    )


def test_a_row_without_a_comparison() -> None:
    cells = line(Result(_BY_NAME["start"], [Sample(0.31), Sample(0.29), Sample(0.3)])).cells
    assert cells == ("`wws serve` from start to first answer", "0.30 s", "", "", "0.5 s", "0.3 s", "aim", "", "", "")


def test_latency_is_judged_by_what_is_added() -> None:
    result = Result(_BY_NAME["latency-p50"], [Sample(0.08, p50=0.2, p99=0.9)], [Sample(0.03, p50=0.15, p99=0.4)])
    assert line(result).verdict == "budget"
    assert line(result).cells[1:4] == ("0.08 ms", "0.03 ms", "")


def test_a_row_without_samples_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="chat was not measured"):
        line(Result(_BY_NAME["chat"]))


def test_the_page_has_table_facts_and_date() -> None:
    results = [_result("chat", [30], [20]), _result("sse", [20], [18])]
    page = markdown(results, {"CPU": "one"}, Plan(3, 2.0), datetime(2026, 11, 22, 9, 30, tzinfo=UTC))
    lines = page.splitlines()
    assert "| measured | 2026-11-22 09:30 UTC |" in lines
    assert "| CPU | one |" in lines
    assert "| rounds | 3 of 2 s each, interleaved; medians |" in lines
    rows = [row for row in lines if row.startswith(("| proxied", "| SSE"))]
    assert len(rows) == 2
    assert {row.count("|") for row in [*rows, lines[4], lines[5]]} == {11}


def test_a_shape_that_failed_is_a_row_and_a_reason() -> None:
    failed = Result(_BY_NAME["cache"], [Sample(1.0)], fault="it is no hit in the cache")
    assert line(failed).cells[:7] == ("answer from cache", "not measured", "", "", "3.0 x", "2.0 x", "FAULT")
    page = markdown([_result("chat", [30], [20]), failed], {}, Plan())
    assert "## Not measured, and why\n\n- cache: it is no hit in the cache\n" in page
    assert "Not measured" not in markdown([_result("chat", [30], [20])], {}, Plan())


def test_the_terminal_shows_every_row() -> None:
    out = StringIO()
    Console(file=out, width=220).print(table([_result("chat", [30], [20]), _result("cache", [10], [7])]))
    text = out.getvalue()
    assert "proxied chat, 1 KB, session cached" in text
    assert "1.43 x" in text and "aim" in text
