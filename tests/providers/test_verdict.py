"""Verdicts: every documented error of each provider, in the body it comes in."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from wws.bindings import Verdict
from wws.core.policy import ProviderConfig
from wws.core.resilience.matrix import TABLE as MATRIX
from wws.core.resilience.wait import COOLDOWN_MAX
from wws.errors import TABLE
from wws.http import Headers
from wws.providers.compat import OPENAI, CompatProvider
from wws.providers.dialect import CODES, PATTERNS, STATUSES, Dialect
from wws.providers.synthetic import SYNTHETIC
from wws.providers.zai import CODES as ZAI_CODES
from wws.providers.zai import FINISH, FINISH_NAMES, ZAI

KEY = "k-0123456789abcdef"
DIALECTS = {"openai": OPENAI, "synthetic": SYNTHETIC, "zai": ZAI}


def classify(kind: str, status: int, body: Any, headers: dict[str, str] | None = None) -> Verdict | None:
    provider = CompatProvider(ProviderConfig("p", kind, "http://127.0.0.1:1/v1", None, KEY), FakeClock(), DIALECTS[kind])
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return provider.classify(status, Headers(headers or {}), data)


def code_of(kind: str, status: int, body: Any, headers: dict[str, str] | None = None) -> str | None:
    verdict = classify(kind, status, body, headers)
    return None if verdict is None else verdict.code


COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": 'an "error" they said'}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m", "stop_reason": "end_turn"}
EMBEDDINGS = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}], "model": "m"}
CHUNK = {"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 1}}


@pytest.mark.parametrize("kind", DIALECTS)
@pytest.mark.parametrize(
    "body", [COMPLETION, MESSAGE, EMBEDDINGS, CHUNK, {**COMPLETION, "error": None}, dict(sorted(COMPLETION.items()))]
)
@pytest.mark.parametrize("indent", [None, 2])
def test_good_answers(kind: str, body: dict[str, Any], indent: int | None) -> None:
    assert classify(kind, 200, json.dumps(body, indent=indent).encode()) is None


@pytest.mark.parametrize("kind", DIALECTS)
@pytest.mark.parametrize(
    "body",
    [
        b"", b"  ", b"{}", b"[]", b"null", b"ok", b"<html><body>Welcome</body></html>", b'{"id":"chatcmpl-1"',
        {"error": {"message": "down"}}, {"error": "down"}, {"success": False, "msg": "down"}, {"id": "1", "error": {"x": 1}},
        {"object": "chat.completion", "choices": []}, {"object": "chat.completion", "choices": None},
        {"object": "error", "message": "x"},
    ],
)  # fmt: skip
def test_errors_and_nothing_inside_200(kind: str, body: Any) -> None:
    verdict = classify(kind, 200, body)
    assert verdict is not None
    assert (verdict.error_type, verdict.code, verdict.detail) == ("provider_server_error", "provider_error", None)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_request"), (401, "provider_auth_failed"), (402, "provider_billing"), (403, "provider_auth_failed"),
        (404, "not_found"), (405, "method_not_allowed"), (408, "provider_overloaded"), (409, "provider_overloaded"),
        (413, "context_length_exceeded"), (415, "unsupported_media_type"), (418, "invalid_request"), (422, "unprocessable"),
        (425, "provider_rate_limited"), (429, "provider_rate_limited"), (500, "provider_error"), (502, "provider_error"),
        (503, "provider_overloaded"), (504, "provider_error"), (520, "provider_error"), (529, "provider_overloaded"),
        (301, "provider_error"), (302, "provider_error"), (307, "provider_error"), (101, "provider_error"),
        (999, "provider_error"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", DIALECTS)
@pytest.mark.parametrize(
    "body", [b"", b"{}", b"some words", {"error": {"message": "", "type": "x", "param": None, "code": None}}]
)
def test_by_status_where_nothing_else_is_said(kind: str, status: int, code: str, body: Any) -> None:
    assert code_of(kind, status, body) == code


@pytest.mark.parametrize(("code", "meaning"), [(code, meaning.code) for code, meaning in CODES.items()])
def test_codes_that_all_share(code: str, meaning: str) -> None:
    assert code_of("openai", 400, {"error": {"message": "m", "type": "invalid_request_error", "code": code}}) == meaning
    assert code_of("openai", 400, {"type": "error", "error": {"type": code, "message": "m"}}) == meaning


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (400, "This model's maximum context length is 8192 tokens. However, you requested 9000.", "context_length_exceeded"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", "context_length_exceeded"),
        (400, "Your input exceeds the context window of this model", "context_length_exceeded"),
        (400, "The number of tokens is greater than the context length", "context_length_exceeded"),
        (500, "the request is too large for model with 4096 maximum context length", "context_length_exceeded"),
        (400, "input is too large for model", "context_length_exceeded"),
        (413, "Request Entity Too Large", "body_too_large"),
        (413, "", "context_length_exceeded"),
        (400, "Unknown Model, please check the model code.", "model_not_found"),
        (404, "The model `gpt-9` does not exist or you do not have access to it.", "model_not_found"),
        (404, "model 'x' not found, try pulling it first", "model_not_found"),
        (400, "x is not a valid model ID", "model_not_found"),
        (400, "Your request was rejected as a result of our safety system.", "content_policy_violation"),
        (400, "The response was filtered due to Azure OpenAI's content management policy", "content_policy_violation"),
        (400, "temperature must be at most 2", "invalid_request"),
        (503, "the model is overloaded", "provider_overloaded"),
        (429, "The engine is currently overloaded", "provider_overloaded"),
        (429, "maximum context length", "provider_rate_limited"),
    ],
)
def test_texts(status: int, text: str, code: str) -> None:
    assert (
        code_of("openai", status, {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": None}})
        == code
    )
    assert code_of("synthetic", status, {"error": text}) == code


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (400, "Model hf:a/b is not supported", "model_not_found"),
        (400, "unsupported model", "model_not_found"),
        (400, "This model does not appear to support image inputs", "invalid_request"),
        (401, "Invalid API Key.", "provider_auth_failed"),
        (402, "Payment required", "provider_billing"),
        (429, "Rate limited", "provider_rate_limited"),
    ],
)
def test_synthetic(status: int, text: str, code: str) -> None:
    assert code_of("synthetic", status, {"error": text}) == code


def test_synthetic_says_with_its_quota_how_long() -> None:
    quotas = {"rollingFiveHourLimit": {"max": 500, "remaining": 0, "limited": True, "nextTickAt": "2026-09-21T14:14:20Z"}}
    verdict = classify("synthetic", 429, {"error": "no"}, {"x-synthetic-quotas": json.dumps(quotas)})
    assert verdict == Verdict("provider_quota", "provider_quota", 60.0)
    free = {"rollingFiveHourLimit": {"max": 500, "remaining": 7, "limited": False}}
    assert classify("synthetic", 429, {"error": "no"}, {"x-synthetic-quotas": json.dumps(free)}) == Verdict(
        "provider_rate_limited", "provider_rate_limited"
    )
    assert code_of("synthetic", 400, {"error": "bad"}, {"x-synthetic-quotas": json.dumps(quotas)}) == "invalid_request"


ZAI_ROWS = [
    # HTTP status, code, error_type
    *[(401, code, "provider_auth_failed") for code in ("1000", "1001", "1002", "1003", "1004")],
    *[(429, code, "provider_auth_failed") for code in ("1110", "1111", "1112", "1120", "1121")],
    (429, "1113", "provider_billing"), (429, "1309", "provider_billing"),
    *[(400, code, "caller_invalid_request") for code in ("1210", "1213", "1214", "1215")],
    *[(400, code, "caller_model_unknown") for code in ("1211", "1212", "1220", "1221", "1222")],
    *[(500, code, "provider_server_error") for code in ("1230", "1231", "1234", "500")],
    (400, "1261", "caller_context_length"),
    (400, "1300", "caller_content_policy"), (400, "1301", "caller_content_policy"),
    (429, "1302", "provider_rate_limited"), (429, "1303", "provider_rate_limited"),
    (429, "1304", "provider_quota"), (429, "1308", "provider_quota"), (429, "1310", "provider_quota"),
    (429, "1305", "provider_overloaded"), (503, "1305", "provider_overloaded"), (200, "1305", "provider_overloaded"),
    (400, "434", "caller_invalid_request"), (400, "435", "caller_invalid_request"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "code", "error_type"), ZAI_ROWS)
def test_zai_codes(status: int, code: str, error_type: str) -> None:
    for body in ({"error": {"code": code, "message": "m"}}, {"code": int(code), "msg": "m", "success": False}):
        for at in (status, 200):  # errors come inside 200 as well
            verdict = classify("zai", at, body)
            assert verdict is not None and verdict.error_type == error_type


def test_zai_codes_through_the_anthropic_endpoint() -> None:
    body = {
        "type": "error",
        "error": {"type": "rate_limit_error", "code": "1308", "message": "[1308][...][2026]"},
        "request_id": "x",
    }
    assert code_of("zai", 429, body) == "provider_quota"


def test_zai_waits() -> None:
    assert classify("zai", 429, {"error": {"code": "1305", "message": "m"}}) == Verdict(
        "provider_overloaded", "provider_overloaded", 30.0
    )
    assert classify("zai", 429, {"error": {"code": "1113", "message": "m"}}) == Verdict(
        "provider_billing", "provider_billing", COOLDOWN_MAX
    )
    assert classify("zai", 429, {"error": {"code": "1302", "message": "m"}}) == Verdict(
        "provider_rate_limited", "provider_rate_limited"
    )


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("2026-09-21 22:15:20", 120.0),  # Beijing: 14:15:20 UTC
        ("2026-09-22 22:15:20", COOLDOWN_MAX),
        ("2026-09-21 14:15:20", None),  # past
        ("2026-99-21 14:15:20", None),
    ],
)
def test_zai_says_in_its_message_until_when(stamp: str, seconds: float | None) -> None:
    text = f"Usage limit reached for 5 hour. Your limit will reset at {stamp}"
    assert classify("zai", 429, {"error": {"code": "1308", "message": text}}) == Verdict(
        "provider_quota", "provider_quota", seconds
    )


def test_a_header_says_better_how_long() -> None:
    for headers in (
        {"retry-after": "7"},
        {"retry-after-ms": "7000"},
        {"Retry-After": formatdate(FakeClock().time() + 7, usegmt=True)},
    ):
        verdict = classify("zai", 429, {"error": {"code": "1305", "message": "m"}}, headers)
        assert verdict is not None and verdict.retry_after == 7.0


@pytest.mark.parametrize("reason", sorted(FINISH))
@pytest.mark.parametrize("order", [dict, lambda body: dict(sorted(body.items()))])
@pytest.mark.parametrize("indent", [None, 1])
def test_zai_finish_reasons_of_a_plain_answer(reason: str, order: Any, indent: int | None) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x" * 3000}, "finish_reason": reason}
    body = json.dumps(order({**COMPLETION, "choices": [choice]}), indent=indent).encode()
    verdict = classify("zai", 200, body)
    assert verdict is not None and verdict.code == FINISH[reason].code
    assert classify("openai", 200, body) is None


def test_finish_reasons_have_both_tables() -> None:
    assert set(FINISH) == set(FINISH_NAMES)


def test_the_callers_reason_is_told_and_cleaned() -> None:
    body = {
        "error": {
            "message": f"temperature\nis bad, key {KEY}",
            "type": "invalid_request_error",
            "param": "temperature",
            "code": None,
        }
    }
    verdict = classify("openai", 400, body)
    assert verdict == Verdict("caller_invalid_request", "invalid_request", None, "temperature is bad, key ***", "temperature")


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_providers_own_trouble_is_not_told(status: int) -> None:
    verdict = classify("openai", status, {"error": {"message": "account org-12345678 of bob", "param": "p"}})
    assert verdict is not None and verdict.detail is None and verdict.param is None


def test_a_callers_error_has_no_wait() -> None:
    verdict = classify("openai", 400, {"error": {"message": "bad"}}, {"retry-after": "9"})
    assert verdict is not None and verdict.retry_after is None


EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n', None),
        (b'data: {"error":{"code":"1305","message":"m"}}\n\n', "provider_overloaded"),
        (b': ping\n\ndata: {"choices":[]}\n\ndata: {"error":{"code":"1302","message":"m"}}\n\n', "provider_rate_limited"),
        (b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n', "provider_overloaded"),
        (b"", "provider_error"),
        (b": ping\n\n", "provider_error"),
    ],
)
def test_a_stream_that_came_whole(stream: bytes, code: str | None) -> None:
    assert code_of("zai", 200, stream, EVENTS) == code


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_meaning_is_in_the_tables_of_the_gateway(dialect: Dialect) -> None:
    meanings = [*dialect.codes.values(), *dialect.finish.values(), *CODES.values(), *STATUSES.values()]
    meanings += [pattern.meaning for pattern in (*dialect.patterns, *PATTERNS)]
    for meaning in meanings:
        assert TABLE[meaning.code].error_type == meaning.error_type
        assert meaning.error_type in MATRIX


def test_every_row_of_zai_is_tested() -> None:
    assert set(ZAI_CODES) - {code for _, code, _ in ZAI_ROWS} == {"401", "402"}


@given(st.sampled_from(sorted(DIALECTS)), st.integers(100, 599), st.binary(max_size=200), st.binary(max_size=20))
def test_no_answer_raises_and_every_verdict_is_of_the_closed_set(kind: str, status: int, noise: bytes, wait: bytes) -> None:
    provider = CompatProvider(ProviderConfig("p", kind, "http://127.0.0.1:1/v1", None, KEY), FakeClock(), DIALECTS[kind])
    headers = Headers.trusted([(b"retry-after", wait), (b"x-synthetic-quotas", noise)])
    for body in (noise, b'{"error":' + noise, b'{"error":{"message":"' + noise + b'"}}', b'data: {"error":1}\n\n' + noise):
        verdict = provider.classify(status, headers, body)
        if verdict is not None:
            assert TABLE[verdict.code].error_type == verdict.error_type
        else:
            assert 200 <= status < 300
