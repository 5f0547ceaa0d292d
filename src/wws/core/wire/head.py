"""Is this request head acceptable, and what does it ask for: the rules a parser leaves to us.

The parser (llhttp) has checked the grammar; what it lets through and HTTP/1.1 forbids, or what would let two hops read
one message differently, is refused here.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple

from wws.core.text import record

Pair = tuple[bytes, bytes]

MAX_HEADER_BYTES: Final = 32 * 1024  # the whole block: h11 takes 16 KiB, Tomcat 8, node 16 (80 before)
MAX_HEADERS: Final = 100  # Apache's LimitRequestFields, and Django's DATA_UPLOAD_MAX_NUMBER_FIELDS is 1000 for forms
MAX_TARGET: Final = 8 * 1024  # RFC 9112 section 3: "at least 8000 octets" are recommended
_MAX_PORT: Final = 65_535
_HOSTS_REMEMBERED: Final = 512

# RFC 3986 section 3.2.2: reg-name without percent-escapes and sub-delims, which no name on the web has; or an IP-literal.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.\-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_ABSOLUTE: Final = re.compile(rb"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
# A field that may come once only (RFC 9110 section 5.3), and whose repetition two hops could read in two ways.
_SINGLE: Final = (
    b"host",
    b"content-length",
    b"transfer-encoding",
    b"content-type",
    b"expect",
    b"origin",
    b"x-request-id",
    b"upgrade",
)


class Refused(NamedTuple):
    """The status and the reason to answer with before the connection is closed."""

    status: int
    reason: str


class Head(NamedTuple):
    """An acceptable head: the target in origin form, its authority, and the announced length of the body.

    `length` None means chunked; 0 means there is no body.
    """

    target: str
    authority: str
    length: int | None


_good_hosts: dict[bytes, str] = {}
_good_names: set[bytes] = set()
_NAMES_REMEMBERED: Final = 512
_good_targets: dict[bytes, str] = {}
_TARGETS_REMEMBERED: Final = 1024
_TARGET_REMEMBERED: Final = 256  # bytes of one that is
_record: Final = record


def authority_of(value: bytes) -> str | None:
    """A host and port in lower case, None for what is none (RFC 3986 section 3.2.2)."""
    known = _good_hosts.get(value)
    if known is not None:
        return known
    if not _HOST.fullmatch(value) or not _plausible(value):
        return None
    if len(_good_hosts) >= _HOSTS_REMEMBERED:
        _good_hosts.clear()
    text = _good_hosts[value] = value.decode("ascii").lower()
    return text


def _plausible(value: bytes) -> bool:
    """What the pattern cannot say: a port is at most 65535, and an address in brackets is one."""
    name, _, port = value.rpartition(b":") if not value.endswith(b"]") else (value, b"", b"")
    if name and port and int(port) > _MAX_PORT:
        return False
    literal = (name or value).decode("ascii")
    if not literal.startswith("["):
        return True
    try:
        IPv6Address(literal[1:-1])
    except AddressValueError:
        return False
    return True


def check(version: str, method: bytes, target: bytes, headers: list[Pair], first: dict[bytes, bytes]) -> Head | Refused:
    """Judges one head. `headers` has lower case names in order, `first` is the same as a dictionary.

    Sources: RFC 9112 sections 3.2 (target and Host), 6.1 and 6.3 (framing); RFC 9110 section 5.3 (repeated fields).
    """
    if version != "1.1" and version != "1.0":
        return Refused(505, "This server speaks HTTP/1.1.")
    if len(headers) > MAX_HEADERS:
        return Refused(431, f"More than {MAX_HEADERS} header fields.")
    if len(target) > MAX_TARGET:
        return Refused(414, f"The request target is longer than {MAX_TARGET} bytes.")
    if len(first) != len(headers):
        repeated = _repeated(headers)
        if repeated is not None:
            return Refused(400, f"The header field {repeated} comes more than once.")
    for name in first:
        if name not in _good_names and not _good_name(name):
            return Refused(400, "A header name contains an underscore, which servers and proxies read differently.")
    length = _length(version, first)
    if isinstance(length, Refused):
        return length
    return _target(version, method, target, first.get(b"host"), length)


def _good_name(name: bytes) -> bool:
    if name.find(b"_") >= 0:  # `in` first tries what is sought as a number, at twenty times the cost
        return False
    if len(_good_names) >= _NAMES_REMEMBERED:
        _good_names.clear()
    _good_names.add(name)
    return True


def _repeated(headers: list[Pair]) -> str | None:
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in seen and name in _SINGLE:
            return name.decode("ascii")
        seen.add(name)
    return None


def _length(version: str, first: dict[bytes, bytes]) -> int | None | Refused:
    coding = first.get(b"transfer-encoding")
    announced = first.get(b"content-length")
    if coding is not None:
        # RFC 9112 section 6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding
        # header field MUST treat the message as if the framing is faulty".
        if version == "1.0":
            return Refused(400, "Transfer-Encoding in an HTTP/1.0 request.")
        if announced is not None:
            return Refused(400, "Content-Length and Transfer-Encoding together.")
        if coding.lower() != b"chunked":
            return Refused(501, "The only transfer coding understood here is chunked.")
        return None
    if announced is None:
        return 0
    # RFC 9110 section 8.6: Content-Length = 1*DIGIT.
    if not announced.isdigit() or len(announced) > 18:
        return Refused(400, "Content-Length is not a number of bytes.")
    return int(announced)


def _target(version: str, method: bytes, target: bytes, host: bytes | None, length: int | None) -> Head | Refused:
    if host is None:
        # RFC 9112 section 3.2: a server MUST respond with 400 to an HTTP/1.1 request that lacks a Host header field.
        if version == "1.1":
            return Refused(400, "The Host header field is missing.")
        host = b"localhost"
    authority = authority_of(host)
    if authority is None:
        return Refused(400, "The Host header field is not a host and port.")
    known = _good_targets.get(target)
    if known is not None and method != b"CONNECT":
        return _record(Head, known, authority, length)
    if method == b"CONNECT" or target[:1] != b"/":
        if method == b"CONNECT" or target == b"*":
            return Refused(400, "This form of request target is not served.")
        absolute = _ABSOLUTE.fullmatch(target)
        # RFC 9112 section 3.2.2: the authority of an absolute target replaces Host. One that differs is not ours to serve.
        if absolute is None or absolute[2].lower().decode("latin-1") != authority:
            return Refused(400, "The request target is not a path, or names another authority than Host.")
        target = absolute[3] or b"/"
        if not target.startswith(b"/"):
            target = b"/" + target
    if target.find(b"#") >= 0:
        return Refused(400, "The request target has a fragment.")
    try:
        text = target.decode("ascii")
    except UnicodeDecodeError:
        return Refused(400, "The request target has bytes that are not ASCII.")
    if len(target) <= _TARGET_REMEMBERED:
        if len(_good_targets) >= _TARGETS_REMEMBERED:
            _good_targets.clear()
        _good_targets[target] = text
    return Head(text, authority, length)
