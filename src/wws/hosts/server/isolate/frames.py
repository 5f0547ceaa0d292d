"""What passes between the gateway and a process of isolated functions: frames of a JSON header and bytes.

    uint32 length of the header, uint32 length of the body, both big-endian; the header, a JSON object; the body

Neither side runs what the other sends: the gateway reads nothing but JSON and bytes from code that it does not trust to be well.
"""

from __future__ import annotations

import asyncio
import base64
from struct import Struct
from typing import Any, Final

from wws import codec

__all__ = ["Frame", "packed", "plain", "read", "unplain"]

Frame = tuple[dict[str, Any], bytes]
MAX_FRAME: Final = 256 * 1024 * 1024
"""Bytes of a body: more than any function may read or answer by far, and what keeps a broken header from being believed."""
_HEAD: Final = Struct(">II")
_BYTES: Final = "\0bytes"


def packed(header: dict[str, Any], body: bytes = b"") -> bytes:
    """A frame as bytes. Raises `TypeError` or `ValueError` for a header that is no JSON."""
    text = codec.encode(header)
    return _HEAD.pack(len(text), len(body)) + text + body


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame, None at the end, also in the midst of a frame. Raises `ValueError` for what is none."""
    try:
        size, length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if size > MAX_FRAME or length > MAX_FRAME:
            raise ValueError("a frame of that size is none of ours")
        header = codec.decode(await reader.readexactly(size))
        body = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    if not isinstance(header, dict):
        raise ValueError("a header is an object")
    return header, body


def plain(value: Any) -> Any:
    """`value` with its bytes as text that JSON takes; `unplain` gives it back. Raises `TypeError` for what is neither."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    raise TypeError(
        f"a {type(value).__name__} cannot pass between an isolated function and the gateway: only JSON values and bytes can"
    )


def unplain(value: Any) -> Any:
    """What `plain` was given, tuples as lists."""
    if isinstance(value, dict):
        if len(value) == 1 and _BYTES in value:
            return base64.b64decode(value[_BYTES])
        return {name: unplain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [unplain(one) for one in value]
    return value
