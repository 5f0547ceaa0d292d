"""Refusals as answers, in both shapes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.errors import TABLE, Refusal
from wws.functions import refuse as module
from wws.functions.refuse import refuse
from wws.http import Response


def body(response: Response) -> dict[str, object]:
    assert isinstance(response.body, bytes)
    value = json.loads(response.body)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("code", TABLE)
def test_every_code_in_openai_s_shape(code: str) -> None:
    row = TABLE[code]
    response = refuse(Refusal(code), openai=True)
    assert response.status == row.status
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert body(response) == {
        "type": "error",
        "error": {"message": row.message, "type": row.type, "param": None, "code": code},
    }


@pytest.mark.parametrize("code", TABLE)
def test_every_code_as_a_problem_document(code: str) -> None:
    row = TABLE[code]
    response = refuse(Refusal(code), openai=False)
    assert response.status == row.status
    assert response.headers["content-type"] == "application/problem+json"
    problem = body(response)
    assert (problem["status"], problem["detail"], problem["code"]) == (row.status, row.message, code)
    assert isinstance(problem["title"], str) and problem["title"]
    # RFC 9457 section 4.2.1: with about:blank the title is the status's own phrase
    assert problem["type"] == "about:blank" or str(problem["type"]).startswith("https://iana.org/")


@pytest.mark.parametrize("code", TABLE)
@pytest.mark.parametrize("openai", [False, True])
def test_who_is_told_to_wait(code: str, openai: bool) -> None:
    headers = refuse(Refusal(code), openai=openai).headers
    waits = TABLE[code].status in (429, 503)
    assert headers.get("retry-after") == ("1" if waits else None)
    assert headers.get("retry-after-ms") == ("1000" if waits and openai else None)


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"),
    [(0.0, "1", "1"), (0.0004, "1", "1"), (0.2, "1", "200"), (1.0, "1", "1000"), (1.001, "2", "1001"), (59.5, "60", "59500")],
)
def test_the_wait_is_rounded_up(seconds: float, whole: str, milliseconds: str) -> None:
    headers = refuse(Refusal("rate_limit_exceeded", retry_after=seconds), openai=True).headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == (whole, milliseconds)


@given(st.floats(0.0, 1e6))
def test_who_waits_as_told_does_not_come_too_early(seconds: float) -> None:
    headers = refuse(Refusal("overloaded", retry_after=seconds), openai=True).headers
    assert int(headers["retry-after"]) >= max(1.0, seconds) and int(headers["retry-after-ms"]) >= seconds * 1000


def test_a_wait_where_none_is_usual() -> None:
    assert refuse(Refusal("origin_timeout", retry_after=3.0), openai=False).headers["retry-after"] == "3"


def test_all_that_a_refusal_may_say() -> None:
    refusal = Refusal(
        "method_not_allowed", "Not so.", param="method", challenge='Bearer realm="wws"', retry=False, allow=("GET", "HEAD")
    )
    for openai in (False, True):
        headers = refuse(refusal, openai=openai).headers
        assert headers["www-authenticate"] == 'Bearer realm="wws"'
        assert headers["x-should-retry"] == "false"
        assert headers["allow"] == "GET, HEAD"
    assert body(refuse(refusal, openai=False))["param"] == "method"
    assert body(refuse(refusal, openai=False))["detail"] == "Not so."
    error = body(refuse(refusal, openai=True))["error"]
    assert isinstance(error, dict) and (error["param"], error["message"]) == ("method", "Not so.")


def test_what_it_does_not_say_is_not_there() -> None:
    headers = refuse(Refusal("not_found"), openai=False).headers
    assert [name for name, _ in headers.items()] == ["content-type", "cache-control"]
    assert refuse(Refusal("overloaded", retry=True), openai=True).headers["x-should-retry"] == "true"


def test_the_headers_of_one_answer_are_its_own() -> None:
    first = refuse(Refusal("not_found"), openai=True)
    first.headers.set("x-added", "1")
    assert "x-added" not in refuse(Refusal("not_found"), openai=True).headers


def test_bodies_are_not_remembered_without_bound() -> None:
    for n in range(2 * module._MEMORY):
        refuse(Refusal("not_found", f"number {n}"), openai=True)
    assert len(module._bodies) <= module._MEMORY
    assert body(refuse(Refusal("not_found", "number 1"), openai=True))["error"] == {
        "message": "number 1",
        "type": "not_found_error",
        "param": None,
        "code": "not_found",
    }


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_message_is_said_as_it_is(message: str) -> None:
    assert body(refuse(Refusal("invalid_request", message), openai=False))["detail"] == message
