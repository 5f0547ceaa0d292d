from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.policy import Limit, ModelRef
from wws.project import kinds as k
from wws.project.address import Address
from wws.project.schema import KEYS
from wws.project.secret import Secret

GOOD: list[tuple[k.Kind, Any, Any]] = [
    (k.TEXT, "x", "x"),
    (k.FLAG, True, True),
    (k.NAME, "my-project_2", "my-project_2"),
    (k.BINDING, "VISITS", "VISITS"),
    (k.WORDS, "code", ("code",)),
    (k.WORDS, ["code", "bug fix"], ("code", "bug fix")),
    (k.REASON, "Context exceeds 128K, using GLM-4-Long", "Context exceeds 128K, using GLM-4-Long"),
    (k.SECRET, "syn_x", Secret("syn_x")),
    (k.LISTEN, "[::1]:80", Address("::1", 80)),
    (k.ADMIN, "off", "off"),
    (k.WORKERS, "auto", "auto"),
    (k.WORKERS, 4, 4),
    (k.MODELS, "zai/glm-4-plus", (ModelRef("zai", "glm-4-plus"),)),
    (k.MODELS, ["synthetic/hf:moonshotai/Kimi-K2-Thinking"], (ModelRef("synthetic", "hf:moonshotai/Kimi-K2-Thinking"),)),
    (k.ALIASES, ["code", "long.context:2"], ("code", "long.context:2")),
    (k.TARGET, "ai", "ai"),
    (k.TARGET, "function:api/hello", "function:api/hello"),
    (k.TARGET, "billing", "billing"),
    (k.METHODS, ["GET", "M-SEARCH"], ("GET", "M-SEARCH")),
    (k.SCOPES, [], ()),
    (k.VARIABLE, 1.5, 1.5),
    (k.STORE, "memory:", "memory:"),
    (k.STORE, "lmdb:./.wws/state", "lmdb:./.wws/state"),
    (k.STORE, "redis://:p%40ss@host:6379/1?prefix=a", "redis://:p%40ss@host:6379/1?prefix=a"),
    (k.STORE, "rediss+cluster://a:7000,[::1]:7001?ca=ca.pem", "rediss+cluster://a:7000,[::1]:7001?ca=ca.pem"),
    (k.STORE, "lmdb:/var/lib/wws?map_size=2GiB", "lmdb:/var/lib/wws?map_size=2GiB"),
    (k.PATTERN, "/api/:id/*", "/api/:id/*"),
    (k.RATE, "60/min burst 10", Limit(60, 60.0, 10)),
    (k.RATE_OR_OFF, "off", "off"),
    (k.URL, "http+unix:///run/app.sock", "http+unix:///run/app.sock"),
    (k.URL, "https://api.example.com/v1/", "https://api.example.com/v1"),
    (k.whole(1, 3), 3, 3),
    (k.duration("1s", "1h"), "1h", 3600.0),
    (k.size("1KiB", "1MiB"), "64KiB", 65_536),
]


@pytest.mark.parametrize(("kind", "value", "expected"), GOOD, ids=[f"{kind.name}-{value}" for kind, value, _ in GOOD])
def test_what_each_kind_takes(kind: k.Kind, value: Any, expected: Any) -> None:
    assert kind.read(value) == expected


BAD: list[tuple[k.Kind, Any, str]] = [
    (k.TEXT, 5, "not a text"),
    (k.TEXT, "  ", "empty"),
    (k.FLAG, 1, "true or false"),
    (k.NAME, "a.b", "letters"),
    (k.NAME, "x" * 64, "63"),
    (k.BINDING, "2x", "Python name"),
    (k.WORDS, [], "empty list"),
    (k.WORDS, ["a", "a"], "twice"),
    (k.WORDS, ["a, b"], "comma"),
    (k.WORDS, {"a": 1}, "not a list"),
    (k.REASON, "kontext > 128K \u2192 GLM", "printable ASCII"),
    (k.REASON, "a\nb", "printable ASCII"),
    (k.SECRET, "two words", "header"),
    (k.SECRET, "line\n", "header"),
    (k.SECRET, 5, "not a text"),
    (k.LISTEN, "off", "no port"),
    (k.WORKERS, 0, "range"),
    (k.WORKERS, True, "whole number"),
    (k.WORKERS, "many", "whole number"),
    (k.NETWORKS, ["10.0.0.1/8"], "host bits"),
    (k.NETWORKS, ["nonsense"], "does not appear"),
    (k.MODELS, ["glm-4-plus"], "provider/model"),
    (k.MODELS, ["zai/"], "provider/model"),
    (k.MODELS, ['zai/a"b'], "provider/model"),
    (k.MODELS, ["zai/" + "x" * 201], "provider/model"),
    (k.ALIAS, "auto", "rules"),
    (k.ALIAS, "a/b", "letters"),
    (k.TARGET, "function:", "not a name"),
    (k.TARGET, "function:../x", "not a name"),
    (k.TARGET, "http://x", "not a name"),
    (k.TARGET, "a/b", "not a name"),
    (k.METHODS, ["get"], "capitals"),
    (k.METHODS, "GET", "not a list"),
    (k.METHODS, ["GET POST"], "token"),
    (k.VARIABLE, [1], "not a text, number or flag"),
    (k.VARIABLE, float("nan"), "finite"),
    (k.STORE, "sqlite:x", "no such store"),
    (k.STORE, "valkey://localhost:6379", "write redis://"),
    (k.STORE, "redis://", "a host that is none"),
    (k.STORE, "redis://user@localhost", "no password"),
    (k.STORE, "redis://localhost/a", "a database's number"),
    (k.STORE, "redis+cluster://localhost/1", "nothing in a cluster"),
    (k.STORE, "redis+sentinel://localhost", "no name of a master"),
    (k.STORE, "redis://localhost?ca=x", "is for TLS"),
    (k.STORE, "memory", "no such store"),
    (k.STORE, "memory:x", "takes nothing"),
    (k.STORE, "lmdb:", "write"),
    (k.STORE, "lmdb:.", "write"),
    (k.STORE, "lmdb:x?size=1", "write"),
    (k.PATTERN, "api", "does not begin with /"),
    (k.PATTERN, "/a/*/b", "only be last"),
    (k.PATTERN, "/a/../b", "dot segment"),
    (k.PATTERN, "/:x/:x", "twice"),
    (k.RATE, "off", "address"),
    (k.RATE, "60", "not a limit"),
    (k.RATE, "0/min", "count"),
    (k.RATE, 60, "not a text"),
    (k.URL, "ftp://x", "not an http"),
    (k.URL, "https://user@host", "no user"),
    (k.URL, "https://host?x=1", "query"),
    (k.URL, "http+unix://relative", "socket"),
    (k.WEB_URL, "http+unix:///run/app.sock", "begins with"),
    (k.whole(1, 3), 4, "range"),
    (k.whole(1, 3), 2.0, "whole"),
    (k.duration("1s", "1h"), 60, 'write "60s"'),
    (k.duration("1s", "1h"), True, "with its unit"),
    (k.duration("1s", "1h"), "61m", "range"),
    (k.size("1KiB", "1MiB"), "1", "range"),
    (k.size("1KiB", "1MiB"), 1.5, "not a size"),
    (k.choice("a", "b"), "c", "not one"),
    (k.choice("a", "b"), ["a"], "not one"),
]


@pytest.mark.parametrize(("kind", "value", "why"), BAD, ids=[f"{kind.name}-{value}" for kind, value, _ in BAD])
def test_what_each_kind_refuses(kind: k.Kind, value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        kind.read(value)


toml_values = st.recursive(
    st.none() | st.text(max_size=12) | st.integers() | st.booleans() | st.floats() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(KEYS), toml_values)
def test_a_reader_takes_anything_and_raises_nothing_but_value_errors(key: Any, value: Any) -> None:
    try:
        key.kind.read(value)
    except ValueError as error:
        assert str(error)


def test_two_patterns_of_one_shape_take_the_same_paths() -> None:
    assert k.shape("/a/:id/*") == k.shape("/a/:name/*") != k.shape("/a/b/*")
