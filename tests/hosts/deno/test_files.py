"""Files of the public folder, on a glue that is told by hand."""

from __future__ import annotations

import pytest

from tests.hosts.deno.platform import Platform
from tests.hosts.deno.test_border import Side
from wws.hosts.deno.border import FAILED
from wws.hosts.deno.files import KEPT, SMALL, DenoFiles
from wws.hosts.edge.bundle import Page
from wws.hosts.edge.stream import FetchStream

PAGES = {
    "/a.js": Page("a.js", 5, 1.0, '"1-5"', "text/javascript; charset=utf-8", {"gzip": 3}),
    "/a": Page("a/index.html", redirect="/a/"),
    "/404.html": Page("404.html", 4),
}


@pytest.fixture
def side(platform: Platform) -> Side:
    return Side(platform)


@pytest.fixture
def files(side: Side) -> DenoFiles:
    return DenoFiles(side.border, PAGES, "/404.html")


def test_what_is_there(files: DenoFiles) -> None:
    asset = files.find("/a.js")
    assert asset is not None
    assert (asset.file, asset.etag, asset.variants) == ("a.js", b'"1-5"', {"gzip": ("a.js.gz", 3)})
    assert files.find("/b.js") is None
    assert files.missing is not None
    assert files.missing.file == "404.html"


def test_a_short_file_is_read_once(side: Side, files: DenoFiles) -> None:
    whole = side.begin(files.read("a.js", 5, 0, 4))
    assert side.glue.asked == [("file", (1, "a.js", 5, 0, -1))]
    side.tell(1, "", b"let x")
    part = side.begin(files.read("a.js", 5, 1, 3))
    assert (whole.result(), part.result()) == (b"let x", b"et ")
    assert len(side.glue.asked) == 1


def test_what_is_kept_is_bounded(side: Side, files: DenoFiles) -> None:
    for number in range(2 * KEPT // SMALL):
        side.begin(files.read(f"{number}", SMALL, 0, SMALL - 1))
        side.tell(1, "", b"x" * SMALL)
    assert sum(map(len, files._kept.values())) <= KEPT
    asked = len(side.glue.asked)
    side.begin(files.read(f"{number}", SMALL, 0, SMALL - 1))
    assert len(side.glue.asked) == asked


def test_a_large_file_does_not_come_by(side: Side, files: DenoFiles) -> None:
    task = side.begin(files.read("big", SMALL + 1, 10, 20))
    assert side.glue.asked == [("file", (1, "big", SMALL + 1, 10, 20))]
    side.tell(1)
    body = task.result()
    assert isinstance(body, FetchStream)
    assert body.untouched == 1


@pytest.mark.parametrize("size", [5, SMALL + 1])
def test_a_file_that_has_changed(side: Side, files: DenoFiles, size: int) -> None:
    task = side.begin(files.read("a.js", size, 0, size - 1))
    side.tell(FAILED, "Error: another size")
    with pytest.raises(ValueError, match="a.js is not as it was"):
        task.result()
