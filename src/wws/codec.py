"""JSON for the whole project: msgspec where it is installed, the standard library at the edge, with the same results.

Two kinds of use. `encode` and `decode` treat whole values. `split` and `join` treat one JSON object as its top-level
members, whose values stay the bytes they were (a `Piece` each), so that a request body can have its `model` replaced
without anything else being decoded or encoded again.

Bad input raises `ValueError` and nothing else (RFC 8259). Where the RFC leaves a choice, both make the same: a lone surrogate
(`"\\ud800"`), a number too large for a double and an integer of more than 4300 digits are refused, of two members with one name
the last wins. A float that is not finite becomes `null`, as with JavaScript's JSON.stringify. Names of members are texts.
"""

from __future__ import annotations

import json
import math
import re
from importlib.util import find_spec
from typing import Any, TypeAlias

_NATIVE = find_spec("msgspec") is not None  # the edge hosts have the standard library only

__all__ = ["Piece", "decode", "encode", "join", "piece", "raw", "split", "split_within", "value"]

Piece: TypeAlias = Any
"""One JSON value as text, untouched: `bytes`, or msgspec's equivalent. Made by `split`, `piece` and `raw`, read by `value`."""


def _reject_constant(name: str) -> Any:
    # RFC 8259 section 6: "Numeric values that cannot be represented in the grammar (such as Infinity and NaN) are not permitted."
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("number out of range")
    return number


_scanner = json.JSONDecoder(parse_constant=_reject_constant, parse_float=_finite)
_quoted = json.encoder.encode_basestring
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_passer = json.JSONDecoder(parse_constant=_reject_constant, parse_float=len, parse_int=len)  # for values nobody looks at
_WHITESPACE = " \t\n\r"
# RFC 8259 section 8.2: what a lone surrogate means is unpredictable. In valid JSON a backslash only stands in strings.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def _reject_lone_surrogates(text: str) -> None:
    if ("\\ud" in text or "\\uD" in text) and any(found[1] for found in _ESCAPE.finditer(text)):
        raise ValueError("a lone surrogate")


def _nulls(value: Any) -> Any:
    """`value` with None in the place of every float that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _nulls(member) for name, member in value.items()}
    return [_nulls(element) for element in value] if isinstance(value, list | tuple) else value


def std_encode(value: object) -> bytes:
    """`value` as compact UTF-8 JSON, by the standard library."""
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        raise
    except ValueError:
        return _encode(_nulls(value)).encode()


def std_decode(data: bytes | str) -> Any:
    """The value of JSON text, by the standard library."""
    text = data.decode() if isinstance(data, bytes) else data
    try:
        # `decode` looks for white space around the value, at the cost of a short one
        value, end = _scanner.raw_decode(text, 0 if text[:1] == "{" else _skip(text, 0))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if end != len(text) and _skip(text, end) != len(text):
        raise ValueError(f"trailing characters at {end}")
    if "\\u" in text:
        _reject_lone_surrogates(text)
    return value


def std_split(data: bytes) -> dict[str, Piece]:
    """`split`, by the standard library."""
    text = data.decode()
    _reject_lone_surrogates(text)
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("not a JSON object")
    at = _skip(text, at + 1)
    members: dict[str, Piece] = {}
    if text[at : at + 1] == "}":
        return _ended(text, at + 1, members)
    while True:
        try:
            name, at = _passer.raw_decode(text, at)
            at = _skip(text, at)
            if not isinstance(name, str) or text[at : at + 1] != ":":
                raise ValueError(f"member name expected at character {at}")
            start = _skip(text, at + 1)
            _, at = _passer.raw_decode(text, start)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        members[name] = text[start:at].encode()
        at = _skip(text, at)
        mark = text[at : at + 1]
        at = _skip(text, at + 1)
        if mark == "}":
            return _ended(text, at, members)
        if mark != ",":
            raise ValueError(f"',' or '}}' expected at character {at}")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITESPACE:
        at += 1
    return at


def _ended(text: str, at: int, members: dict[str, Piece]) -> dict[str, Piece]:
    if _skip(text, at) != len(text):
        raise ValueError(f"trailing characters at {at}")
    return members


def std_join(members: dict[str, Piece]) -> bytes:
    """`join`, by the standard library."""
    return b"{" + b",".join([_quoted(name).encode() + b":" + text for name, text in members.items()]) + b"}"


if _NATIVE:
    from wws.codec_native import decode, encode, join, piece, raw, split, split_within, value

else:
    encode, decode, split, join, piece = std_encode, std_decode, std_split, std_join, std_encode

    def split_within(data: bytes, depth: int) -> dict[str, Piece] | None:
        """`split` in one pass, at a tenth of the cost for a large text; None where it cannot be had so.

        That is where the project was built without a C compiler, and for a text that is not JSON, nested more than `depth`
        deep, or unusual in some other way: who gets None goes the long way, which says what is wrong.
        """
        return None

    def raw(data: bytes) -> Piece:
        """The `Piece` of `data`, which is the text of one JSON value already and is not looked at."""
        return data

    def value(text: Piece) -> Any:
        """The value a `Piece` stands for."""
        return std_decode(text)
