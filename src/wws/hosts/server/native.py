"""What of the data plane is written in C (`_wire.c`): it is there where the package was built with a C compiler.

Without it every head is read by llhttp and judged by `core.wire.head`, which is what both are held against.
"""

from __future__ import annotations

from collections.abc import Callable

Pair = tuple[bytes, bytes]
ReadRequest = Callable[[bytes, int], "tuple[int, str, str, bytes, list[Pair], dict[bytes, bytes], int] | None"]
ReadResponse = Callable[[bytes, int], "tuple[int, int, list[Pair], dict[bytes, bytes], int] | None"]
WriteAnswer = Callable[[bytes, list[Pair], bytes, str, bytes, bytes], bytes]

read_request: ReadRequest | None = None
read_response: ReadResponse | None = None
write_answer: WriteAnswer | None = None

try:
    from wws import _wire
except ImportError:
    pass
else:
    read_request, read_response, write_answer = _wire.request, _wire.response, _wire.answer
