"""JSON by msgspec and by the standard library: the same results, for everything that can be sent."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wws import codec

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=5)
TOKENS = [
    "{", "}", "[", "]", ",", ":", '"', "\\", "\\u", "\\ud83d", "\\uDE00", "\\ud800", "\\udc00", "d8", "a", "é", "\x00", "\x7f",
    " ", "\n", "\t", "\v", "0", "1", "-", "+", ".", "e", "E9", "e999", "true", "false", "null", "NaN", "Infinity", '"a":',
    '"b":1', "\ufeff",
]  # fmt: skip
NEARLY = st.lists(st.sampled_from(TOKENS), max_size=14).map(lambda tokens: "".join(tokens).encode())
"""What looks like JSON and mostly is none."""
SHAKEN = st.tuples(OBJECTS, st.integers(0, 200), st.sampled_from(TOKENS)).map(
    lambda parts: (text := json.dumps(parts[0], ensure_ascii=False))[: parts[1]] + parts[2] + text[parts[1] :]
)
"""JSON objects with a token put somewhere into them."""
BYTES = NEARLY | SHAKEN.map(str.encode) | st.binary(max_size=12) | NEARLY.map(lambda text: b'{"k":' + text + b"}")


def outcome(function: Callable[[bytes], Any], data: bytes) -> Any:
    """What `function` gives, or that it raises `ValueError`; any other exception fails the test."""
    try:
        return function(data)
    except ValueError:
        return ValueError


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same types: 1 is not 1.0, and 0.0 is not -0.0."""
    return repr(a) == repr(b)


def native_split(data: bytes) -> dict[str, bytes]:
    return {name: bytes(text) for name, text in codec.split(data).items()}


def test_the_native_codec_is_the_one_in_use() -> None:
    assert isinstance(codec.piece(1), msgspec.Raw)


@given(BYTES)
@example(b'"\\ud800"')
@example(b'"\\udc00\\ud800"')
@example(b'"\\ud800\\ud83d\\ude00"')
@example(b'"\\\\ud800"')
@example(b'"\\\\\\ud800"')
@example(b'{"\\ud800":1}')
@example(b'{"a":"\\ud800","a":1}')
@example(b"1e999")
@example(b"-1e400")
@example(b"9" * 5000)
@example(b'"\xed\xa0\x80"')
@example(b"\xef\xbb\xbf{}")
def test_both_decode_the_same(data: bytes) -> None:
    native, std = outcome(codec.decode, data), outcome(codec.std_decode, data)
    assert same(native, std)


@given(BYTES)
@example(b'{"a":"\\ud800"}')
@example(b'{"\\udfff":1}')
@example(b'{"a":1e999}')
@example(b'{"a":' + b"9" * 5000 + b"}")
@example(b'{"a" : 1 , "a":[ 1 , 2 ] }')
@example(b'{"a":1}x')
@example(b'{"a":"\xff"}')
def test_both_split_the_same(data: bytes) -> None:
    assert same(outcome(native_split, data), outcome(codec.std_split, data))


@given(VALUES)
def test_both_encode_what_both_decode_to_the_same(value: Any) -> None:
    for encode in (codec.encode, codec.std_encode):
        for decode in (codec.decode, codec.std_decode):
            assert same(decode(encode(value)), value)


@given(VALUES)
def test_both_encode_to_the_same_bytes_but_for_how_exponents_are_written(value: Any) -> None:
    """1e-05 of the one is 0.00001 of the other: the same number."""
    if not re.search(r"\de[+-]\d", repr(value)):
        assert codec.encode(value) == codec.std_encode(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_not_finite_becomes_null(value: float) -> None:
    for encode in (codec.encode, codec.std_encode):
        assert encode(value) == b"null"
        assert encode({"a": [1.5, (value, {"b": value})]}) == b'{"a":[1.5,[null,{"b":null}]]}'


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, ["a", "\ud83d"]])
def test_text_that_is_not_unicode_is_refused_by_both(value: object) -> None:
    for encode in (codec.encode, codec.std_encode):
        with pytest.raises(ValueError, match="surrogates not allowed"):
            encode(value)


@given(OBJECTS)
def test_split_and_join_are_inverse_in_both(value: dict[str, Any]) -> None:
    data = codec.std_encode(value)
    assert codec.std_join(codec.std_split(data)) == data
    assert codec.join(codec.split(data)) == data
    assert codec.std_join(native_split(data)) == data


@given(OBJECTS, VALUES)
def test_a_member_can_be_put_among_the_others_without_touching_them(members: dict[str, Any], value: Any) -> None:
    data = json.dumps(members, indent=1).encode()
    pieces = codec.split(data)
    pieces["model"] = codec.piece(value)
    pieces["raw"] = codec.raw(b' {"as": "it is"} ')
    joined = codec.join(pieces)
    assert same(codec.std_decode(joined), {**members, "model": value, "raw": {"as": "it is"}})
    for name, text in native_split(data).items():
        if name not in ("model", "raw"):
            assert text in data
            assert text in joined


@given(OBJECTS)
def test_the_value_of_a_piece_is_what_was_sent(members: dict[str, Any]) -> None:
    pieces = codec.split(codec.std_encode(members))
    assert same({name: codec.value(text) for name, text in pieces.items()}, members)


def test_what_is_nested_without_end_is_refused_and_no_crash() -> None:
    for deep in (b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000):
        for function in (codec.decode, codec.std_decode, codec.split, codec.std_split):
            with pytest.raises(ValueError, match=r"."):
                function(deep)


def test_without_msgspec_the_standard_library_is_used() -> None:
    """As at the edge: the same module where msgspec cannot be found."""
    code = """
import sys
from importlib import util
find = util.find_spec
util.find_spec = lambda name, package=None: None if name == "msgspec" else find(name, package)
from wws import codec
assert "msgspec" not in sys.modules
assert codec.split is codec.std_split and codec.piece is codec.std_encode
members = codec.split(b'{"model": "a", "n": [1, 2.5]}')
members["model"] = codec.piece("b")
members["x"] = codec.raw(b"null")
print(codec.join(members).decode(), codec.value(members["n"]))
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    assert shown.stdout == '{"model":"b","n":[1, 2.5],"x":null} [1, 2.5]\n'
