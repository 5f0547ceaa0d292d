"""What the admin API answers when it does not do what it was asked: a problem document (RFC 9457), with every reason there is."""

from __future__ import annotations

from typing import Final, NamedTuple

from wws import codec
from wws.errors import ConfigError, Refusal, WwsError
from wws.http import Headers, Response
from wws.project.bundle import BundleError

__all__ = ["NotDone", "because", "not_done"]


class _Row(NamedTuple):
    status: int
    title: str


_TABLE: Final = {
    "admin_off": _Row(403, "Forbidden"),
    "admin_token": _Row(401, "Unauthorized"),
    "not_found": _Row(404, "Not Found"),
    "method_not_allowed": _Row(405, "Method Not Allowed"),
    "invalid_request": _Row(400, "Bad Request"),
    "bundle_too_large": _Row(413, "Content Too Large"),
    "bundle_refused": _Row(422, "Unprocessable Content"),
    "release_conflict": _Row(409, "Conflict"),
    "not_written": _Row(507, "Insufficient Storage"),
}


class NotDone(WwsError):
    """A change was not made, and nothing else has changed. `code` is one of the table's; `fields` are headers to send."""

    def __init__(self, code: str, message: str, problems: list[dict[str, object]] | None = None, **fields: str) -> None:
        self.code = code
        self.message = message
        self.problems = problems or []
        self.fields = {name.replace("_", "-"): value for name, value in fields.items()}
        super().__init__(message)


def not_done(error: NotDone) -> Response:
    """The answer."""
    row = _TABLE[error.code]
    told: dict[str, object] = {
        "type": "about:blank",
        "title": row.title,
        "status": row.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.problems:
        told["problems"] = error.problems
    headers = {"content-type": "application/problem+json", "cache-control": "no-store", **error.fields}
    return Response(codec.encode(told), row.status, Headers(headers))


def because(error: WwsError) -> NotDone:
    """Why a version cannot be served, in words for who operates the gateway."""
    if isinstance(error, NotDone):
        return error
    if isinstance(error, ConfigError):
        rows: list[dict[str, object]] = [
            {"file": one.file, "line": one.line, "key": one.key, "message": one.message} for one in error.problems
        ]
        return NotDone("bundle_refused", "the project is wrong", rows)
    if isinstance(error, Refusal):
        return NotDone("bundle_too_large" if error.code == "body_too_large" else "invalid_request", error.message)
    return NotDone("bundle_refused" if isinstance(error, BundleError) else "release_conflict", str(error))
