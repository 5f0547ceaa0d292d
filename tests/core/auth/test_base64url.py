"""RFC 4648 section 5, without padding and with one way to write each value."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wws.core.auth import base64url

ALPHABET = (string.ascii_letters + string.digits + "-_").encode()


@given(st.binary(max_size=200))
def test_what_is_encoded_decodes_to_itself(data: bytes) -> None:
    assert base64url.decode(base64url.encode(data)) == data


@given(st.binary(max_size=40) | st.text(alphabet=string.printable, max_size=40).map(str.encode))
@example(b"AB")
@example(b"AA==")
@example(b"A A")
@example(b"AA\n")
@example(b"AA+/")
def test_a_text_is_refused_or_is_the_only_way_to_write_its_value(text: bytes) -> None:
    try:
        data = base64url.decode(text)
    except ValueError:
        return
    assert base64url.encode(data) == text
    assert set(text) <= set(ALPHABET)


@pytest.mark.parametrize(
    "text",
    [
        b"A",  # no number of octets has one digit
        b"AAAAA",
        b"AA==",  # padding
        b"AAA=",
        b"A===",
        b"AB",  # unused bits that are not zero: AA is canonical
        b"AAB",
        b"AA AA",  # white space
        b"AA\n",
        b"A+AA",  # the other alphabet
        b"A/AA",
        b"A.AA",
        b"\xc3\xa4AA",
        b"AA\0A",
    ],
)
def test_what_is_not_canonical_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        base64url.decode(text)


def test_every_last_digit_of_a_two_digit_group_but_four_is_refused() -> None:
    accepted = []
    for digit in ALPHABET:
        try:
            base64url.decode(b"A" + bytes([digit]))
        except ValueError:
            continue
        accepted.append(chr(digit))
    assert sorted(accepted) == ["A", "Q", "g", "w"]
