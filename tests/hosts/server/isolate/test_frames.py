from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.hosts.server.isolate.frames import packed, plain, read, unplain

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


async def frames(data: bytes) -> list[Any]:
    reader, found = asyncio.StreamReader(), []
    reader.feed_data(data)
    reader.feed_eof()
    while (frame := await read(reader)) is not None:
        found.append(frame)
    return found


async def test_frames_come_one_after_the_other() -> None:
    data = packed({"is": "a"}) + packed({"is": "b", "n": [1, None]}, b"\x00body")
    assert await frames(data) == [({"is": "a"}, b""), ({"is": "b", "n": [1, None]}, b"\x00body")]
    for end in range(1, len(data)):
        assert len(await frames(data[:end])) <= 1, "the end in the midst of a frame is the end"


@pytest.mark.parametrize("data", [b"\xff" * 8, b"\x00\x00\x00\x02\x00\x00\x00\x00[]", b"\x00\x00\x00\x02\x00\x00\x00\x00{x"])
async def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(ValueError):
        await frames(data)


@given(VALUES)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert unplain(plain(value)) == value


def test_tuples_are_lists_and_objects_are_refused() -> None:
    assert unplain(plain((1, (b"x",)))) == [1, [b"x"]]
    with pytest.raises(TypeError, match="a set cannot pass between"):
        plain({"a": {1, 2}})
