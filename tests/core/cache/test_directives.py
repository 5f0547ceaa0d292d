"""Cache-Control and CDN-Cache-Control, as sent by careful and careless origins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.cache.directives import MAX_FIELD, MOST_SECONDS, Directives, in_force, parse, parse_targeted, seconds


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], {}),
        ([b""], {}),
        ([b", ,"], {}),
        ([b"no-store"], {b"no-store": None}),
        ([b"No-StOrE"], {b"no-store": None}),
        ([b"max-age=60"], {b"max-age": b"60"}),
        ([b"max-age=60,public"], {b"max-age": b"60", b"public": None}),
        ([b" max-age=60\t,\tpublic "], {b"max-age": b"60", b"public": None}),
        ([b'max-age="60"'], {b"max-age": b"60"}),
        ([b"public", b"max-age=1"], {b"public": None, b"max-age": b"1"}),
        # Of a directive that repeats the first counts, on one line or on two.
        ([b"max-age=1800, max-age=1"], {b"max-age": b"1800"}),
        ([b"max-age=1", b"max-age=1800"], {b"max-age": b"1"}),
        # The name inside a quoted string is no directive.
        ([b'extension="max-age=3600", max-age=1'], {b"extension": b"max-age=3600", b"max-age": b"1"}),
        ([b'max-age=1, extension="a, max-age=3600"'], {b"max-age": b"1", b"extension": b"a, max-age=3600"}),
        ([b'x="a\\"b, no-store", public'], {b"x": b'a"b, no-store', b"public": None}),
        ([b'private="set-cookie, x"'], {b"private": b"set-cookie, x"}),
        # A value that is neither token nor quoted string is kept as no number.
        ([b"max-age= 100"], {b"max-age": b""}),
        ([b"max-age =100"], {b"max-age": b""}),
        ([b"max-age=1 0, public"], {b"max-age": b"", b"public": None}),
        ([b"max-age="], {b"max-age": b""}),
        ([b'max-age="60'], {b"max-age": b""}),
        # Junk is skipped up to the next comma.
        ([b"@@@, no-store"], {b"no-store": None}),
        ([b"a b, no-store"], {b"no-store": None}),
    ],
)
def test_cache_control(lines: list[bytes], expected: dict[bytes, bytes | None]) -> None:
    assert parse(lines) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (b"60", 60),
        (b"0", 0),
        (b"003600", 3600),
        (b"2147483648", MOST_SECONDS),
        (b"99999999999", MOST_SECONDS),
        (b"0" * 50 + b"7", 7),
        (b"9" * 5000, MOST_SECONDS),  # int() of so many digits would raise
        (b"a3600", 0),
        (b"3600a", 0),
        (b"-100", 0),
        (b"3600.5", 0),
        (b"'3600'", 0),
        (b"", 0),
        (None, 0),
    ],
)
def test_a_duration_that_is_no_number_means_stale(argument: bytes | None, expected: int) -> None:
    assert seconds({b"max-age": argument}, b"max-age") == expected
    assert seconds({b"max-age": argument}, b"s-maxage") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"max-age=60", {b"max-age": b"60"}),
        (b"no-store", {b"no-store": None}),
        (b"no-store=?1, public=?0", {b"no-store": None}),
        (b"max-age=60;foo=bar, private", {b"max-age": b"60", b"private": None}),
        (b"max-age=60 , \tno-cache", {b"max-age": b"60", b"no-cache": None}),
        (b"max-age=1, max-age=60", {b"max-age": b"60"}),  # RFC 9651: the last counts
        (b'x=(a "b";c 1.5), max-age=5', {b"x": None, b"max-age": b"5"}),
        (b"x=:YWI=:, y=@12, z=tok/en:1, max-age=5", {b"x": b":YWI=:", b"y": b"@12", b"z": b"tok/en:1", b"max-age": b"5"}),
        (b'private="a"', {b"private": b'"a"'}),
        # Not a structured dictionary, or with a duration that is no Integer: the whole field is ignored.
        (b"", None),
        (b"   ", None),
        (b"max-age=10000, &&&&&", None),
        (b'max-age="10000"', None),
        (b"max-age=10.5", None),
        (b"max-age=-1", None),
        (b"max-age", None),
        (b"max-age=", None),
        (b"max-age =100", None),
        (b"max-age= 100", None),
        (b"MaX-aGe=3600", None),
        (b"max-age=1,", None),
        (b",max-age=1", None),
        (b"max-age=1 no-store", None),
        (b'x="open', None),
        (b"max-age=1234567890123456", None),
    ],
)
def test_a_targeted_field_is_a_structured_dictionary(value: bytes, expected: dict[bytes, bytes | None] | None) -> None:
    assert parse_targeted(value) == expected


def test_the_targeted_field_replaces_cache_control() -> None:
    headers = [(b"cache-control", b"no-store"), (b"cdn-cache-control", b"max-age=60"), (b"cdn-cache-control", b"public")]
    assert in_force(headers) == Directives(max_age=60, public=True, targeted=True)


@pytest.mark.parametrize("invalid", [b"", b"&&&&", b'max-age="1"'])
def test_an_invalid_targeted_field_leaves_cache_control_in_force(invalid: bytes) -> None:
    assert in_force([(b"cdn-cache-control", invalid), (b"cache-control", b"no-store")]) == Directives(no_store=True)


def test_a_field_too_long_to_be_read_forbids_storing() -> None:
    long = b"max-age=60, x=" + b"y" * MAX_FIELD
    assert in_force([(b"cache-control", long)]) == Directives(no_store=True)
    assert in_force([(b"cache-control", b"max-age=60"), (b"cdn-cache-control", long)]) == Directives(no_store=True)
    assert in_force([(b"cache-control", b"a" * 600), (b"cache-control", b"b" * 600)]) == Directives(no_store=True)
    fits = b"max-age=60, x=" + b"y" * (MAX_FIELD - 14)
    assert in_force([(b"cache-control", fits)]) == Directives(max_age=60)


def test_all_directives_are_seen() -> None:
    line = (
        b"no-store, no-cache, private, public, must-revalidate, proxy-revalidate, must-understand, max-age=1, s-maxage=2, "
        b"stale-while-revalidate=3, stale-if-error=4"
    )
    assert in_force([(b"cache-control", line)]) == Directives(True, True, True, True, True, True, True, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("line", "shareable", "forbids"),
    [
        (b"public", True, False),
        (b"must-revalidate", True, True),
        (b"s-maxage=1", True, True),
        (b"proxy-revalidate", False, True),
        (b"no-cache", False, True),
        (b"max-age=60", False, False),
        (b"", False, False),
    ],
)
def test_which_let_it_be_shared_and_which_forbid_stale(line: bytes, shareable: bool, forbids: bool) -> None:
    said = in_force([(b"cache-control", line)])
    assert (said.shareable, said.forbids_stale) == (shareable, forbids)


_PIECES = st.sampled_from(
    [b"max-age", b"s-maxage", b"no-store", b"=", b",", b'"', b"\\", b" ", b"\t", b";", b"60", b"(", b")", b"\xff", b"\n"]
)


@given(st.one_of(st.binary(max_size=200), st.lists(_PIECES, max_size=30).map(b"".join)))
def test_nothing_makes_the_parsers_raise(value: bytes) -> None:
    found = parse([value])
    for name in found:
        assert name == name.lower()
        assert isinstance(seconds(found, name), int)
    targeted = parse_targeted(value)
    said = in_force([(b"cdn-cache-control", value), (b"cache-control", value)])
    assert said.targeted == (targeted is not None)


@given(st.text("abc-", min_size=1, max_size=8), st.integers(0, 10**12), st.booleans(), st.integers(0, 3))
def test_a_well_formed_duration_is_read_whatever_stands_around_it(name: str, value: int, quoted: bool, spaces: int) -> None:
    argument = f'"{value}"' if quoted else str(value)
    line = f'{name}-x{" " * spaces},{" " * spaces}max-age={argument}{" " * spaces}, {name}-y="a,b"'.encode()
    assert seconds(parse([line]), b"max-age") == min(value, MOST_SECONDS)
