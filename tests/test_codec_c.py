"""What the C part takes is read as the Python it stands in for reads it, nested as deep as allowed; it takes what is usual."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.functions.ai_world import World, completion, refused
from tests.hosts.server.built import extension
from tests.test_codec import BYTES, OBJECTS, TEXTS, TOKENS, VALUES, outcome, same
from wws import codec, codec_native
from wws.core.trail import Usage
from wws.core.wire import usage
from wws.core.wire.depth import within_depth
from wws.errors import Refusal
from wws.http import Body, Request
from wws.providers import verdict

DEPTH = 64
C = extension("_json")
PLAIN_NAMES = st.text("abcdefgh_-. /0", max_size=9) | st.sampled_from(["model", "messages", "stream", "n"])
FINITE = st.floats(-1e90, 1e90, allow_nan=False).map(lambda number: round(number, 9))
NUMBERS = st.integers(-(10**25), 10**25) | FINITE


@pytest.fixture
def in_c(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As it is in a wheel that was built where there is a C compiler."""
    monkeypatch.setattr(codec_native, "_members", C.members)
    monkeypatch.setattr(codec_native, "_join", C.join)
    monkeypatch.setattr(verdict, "_quick", C.good)
    monkeypatch.setattr(usage, "_quick", C.told)
    yield


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    """Compiled before hypothesis looks at the clock."""
    assert members(b"{}") == {}


def members(data: bytes, depth: int = DEPTH) -> dict[str, bytes] | None:
    """What it gives, and the same for processors that have no registers of sixteen bytes."""
    found = C.members(data, depth)
    assert extension("_json", "-U__SSE2__").members(data, depth) == found
    return None if found is None else {name: bytes(text) for name, text in found.items()}


def alike(data: bytes, depth: int) -> bool:
    """Whether what is taken is taken by the codec too, and alike."""
    found = members(data, depth)
    if found is None:
        return True
    codec.std_decode(data)
    codec.decode(data)
    return (
        within_depth(data, depth)
        and found == {name: bytes(text) for name, text in codec.split(data).items()}
        and found == {name: bytes(text) for name, text in codec.std_split(data).items()}
    )


@given(BYTES, st.integers(0, 4))
def test_what_is_taken_is_taken_by_the_codec(data: bytes, depth: int) -> None:
    assert alike(data, depth)


@given(st.lists(st.sampled_from([*TOKENS, "0123456789abcdef", "é€😀"]), max_size=12), st.binary(max_size=3), st.integers(0, 40))
def test_what_is_taken_in_a_long_text_is_taken_by_the_codec(tokens: list[str], raw: bytes, at: int) -> None:
    """Sixteen bytes are looked at in one step: the unusual one may be any of them."""
    text = b"x" * at + "".join(tokens).encode() + raw
    assert alike(b'{"a":"' + text + b'","b":[{"c":"' + text + b'"}]}', DEPTH)


@pytest.mark.parametrize("byte", range(256))
@pytest.mark.parametrize("at", [0, 1, 15, 16, 17, 31])
def test_every_byte_at_every_place(byte: int, at: int) -> None:
    text = bytearray(b"x" * 40)
    text[at] = byte
    data = b'{"a":"' + bytes(text) + b'"}'
    assert alike(data, DEPTH)
    usual = 0x20 <= byte < 0x80 and byte not in b'"\\'
    assert (members(data) is not None) is usual


@given(OBJECTS)
def test_what_is_usual_is_taken(value: dict[str, Any]) -> None:
    for ascii_only in (True, False):
        for indent in (None, 2):
            data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
            assert alike(data, DEPTH)
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
    return not isinstance(value, int | float) or isinstance(value, bool) or not re.search(r"e[+-]\d{3}", str(value))


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"{", b"}", b"[]", b"1", b'"a"', b"null", b"{}{}", b"{} x", b'{"a"}', b'{"a":}', b'{"a":1,}', b'{,"a":1}',
        b'{"a":1 "b":2}', b'{"a" 1}', b"{a:1}", b'{"a":[1,]}', b'{"a":[,1]}', b'{"a":[1 2]}', b'{"a":[1}', b'{"a":{"b":1]}',
        b'{"a":01}', b'{"a":-}', b'{"a":1.}', b'{"a":.5}', b'{"a":+1}', b'{"a":tru}', b'{"a":truex}', b'{"a":NaN}',
        b'{"a":1e500}',
        b'{"a":1' + b"0" * 200 + b"}", b'{"a":"\\x"}', b'{"a":"\\u12g4"}', b'{"a":"\\ud800"}', b'{"a":"\\udc00\\ud800"}',
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
    for function, arguments in (
        (C.members, ()), (C.members, (b"{}",)), (C.members, (b"{}", "1")), (C.members, (b"{}", 1, 2)),
        (C.told, (b"{}",)), (C.told, (b"{}", dict)), (C.join, ([],)),
    ):  # fmt: skip
        with pytest.raises(TypeError):
            function(*arguments)
    with pytest.raises(OverflowError):
        C.members(b"{}", 1 << 80)


def test_a_large_value_is_a_view() -> None:
    body = b'{"model":"auto","messages":["%b"],"n":1}' % (b"x" * 5000)
    found = C.members(body, 3)
    assert isinstance(found["messages"], memoryview)
    assert found["messages"].readonly
    assert C.join(found) == body


@pytest.mark.parametrize("size", [10, 5000])
def test_the_codec_uses_it_where_it_is_there(in_c: None, size: int) -> None:
    body = b'{"model":"auto","messages":[{"role":"user","content":"%b"}]}' % (b"x" * size)
    found = codec.split_within(body, 3)
    assert found is not None
    assert codec.join(found) == body
    assert codec.join({**found, "\u00e9": codec.piece(1)}) == body[:-1] + ',"\u00e9":1}'.encode()
    assert codec.value(found["model"]) == "auto"
    assert codec.value(found["messages"])[0]["content"] == "x" * size
    assert codec.split_within(body, 2) is None


def test_without_it_nothing_is_split_so() -> None:
    assert codec.split_within(b"{}", 3) is None


@given(
    st.dictionaries(PLAIN_NAMES, st.recursive(
        st.none() | st.booleans() | NUMBERS | TEXTS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12,
    ), max_size=6),
    st.booleans(),
    st.sampled_from([None, 1, "\t"]),
)  # fmt: skip
def test_what_is_usual_is_taken_as_it_is(value: dict[str, Any], ascii_only: bool, indent: int | str | None) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert same(members(data), codec.std_split(data))


# join


@given(st.dictionaries(TEXTS | PLAIN_NAMES, VALUES.map(codec.std_encode), max_size=5))
def test_join_is_that_of_the_codec(members: dict[str, bytes]) -> None:
    joined = C.join(members)
    assert joined in (None, codec.std_join(members))
    usual = all(name.isascii() and name.isprintable() and not set(name) & set('"\\') for name in members)
    assert joined is not None or not usual


@pytest.mark.usefixtures("in_c")
def test_the_codec_with_it_gives_the_same() -> None:
    @given(BYTES | OBJECTS.map(codec.std_encode))
    def both(data: bytes) -> None:
        assert same(outcome(codec.split, data), outcome(codec.std_split, data))

    @given(OBJECTS)
    def there_and_back(value: dict[str, Any]) -> None:
        data = codec.std_encode(value)
        pieces = codec.split(data)
        assert codec.join(pieces) == data
        assert same({name: codec.value(text) for name, text in pieces.items()}, value)

    both()
    there_and_back()
    assert codec.piece({"a": 1}) == b'{"a":1}'
    assert codec.raw(b" 1") == b" 1"


# answers

MARKS = [
    '"choices":[{', '"choices": [{', '"type":"message"', '"object": "list"', '"data":[', '"error"', '"error', '"model":"m1"',
    '"model": "m2"', '"model":"', '"model":null', '"usage":{', '"usage": {', '"usage"', '"prompt_tokens":7', '"input_tokens":8',
    '"prompt_tokens_details":{"cached_tokens":3}', "}", "}}", "{", ",", '"', "\\", "x" * 1020, '"completion_tokens":007', ":",
]  # fmt: skip
ANSWERISH = st.lists(st.sampled_from(MARKS), max_size=12).map(lambda parts: "".join(parts).encode())
COUNTS = st.integers(-1, 10**18) | st.none() | st.booleans() | FINITE | TEXTS | st.lists(st.integers(), max_size=2)
NAMES = st.sampled_from([
    "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "input_tokens", "output_tokens",
    "cache_read_input_tokens", "cache_creation_input_tokens", "prompt_tokens_details", "completion_tokens_details", "x",
])  # fmt: skip
USAGES = st.dictionaries(NAMES, COUNTS | st.dictionaries(NAMES, COUNTS | st.dictionaries(NAMES, COUNTS), max_size=3), max_size=6)
ANSWERS = st.tuples(OBJECTS, TEXTS, OBJECTS, USAGES).map(
    lambda parts: json.dumps(
        {**parts[0], "model": parts[1], "choices": [parts[2]], "usage": parts[3]}, separators=(",", ":"), ensure_ascii=False
    ).encode()
)


@given(ANSWERISH)
def test_an_answer_is_plainly_good_for_both(body: bytes) -> None:
    assert C.good(body) is extension("_json", "-U__SSE2__").good(body) is verdict.good(body)


@given(ANSWERISH | ANSWERS | ANSWERS.map(lambda body: body.replace(b'"choices"', b'"' + b"c" * 1100 + b'"')))
@example(b'{"model":"m","usage":{"prompt_tokens":1,"completion_tokens":' + b"9" * 16 + b"}}")
def test_what_is_told_of_an_answer_is_what_is_found_in_it(body: bytes) -> None:
    told = C.told(body, Usage)
    if told is not None:
        assert same(told, (usage.from_answer(body), usage.served_model(body)))


@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "cost", "tier"]),
        st.integers(0, 10**15 - 1) | FINITE | st.none() | st.text("abc ", max_size=5),
    ),
    st.integers(0, 10**15 - 1),
)
def test_the_usual_answer_is_taken(counts: dict[str, Any], cached: int) -> None:
    told = {**counts, "prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": None}}
    answer = {"id": "1", "model": "a/b-1.5", "choices": [{"message": {"content": "é"}}], "usage": told}
    body = json.dumps(answer, separators=(",", ":")).encode()
    assert C.good(body)
    found, model = C.told(body, Usage)
    assert isinstance(found, Usage)
    assert (found, model) == (usage.read(told), "a/b-1.5")


def test_what_is_no_bytes_is_left() -> None:
    assert C.members(bytearray(b"{}"), 1) is None
    assert C.good(bytearray(b'"data":[')) is False
    assert C.told(bytearray(b"{}"), Usage) is None


# the relay with it


@pytest.mark.usefixtures("in_c")
async def test_a_chat_goes_through() -> None:
    world = World()
    world.script = {"one": [refused(500)], "two": [completion("hello")]}
    assert await world.text(temperature=0.5, tools=[{"type": "function"}]) == "hello"
    assert world.sent[-1]["tools"] == [{"type": "function"}]
    assert world.trail.usage == Usage(9, 3)
    assert world.trail.model == "served"


@pytest.mark.usefixtures("in_c")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b'{"messages":' + b"[" * 70 + b"]" * 70 + b"}", "body_too_deep"),
        (b'{"messages":[1],"model":1e999}', "invalid_json"),
    ],
)
async def test_what_is_wrong_is_told_as_without_it(body: bytes, code: str) -> None:
    world = World()
    with pytest.raises(Refusal) as refusal:
        await world.post(Request("POST", "/v1/chat/completions", body=Body(body)))
    assert refusal.value.code == code
