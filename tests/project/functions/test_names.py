"""What file serves what path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.route.table import Table
from wws.project.functions.names import middlewares_of, place


@pytest.mark.parametrize(
    ("name", "pattern", "aliases", "rest"),
    [
        ("index", "/", (), None),
        ("hello", "/hello", (), None),
        ("api/hello", "/api/hello", (), None),
        ("api/index", "/api", ("/api/",), None),
        ("api/[id]", "/api/:id", (), None),
        ("shop/[shop]/items/[item]", "/shop/:shop/items/:item", (), None),
        ("shop/[shop]/index", "/shop/:shop", ("/shop/:shop/",), None),
        ("api/[...rest]", "/api/*", (), ("rest", 1)),
        ("[...rest]", "/*", (), ("rest", 0)),
        ("sitemap.xml", "/sitemap.xml", (), None),
        ("my page", "/my%20page", (), None),
        ("caf\u00e9", "/caf%C3%A9", (), None),
        (":x", "/%3Ax", (), None),
        ("a*b", "/a%2Ab", (), None),
    ],
)
def test_places(name: str, pattern: str, aliases: tuple[str, ...], rest: tuple[str, int] | None) -> None:
    assert place(name) == (pattern, aliases, rest)


@pytest.mark.parametrize("name", ["_middleware", "_lib", "api/_lib", "_jobs/mail"])
def test_names_that_are_no_paths(name: str) -> None:
    assert place(name) is None


@pytest.mark.parametrize("name", ["[...all]/x", "[a", "a]", "[1]", "x[id]", "[]", "[..x]"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        place(name)


@given(st.lists(st.text(st.characters(exclude_characters="/\0[]", codec="utf-8"), min_size=1), min_size=1, max_size=4))
def test_every_other_name_is_a_pattern_that_routes(parts: list[str]) -> None:
    try:
        found = place("/".join(parts))
    except ValueError as error:
        assert "which has " in str(error)
        return
    if found is None:
        assert any(part.startswith("_") for part in parts)
        return
    table = Table([(pattern, None, "it") for pattern in (found.pattern, *found.aliases)])
    assert table.match("GET", found.pattern).value == "it"


def test_middlewares_from_the_outermost_inwards() -> None:
    there = frozenset({"_middleware", "api/v1/_middleware", "other/_middleware"})
    assert middlewares_of("api/v1/users", there) == ("_middleware", "api/v1/_middleware")
    assert middlewares_of("hello", there) == ("_middleware",)
    assert middlewares_of("hello", frozenset()) == ()
