"""Every answer of `GET /auth/v1/user` and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.auth.supabase import RETRY_AFTER, Meaning, error_code, meaning_of, retry_after, user_id
from wws.errors import TABLE

INVALID = "invalid_api_key"


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (200, None, Meaning("valid")),
        (401, "no_authorization", Meaning("refused", INVALID)),
        (403, "bad_jwt", Meaning("refused", INVALID, negative=True)),
        (401, "bad_jwt", Meaning("refused", INVALID, negative=True)),
        (403, "session_not_found", Meaning("refused", INVALID, negative=True, gone=True)),
        (403, "session_expired", Meaning("refused", INVALID, negative=True, gone=True)),
        (403, "user_not_found", Meaning("refused", INVALID, negative=True, gone=True)),
        (404, "user_not_found", Meaning("refused", INVALID, negative=True, gone=True)),
        (403, "user_banned", Meaning("refused", "user_banned", negative=True)),
        (400, "validation_failed", Meaning("refused", INVALID, negative=True)),
        (403, "a_code_of_next_year", Meaning("refused", INVALID, negative=True)),
        (401, None, Meaning("misconfigured", "auth_misconfigured")),  # the API gateway, about `apikey`
        (401, "a_code_of_next_year", Meaning("misconfigured", "auth_misconfigured")),
        (404, None, Meaning("misconfigured", "auth_misconfigured")),
        (429, "over_request_rate_limit", Meaning("unavailable", "auth_unavailable")),
        (429, None, Meaning("unavailable", "auth_unavailable")),
        (403, None, Meaning("unavailable", "auth_unavailable")),  # a firewall's word
        (400, None, Meaning("unavailable", "auth_unavailable")),
        (500, "unexpected_failure", Meaning("unavailable", "auth_unavailable")),
        (500, "bad_jwt", Meaning("unavailable", "auth_unavailable")),
        (503, None, Meaning("unavailable", "auth_unavailable")),
        (504, None, Meaning("unavailable", "auth_unavailable")),
        (301, None, Meaning("unavailable", "auth_unavailable")),
        (302, "bad_jwt", Meaning("unavailable", "auth_unavailable")),
        (204, None, Meaning("unavailable", "auth_unavailable")),
    ],
)
def test_the_table(status: int, code: str | None, meaning: Meaning) -> None:
    assert meaning_of(status, code) == meaning


@given(st.integers(100, 599), st.none() | st.text(max_size=20))
def test_only_200_is_valid_and_no_failure_of_the_server_refuses_anyone(status: int, code: str | None) -> None:
    meaning = meaning_of(status, code)
    assert (meaning.verdict == "valid") == (status == 200)
    assert meaning.verdict == "valid" or meaning.code in TABLE
    if status >= 500 or status == 429 and code is None:
        assert meaning.verdict == "unavailable"
    if meaning.negative or meaning.gone:
        assert meaning.verdict == "refused"


@pytest.mark.parametrize(
    ("header", "body", "code"),
    [
        ("bad_jwt", b"", "bad_jwt"),
        ("bad_jwt", b'{"error_code": "user_banned"}', "bad_jwt"),
        (None, b'{"code": 403, "error_code": "bad_jwt", "msg": "no"}', "bad_jwt"),
        (None, b'{"code": "bad_jwt", "message": "no"}', "bad_jwt"),  # X-Supabase-Api-Version: 2024-01-01
        ("", b'{"error_code": "bad_jwt"}', "bad_jwt"),
        (None, b'{"code": 401, "msg": "no"}', None),
        (None, b'{"message": "Invalid API key"}', None),
        (None, b'{"error_code": ""}', None),
        (None, b'{"error_code": 5}', None),
        (None, b"<html>", None),
        (None, b"", None),
        (None, b"[1]", None),
    ],
)
def test_where_the_code_of_an_answer_is(header: str | None, body: bytes, code: str | None) -> None:
    assert error_code(header, body) == code


@pytest.mark.parametrize(
    ("body", "sub"), [(b'{"id":"abc"}', "abc"), (b"{}", None), (b'{"id":1}', None), (b"", None), (b"[]", None), (b"<p>", None)]
)
def test_the_user_of_an_answer(body: bytes, sub: str | None) -> None:
    assert user_id(body) == sub


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, RETRY_AFTER),
        ("7", 7.0),
        ("0", 1.0),
        ("86400", 60.0),
        ("9" * 400, 60.0),
        ("", RETRY_AFTER),
        ("-5", RETRY_AFTER),
        ("1.5", RETRY_AFTER),
        ("Wed, 21 Oct 2026 07:28:00 GMT", RETRY_AFTER),
        ("\u0667", RETRY_AFTER),
    ],
)
def test_the_wait_is_between_1_and_60_seconds(header: str | None, seconds: float) -> None:
    assert retry_after(header) == seconds
