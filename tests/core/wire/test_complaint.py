"""Error bodies in every shape the providers use, and what a caller may see of their text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.wire.complaint import MAX_DETAIL, MAX_TEXT, Complaint, cleaned, read


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "m", "type": "t", "param": "p", "code": "c"}}, Complaint("c", "t", "m", "p")),
        ({"error": {"message": "m", "type": None, "param": None, "code": None}}, Complaint("", "", "m")),
        ({"error": {"code": "1214", "message": "m"}}, Complaint("1214", "", "m")),
        ({"error": {"code": 404, "message": "m"}}, Complaint("404", "", "m")),
        ({"error": {"code": True, "message": ["m"]}}, Complaint()),
        ({"error": "Invalid API Key."}, Complaint(message="Invalid API Key.")),
        ({"error": "x", "code": "1305"}, Complaint("1305", "", "x")),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}, Complaint("", "overloaded_error", "m")),
        ({"object": "error", "message": "m", "type": "NotFoundError", "code": 404}, Complaint("404", "NotFoundError", "m")),
        ({"code": 1001, "msg": "m", "success": False}, Complaint("1001", "", "m")),
        ({"code": 500, "msg": "m"}, Complaint("500", "", "m")),
        ({"message": "m"}, Complaint(message="m")),
        ({"detail": "m"}, Complaint(message="m")),
        ({"detail": [{"msg": "a", "loc": []}, {"msg": "b"}, 3]}, Complaint(message="a; b")),
        ({"detail": {"odd": 1}}, Complaint()),
        ([{"error": {"message": "m"}}], Complaint(message="m")),
        ([], None),
        ({}, None),
        ({"error": None, "choices": []}, None),
        ({"choices": [{}]}, None),
        ({"choices": [{}], "message": "m", "code": 0}, None),
        (3, None),
        (None, None),
    ],
)
def test_shapes(body: Any, expected: Complaint | None) -> None:
    assert read(json.dumps(body).encode()) == expected


def test_what_is_not_json_is_text() -> None:
    assert read(b"upstream connect error") == Complaint(message="upstream connect error")
    assert read(b"") == Complaint()
    found = read(b"\xff" * 100_000)
    assert found is not None and len(found.message) <= MAX_TEXT


def test_long_parameters_and_texts_are_not_kept() -> None:
    found = read(json.dumps({"error": {"message": "m" * 10_000, "param": "p" * 200}}).encode())
    assert found == Complaint(message="m" * MAX_TEXT)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Invalid value for temperature.", "Invalid value for temperature."),
        ("two\nlines\r\n\x00and\ta tab", "two lines and a tab"),
        ("Incorrect API key provided: sk-proj-abcdefghij.", "Incorrect API key provided: ***."),
        ("key syn_0123456789 is bad", "key *** is bad"),
        ("for organization org-AbCdEfGh1234 on", "for organization *** on"),
        ("sent Bearer abc.def", "sent ***"),
        ("0123456789abcdef0123456789abcdef.AbCd is unknown", "*** is unknown"),
        ("<html><body>502</body></html>", None),
        ("", None),
        ("  \n ", None),
    ],
)
def test_cleaned(text: str, shown: str | None) -> None:
    assert cleaned(text) == shown


@given(st.text(max_size=3000), st.text("abcdefXYZ012", min_size=8, max_size=30))
def test_the_secret_never_shows(text: str, secret: str) -> None:
    found = cleaned(text[:100] + secret + text[100:], secret)
    assert found is None or (secret not in found and len(found) <= MAX_DETAIL and "\n" not in found)


@given(st.binary(max_size=300))
def test_no_body_raises(body: bytes) -> None:
    read(body)
    read(b'{"error":' + body)
