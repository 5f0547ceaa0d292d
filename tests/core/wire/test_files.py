"""How a file is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.wire.files import Part, choose, part, unchanged

NOW = 1_800_000_000.0
CHANGED = 1_700_000_000.5  # Tue, 14 Nov 2023 22:13:20 GMT, and a half
ETAG = b'"abc"'


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (None, None),
        (b"", None),
        (b"identity", None),
        (b"gzip", "gzip"),
        (b"gzip, br, zstd", "br"),
        (b"gzip;q=1.0, br;q=0.5", "gzip"),
        (b"br;q=0, *", "gzip"),
        (b"*;q=0", None),
        (b"gzip;q=0.2, identity;q=0.9", None),
        (b"GZIP ; q=0.3", "gzip"),
        (b"gzip;q=much", None),
        (b"compress", None),
    ],
)
def test_encodings(header: bytes | None, coding: str | None) -> None:
    assert choose(header, {"gzip": 300, "br": 200, "zstd": 250} if header != b"br;q=0, *" else {"gzip": 300, "br": 200}) == coding
    assert choose(header, {}) is None


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({}, False),
        ({b"if-none-match": b'"abc"'}, True),
        ({b"if-none-match": b'"x", W/"abc"'}, True),
        ({b"if-none-match": b"*"}, True),
        ({b"if-none-match": b'"x"', b"if-modified-since": b"Tue, 14 Nov 2023 22:13:20 GMT"}, False),
        ({b"if-modified-since": b"Tue, 14 Nov 2023 22:13:20 GMT"}, True),
        ({b"if-modified-since": b"Tue, 14 Nov 2023 22:13:19 GMT"}, False),
        ({b"if-modified-since": b"yesterday"}, False),
    ],
)
def test_validators(fields: dict[bytes, bytes], same: bool) -> None:
    assert unchanged(fields, ETAG, CHANGED, NOW) is same


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (b"bytes=0-3", Part(0, 3)),
        (b"bytes=5-", Part(5, 9)),
        (b"bytes=5-99", Part(5, 9)),
        (b"bytes=-4", Part(6, 9)),
        (b"bytes=-99", Part(0, 9)),
        (b"bytes=-0", Part(0, -1)),
        (b"bytes=10-", Part(0, -1)),
        (b"bytes=5-3", None),
        (b"bytes=-", None),
        (b"bytes=0-1,3-4", None),
        (b"lines=0-1", None),
        (b"bytes=a-b", None),
    ],
)
def test_ranges(asked: bytes, found: Part | None) -> None:
    assert part({b"range": asked}, 10, ETAG, CHANGED, NOW) == found


@pytest.mark.parametrize(
    ("condition", "partly"),
    [
        (b'"abc"', True),
        (b'"old"', False),
        (b'W/"abc"', False),
        (b"Tue, 14 Nov 2023 22:13:20 GMT", True),
        (b"Tue, 14 Nov 2023 22:13:21 GMT", False),
    ],
)
def test_a_part_of_another_version_is_not_sent(condition: bytes, partly: bool) -> None:
    found = part({b"range": b"bytes=0-3", b"if-range": condition}, 10, ETAG, CHANGED, NOW)
    assert (found is not None) is partly


@given(st.binary(max_size=40), st.integers(0, 100))
def test_whatever_is_asked_the_part_lies_in_the_file(asked: bytes, size: int) -> None:
    for header in (asked, b"bytes=" + asked):
        found = part({b"range": header}, size, ETAG, CHANGED, NOW)
        assert found is None or found.end < found.start or 0 <= found.start <= found.end < size
    choose(asked, {"gzip": 1})
