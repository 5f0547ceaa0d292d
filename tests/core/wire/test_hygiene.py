"""Which header fields cross the gateway."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.wire import hygiene
from wws.core.wire.hygiene import Pair


def out(*fields: tuple[bytes, bytes]) -> list[Pair]:
    pairs = list(fields)
    return hygiene.to_origin(pairs, dict(pairs).get(b"connection"))


def back(*fields: tuple[bytes, bytes]) -> list[Pair]:
    pairs = list(fields)
    return hygiene.from_upstream(pairs, dict(pairs).get(b"connection"))


PASSES = [(b"accept", b"*/*"), (b"cookie", b"a=b"), (b"authorization", b"Bearer t"), (b"x-a", b"1"), (b"x-a", b"2")]


def test_ordinary_fields_pass_in_order() -> None:
    assert out(*PASSES) == PASSES
    assert back((b"set-cookie", b"a=b"), (b"set-cookie", b"c=d"), (b"etag", b'"x"')) == [
        (b"set-cookie", b"a=b"),
        (b"set-cookie", b"c=d"),
        (b"etag", b'"x"'),
    ]


@pytest.mark.parametrize("name", sorted(hygiene.HOP_BY_HOP))
def test_hop_by_hop_fields_cross_neither_way(name: bytes) -> None:
    assert out((name, b"x"), (b"x-a", b"1")) == [(b"x-a", b"1")]
    assert back((name, b"x"), (b"x-a", b"1")) == [(b"x-a", b"1")]


@pytest.mark.parametrize("name", sorted(hygiene.CLAIMS))
def test_what_a_client_may_not_claim(name: bytes) -> None:
    assert out((name, b"forged")) == []


def test_the_request_id_is_ours_to_say() -> None:
    assert back((b"x-request-id", b"theirs"), (b"server", b"s")) == [(b"server", b"s")]


@pytest.mark.parametrize("connection", [b"close", b"Keep-Alive", b"keep-alive, close", b"", b" , ,"])
def test_the_usual_values_of_connection_name_nothing(connection: bytes) -> None:
    assert out((b"connection", connection), (b"x-a", b"1")) == [(b"x-a", b"1")]


def test_fields_that_connection_names_do_not_cross() -> None:
    named = (b"connection", b"close, X-Hop ,x-other")
    fields = [(b"x-hop", b"1"), (b"x-other", b"2"), (b"x-a", b"3")]
    assert out(named, *fields) == [(b"x-a", b"3")]
    assert back(named, *fields) == [(b"x-a", b"3")]


def test_connection_may_come_more_than_once() -> None:
    fields = [(b"connection", b"x-hop"), (b"x-hop", b"1"), (b"connection", b"close")]
    assert out(*fields) == back(*fields) == []


@pytest.mark.parametrize("name", [b"host", b"authorization", b"cache-control", b"cookie", b"content-type"])
def test_connection_cannot_take_away_what_others_rely_on(name: bytes) -> None:
    fields = [(b"connection", b"close, " + name.upper()), (name, b"kept")]
    assert out(*fields) == ([] if name in hygiene.CLAIMS else [(name, b"kept")])
    assert back(*fields) == [(name, b"kept")]


def test_connection_cannot_name_forwarding_fields() -> None:
    assert hygiene.nominated([(b"connection", b"x-forwarded-for, x-forwarded-user, x-hop")]) == {b"x-hop"}


NAMES = st.sampled_from([*sorted(hygiene.HOP_BY_HOP | hygiene.CLAIMS), b"accept", b"cookie", b"x-a", b"x-b", b"authorization"])
FIELDS = st.lists(st.tuples(NAMES, st.sampled_from([b"x-a", b"close", b"x-a, x-b", b"authorization", b"v"])), max_size=12)


@given(FIELDS)
def test_nothing_is_made_up_and_no_claim_gets_through(fields: list[Pair]) -> None:
    passed = hygiene.to_origin(fields, dict(fields).get(b"connection"))
    assert [pair for pair in fields if pair in passed] == passed
    names = {name for name, _ in passed}
    assert not names & (hygiene.HOP_BY_HOP | hygiene.CLAIMS)
    assert not names & hygiene.nominated(fields)
    if any(name == b"authorization" for name, _ in fields):
        assert b"authorization" in names


@given(FIELDS)
def test_nothing_passes_from_a_provider_that_is_not_listed(fields: list[Pair]) -> None:
    kept: list[Pair] = [(b"content-type", b"application/json")]
    assert hygiene.from_provider([*fields, *kept]) == kept


def test_what_passes_from_a_provider() -> None:
    account = [
        (b"set-cookie", b"a=b"),
        (b"openai-organization", b"org-1"),
        (b"x-ratelimit-limit-requests", b"9"),
        (b"cf-ray", b"r"),
    ]
    answer = [(b"content-type", b"text/event-stream"), (b"content-encoding", b"gzip"), (b"openai-processing-ms", b"12")]
    assert hygiene.from_provider([*account, *answer]) == answer
