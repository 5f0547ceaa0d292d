"""Retry-After in its three forms, and everything that is none."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.resilience.wait import COOLDOWN_MAX, capped, retry_after

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({b"retry-after": b"2"}, 2.0),
        ({b"retry-after": b" 2 "}, 2.0),
        ({b"retry-after": b"0"}, 0.0),
        ({b"retry-after": b"1.5"}, 1.5),
        ({b"retry-after": b"86400"}, COOLDOWN_MAX),
        ({b"retry-after": b"99999999999999999"}, COOLDOWN_MAX),
        ({b"retry-after": formatdate(NOW + 30, usegmt=True).encode()}, 30.0),
        ({b"retry-after": formatdate(NOW + 9000, usegmt=True).encode()}, COOLDOWN_MAX),
        ({b"retry-after": formatdate(NOW - 30, usegmt=True).encode()}, None),
        ({b"retry-after": b"Mon, 21 Sep 2026 14:13:50 -0000"}, 30.0),
        ({b"retry-after-ms": b"1500"}, 1.5),
        ({b"retry-after-ms": b"997000"}, COOLDOWN_MAX),
        ({b"retry-after-ms": b"500", b"retry-after": b"7"}, 0.5),
        ({b"retry-after-ms": b"soon", b"retry-after": b"7"}, 7.0),
        ({b"retry-after": b"-1"}, None),
        ({b"retry-after": b"inf"}, None),
        ({b"retry-after": b"nan"}, None),
        ({b"retry-after": b"1e9"}, None),
        ({b"retry-after": b"1_0"}, None),
        ({b"retry-after": b""}, None),
        ({b"retry-after": b"soon"}, None),
        ({b"retry-after": b"\xff"}, None),
        ({b"retry-after": b"Mon, 99 Sep 2026 14:13:50 GMT"}, None),
    ],
)
def test_forms(headers: dict[bytes, bytes], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_whatever_is_said_the_wait_is_bounded(first: bytes, second: bytes) -> None:
    seconds = retry_after({b"retry-after": first, b"retry-after-ms": second}, NOW)
    assert seconds is None or 0 <= seconds <= COOLDOWN_MAX


@given(st.floats())
def test_capped(seconds: float) -> None:
    found = capped(seconds)
    assert found is None or 0 <= found <= COOLDOWN_MAX
