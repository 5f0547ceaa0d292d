"""The code of one version of the functions folder, in a package of its own, so that a reload never changes what runs.

The texts are those that were read with the project. Files import one another by relative imports (`from ._lib import x`) or
by their path in the folder (`from lib.auth import x`); names of the standard library and of WWS always mean those.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import itertools
import sys
import traceback
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wws.errors import FunctionError, Problem
from wws.functions.invoke import Code, Handler
from wws.project.functions.folder import Folder, Found
from wws.project.functions.source import EVENTS, METHODS

__all__ = ["Modules"]

_numbers = itertools.count(1)
_packages: dict[str, Modules] = {}
_BESIDE: Final = ":file"
_OUTSIDE: Final = frozenset(sys.stdlib_module_names) | {"wws"}


class Modules:
    """Imports files of `folder`; `close` forgets them."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.package = f"wws_functions_{next(_numbers)}"
        names = {path: _module(path) for path in folder.sources}
        self.packages = {name.rpartition(".")[0] for name in names.values()} | {""}
        self.packages |= {".".join(name.split(".")[:end]) for name in self.packages for end in range(name.count(".") + 1)}
        # shop.py beside shop/: the folder has the name, so that its files do not depend on what shop.py does.
        self.names = {path: f"{name}{_BESIDE}" if name in self.packages else name for path, name in names.items()}
        self.paths = {name: path for path, name in self.names.items()}
        self.tops = {name.partition(".")[0] for name in self.paths} - _OUTSIDE
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import}
        _packages[self.package] = self
        _Finder.install()

    def close(self) -> None:
        """Lets the modules go. Code of theirs that still runs keeps what it has, and can import nothing new."""
        _packages.pop(self.package, None)
        for name in [name for name in sys.modules if name == self.package or name.startswith(f"{self.package}.")]:
            sys.modules.pop(name, None)

    def code(self, found: Found) -> Code:
        """The handlers of a function and of the middlewares around it. Raises `FunctionError`."""
        if found.problems:
            raise FunctionError(list(found.problems))
        around = []
        for name in found.middlewares:
            handler = self._handlers(name, frozenset({"fetch"})).get("fetch")
            if handler is not None:
                around.append(handler)
        handlers = self._handlers(found.name, found.handlers)
        methods = {METHODS[name]: handler for name, handler in handlers.items() if name in METHODS}
        events = {name: handlers[name] for name in EVENTS if name in handlers}
        return Code(handlers.get("fetch"), methods, tuple(around), events)

    def _handlers(self, name: str, wanted: frozenset[str]) -> Mapping[str, Handler]:
        path = f"{name}.py"
        file = self.folder.root / path
        try:
            module = importlib.import_module(f"{self.package}.{self.names[path]}")
        except BaseException as error:  # whatever a file does when it is imported, SystemExit included, is its own failure
            if isinstance(error, KeyboardInterrupt):
                raise
            raise FunctionError([self._why(error, file)]) from error
        handlers = {one: getattr(module, one) for one in wanted if hasattr(module, one)}
        for one, handler in handlers.items():
            if (wrong := _unfit(handler)) is not None:
                line = getattr(getattr(handler, "__code__", None), "co_firstlineno", None)
                raise FunctionError([Problem(str(file), line, one, wrong)])
        return handlers

    def _why(self, error: BaseException, file: Path) -> Problem:
        """What went wrong, at the innermost line of the project's own code."""
        place, line = str(file), None
        if isinstance(error, SyntaxError) and error.filename:
            place, line = error.filename, error.lineno
        else:
            for frame in traceback.extract_tb(error.__traceback__):
                if Path(frame.filename).is_relative_to(self.folder.root):
                    place, line = frame.filename, frame.lineno
        return Problem(place, line, "", f"cannot be imported: {type(error).__name__}: {error}")

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        """`__import__` of the folder's files: names of its own stand before those of installed packages."""
        top = name.partition(".")[0]
        if level or top not in self.tops:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        full = f"{self.package}.{name}"
        importlib.import_module(full)
        if fromlist:
            return builtins.__import__(full, globals, locals, fromlist, 0)
        return sys.modules[f"{self.package}.{top}"]

    def spec(self, name: str, rest: str) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module, by its full name and its name in the folder."""
        for inside, package in ((rest, False), (f"{rest}.__init__" if rest else "__init__", True)):
            path = self.paths.get(inside)
            if path is not None:
                loader = _Loader(self, path)
                file = str(self.folder.root / path)
                spec = importlib.util.spec_from_file_location(
                    name, file, loader=loader, submodule_search_locations=[] if package else None
                )
                if spec is not None:
                    spec.cached = None
                return spec
        if rest in self.packages:
            return importlib.machinery.ModuleSpec(name, None, is_package=True)
        return None


def _module(path: str) -> str:
    """The dotted name of a file in the folder: dots of file names would part it."""
    return path.removesuffix(".py").replace(".", "_").replace("/", ".")


def _unfit(handler: Any) -> str | None:
    """Why a handler cannot be called as one, or None."""
    plain = inspect.unwrap(handler) if callable(handler) else None
    if plain is None:
        return "is no function: write `async def`"
    if inspect.isfunction(plain) and plain is handler and not inspect.iscoroutinefunction(plain):
        return "is no coroutine function: write `async def`"
    try:
        inspect.signature(handler).bind(None, None, None)
    except TypeError:
        return "takes other arguments than (request, env, ctx)"
    except ValueError:
        return None  # a callable that cannot be looked into
    return None


class _Loader(importlib.abc.InspectLoader):
    def __init__(self, modules: Modules, path: str) -> None:
        self._modules = modules
        self._path = path

    def exec_module(self, module: types.ModuleType) -> None:
        modules = self._modules
        module.__dict__["__builtins__"] = modules.builtins
        file = str(modules.folder.root / self._path)
        exec(compile(modules.folder.sources[self._path], file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  # what this is for

    def get_source(self, fullname: str) -> str:
        """The text, for tracebacks of files that have changed since."""
        return importlib.util.decode_source(self._modules.folder.sources[self._path])

    def is_package(self, fullname: str) -> bool:
        return self._path.endswith("__init__.py")


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of every version that is open."""

    @classmethod
    def install(cls) -> None:
        """Once in a process."""
        if not any(isinstance(finder, cls) for finder in sys.meta_path):
            sys.meta_path.insert(0, cls())

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        top, _, rest = fullname.partition(".")
        modules = _packages.get(top)
        return None if modules is None else modules.spec(fullname, rest)
