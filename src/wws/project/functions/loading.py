"""Bringing functions to life without holding up the event loop: each is imported in a thread, once, when it is first wanted.

A file that takes long to import, or never ends, keeps only its own callers waiting.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from wws.errors import FunctionError
from wws.functions.invoke import Code, Function
from wws.project.functions.folder import Folder, Found
from wws.project.functions.modules import Modules

__all__ = ["Functions"]

_log = logging.getLogger("wws.functions")


class Isolated(Protocol):
    """Who runs functions with `isolate`."""

    def handlers(self, found: Found) -> Code:
        """Handlers that hand the work over."""
        ...

    def close(self) -> None:
        """Ends what runs."""
        ...


class Functions:
    """The functions of one version of a project, by name."""

    def __init__(self, folder: Folder, isolated: Isolated | None = None) -> None:
        self._modules = Modules(folder)
        self._isolated = isolated
        self._wanted: dict[str, asyncio.Future[Code]] = {}
        self._told: set[str] = set()
        self._closed = False
        self.by_name: dict[str, Function] = {name: self._function(found) for name, found in folder.functions.items()}
        self._found = folder.functions

    def _function(self, found: Found) -> Function:
        rest = None if found.place is None else found.place.rest
        if self._apart(found) and self._isolated is not None:
            code = self._isolated.handlers(found)
            return Function(found.name, partial(_there, code), code=code, rest=rest, plain=True, settings=found.settings)
        return Function(found.name, partial(self._load, found), rest=rest, plain=found.plain, settings=found.settings)

    async def _load(self, found: Found) -> Code:
        """The code of a function; all who want it meanwhile wait for one import. Raises `FunctionError`."""
        function = self.by_name[found.name]
        if function.code is not None:
            return function.code
        future = self._wanted.get(found.name)
        if future is None:
            future = self._wanted[found.name] = asyncio.get_running_loop().create_future()
            future.add_done_callback(_seen)
            _in_thread(self._import, [found], None)
        try:
            return await asyncio.shield(future)
        except FunctionError as error:
            raise FunctionError(error.problems) from None

    async def warm(self) -> list[FunctionError]:
        """Imports everything, one file after the other; what could not be imported. It runs behind the requests: one that
        comes meanwhile for a function whose turn has not come has it imported at once."""
        done: asyncio.Future[list[FunctionError]] = asyncio.get_running_loop().create_future()
        _in_thread(self._import, [found for found in self._found.values() if not found.problems and not self._apart(found)], done)
        return await done

    def _import(
        self, loop: asyncio.AbstractEventLoop, wanted: Iterable[Found], done: asyncio.Future[list[FunctionError]] | None
    ) -> None:
        """Runs in a thread."""
        failed: list[FunctionError] = []
        try:
            for found in wanted:
                if self._closed:
                    break
                result: Code | FunctionError
                try:
                    result = self._modules.code(found)
                except FunctionError as error:
                    result = error
                    failed.append(error)
                loop.call_soon_threadsafe(self._imported, found.name, result)
            if done is not None:
                loop.call_soon_threadsafe(_done, done, failed)
        except RuntimeError:  # the loop has ended meanwhile
            return

    def _imported(self, name: str, result: Code | FunctionError) -> None:
        future = self._wanted.get(name)
        if isinstance(result, FunctionError):
            if name not in self._told:
                self._told.add(name)
                _log.error("function %s is broken: %s", name, result)
        else:
            self.by_name[name].code = result
        if future is None or future.done():
            return
        if isinstance(result, FunctionError):
            future.set_exception(result)
        else:
            future.set_result(result)

    def close(self) -> None:
        """Lets the code go, when no request of this version runs any more."""
        self._closed = True
        self._modules.close()
        if self._isolated is not None:
            self._isolated.close()

    def _apart(self, found: Found) -> bool:
        """Whether it runs elsewhere: its code is not imported here."""
        return self._isolated is not None and bool(found.settings.get("isolate")) and not found.problems


async def _there(code: Code) -> Code:
    return code


def _in_thread(work: Callable[..., None], *arguments: Any) -> None:
    """A daemon: a file that never ends importing must not keep the process from ending."""
    loop = asyncio.get_running_loop()
    threading.Thread(target=work, args=(loop, *arguments), name="wws-import", daemon=True).start()


def _seen(future: asyncio.Future[Code]) -> None:
    """An import that failed is told in the log, whether or not somebody waits."""
    if not future.cancelled():
        future.exception()


def _done(future: asyncio.Future[list[FunctionError]], failed: list[FunctionError]) -> None:
    if not future.done():
        future.set_result(failed)
