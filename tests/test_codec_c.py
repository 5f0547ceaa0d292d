"""What the C part of the codec takes is JSON, nested as deep as allowed, and cut as `split` cuts it; it takes what is usual."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hosts.server.built import extension
from tests.test_codec import BYTES, OBJECTS, TOKENS
from wws import codec, codec_native
from wws.core.wire.depth import within_depth

DEPTH = 64


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    """Compiled before hypothesis looks at the clock."""
    assert members(b"{}") == {}


def members(data: bytes, depth: int = DEPTH) -> dict[str, bytes] | None:
    """What it gives, with what is between the marks; the same for processors that have no registers of sixteen bytes."""
    found = extension("_json").members(data, depth)
    assert extension("_json", "-U__SSE2__").members(data, depth) == found
    return None if found is None else {name: data[start:end] for name, start, end in found}


def check(data: bytes, depth: int) -> None:
    """What is taken is taken by the codec too, and alike."""
    found = members(data, depth)
    if found is not None:
        assert within_depth(data, depth)
        assert found == {name: bytes(text) for name, text in codec.split(data).items()}
        assert found == {name: bytes(text) for name, text in codec.std_split(data).items()}
        codec.std_decode(data)
        codec.decode(data)


@given(BYTES, st.integers(0, 4))
def test_what_is_taken_is_taken_by_the_codec(data: bytes, depth: int) -> None:
    check(data, depth)


@given(st.lists(st.sampled_from([*TOKENS, "0123456789abcdef", "é€😀"]), max_size=12), st.binary(max_size=3), st.integers(0, 40))
def test_what_is_taken_in_a_long_text_is_taken_by_the_codec(tokens: list[str], raw: bytes, at: int) -> None:
    """Sixteen bytes are looked at in one step: the unusual one may be any of them."""
    text = b"x" * at + "".join(tokens).encode() + raw
    check(b'{"a":"' + text + b'","b":[{"c":"' + text + b'"}]}', DEPTH)


@pytest.mark.parametrize("byte", range(256))
@pytest.mark.parametrize("at", [0, 1, 15, 16, 17, 31])
def test_every_byte_at_every_place(byte: int, at: int) -> None:
    text = bytearray(b"x" * 40)
    text[at] = byte
    data = b'{"a":"' + bytes(text) + b'"}'
    check(data, DEPTH)
    usual = 0x20 <= byte < 0x80 and byte not in b'"\\'
    assert (members(data) is not None) is usual


@given(OBJECTS)
def test_what_is_usual_is_taken(value: dict[str, Any]) -> None:
    for ascii_only in (True, False):
        for indent in (None, 2):
            data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
            check(data, DEPTH)
            if _usual(value, ascii_only):
                found = members(data)
                assert found is not None
                assert list(found) == list(value)


def _usual(value: Any, ascii_only: bool, top: bool = True) -> bool:
    if isinstance(value, dict):
        plain = [json.dumps(name, ensure_ascii=ascii_only)[1:-1] == name for name in value] if top else []
        return all(plain) and all(_usual(inner, ascii_only, False) for inner in value.values())
    if isinstance(value, list):
        return all(_usual(inner, ascii_only, False) for inner in value)
    return not isinstance(value, int | float) or isinstance(value, bool) or (len(str(value)) <= 15 and "e" not in str(value))


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"{", b"}", b"[]", b"1", b'"a"', b"null", b"{}{}", b"{} x", b'{"a"}', b'{"a":}', b'{"a":1,}', b'{,"a":1}',
        b'{"a":1 "b":2}', b'{"a" 1}', b"{a:1}", b'{"a":[1,]}', b'{"a":[,1]}', b'{"a":[1 2]}', b'{"a":[1}', b'{"a":{"b":1]}',
        b'{"a":01}', b'{"a":-}', b'{"a":1.}', b'{"a":.5}', b'{"a":+1}', b'{"a":tru}', b'{"a":truex}', b'{"a":NaN}', b'{"a":1e5}',
        b'{"a":1234567890123456}', b'{"a":"\\x"}', b'{"a":"\\u12g4"}', b'{"a":"\\ud800"}', b'{"a":"\\udc00\\ud800"}',
        b'{"a":"\\ud800\\n"}', b'{"a":"\n"}', b'{"a":"\xff"}', b'{"a":"\xc0\x80"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xe2\x82"}',
        b'{"a":"\xf4\x90\x80\x80"}', b'{"a":"\xe0\x80\x80"}', b'{"a":"', b'{"a":"\\', b'{"a":"\\"}', b'{"a":"\\u00',
        b'{"\\u0061":1}',
        b"\xef\xbb\xbf{}", b"{}\x00", b'{"a":1\x0b}',
    ],
)  # fmt: skip
def test_what_is_wrong_or_unusual_is_left(data: bytes) -> None:
    assert members(data) is None


def test_nothing_nested_deeper_than_allowed_is_taken() -> None:
    for depth in (1, 2, 5, 512):
        inner = b"[" * (depth - 1) + b"]" * (depth - 1)
        assert members(b'{"a":' + (inner or b"1") + b"}", depth) is not None
        assert members(b'{"a":[' + inner + b"]}", depth) is None
    assert members(b"{}", 0) is None
    assert members(b'{"a":' + b"[" * 600 + b"]" * 600 + b"}", 10_000) is None
    assert members(b'{"a":' + b"[" * 100_000, 100_000) is None


def test_of_two_members_with_one_name_the_last_wins() -> None:
    assert members(b' {"a":1,"b":2, "a" : [3] } ') == {"a": b"[3]", "b": b"2"}


def test_wrong_arguments_are_errors() -> None:
    for arguments in ((), (b"{}",), ("{}", 1), (b"{}", "1"), (b"{}", 1, 2)):
        with pytest.raises(TypeError):
            extension("_json").members(*arguments)
    with pytest.raises(OverflowError):
        extension("_json").members(b"{}", 1 << 80)


def test_the_codec_uses_it_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_native, "_members", extension("_json").members)
    body = b'{"model":"auto","messages":[{"role":"user","content":"%b"}]}' % (b"x" * 5000)
    found = codec.split_within(body, 3)
    assert found is not None
    assert codec.join(found) == body
    assert codec.value(found["model"]) == "auto"
    assert codec.split_within(body, 2) is None
    monkeypatch.setattr(codec_native, "_members", None)
    assert codec.split_within(body, 3) is None
