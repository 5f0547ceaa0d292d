"""What an error body says, whichever of the usual shapes it has.

{"error": {"message", "type", "param", "code"}}      OpenAI; z.ai sends the code as text of digits
{"type": "error", "error": {"type", "message"}}      Anthropic
{"error": "text"}                                    synthetic.new, Ollama's own API
{"object": "error", "message", "type", "code"}       vLLM before 0.10
{"code": 1001, "msg": "text", "success": false}      z.ai, inside HTTP 200 too
{"detail": "text" | [{"msg", "loc"}]}                FastAPI
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from wws import codec

__all__ = ["Complaint", "cleaned", "read"]

MAX_TEXT = 2000
"""Characters of a provider's text that are looked at; the reasons stand in the first hundred."""
MAX_DETAIL = 400
"""Characters of it that a caller may get to see."""


class Complaint(NamedTuple):
    """Code and type are empty where there is none; `message` is the provider's own text, not fit for a caller as it is."""

    code: str = ""
    type: str = ""
    message: str = ""
    param: str | None = None


def read(body: bytes) -> Complaint | None:
    """The complaint in a body; None when it is JSON that complains of nothing. What is not JSON is text."""
    try:
        value = codec.decode(body)
    except ValueError:
        return Complaint(message=body[: 4 * MAX_TEXT].decode("utf-8", "replace")[:MAX_TEXT])
    if isinstance(value, list):  # Google's compatible endpoint wraps the object
        value = value[0] if value else {}
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, dict):
        return _of(error, error.get("message"))
    if error:
        return _of(value, error)
    if value.get("success") is False or value.get("object") == "error":
        return _of(value, value.get("msg") or value.get("message"))
    if "detail" in value:
        return _of(value, _detail(value["detail"]))
    if "choices" not in value and ("msg" in value or "message" in value) and ("code" in value or len(value) == 1):
        return _of(value, value.get("msg") or value.get("message"))
    return None


def _of(fields: dict[str, Any], message: Any) -> Complaint:
    code, kind, param = fields.get("code"), fields.get("type"), fields.get("param")
    return Complaint(
        str(code) if isinstance(code, str | int) and not isinstance(code, bool) else "",
        kind if isinstance(kind, str) else "",
        message[:MAX_TEXT] if isinstance(message, str) else "",
        param if isinstance(param, str) and len(param) <= 100 else None,
    )


def _detail(detail: Any) -> str:
    if isinstance(detail, list):
        return "; ".join([str(entry.get("msg", "")) for entry in detail[:5] if isinstance(entry, dict)])
    return detail if isinstance(detail, str) else ""


# Keys and account ids by their usual looks; a provider may quote the one it was sent.
_SECRET = re.compile(
    r"(?i)\b(?:bearer\s+\S+|(?:sk|pk|rk|syn|org|proj|key|user|acct|req)[-_][A-Za-z0-9_\-]{6,}|[0-9a-f]{32}(?:\.[A-Za-z0-9]+)?)"
)
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f]+")


def cleaned(text: str, secret: str | None = None) -> str | None:
    """A provider's reason as a caller may see it: one line, short, without keys and account ids. None when nothing is left."""
    if secret:
        text = text.replace(secret, "***")
    text = _BLANKS.sub(" ", _SECRET.sub("***", text[:MAX_TEXT])).strip()
    if not text or text.startswith("<"):  # a page of some proxy says nothing to a caller
        return None
    return text if len(text) <= MAX_DETAIL else text[: MAX_DETAIL - 3].rstrip() + "..."
