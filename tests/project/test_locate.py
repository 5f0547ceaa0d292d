from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.project.locate import Path, dotted, line_of, locate, syntax_line

TEXT = '''\
# a comment with [brackets] and = signs
name = "x"  # [not.a.table]

[server]
listen = "a # not a comment"
list = [  # comment
  1,
  # in between
  [2, 3], "four ] # ,",
]
"quoted key" = 1
'literal "key"'.sub = 2
dotted . key = 3

[a.b.c]
deep = """
text
[fake]
x = 1 \\""" still
""""" 
after = \'\'\'
y = 1
\'\'\'

[[routes]]
path = "/a"
cache = { fresh = "60s", "stale" = [1, 2], inner = { x = 1 } }
when = 1979-05-27 07:32:00  # a date with a space
[routes.sub]
key = 1
[[routes.items]]
n = 1
[[routes.items]]
n = 2

[[routes]]
path = "/b"
[[routes.items]]
n = 3

[a]
late = 1
'''


def test_every_place_of_a_text() -> None:
    found = locate(TEXT)
    lines = TEXT.split("\n")
    expected: dict[Path, int] = {
        ("name",): 2,
        ("server",): 4,
        ("server", "listen"): 5,
        ("server", "list"): 6,
        ("server", "list", 0): 7,
        ("server", "list", 1): 9,
        ("server", "list", 1, 1): 9,
        ("server", "list", 2): 9,
        ("server", "quoted key"): 11,
        ("server", 'literal "key"'): 12,
        ("server", 'literal "key"', "sub"): 12,
        ("server", "dotted", "key"): 13,
        ("a", "b"): 15,
        ("a", "b", "c"): 15,
        ("a", "b", "c", "deep"): 16,
        ("a", "b", "c", "after"): 21,
        ("routes",): 25,
        ("routes", 0): 25,
        ("routes", 0, "path"): 26,
        ("routes", 0, "cache"): 27,
        ("routes", 0, "cache", "stale"): 27,
        ("routes", 0, "cache", "stale", 1): 27,
        ("routes", 0, "cache", "inner", "x"): 27,
        ("routes", 0, "when"): 28,
        ("routes", 0, "sub"): 29,
        ("routes", 0, "sub", "key"): 30,
        ("routes", 0, "items", 0, "n"): 32,
        ("routes", 0, "items", 1): 33,
        ("routes", 0, "items", 1, "n"): 34,
        ("routes", 1): 36,
        ("routes", 1, "path"): 37,
        ("routes", 1, "items", 0): 38,
        ("routes", 1, "items", 0, "n"): 39,
        ("a",): 41,
        ("a", "late"): 42,
    }
    assert {path: found.get(path) for path in expected} == expected
    assert max(found.values()) <= len(lines)
    assert paths_of(tomllib.loads(TEXT)) == set(found)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_both_line_ends_count_once(newline: str) -> None:
    text = newline.join(["a = 1", "", "b = '''", "x", "'''", "c = 3"])
    assert locate(text) == {("a",): 1, ("b",): 3, ("c",): 6}


def test_an_empty_text_has_no_places() -> None:
    assert locate("") == {}
    assert locate("# only a comment") == {}


def test_the_line_of_what_encloses_it_stands_in() -> None:
    lines = locate("[a]\nb = 1\n")
    assert line_of(lines, ("a", "b")) == 2
    assert line_of(lines, ("a", "missing", "deeper")) == 1
    assert line_of(lines, ("other",)) is None
    assert line_of(lines, ()) is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("a",), "a"),
        (("a", "b-c", "d_1"), "a.b-c.d_1"),
        (("routes", 0, "path"), "routes[0].path"),
        (("limits", "/api/ai/chat"), 'limits."/api/ai/chat"'),
        (("x", 'a "b" \\'), 'x."a \\"b\\" \\\\"'),
        (("", "é"), '"".\u0022é\u0022'),
    ],
)
def test_paths_as_a_person_writes_them(path: Path, text: str) -> None:
    assert dotted(path) == text


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a = 1\nb 2\n", 2, "Expected '=' after a key in a key/value pair (column 3)"),
        ("a = 1\n\n[b\n", 3, "Expected ']' at the end of a table declaration (column 3)"),
        ("a = 1\na = 2\n", 2, "Cannot overwrite a value (column 6)"),
        ('a = "open', 1, "Unterminated string at the end of the file"),
        ('a = 1\nb = """open\nmore\n', 3, "Unterminated string at the end of the file"),
    ],
)
def test_the_line_of_a_syntax_error(text: str, line: int, message: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    assert syntax_line(caught.value, text) == (line, message)


def test_a_syntax_error_without_a_position_is_at_the_top() -> None:
    assert syntax_line(tomllib.TOMLDecodeError("something"), "x") == (1, "something")


@pytest.mark.parametrize("text", ["= 1", "a 1", "a =", "[a", "[[a]", "a = [1", "a = { b"])
def test_what_tomllib_refuses_ends_with_an_error_too(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)
    with pytest.raises(ValueError, match="expected in line 1"):
        locate(text)


# Texts made at random, with the line of everything in them written down as they are made.

names = st.from_regex(r"[a-z]{1,4}", fullmatch=True) | st.text(min_size=1, max_size=4)
scalars = st.integers(-(10**6), 10**6) | st.booleans() | st.text(max_size=12) | st.dates().map(str)
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)


class Writer:
    """Writes TOML in one of its many forms, as `draw` decides, and remembers where."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.text = ""
        self.places: dict[Path, int] = {}

    def at(self) -> int:
        return self.text.count("\n") + 1

    def choose(self, *forms: str) -> str:
        return self.data.draw(st.sampled_from(forms))

    def key(self, name: str) -> str:
        if name.isascii() and name.isalnum() and self.data.draw(st.booleans()):
            return name
        return basic(name)

    def pair(self, path: Path, value: Any) -> None:
        self.places[path] = self.at()
        self.text += f"{self.key(str(path[-1]))}{self.choose('=', ' = ')}"
        self.value(path, value, lines=True)

    def value(self, path: Path, value: Any, *, lines: bool) -> None:
        if isinstance(value, bool):
            self.text += "true" if value else "false"
        elif isinstance(value, int):
            self.text += str(value)
        elif isinstance(value, str):
            self.text += self.string(value, lines)
        elif isinstance(value, list):
            self.array(path, value, lines)
        else:
            self.inline(path, value)

    def string(self, value: str, lines: bool) -> str:
        if lines and self.data.draw(st.booleans()):
            return '"""\n' + basic(value)[1:-1] + "\n" * self.data.draw(st.integers(0, 2)) + '"""'
        if "'" not in value and value.isprintable() and self.data.draw(st.booleans()):
            return f"'{value}'"
        return basic(value)

    def array(self, path: Path, value: list[Any], lines: bool) -> None:
        self.text += "["
        for index, element in enumerate(value):
            self.text += self.choose("", "\n", " # ] comment\n  ") if lines else ""
            self.places[(*path, index)] = self.at()
            self.value((*path, index), element, lines=lines)
            self.text += ","
        self.text += "]"

    def inline(self, path: Path, value: dict[str, Any]) -> None:
        self.text += "{"
        for index, (name, element) in enumerate(value.items()):
            self.text += ", " if index else " "
            self.places[(*path, name)] = self.at()
            self.text += f"{self.key(name)} = "
            self.value((*path, name), element, lines=False)
        self.text += "}"

    def table(self, header: str, path: Path, pairs: dict[str, Any]) -> None:
        self.text += self.choose("", "\n", "# [x]\n")
        self.places[path] = self.at()
        if isinstance(path[-1], int) and path[-1] == 0:
            self.places[path[:-1]] = self.at()
        self.text += f"{header}{self.choose('', ' # comment')}\n"
        for name, value in pairs.items():
            self.pair((*path, name), value)
            self.text += "\n"


def basic(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, and DEL has to be escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@given(
    st.data(),
    st.dictionaries(names, values, max_size=4),
    st.dictionaries(names, st.lists(st.dictionaries(names, values, max_size=3), min_size=1, max_size=3), max_size=3),
)
def test_lines_of_random_texts(data: st.DataObject, tables: dict[str, Any], arrays: dict[str, list[dict[str, Any]]]) -> None:
    writer = Writer(data)
    for name, value in tables.items():
        if name not in arrays and not isinstance(value, dict):
            writer.pair((name,), value)
            writer.text += "\n"
    for name, value in tables.items():
        if name not in arrays and isinstance(value, dict):
            writer.table(f"[{writer.key(name)}]", (name,), value)
    for name, elements in arrays.items():
        for index, element in enumerate(elements):
            writer.table(f"[[{writer.key(name)}]]", (name, index), element)
    document = tomllib.loads(writer.text)
    assert locate(writer.text) == writer.places
    assert paths_of(document) == set(writer.places)


def paths_of(value: Any, path: Path = ()) -> set[Path]:
    """Every path of what tomllib made of a text."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path for path in [path] if path}.union(*[paths_of(child, (*path, name)) for name, child in children])
