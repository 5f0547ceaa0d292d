"""The text of Cache-Status: a list member's parameters (RFC 9211 section 2, RFC 9651)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.cache.status import forwarded, hit

_KEY = r"[a-z*][a-z0-9_\-.*]*"
_VALUE = r"(?:-?\d{1,15}|[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*)"
_PARAMETERS = re.compile(rf"{_KEY}(?:={_VALUE})?(?:; {_KEY}(?:={_VALUE})?)*")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (hit(42.9), "hit; ttl=42"),
        (hit(0.5), "hit; ttl=0"),
        (hit(-0.5), "hit; ttl=-1"),
        (hit(-200), "hit; ttl=-200"),
        (forwarded("uri-miss"), "fwd=uri-miss"),
        (forwarded("stale", 200, stored=True, collapsed=True), "fwd=stale; fwd-status=200; stored; collapsed"),
        (forwarded("bypass", detail="authorization"), "fwd=bypass; detail=authorization"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert text == expected


@given(st.floats(-1e9, 1e9), st.sampled_from([None, 200, 503]), st.booleans(), st.booleans(), st.sampled_from([None, "no-store"]))
def test_always_parameters_of_a_structured_field(
    ttl: float, code: int | None, stored: bool, collapsed: bool, detail: str | None
) -> None:
    assert _PARAMETERS.fullmatch(hit(ttl))
    assert _PARAMETERS.fullmatch(forwarded("stale", code, stored=stored, collapsed=collapsed, detail=detail))
