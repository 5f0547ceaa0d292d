from typing import TypeVar

T = TypeVar("T", bound=tuple[int, ...])

def members(data: bytes, most: int, /) -> dict[str, bytes | memoryview] | None:
    """The members of a JSON object, a large value as a view of `data`; None: not usual, or nested deeper than `most`."""

def join(members: dict[str, bytes | memoryview], /) -> bytes | None:
    """`wws.codec.join`; None: not usual."""

def good(body: bytes, /) -> bool:
    """`wws.providers.verdict.good`."""

def told(body: bytes, kind: type[T], /) -> tuple[T, str] | None:
    """The usage, as a `kind`, and the model that a plain answer states; None: not usual."""
