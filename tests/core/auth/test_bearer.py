"""The credential in the header fields: RFC 6750 section 2.1, and no falling through to another one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wws.core.auth.bearer import JWT, KEY, MAX_CREDENTIAL, NONE, REFUSED, Credential, read_credential

# RFC 6750 section 2.1 as one expression, to compare with.
GRAMMAR = re.compile(rb"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)


def read(*fields: tuple[str, str | bytes]) -> Credential:
    raw = [(name.encode(), value if isinstance(value, bytes) else value.encode("latin-1")) for name, value in fields]
    return read_credential(raw, dict(raw))


@pytest.mark.parametrize(
    ("fields", "kind", "token"),
    [
        ([], NONE, b""),
        ([("accept", "*/*")], NONE, b""),
        ([("authorization", "Bearer a.b.c")], JWT, b"a.b.c"),
        ([("authorization", "bearer a.b.c")], JWT, b"a.b.c"),
        ([("authorization", "BEARER a.b.c")], JWT, b"a.b.c"),
        ([("authorization", "Bearer   a.b.c")], JWT, b"a.b.c"),  # 1*SP
        ([("authorization", "Bearer wws_live_x")], KEY, b"wws_live_x"),
        ([("x-api-key", "wws_live_x")], KEY, b"wws_live_x"),
        ([("x-api-key", "a.b.c")], JWT, b"a.b.c"),
        ([("authorization", "Bearer wws_live_x"), ("x-api-key", "wws_live_x")], KEY, b"wws_live_x"),
        ([("authorization", "Bearer " + "a" * (MAX_CREDENTIAL - 4) + ".b.c")], JWT, b"a" * (MAX_CREDENTIAL - 4) + b".b.c"),
    ],
)
def test_credentials_found(fields: list[tuple[str, str]], kind: str, token: bytes) -> None:
    credential = read(*fields)
    assert (credential.kind, credential.token) == (kind, token)


@pytest.mark.parametrize(
    "fields",
    [
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer  ")],
        [("authorization", "Bearera.b.c")],
        [("authorization", "Bearer\ta.b.c")],
        [("authorization", "a.b.c")],
        [("authorization", "Basic dXNlcjpwYXNz")],
        [("authorization", "Token a.b.c")],
        [("authorization", "Bearer a.b.c d")],
        [("authorization", "Bearer a.b.c, Bearer d.e.f")],
        [("authorization", "Bearer Bearer a.b.c")],
        [("authorization", 'Bearer "a.b.c"')],
        [("authorization", "Bearer a.b.c\xe4")],
        [("authorization", "Bearer ===")],
        [("authorization", "Bearer a=b.c.d")],
        [("authorization", "Bearer " + "a" * MAX_CREDENTIAL + ".b.c")],
        [("authorization", "Bearer a.b.c"), ("authorization", "Bearer a.b.c")],
        [("authorization", "Bearer a.b.c"), ("accept", "*/*"), ("authorization", "Bearer d.e.f")],
        [("authorization", "Bearer a.b.c"), ("x-api-key", "wws_live_x")],
        [("authorization", "Bearer wws_live_y"), ("x-api-key", "wws_live_x")],
        [("authorization", "Bearer a.b.c"), ("x-api-key", "")],
        [("authorization", "Basic dXNlcjpwYXNz"), ("x-api-key", "wws_live_x")],
        [("authorization", ""), ("x-api-key", "wws_live_x")],
        [("x-api-key", "")],
        [("x-api-key", "wws_live_x y")],
        [("x-api-key", "wws_live_x"), ("x-api-key", "wws_live_x")],
    ],
)
def test_a_malformed_credential_is_refused_and_never_counts_as_absent(fields: list[tuple[str, str]]) -> None:
    credential = read(*fields)
    assert (credential.kind, credential.code, credential.token) == (REFUSED, "malformed_credential", b"")


def test_other_fields_may_repeat() -> None:
    assert read(("via", "1.1 a"), ("via", "1.1 b"), ("authorization", "Bearer a.b.c")).kind == JWT


@pytest.mark.parametrize("token", ["sk-abcdef", "a.b", "a.b.c.d.e", "opaque", "dXNlcg==", "WWS_live_x"])
def test_a_token_of_no_known_shape_is_invalid(token: str) -> None:
    credential = read(("authorization", f"Bearer {token}"))
    assert (credential.kind, credential.code, credential.message) == (REFUSED, "invalid_api_key", None)


@pytest.mark.parametrize("key", ["sb_publishable_abc", "sb_secret_abc"])
@pytest.mark.parametrize("field", ["authorization", "x-api-key"])
def test_a_supabase_api_key_is_refused_with_a_hint(key: str, field: str) -> None:
    credential = read((field, f"Bearer {key}" if field == "authorization" else key))
    assert (credential.kind, credential.code) == (REFUSED, "invalid_api_key")
    assert credential.message is not None and "access token" in credential.message and key not in credential.message


def test_a_credential_does_not_show_its_token() -> None:
    assert "a.b.c" not in repr(read(("authorization", "Bearer a.b.c")))


@given(st.binary(max_size=60) | st.from_regex(rb"(?i)bearer +[!-~]{0,20}", fullmatch=True))
@example(b"Bearer ")
@example(b"Bearer =")
@example(b"bEaReR  a==")
def test_the_parser_takes_what_the_grammar_takes(value: bytes) -> None:
    match = GRAMMAR.fullmatch(value)
    credential = read(("authorization", value))
    assert (credential.code != "malformed_credential") == (match is not None)
    if match is not None and credential.token:
        assert credential.token == match[1]


VALUES = st.sampled_from(
    [b"Bearer a.b.c", b"Bearer wws_live_x", b"wws_live_x", b"a.b.c", b"", b"Basic eA==", b"Bearer sb_secret_x"]
)
FIELDS = st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key", b"accept"]), VALUES), max_size=5)


@given(FIELDS)
def test_no_arrangement_of_fields_makes_a_bad_credential_absent_or_picks_one_of_two(fields: list[tuple[bytes, bytes]]) -> None:
    credential = read_credential(fields, dict(fields))
    credentials = [value for name, value in fields if name != b"accept"]
    if credential.kind == NONE:
        assert not credentials
    elif credential.kind != REFUSED:
        assert {value.removeprefix(b"Bearer ") for value in credentials} == {credential.token}
