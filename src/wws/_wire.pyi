Pair = tuple[bytes, bytes]

def request(data: bytes, most: int, /) -> tuple[int, str, str, bytes, list[Pair], dict[bytes, bytes], int] | None:
    """Where the body begins, method, target, Host, fields, the same by name, length of the body; None: not plain."""

def response(data: bytes, most: int, /) -> tuple[int, int, list[Pair], dict[bytes, bytes], int] | None:
    """Where the body begins, status, fields, the same by name, length of the body; None: not plain."""

def answer(status: bytes, fields: list[Pair], date: bytes, notes: str, framing: bytes, content: bytes, /) -> bytes:
    """A whole answer: what `hosts.server.outgoing.head` gives, and `content` behind it."""
