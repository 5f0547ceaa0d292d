from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.policy import DEFAULT_ROUTES
from wws.core.route.table import Match, Table, suspicious

NOTHING: Match[str] = Match(None, {}, ())


def table(*patterns: str) -> Table[str]:
    """Each pattern's value is itself."""
    return Table([(pattern, None, pattern) for pattern in patterns])


def test_the_default_routes() -> None:
    routes = Table([(route.path, route.methods, route.path) for route in DEFAULT_ROUTES])
    expected = {
        "/api/ai/chat": "/api/ai/*",
        "/api/ai/deep/er": "/api/ai/*",
        "/api/ai/": "/api/ai/*",
        "/v1/chat/completions": "/v1/*",
        "/v1": "/*",
        "/v10/x": "/*",
        "/api/ai": "/*",
        "/api/aix": "/*",
        "/": "/*",
        "/API/AI/chat": "/*",
    }
    assert {path: routes.match("POST", path).value for path in expected} == expected


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/a/b/c", "/a/b/c"),
        ("/a/b/x", "/a/b/*"),
        ("/a/b/", "/a/b/*"),
        ("/a/x/c", "/a/:id/c"),
        ("/a/x/y", "/a/*"),
        ("/a/b", "/a/:id"),
        ("/a/b/c/d", "/a/b/*"),
        ("/a/", "/a/*"),
        ("/a", None),
        ("/b", None),
        ("", None),
        ("*", None),
        ("a/b/c", None),
    ],
)
def test_the_most_specific_wins(path: str, value: str | None) -> None:
    patterns = ("/a/*", "/a/:id", "/a/:id/c", "/a/b/*", "/a/b/c")
    for order in (patterns, patterns[::-1]):
        assert table(*order).match("GET", path).value == value


def test_without_names_the_longest_prefix_wins() -> None:
    routes = table("/a/*", "/a/b/c/*", "/a/b", "/a/b/c/d")
    for path, value in {
        "/a/b/c/d": "/a/b/c/d",
        "/a/b/c/": "/a/b/c/*",
        "/a/b/c": "/a/*",
        "/a/b/x/y": "/a/*",
        "/a/b": "/a/b",
        "/x": None,
    }.items():
        assert routes.match("GET", path).value == value


def test_params() -> None:
    routes = table("/users/:id/posts/:post", "/files/:volume/*", "/users/me/posts/:post")
    assert routes.match("GET", "/users/7/posts/x%20y").params == {"id": "7", "post": "x y"}
    assert routes.match("GET", "/users/me/posts/1") == Match("/users/me/posts/:post", {"post": "1"}, ())
    assert routes.match("GET", "/files/a/b/c").params == {"volume": "a"}
    assert routes.match("GET", "/users//posts/1").value is None, "a name stands for something"
    assert routes.match("GET", "/users/7/posts/").value is None


def test_a_literal_that_leads_nowhere_is_taken_back() -> None:
    routes = table("/a/b/x", "/a/:id/y", "/:any/c/z")
    assert routes.match("GET", "/a/b/y") == Match("/a/:id/y", {"id": "b"}, ())
    assert routes.match("GET", "/a/c/z") == Match("/:any/c/z", {"any": "a"}, ())


def test_methods() -> None:
    routes: Table[str] = Table(
        [("/a", ["GET"], "read"), ("/a", ["post", "PUT"], "write"), ("/b/:id", ["DELETE"], "drop"), ("/*", None, "origin")]
    )
    assert routes.match("GET", "/a").value == "read"
    assert routes.match("PUT", "/a").value == "write"
    assert routes.match("DELETE", "/b/1") == Match("drop", {"id": "1"}, ())
    assert routes.match("DELETE", "/c").value == "origin"


def test_a_wrong_method_is_not_handed_to_a_wider_pattern() -> None:
    routes: Table[str] = Table([("/a", ["GET"], "read"), ("/a", ["POST"], "write"), ("/*", None, "origin")])
    assert routes.match("DELETE", "/a") == Match(None, {}, ("GET", "HEAD", "POST"))
    assert routes.match("get", "/a").value is None, "methods are case-sensitive"


def test_head_follows_get() -> None:
    routes: Table[str] = Table([("/a", ["GET"], "read"), ("/a", None, "rest"), ("/b", ["HEAD"], "head"), ("/b", ["GET"], "get")])
    assert routes.match("HEAD", "/a").value == "read"
    assert routes.match("POST", "/a").value == "rest"
    assert routes.match("HEAD", "/b").value == "head"


def test_nothing_is_here() -> None:
    assert table("/a").match("GET", "/b") == NOTHING
    assert table("/a/:id").match("GET", "/b") == NOTHING
    assert table().match("GET", "/") == NOTHING


def test_the_params_of_a_match_cannot_leak_into_the_next() -> None:
    exact = table("/a").match("GET", "/a")
    with pytest.raises(TypeError):
        exact.params["id"] = "x"  # type: ignore[index]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("a", "does not begin with /"),
        ("", "does not begin with /"),
        ("/a//b", "an empty segment"),
        ("/a/../b", "a dot segment"),
        ("/a%2fb", "an encoded /"),
        ("/*/a", "can only be last"),
        ("/a*", "the segment 'a*' is not allowed"),
        ("/:", "':' is not a name"),
        ("/:1a", "':1a' is not a name"),
        ("/:id/x/:id", "':id' is not a name, or is there twice"),
        ("/a?x=1", "is not allowed"),
        ("/caf\u00e9", "percent-encode"),
        ("/a b", "is not allowed"),
        ("/a%zz", "malformed percent-escape"),
    ],
)
def test_bad_patterns_are_named(pattern: str, says: str) -> None:
    with pytest.raises(ValueError) as error:
        table("/fine", pattern)
    assert repr(pattern) in str(error.value) and says in str(error.value)


@pytest.mark.parametrize("pattern", ["/", "/a/", "/a-b_c.d~e", "/a:b", "/@scope", "/a%20b", "/.well-known/x", "/a/:id.json"])
def test_patterns_that_may_look_odd(pattern: str) -> None:
    if pattern.endswith(".json"):
        with pytest.raises(ValueError, match="not a name"):
            table(pattern)
    else:
        assert table(pattern).match("GET", pattern).value == pattern


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (("/a", None), ("/a", None), "'/a' is already taken by '/a'"),
        (("/:x", None), ("/:y", None), "'/:y' is already taken by '/:x'"),
        (("/a/*", ["GET", "POST"]), ("/a/*", ["PUT", "POST"]), "'/a/*' for POST is already taken by '/a/*'"),
    ],
)
def test_duplicates_are_named(first: tuple[str, list[str] | None], second: tuple[str, list[str] | None], says: str) -> None:
    with pytest.raises(ValueError) as error:
        Table([(*first, 1), (*second, 2)])
    assert says in str(error.value)


def test_no_methods_at_all() -> None:
    with pytest.raises(ValueError, match="empty list of methods"):
        Table([("/a", [], 1)])


SEGMENTS = st.lists(st.sampled_from(["a", "b", ":x", ":y"]), max_size=4)


def best(patterns: set[str], path: str) -> str | None:
    """The definition, tried on every pattern: segment by segment, literal before name before rest."""

    def rank(pattern: str) -> tuple[int, ...] | None:
        wanted, parts = pattern[1:].split("/"), path[1:].split("/")
        ranks: list[int] = []
        for place, segment in enumerate(wanted):
            if segment == "*":
                return (*ranks, 2) if place < len(parts) else None
            if place >= len(parts) or not (segment == parts[place] or (segment[:1] == ":" and parts[place])):
                return None
            ranks.append(1 if segment[:1] == ":" else 0)
        return tuple(ranks) if len(wanted) == len(parts) else None

    ranked = [(found, pattern) for pattern in patterns if (found := rank(pattern)) is not None]
    return min(ranked)[1] if ranked else None


@given(st.sets(st.tuples(SEGMENTS, st.booleans()).map(lambda p: "/" + "/".join([*p[0], *["*"] * p[1]])), max_size=8), st.data())
def test_against_the_definition(patterns: set[str], data: st.DataObject) -> None:
    usable: dict[str, str] = {}
    for pattern in sorted(patterns):
        parts = pattern.split("/")
        if len(set(filter(lambda p: p.startswith(":"), parts))) == sum(p.startswith(":") for p in parts):
            usable.setdefault("/".join(":" if p.startswith(":") else p for p in parts), pattern)
    routes = table(*usable.values())
    for _ in range(10):
        path = "/" + "/".join(data.draw(st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=5)))
        assert routes.match("GET", path).value == best(set(usable.values()), path)


@pytest.mark.parametrize(
    "path",
    [
        "/", "/a/b", "/a/", "/.well-known/acme", "/a..b/c", "/...", "/a./b", "/a%20b", "/caf%C3%A9", "/a;b=1", "/a:b", "/x%2ex",
        "/~user/", "/a%25b", "/.a", "/..a",
    ],
)  # fmt: skip
def test_paths_that_every_server_reads_alike(path: str) -> None:
    assert suspicious(path) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("//", "empty"), ("//evil.example/x", "empty"), ("/a//b", "empty"), ("/a/./b", "dot"), ("/a/../b", "dot"), ("/..", "dot"),
        ("/a/.", "dot"), ("/%2e%2e/b", "dot"), ("/a/.%2E/b", "dot"), ("/a/%2e", "dot"), ("/a%2fb", "encoded /"),
        ("/a%2Fb", "encoded /"), ("/a%5cb", "encoded \\"), ("/a\\b", "backslash"), ("/a%00", "NUL"), ("/a\0", "NUL"),
        ("/a%3bb", "encoded ;"),
        ("/a%c0%afb", "overlong"), ("/%c1%9c", "overlong"), ("/a%", "malformed"), ("/a%2", "malformed"), ("/a%g0", "malformed"),
    ],
)  # fmt: skip
def test_paths_that_servers_read_differently(path: str, reason: str) -> None:
    assert reason in (suspicious(path) or "")


@given(st.text())
def test_a_quoted_segment_is_suspicious_only_for_what_it_holds(text: str) -> None:
    """Quoted text decodes to itself: it may be routed unless it holds one of the characters that part a path."""
    path = "/files/" + quote(text, safe="", errors="replace")
    parting = any(character in text for character in "/\\;\0") or text in (".", "..")
    assert (suspicious(path) is not None) == parting


@given(st.lists(st.sampled_from(["/", ".", "%2e", "%2F", "a", "\\", "%5C", "..", "%"]), max_size=12).map("".join))
def test_what_is_not_suspicious_means_the_same_once_decoded(text: str) -> None:
    path = "/" + text
    if suspicious(path) is None:
        assert "%2f" not in path.lower() and "%5c" not in path.lower()
        decoded = re.sub("%[0-9a-f]{2}", "x", path.lower().replace("%2e", "."))  # %aa is what it is: no part of a path
        assert "%" not in decoded and "\\" not in decoded and "//" not in decoded
        assert not {".", ".."} & set(decoded.split("/"))
