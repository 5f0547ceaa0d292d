"""Lines and records that every request needs some of: in C (`_text.c`) where the package was built with a C compiler.

A line from twenty pieces costs a third of what it does as a text that is formatted, a record a quarter of what its class takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

__all__ = ["joined", "ms", "record"]

_LONGEST: Final = 1e13
T = TypeVar("T")


class _Maker(Protocol):
    def __call__(self, kind: type[T], /, *fields: object) -> T: ...


def ms(seconds: float | None) -> str:
    """Seconds as milliseconds with two places; a step that did not run took 0."""
    if seconds is None or not seconds > 0.0:  # what is left when a step's own waits are taken off may be less than nothing
        return "0.00"
    scaled = min(seconds, _LONGEST) * 100_000.0
    units = int(scaled)
    if units >= 2000:  # of the shortest, which are most, what is too small for two places is cut off
        units = int(scaled + 0.5)
    return f"{units // 100}.{units % 100:02}"


def _joined(*parts: str | int | float | None) -> str:
    return "".join(
        [part if type(part) is str else ms(part) if part is None or type(part) is float else _other(part) for part in parts]
    )


def _other(part: object) -> str:
    if type(part) is int:
        return str(part)
    if isinstance(part, str):
        return part
    raise TypeError(f"a line is made of str, int, float and None, not {type(part).__name__}")


def _record(kind: type[T], /, *fields: object) -> T:
    made: T = tuple.__new__(kind, fields)  # type: ignore[type-var]  # a kind of tuple
    return made


joined: Callable[..., str] = _joined
"""The text of the parts, one behind the other: a float is seconds, written as `ms` does, and so is None. Raises `TypeError`."""
record: _Maker = _record
"""The NamedTuple of this kind with these fields, which are not looked at: for those that are made for every request, since the
constructor costs several times as much."""

try:
    from wws import _text
except ImportError:
    pass
else:
    joined, record = _text.joined, _text.record
