"""The project's functions at the edge: files of the bundle, imported as ordinary modules when the host starts.

A file that the start may not import (one that asks for randomness, which a platform that takes a snapshot refuses) is imported
when it is first wanted; one that cannot be imported at all answers 500, and keeps no other from answering.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from wws.errors import FunctionError, Problem
from wws.functions.invoke import Code, Function, Handler

__all__ = ["Shipped", "functions_of"]

_METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options")
_EVENTS: Final = ("scheduled", "queue")


@dataclass(frozen=True, slots=True)
class Shipped:
    """One function of a bundle, as plain data: its module and those of the middlewares around it, outermost first.

    `rest` is the name of what `*` at the end of its own pattern stands for, `depth` the number of segments before it.
    """

    module: str
    handlers: tuple[str, ...]
    around: tuple[str, ...] = ()
    rest: str = ""
    depth: int = 0
    settings: dict[str, Any] = field(default_factory=dict)


def functions_of(shipped: Mapping[str, Shipped]) -> dict[str, Function]:
    """The functions by name, imported as far as the start allows."""
    functions = {}
    for name, one in shipped.items():
        rest = (one.rest, one.depth) if one.rest else None
        functions[name] = function = Function(name, partial(_load, one), rest=rest, settings=one.settings)
        try:
            function.code = _code(one)
        except FunctionError:
            continue  # told when it is asked for
    return functions


async def _load(shipped: Shipped) -> Code:
    return _code(shipped)


def _code(shipped: Shipped) -> Code:
    """The handlers of a function and of the middlewares around it. Raises `FunctionError`."""
    around = tuple([_handler(_module(name), "fetch") for name in shipped.around])
    module = _module(shipped.module)
    handlers = {name: _handler(module, name) for name in shipped.handlers}
    methods = {name.upper(): handlers[name] for name in _METHODS if name in handlers}
    return Code(handlers.get("fetch"), methods, around, {name: handlers[name] for name in _EVENTS if name in handlers})


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:  # whatever a file does when it is imported is its own failure
        raise FunctionError([Problem(name, None, "", f"cannot be imported: {type(error).__name__}: {error}")]) from error


def _handler(module: ModuleType, name: str) -> Handler:
    handler: Any = getattr(module, name, None)
    plain = inspect.unwrap(handler) if callable(handler) else None
    if plain is None or (inspect.isfunction(plain) and plain is handler and not inspect.iscoroutinefunction(plain)):
        raise FunctionError([Problem(module.__name__, None, name, "is no coroutine function: write `async def`")])
    found: Handler = handler
    return found
