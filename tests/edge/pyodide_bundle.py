"""npm's `pyodide` packed as workerd's development runtime for Python: what a machine without Cloudflare's own bundle runs.

workerd looks for `pyodide_dev.capnp.bin` in its bundle cache. That file is one Cap'n Proto message (capnproto.org/encoding.html)
with the three parts of Pyodide: its JavaScript, its WebAssembly, its standard library. The layout is not documented; it was found
to work with exactly the versions of edge/package.json, and is made anew wherever the tests run.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import NamedTuple

__all__ = ["NAME", "make"]

NAME = "pyodide_dev.capnp.bin"
_PREFIX = "pyodideRuntime-internal:"
_INTERNAL = 2  # the kind of module that only the runtime itself may import
_WORDS = 5  # of a module: one of data, four pointers, of which name and content are used


class _Part(NamedTuple):
    name: str
    form: int  # how the content is read: 0 JavaScript, 1 WebAssembly, 2 bytes
    content: bytes


def _for_workerd(javascript: str) -> str:
    """Pyodide's glue, with the runtime's own doors in place of what an isolate forbids while it starts."""
    doors = {"new WebAssembly.Module(": "newWasmModule(", "crypto.getRandomValues(": "getRandomValues(Module, "}
    for found, door in doors.items():
        if found not in javascript:
            raise ValueError(f"this pyodide has no `{found}`: another version than the pinned one")
        javascript = javascript.replace(found, door)
    export = "export default _createPyodideModule"
    if javascript.count(export) != 1:
        raise ValueError("this pyodide exports its module in another way than the pinned version")
    javascript = re.sub(re.escape(export) + ";?", f"{export}; export {{ _createPyodideModule }};", javascript)
    imported = "addEventListener, getRandomValues, location, newWasmModule"
    return f'import {{ {imported} }} from "pyodide-internal:builtin_wrappers";\n{javascript}'


def _message(parts: list[_Part]) -> bytes:
    """A struct with one list of structs, in one segment. Pointers are relative, in words of eight bytes."""
    segment = bytearray(struct.pack("<IHH", 0, 0, 1))
    segment += struct.pack("<II", 1, len(parts) * _WORDS << 3 | 7)
    segment += struct.pack("<IHH", len(parts) << 2, 1, 4)
    first = len(segment)
    segment += bytes(len(parts) * _WORDS * 8)
    for index, part in enumerate(parts):
        place = first + index * _WORDS * 8
        struct.pack_into("<HH", segment, place, _INTERNAL, part.form)
        for at, content in ((place + 8, part.name.encode() + b"\0"), (place + 16, part.content)):
            struct.pack_into("<II", segment, at, (len(segment) - at - 8) // 8 << 2 | 1, len(content) << 3 | 2)
            segment += content + bytes(-len(content) % 8)
    return struct.pack("<II", 0, len(segment) // 8) + bytes(segment)


def make(pyodide: Path, folder: Path) -> Path:
    """Writes the bundle of the npm package in `pyodide` into `folder`; its path."""
    javascript = _for_workerd((pyodide / "pyodide.asm.mjs").read_text(encoding="utf-8")).encode()
    parts = [
        _Part(_PREFIX + "pyodide.asm", 0, javascript),
        _Part(_PREFIX + "pyodide.asm.wasm", 1, (pyodide / "pyodide.asm.wasm").read_bytes()),
        _Part(_PREFIX + "python_stdlib.zip", 2, (pyodide / "python_stdlib.zip").read_bytes()),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.write_bytes(_message(parts))
    return path
