"""The three date forms of RFC 9110 section 5.6.7, and what is none of them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.cache.httpdate import parse

NOW = 1_790_000_000.0  # in September 2026
NOVEMBER_1994 = 784_111_777.0


@pytest.mark.parametrize(
    "text",
    [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"],
)
def test_the_three_forms_of_the_rfc(text: bytes) -> None:
    assert parse(text, NOW) == NOVEMBER_1994


@pytest.mark.parametrize(
    ("text", "year"),
    [
        (b"Friday, 01-Jan-99 00:00:00 GMT", 1999),  # 2099 would be 73 years ahead
        (b"Friday, 01-Jan-77 00:00:00 GMT", 1977),  # 51 years ahead
        (b"Friday, 01-Jan-76 00:00:00 GMT", 2076),  # 50 years ahead
        (b"Friday, 01-Jan-26 00:00:00 GMT", 2026),
    ],
)
def test_a_year_of_two_digits_is_at_most_fifty_years_ahead(text: bytes, year: int) -> None:
    assert parse(text, NOW) == datetime(year, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        None,
        b"",
        b"0",
        b"-1",
        b"foo",
        b"Thu, 18 Aug 2050 02:01:18 UTC",
        b"Thu, 18 Aug 50 02:01:18 GMT",
        b"Thu 18 Aug 2050 02:01:18 GMT",
        b"Thu, 18  Aug  2050 02:01:18 GMT",
        b"Thu, 18-Aug-2050 02:01:18 GMT",
        b"Thu, 18 Aug 2050 02.01.18 GMT",
        b"Thu, 18 Aug 2050 2:01:18 GMT",
        b"Thu, 18 Foo 2050 02:01:18 GMT",
        b"Thu, 31 Feb 2050 02:01:18 GMT",
        b"Thu, 18 Aug 2050 24:01:18 GMT",
        b"Thu, 18 Aug 0000 02:01:18 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT ",
    ],
)
def test_what_is_no_date(text: bytes | None) -> None:
    assert parse(text, NOW) is None


def test_a_leap_second_counts_as_the_one_before() -> None:
    assert parse(b"Sat, 31 Dec 2016 23:59:60 GMT", NOW) == parse(b"Sat, 31 Dec 2016 23:59:59 GMT", NOW)


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9999, 12, 31)))
def test_what_the_standard_library_writes_is_read_back(moment: datetime) -> None:
    exact = moment.replace(microsecond=0, tzinfo=UTC)
    assert parse(format_datetime(exact, usegmt=True).encode(), NOW) == exact.timestamp()


@given(st.binary(max_size=60))
def test_nothing_makes_it_raise(text: bytes) -> None:
    found = parse(text, NOW)
    assert found is None or isinstance(found, float)
