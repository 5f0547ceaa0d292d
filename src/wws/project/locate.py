"""The line of every key in a TOML text: tomllib says what stands there, not where.

A small scanner after the grammar of toml.io/en/v1.0.0. It expects a text that tomllib has accepted and so checks nothing;
it follows strings, arrays and inline tables only to find where they end and what they hold.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

__all__ = ["Path", "dotted", "line_of", "locate", "syntax_line"]

Path = tuple[str | int, ...]
"""Keys and, for elements of arrays, their index: `("routes", 0, "path")`."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
# A multi-line string may end in up to five quotes: the last three close it.
_STRING = re.compile(
    r'"{3}(?:\\.|[^\\])*?"{3}"{0,2}' r"|'{3}.*?'{3}'{0,2}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]+")  # numbers, booleans, dates (which may hold a space)


def locate(text: str) -> dict[Path, int]:
    """The line (from 1) of every table, key and array element. Raises `ValueError` for what tomllib refuses as well."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """The line of `path`, or of the nearest thing that encloses it; None when nothing does."""
    for end in range(len(path), 0, -1):
        if (line := lines.get(path[:end])) is not None:
            return line
    return None


def dotted(path: Path) -> str:
    """A path as a person writes it: `routes[0].path`, `limits."/api/ai/chat"`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE_KEY.fullmatch(part) else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
            text += f".{name}" if text else name
    return text


def syntax_line(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    """The line of a syntax error and its message without the position: tomllib writes `(at line 3, column 5)` behind it."""
    message = str(error)
    found = re.search(r" \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)$", message)
    if found is None:
        return 1, message
    message = message[: found.start()]
    if found[1] is None:
        return text.count("\n") + (not text.endswith("\n")), f"{message} at the end of the file"
    return int(found[1]), f"{message} (column {found[2]})"


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *[newline.end() for newline in re.finditer("\n", text)]]
        self.found: dict[Path, int] = {}
        self.elements: dict[Path, int] = {}  # arrays of tables: how many tables so far

    def document(self) -> None:
        table: Path = ()
        while self.skip(_BLANK):
            if self.text.startswith("[[", self.at):
                table = self.array_header()
            elif self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Moves behind `pattern`; False at the end of the text."""
        if found := pattern.match(self.text, self.at):
            self.at = found.end()
        return self.at < len(self.text)

    def note(self, path: Path, base: int, line: int) -> None:
        """`path` is first seen at `line`, and so is what lies on the way to it from its first `base` parts."""
        for end in range(base + 1, len(path) + 1):
            self.found.setdefault(path[:end], line)

    def resolve(self, keys: list[str]) -> Path:
        """The path of a header's keys: one that names an array of tables means its last table (toml.io, "Array of Tables")."""
        path: Path = ()
        for key in keys:
            path += (key,)
            if path in self.elements:
                path += (self.elements[path] - 1,)
        return path

    def header(self) -> Path:
        line = self.line()
        self.at += 1
        path = self.resolve(self.keys())
        self.expect("]")
        self.note(path, 0, line)
        self.found[path] = line  # a table named before by a deeper header is at its own one
        return path

    def array_header(self) -> Path:
        line = self.line()
        self.at += 2
        keys = self.keys()
        self.expect("]]")
        array = (*self.resolve(keys[:-1]), keys[-1])
        index = self.elements.get(array, 0)
        self.elements[array] = index + 1
        self.note((*array, index), 0, line)
        return (*array, index)

    def pair(self, table: Path) -> None:
        line = self.line()
        path = (*table, *self.keys())
        self.expect("=")
        self.skip(_SPACE)
        self.note(path, len(table), line)
        self.value(path)

    def keys(self) -> list[str]:
        """The parts of a dotted key."""
        parts = []
        while True:
            self.skip(_SPACE)
            if bare := _BARE_KEY.match(self.text, self.at):
                parts.append(bare[0])
                self.at = bare.end()
            elif quoted := _STRING.match(self.text, self.at):
                parts.append(tomllib.loads(f"key = {quoted[0]}")["key"])
                self.at = quoted.end()
            else:
                raise ValueError(f"key expected in line {self.line()}")
            self.skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def value(self, path: Path) -> None:
        if string := _STRING.match(self.text, self.at):
            self.at = string.end()
        elif self.text.startswith("[", self.at):
            self.array(path)
        elif self.text.startswith("{", self.at):
            self.inline_table(path)
        elif scalar := _SCALAR.match(self.text, self.at):
            self.at = scalar.end()
        else:
            raise ValueError(f"value expected in line {self.line()}")

    def array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while self.skip(_BLANK) and self.text[self.at] != "]":
            self.found[(*path, index)] = self.line()
            self.value((*path, index))
            index += 1
            self.comma()
        self.expect("]")

    def inline_table(self, path: Path) -> None:
        self.at += 1
        while self.skip(_BLANK) and self.text[self.at] != "}":
            self.pair(path)
            self.comma()
        self.expect("}")

    def comma(self) -> None:
        if self.skip(_BLANK) and self.text[self.at] == ",":
            self.at += 1

    def expect(self, mark: str) -> None:
        if not self.text.startswith(mark, self.at):
            raise ValueError(f"{mark} expected in line {self.line()}")
        self.at += len(mark)

    def line(self) -> int:
        return bisect_right(self.starts, self.at)
