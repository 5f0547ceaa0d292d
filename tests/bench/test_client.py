"""The small client: requests it writes, answers whose end it finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.client import encode, length_of
from bench.payload import chunked
from bench.wrk import Call


def test_a_request_with_a_body() -> None:
    call = Call("http://127.0.0.1:81/v1/x", body=b"{}", headers={"a": "b"})
    assert encode(call) == (
        b"POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:81\r\ncontent-type: application/json\r\na: b\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_a_request_without_a_body_and_path() -> None:
    assert encode(Call("http://127.0.0.1:81", method="GET")) == b"GET / HTTP/1.1\r\nhost: 127.0.0.1:81\r\n\r\n"


@given(
    body=st.binary(max_size=300), name=st.sampled_from(["Content-Length", "content-length", "CONTENT-LENGTH"]), cut=st.integers(0)
)
def test_a_length_is_told_once_the_header_is_whole(body: bytes, name: str, cut: int) -> None:
    head = f"HTTP/1.1 200 OK\r\nServer: x\r\n{name}: {len(body)}\r\n\r\n".encode()
    answer = head + body
    at = cut % (len(answer) + 1)
    assert length_of(answer[:at]) == (len(answer) if at >= len(head) else None)


@given(pieces=st.lists(st.binary(min_size=1, max_size=50), max_size=5))
def test_a_chunked_answer_ends_with_its_last_chunk(pieces: list[bytes]) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(map(chunked, pieces)) + b"0\r\n\r\n"
    if pieces:
        assert length_of(answer) == len(answer)
    assert length_of(answer[:-1]) is None


def test_an_answer_without_a_body() -> None:
    head = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert length_of(head) == len(head)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"])
def test_half_a_header_tells_nothing(data: bytes) -> None:
    assert length_of(data) is None
