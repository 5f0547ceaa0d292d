from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.queue.message import MAX_BODY, Message, packed, plain, unpacked

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON | st.binary())
def test_a_body_comes_back_as_it_was(body: Any) -> None:
    assert unpacked(packed(body)) == body


@pytest.mark.parametrize("body", [object(), {1, 2}.__iter__(), lambda: None])
def test_what_is_no_json(body: object) -> None:
    with pytest.raises(ValueError, match="a message is bytes or a JSON value"):
        packed(body)


def test_a_body_has_a_size() -> None:
    assert len(packed(b"x" * MAX_BODY)) == MAX_BODY + 1
    with pytest.raises(ValueError, match=f"at most {MAX_BODY} bytes, this one is {MAX_BODY + 1}"):
        packed(b"x" * (MAX_BODY + 1))


@pytest.mark.parametrize("data", [b"", b"x", b"j{"])
def test_bytes_that_are_no_body(data: bytes) -> None:
    with pytest.raises(ValueError):
        unpacked(data)


def test_a_message_to_look_at() -> None:
    shown = plain(Message("1", packed({"a": 1}), 1.0, 2.0, 3, "secret-receipt", "why"))
    assert shown == {"id": "1", "body": {"a": 1}, "sent": 1.0, "due": 2.0, "attempts": 3, "reason": "why"}
    assert plain(Message("1", packed(b"\x00\x01"), 1.0, 2.0))["body"] == {"bytes": 2}
