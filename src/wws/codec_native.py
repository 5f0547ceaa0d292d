"""JSON by msgspec: what `wws.codec` uses where it is installed.

With the part in C a piece is the bytes themselves, or a view of many. Without, it is msgspec's view, which its encoder takes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from wws import codec_c

_members: Final = codec_c.members
_join: Final = codec_c.join
_DEEP: Final = 256
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder()
_splitter: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode(value: object) -> bytes:
    """`value` as compact UTF-8 JSON."""
    return _encoder.encode(value)


def decode(data: bytes | str) -> Any:
    """The value of JSON text."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def split(data: bytes) -> dict[str, Any]:
    """The top-level members of a JSON object. The last of two members with one name wins."""
    if _members is not None:
        plain = _members(data, _DEEP)
        if plain is not None:
            return plain
    if not data.isascii():
        data.decode()  # msgspec does not look inside the values it leaves alone
    try:
        found = _splitter.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return found if _members is None else {name: bytes(text) for name, text in found.items()}


def split_within(data: bytes, depth: int) -> dict[str, Any] | None:
    """See `codec.split_within`."""
    return None if _members is None else _members(data, depth)


def join(members: dict[str, Any]) -> bytes:
    """The JSON object of `members`: the inverse of `split`. Every value keeps its bytes."""
    if _join is None:
        return _encoder.encode(members)
    joined = _join(members)
    if joined is not None:
        return joined
    return b"{" + b",".join([_encoder.encode(name) + b":" + text for name, text in members.items()]) + b"}"


def piece(value: object) -> Any:
    """`value` as a `Piece`, to be put among the members of `split`."""
    return raw(_encoder.encode(value))


def raw(data: bytes) -> Any:
    """The `Piece` of `data`, which is the text of one JSON value already and is not looked at."""
    return msgspec.Raw(data) if _members is None else data


def value(text: Any) -> Any:
    """The value a `Piece` stands for."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
