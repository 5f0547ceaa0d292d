"""Dataclasses as plain data and back: lists, dictionaries, texts, numbers, flags and null, which every format carries.

Only what differs from a class's defaults is written, so a policy is small and an edge host reads no more than was said.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["from_plain", "to_plain"]

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """`value` as plain data. Raises `TypeError` for what has no such form."""
    if value is None or isinstance(value, str | int | float):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        members = [(field, getattr(value, field.name)) for field in fields(value)]
        return {field.name: to_plain(member) for field, member in members if member != _default(field)}
    if isinstance(value, dict):
        return {str(name): to_plain(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(element) for element in value]
    raise TypeError(f"{type(value).__name__} has no form as plain data")


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def from_plain(kind: type[T], data: Any) -> T:
    """The `kind` that `to_plain` wrote. Raises `ValueError` for other data: a bundle of another version, say."""
    try:
        hashable: Any = kind
        read: T = _reader(hashable)(data)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not the plain data of {kind.__name__}: {error}") from None
    return read


def _same(data: Any) -> Any:
    return data


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """How data of one type is read: a table of its fields' readers, made once."""
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass_reader(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Union or origin is types.UnionType:
        others = [one for one in inner if one is not type(None)]
        read = _reader(others[0]) if len(others) == 1 else _same
        return lambda data: None if data is None else read(data)
    if origin is tuple:
        element = _reader(inner[0])
        return lambda data: tuple([element(one) for one in data])
    if origin is dict:
        member = _reader(inner[1])
        return lambda data: {name: member(one) for name, one in data.items()}
    if kind is float:
        return float  # JSON does not tell 60.0 from 60
    if kind in (str, int, bool, Any) or origin is Literal:
        return _same
    raise TypeError(f"no reader for {kind}")


def _dataclass_reader(kind: type[Any]) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    return lambda data: kind(**{name: readers[name](member) for name, member in data.items()})
