"""Growing a value from deltas."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wws.core.wire.merge import Text, merge, whole


def grown(name: str, *values: Any) -> Any:
    into: dict[str, Any] = {}
    for value in values:
        merge(into, name, value)
    return whole(into)[name]


@given(st.lists(st.text()))
def test_texts_grow(parts: list[str]) -> None:
    assert grown("arguments", "", *parts) == "".join(parts)


def test_names_are_said_once() -> None:
    assert grown("id", "", "a", "b") == "a"
    assert grown("name", "weather", "weather") == "weather"


def test_numbers_and_flags_are_replaced() -> None:
    assert grown("n", 1, 2) == 2
    assert grown("flag", True, False) is False


def test_null_never_takes_anything_away() -> None:
    assert grown("x", "a", None, "b") == "ab"
    assert grown("x", None) is None


def test_objects_and_lists_grow_inside() -> None:
    assert grown("x", {"a": "1", "l": [1]}, {"a": "2", "l": [2], "b": {"c": "3"}}) == {"a": "12", "l": [1, 2], "b": {"c": "3"}}


def test_elements_with_an_index_grow_in_their_place() -> None:
    assert grown("parts", [{"index": 1, "t": "a"}], [{"index": 0, "t": "b"}], [{"index": 1, "t": "c"}]) == [
        {"index": 1, "t": "ac"},
        {"index": 0, "t": "b"},
    ]


def test_a_value_of_another_kind_takes_the_place() -> None:
    assert grown("x", "a", {"b": "c"}) == {"b": "c"}
    assert grown("x", {"b": "c"}, [1]) == [1]
    assert grown("x", [1], "a") == "a"
    assert grown("x", 1, "a") == "a"


def test_a_text_in_pieces_is_not_copied_when_it_grows() -> None:
    into: dict[str, Any] = {}
    merge(into, "arguments", "a")
    first = into["arguments"]
    merge(into, "arguments", "b")
    assert into["arguments"] is first
    assert type(first) is Text
    assert whole(into) == {"arguments": "ab"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["index", "id", "text", "x"]), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=6), st.sampled_from(["tool_calls", "content", "x"]))
def test_nothing_a_provider_sends_breaks_it(values: list[Any], name: str) -> None:
    into: dict[str, Any] = {}
    for value in values:
        merge(into, name, value)
    found = whole(into)
    assert json.loads(json.dumps(found)) == found  # JSON, with no piece of a text left in it
    assert list(found) == ([name] if values else [])
