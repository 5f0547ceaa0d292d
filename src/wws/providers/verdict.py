"""From a provider's answer to a verdict: by (provider, status, code, text), never by the status alone."""

from __future__ import annotations

from typing import Final

from wws import codec, codec_c
from wws.bindings import Verdict
from wws.core.resilience.wait import retry_after
from wws.core.wire import complaint as complaints
from wws.core.wire.complaint import Complaint
from wws.core.wire.sse import EventTooLarge, Parser
from wws.http import Headers
from wws.providers.dialect import CODES, FAILED, INVALID, PATTERNS, STATUSES, Dialect, Meaning

__all__ = ["finished", "good", "judge", "of_finish"]

# What an answer that is one has near its beginning. Inside a JSON string the quotes would be escaped, so none of these
# can come from the model's text.
_GOOD: Final = (
    b'"choices":[{', b'"choices": [{', b'"type":"message"', b'"type": "message"',
    b'"object":"list"', b'"object": "list"', b'"data":[',
)  # fmt: skip
_HEAD: Final = 1024
_quick: Final = codec_c.good
_ANSWER: Final = frozenset({"choices", "data", "content", "object", "type", "embedding"})
_FINISH: Final = (b'"finish_reason":"', b'"finish_reason": "')


def good(body: bytes) -> bool:
    """Whether the body of a 2xx is plainly an answer, but for a finish reason that may be an error (`finished`)."""
    if _quick is not None:
        return _quick(body)
    head = body if len(body) <= _HEAD else body[:_HEAD]
    if head.partition(b'"error"')[1]:  # cheaper than `find`, for texts as short as this
        return False
    return any(head.partition(mark)[1] for mark in _GOOD)


def finished(dialect: Dialect, body: bytes) -> Verdict | None:
    """What the finish reason of an answer that is one means, when it is an error of this provider."""
    return of_finish(dialect, _finish_reason(body)) if dialect.finish else None


def judge(dialect: Dialect, status: int, headers: Headers, body: bytes, now: float, secret: str | None) -> Verdict | None:
    """What an answer means that is not plainly `good`; None when it is one all the same. `now` is wall time; `secret` is kept
    out of the verdict."""
    if 200 <= status < 300:
        return _inside_200(dialect, headers, body, now, secret)
    return _verdict(dialect, status, headers, complaints.read(body) or Complaint(), now, secret)


def of_finish(dialect: Dialect, reason: str | None) -> Verdict | None:
    """What a finish reason means when it is an error of this provider."""
    meaning = dialect.finish.get(reason) if reason is not None else None
    return None if meaning is None else Verdict(meaning.error_type, meaning.code, meaning.wait)


def _finish_reason(body: bytes) -> str | None:
    """The first choice's reason, found by its name: members in alphabetical order have it first, in OpenAI's order last."""
    for mark in _FINISH:
        at = body.find(mark, 0, _HEAD)
        if at < 0:
            at = body.rfind(mark)
        if at >= 0:
            start = at + len(mark)
            return body[start : body.find(b'"', start)].decode("latin-1")
    return None


def _inside_200(dialect: Dialect, headers: Headers, body: bytes, now: float, secret: str | None) -> Verdict | None:
    if headers.first.get(b"content-type", b"").lower().startswith(b"text/event-stream"):
        return _inside_stream(dialect, headers, body, now, secret)
    complaint = complaints.read(body)
    if complaint is not None:
        # "error": null beside choices never comes here; what is no JSON is an error whatever it says.
        return _verdict(dialect, 200, headers, complaint, now, secret)
    try:
        members = codec.split(body)
    except ValueError:
        members = {}
    if _ANSWER.isdisjoint(members):
        return Verdict(FAILED.error_type, FAILED.code)  # {} and other surprises
    if bytes(members.get("object", b"")) == b'"chat.completion"' and bytes(members.get("choices", b"[]")) in (b"[]", b"null"):
        return Verdict(FAILED.error_type, FAILED.code)
    return finished(dialect, body)


def _inside_stream(dialect: Dialect, headers: Headers, body: bytes, now: float, secret: str | None) -> Verdict | None:
    """A stream that came whole: an error among its first events, or nothing at all."""
    try:
        events = Parser().feed(body[: 64 * _HEAD] + b"\n\n")
    except EventTooLarge:
        return Verdict(FAILED.error_type, FAILED.code)
    for event in events:
        if event.data.find(b'"error"') >= 0 and (complaint := complaints.read(event.data)) is not None:
            return _verdict(dialect, 200, headers, complaint, now, secret)
    return None if events else Verdict(FAILED.error_type, FAILED.code)


def _verdict(dialect: Dialect, status: int, headers: Headers, complaint: Complaint, now: float, secret: str | None) -> Verdict:
    meaning = _meaning(dialect, status, complaint)
    if dialect.hint is not None and status in (200, 429):
        meaning = dialect.hint(headers.first, complaint, now) or meaning
    caller = meaning.error_type.startswith("caller_")
    wait = None if caller else retry_after(headers.first, now)
    return Verdict(
        meaning.error_type,
        meaning.code,
        meaning.wait if wait is None else wait,
        complaints.cleaned(complaint.message, secret) if caller else None,
        complaint.param if caller else None,
    )


def _meaning(dialect: Dialect, status: int, complaint: Complaint) -> Meaning:
    found = dialect.codes.get(complaint.code) or CODES.get(complaint.code)
    if found is not None:
        return found
    text = complaint.message.lower()
    for patterns in (dialect.patterns, PATTERNS):
        for statuses, words, meaning in patterns:
            if status in statuses and all(word in text for word in words):
                return meaning
    found = dialect.codes.get(complaint.type) or CODES.get(complaint.type) or STATUSES.get(status)
    if found is not None:
        return found
    # RFC 9110 section 15: an unknown status is treated as the x00 of its class. A redirect is not followed: it is a failure.
    return INVALID if 400 <= status < 500 else FAILED
