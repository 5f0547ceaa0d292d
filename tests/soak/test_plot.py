from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

from tests.soak.page import page
from tests.soak.plot import plot
from tests.soak.verdict import Check
from tests.soak.watch import Gauges, Sample

SAMPLES = [Sample(float(at), (100 + at) * 2**20, 0, 40 + at, Gauges(10.0, 1.0, 1.0, 1.0)) for at in range(0, 61, 10)]
SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_has_a_line_for_each_of_the_three_and_stays_inside() -> None:
    root = ElementTree.fromstring(plot(SAMPLES, 15.0, [20.0, 40.0], "a title"))  # noqa: S314 - our own
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    lines = [line.attrib["points"].split() for line in root.iter(f"{SVG}polyline")]
    assert [len(points) for points in lines] == [len(SAMPLES)] * 3
    for points in lines:
        for point in points:
            x, y = map(float, point.split(","))
            assert 0 <= x <= width and 0 <= y <= height
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"memory of all processes, MiB", "open descriptors", "tasks", "0 s", "60 s"} <= set(texts)
    rising = [float(point.split(",")[1]) for point in lines[0]]
    assert rising == sorted(rising, reverse=True)


def test_nothing_at_all_can_be_drawn_too() -> None:
    root = ElementTree.fromstring(plot([Sample(0.0, 0, 0, 0, Gauges(0.0, 0.0, 0.0, 0.0))], 0.0, [], "nothing"))  # noqa: S314
    assert len(list(root.iter(f"{SVG}polyline"))) == 3


def test_the_page_says_what_was_found() -> None:
    found = [Check("memory", 100.0, 101.0, 4.0, "MiB"), Check("tasks", 8.0, 9.0, 0.0, "")]
    text = page(found, Counter({"plain": 7}), [1.0], 600.0, 2, "soak.svg")
    assert "| memory | 100.0 MiB | 101.0 MiB | 4.0 MiB | good |" in text
    assert "| tasks | 8 | 9 | 0 | NOT GOOD |" in text
    assert "![memory, descriptors and tasks over time](soak.svg)" in text
    assert "7 calls" in text
