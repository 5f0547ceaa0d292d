"""See `wws.core.text`, which says what these do."""

from typing import TypeVar

T = TypeVar("T")

def joined(*parts: str | int | float | None) -> str: ...
def record(kind: type[T], /, *fields: object) -> T: ...
