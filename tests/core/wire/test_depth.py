"""How deep a JSON text is nested."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws import codec
from wws.core.wire.depth import within_depth

VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["[[[", "{{{", '"{']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def depth(value: Any) -> int:
    """How many arrays and objects are inside one another."""
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


@given(VALUES, st.integers(0, 6), st.sampled_from(["", "[{" * 40, "x" * 2000, "x" * 2000 + "[" * 40]))
def test_depth_is_that_of_the_value_whatever_its_texts_hold(value: Any, limit: int, padding: str) -> None:
    whole = {"value": value, "padding": padding}
    assert within_depth(codec.std_encode(whole), limit) is (depth(whole) <= limit)


@pytest.mark.parametrize("size", [10, 1024, 5000])
@pytest.mark.parametrize("mark", ["[", '{"a":'])
def test_depth_at_the_limit_in_short_and_long_texts(size: int, mark: str) -> None:
    def nested(levels: int) -> bytes:
        close = "]" if mark == "[" else "}"
        return (" " * size + mark * levels + "1" + close * levels).encode()

    assert within_depth(nested(64), 64)
    assert not within_depth(nested(65), 64)
    assert not within_depth(nested(300), 64)


def test_many_brackets_that_are_not_nested_are_counted_by_decoding() -> None:
    assert within_depth(b'{"messages":[' + b",".join([b'{"content":[{}]}'] * 500) + b"]}", 5)
    assert not within_depth(b'{"messages":[' + b",".join([b'{"content":[{}]}'] * 500) + b"]}", 4)
    with pytest.raises(ValueError, match=r"."):
        within_depth(b"[" * 65 + b"]" * 64, 64)
