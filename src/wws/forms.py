"""Forms as browsers send them: `application/x-www-form-urlencoded` (url.spec.whatwg.org) and `multipart/form-data` (RFC 7578)."""

from __future__ import annotations

from collections.abc import Iterator
from email.errors import MessageError
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from wws.errors import Refusal

__all__ = ["File", "Form", "read"]

MAX_FIELDS: Final = 1000
"""Fields of one form; PHP's max_input_vars is as many."""
_URLENCODED: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"


class File(NamedTuple):
    """A file of a form: the name that the client gave it (a text of his own, no path to write to), its type, its bytes."""

    name: str
    type: str
    data: bytes


Value = str | File


class Form:
    """The fields in order; a name may be there more than once."""

    def __init__(self, fields: list[tuple[str, Value]]) -> None:
        self.fields = fields

    def get(self, name: str, default: str | None = None) -> Value | None:
        """The first value of `name`."""
        return next((value for field, value in self.fields if field == name), default)

    def getall(self, name: str) -> list[Value]:
        """Every value of `name`."""
        return [value for field, value in self.fields if field == name]

    def __getitem__(self, name: str) -> Value:
        for field, value in self.fields:
            if field == name:
                return value
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(field == name for field, _ in self.fields)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([field for field, _ in self.fields]))

    def __len__(self) -> int:
        return len(self.fields)


def read(content_type: str | None, body: bytes) -> Form:
    """The form in a body. `Refusal`: `unsupported_media_type` where it is none, `invalid_request` where it is malformed."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind == _URLENCODED:
        return _urlencoded(body)
    if kind == _MULTIPART:
        return _multipart(content_type or "", body)
    raise Refusal("unsupported_media_type", f"Send {_URLENCODED} or {_MULTIPART}.")


def _urlencoded(body: bytes) -> Form:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:  # of which UnicodeDecodeError is one
        raise _malformed(f"The form is not UTF-8, or has more than {MAX_FIELDS} fields.") from None
    return Form([(name, value) for name, value in pairs])


def _multipart(content_type: str, body: bytes) -> Form:
    if body.count(b"\n--") > MAX_FIELDS + 1:
        raise _malformed(f"The form has more than {MAX_FIELDS} fields.")
    head = b"content-type: " + content_type.encode("latin-1") + b"\r\n\r\n"
    try:
        message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + body)
        parts = list(message.iter_parts()) if message.is_multipart() else []
    except (MessageError, ValueError, LookupError):
        raise _malformed("The form is not multipart/form-data.") from None
    if not parts or message.defects:
        raise _malformed("The form is not multipart/form-data, or is cut off.")
    return Form([_part(part) for part in parts])


def _part(part: MIMEPart) -> tuple[str, Value]:
    name = part.get_param("name", header="content-disposition")
    if part.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise _malformed("A part of the form has no name.")  # RFC 7578 section 4.2: "MUST also contain a "name" parameter"
    data = part.get_payload(decode=True)
    data = data if isinstance(data, bytes) else b""
    filename = part.get_filename()
    if filename is not None:
        return name, File(filename, part.get_content_type(), data)
    try:
        return name, data.decode()
    except UnicodeDecodeError:
        raise _malformed(f"The field {name[:60]!r} is not UTF-8.") from None


def _malformed(message: str) -> Refusal:
    return Refusal("invalid_request", message)
