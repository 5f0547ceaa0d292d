"""A `Refusal` as an answer: OpenAI's error shape on `ai` routes, a problem document everywhere else."""

from __future__ import annotations

import math
from typing import Final

from wws import codec
from wws.errors import Refusal
from wws.http import Headers, Pair, Response

_OPENAI: Final[list[Pair]] = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_PROBLEM: Final[list[Pair]] = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
_WAIT: Final = 1.0  # seconds, where a 429 or 503 knows no better: the least that Retry-After can say
_MEMORY: Final = 256

# RFC 9457 section 4.2.1: about:blank where the status says all; the registered type for limits (IANA, http-problem-types).
_TYPES: Final = {"rate_limit_exceeded": "https://iana.org/assignments/http-problem-types#quota-exceeded"}
_TITLES: Final = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content",
    429: "Too Many Requests", 499: "Client Closed Request", 500: "Internal Server Error", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Gateway Timeout", 508: "Loop Detected",
}  # fmt: skip

_bodies: dict[tuple[str, str, str | None, bool], bytes] = {}


def _body(refusal: Refusal, openai: bool) -> bytes:
    key = (refusal.code, refusal.message, refusal.param, openai)
    known = _bodies.get(key)
    if known is not None:
        return known
    row = refusal.row
    if openai:
        # `type` beside `error` is what Anthropic's SDK looks for; OpenAI's ignores it.
        error = {"message": refusal.message, "type": row.type, "param": refusal.param, "code": refusal.code}
        body = codec.encode({"type": "error", "error": error})
    else:
        problem = {
            "type": _TYPES.get(refusal.code, "about:blank"),
            "title": _TITLES[row.status],
            "status": row.status,
            "detail": refusal.message,
            "code": refusal.code,
        }
        body = codec.encode(problem if refusal.param is None else {**problem, "param": refusal.param})
    if len(_bodies) >= _MEMORY:
        _bodies.clear()
    _bodies[key] = body
    return body


def refuse(refusal: Refusal, *, openai: bool) -> Response:
    """The response to a refusal.

    Retry-After (RFC 9110 section 10.2.3) is a whole number of seconds, rounded up, on every 429 and 503;
    `retry-after-ms` and `x-should-retry` are what the OpenAI SDKs read.
    """
    status = refusal.row.status
    headers = list(_OPENAI if openai else _PROBLEM)
    wait = refusal.retry_after
    if wait is None and status in (429, 503):
        wait = _WAIT
    if wait is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait))))
        if openai:
            headers.append((b"retry-after-ms", b"%d" % max(1, math.ceil(wait * 1000))))
    if refusal.challenge is not None:
        headers.append((b"www-authenticate", refusal.challenge.encode("latin-1")))
    if refusal.retry is not None:
        headers.append((b"x-should-retry", b"true" if refusal.retry else b"false"))
    if refusal.allow is not None:
        headers.append((b"allow", ", ".join(refusal.allow).encode("ascii")))
    return Response(_body(refusal, openai), status, Headers.trusted(headers))
