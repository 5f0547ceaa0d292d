"""API keys: their form, their checksum, their record and their scopes."""

from __future__ import annotations

import re
import string
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.auth.apikey import (
    DEFAULT_SCOPES,
    KeyRecord,
    check_scopes,
    decode_record,
    encode_record,
    gone_record_key,
    holds,
    key_user,
    make_key,
    parse_key,
    record_key,
)

KEY, TEXT = make_key(bytes(range(8)), bytes(range(24)))
RANDOM = st.tuples(st.binary(min_size=8, max_size=8), st.binary(min_size=24, max_size=24))


@given(RANDOM)
def test_a_key_is_parsed_into_what_it_was_made_of(parts: tuple[bytes, bytes]) -> None:
    key, text = make_key(*parts)
    assert re.fullmatch(r"wws_live_[0-9A-Za-z]{11}_[0-9A-Za-z]{33}_[0-9a-f]{8}", text)
    assert parse_key(text.encode()) == key


@given(RANDOM, RANDOM)
def test_different_bytes_make_different_keys(one: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> None:
    (first, _), (second, _) = make_key(*one), make_key(*other)
    assert (first.id == second.id) == (one[0] == other[0])
    assert (first.secret == second.secret) == (one[1] == other[1])


@pytest.mark.parametrize(("id_bytes", "secret_bytes"), [(0, 24), (7, 24), (9, 24), (8, 0), (8, 23), (8, 25)])
def test_a_key_is_never_made_of_less_randomness(id_bytes: int, secret_bytes: int) -> None:
    with pytest.raises(ValueError, match="random bytes"):
        make_key(b"x" * id_bytes, b"y" * secret_bytes)


@given(st.integers(0, len(TEXT) - 1), st.sampled_from(string.ascii_letters + string.digits + "_-. "))
def test_one_wrong_character_is_found_without_a_lookup(at: int, char: str) -> None:
    wrong = TEXT[:at] + char + TEXT[at + 1 :]
    assert (parse_key(wrong.encode()) is not None) == (wrong == TEXT)


@given(st.integers(0, len(TEXT) - 2))
def test_two_characters_swapped_are_found(at: int) -> None:
    wrong = TEXT[:at] + TEXT[at + 1] + TEXT[at] + TEXT[at + 2 :]
    assert (parse_key(wrong.encode()) is not None) == (wrong == TEXT)


@pytest.mark.parametrize(
    "text", ["", "wws_", "wws_live_", TEXT[:-1], TEXT + "0", TEXT.upper(), TEXT.replace("live", "test"), " " + TEXT]
)
def test_other_forms_are_refused(text: str) -> None:
    assert parse_key(text.encode()) is None


def test_a_good_checksum_over_a_bad_form_is_refused() -> None:
    for start in (
        "wws_live_0123456789:_" + "s" * 33,
        "wws_live_01234567890s" + "s" * 33,
    ):
        text = f"{start}_{crc32(start.encode()):08x}"
        assert len(text) == len(TEXT)
        assert parse_key(text.encode()) is None


@given(st.binary(max_size=100))
def test_no_bytes_raise(data: bytes) -> None:
    assert parse_key(data) is None


def test_a_key_does_not_show_its_secret() -> None:
    assert KEY.secret.decode() not in repr(KEY) and KEY.id in repr(KEY)


RECORD = KeyRecord(KEY.id, "n8n", "ab" * 32, ("ai", "origin"), 2e9, 1.79e9)


@pytest.mark.parametrize("record", [RECORD, RECORD._replace(expires_at=None), RECORD._replace(name="Büro 7")])
def test_a_record_is_read_as_it_was_written(record: KeyRecord) -> None:
    assert decode_record(encode_record(record)) == record


def test_a_record_holds_no_secret() -> None:
    assert KEY.secret not in encode_record(RECORD)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"id":"x"}', b'{"scopes":1}', encode_record(RECORD)[:-1]])
def test_what_is_no_record_is_none(data: bytes) -> None:
    assert decode_record(data) is None


def test_what_another_version_wrote_beside_it_is_left_out() -> None:
    assert decode_record(encode_record(RECORD)[:-1] + b',"rate_class":"batch"}') == RECORD


def test_the_keys_of_the_store() -> None:
    assert (record_key("abc"), gone_record_key("abc")) == ("v1:key:abc", "v1:gonekey:abc")


def test_the_subject_of_a_key() -> None:
    user = key_user(RECORD)
    assert (user.id, user.source, user.key_id, user.scopes) == (f"key:{KEY.id}", "key", KEY.id, ("ai", "origin"))
    assert (user.session_id, user.expires_at) == (None, 2e9)


@pytest.mark.parametrize(
    ("held", "required", "allowed"),
    [
        (None, ("ai",), True),  # a session
        (("ai",), ("ai",), True),
        (("ai", "origin"), ("origin",), True),
        (("ai",), ("origin",), False),
        (("ai",), ("ai", "admin"), False),
        (("admin", "ai"), ("ai", "admin"), True),
        (("*",), ("ai", "admin"), True),
        ((), ("ai",), False),
        (("AI",), ("ai",), False),
        (("a",), ("ai",), False),
        (("ai",), ("*",), False),
    ],
)
def test_every_scope_required_must_be_held(held: tuple[str, ...] | None, required: tuple[str, ...], allowed: bool) -> None:
    assert holds(held, required) is allowed


def test_the_default_scopes_open_each_kind_of_route() -> None:
    check_scopes(DEFAULT_SCOPES)
    assert all(holds(DEFAULT_SCOPES, (kind,)) for kind in ("ai", "origin", "function"))


@pytest.mark.parametrize("scopes", [(), ("",), ("a b",), ('a"b',), ("a\\b",), ("é",), ("a\n",), ("ai", "")])
def test_what_is_no_scope_is_refused(scopes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        check_scopes(scopes)
