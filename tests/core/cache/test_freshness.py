"""Age, lifetime and reuse (RFC 9111 section 4.2, RFC 5861), rules C4 and C5."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.cache.directives import MOST_SECONDS, Directives, in_force
from wws.core.cache.entry import Entry
from wws.core.cache.freshness import Terms, explicit_lifetime, initial_age, reuse, terms
from wws.core.policy import CachePolicy

Pair = tuple[bytes, bytes]
NOW = 1_790_000_000.0
FIXED = CachePolicy("fixed")
OBEY = CachePolicy("obey-origin")


def date(offset: float) -> bytes:
    return formatdate(NOW + offset, usegmt=True).encode()


def entry(*headers: Pair, status: int = 200) -> Entry:
    return Entry(status, headers, b"", NOW, 0.0)


def terms_of(policy: CachePolicy, *headers: Pair, status: int = 200) -> Terms:
    stored = entry(*headers, status=status)
    return terms(stored, in_force(list(headers)), policy)


@pytest.mark.parametrize(
    ("headers", "delay", "expected"),
    [
        ([], 0.0, 0.0),
        ([], 2.5, 2.5),  # the answer may have been made as early as it was asked for
        ([(b"age", b"30")], 0.0, 30.0),
        ([(b"age", b"30")], 2.5, 32.5),
        ([(b"date", date(0))], 0.0, 0.0),
        ([(b"date", date(-10))], 0.0, 10.0),
        ([(b"date", date(-10)), (b"age", b"30")], 0.0, 30.0),
        ([(b"date", date(-50)), (b"age", b"30")], 0.0, 50.0),
        ([(b"date", date(400))], 0.0, 0.0),  # a fast clock makes nothing younger than 0
        ([(b"date", b"foo")], 0.0, 0.0),
        ([(b"age", b"30, 7200")], 0.0, 30.0),
        ([(b"age", b"30"), (b"age", b"7200")], 0.0, 30.0),
        ([(b"age", b"-7200")], 0.0, 0.0),
        ([(b"age", b"7200.0")], 0.0, 0.0),
        ([(b"age", b"abc")], 0.0, 0.0),
        ([(b"age", b"9" * 5000)], 0.0, float(MOST_SECONDS)),
    ],
)
def test_the_age_an_answer_comes_with(headers: list[Pair], delay: float, expected: float) -> None:
    assert initial_age(headers, NOW - delay, NOW) == expected


def test_the_rounding_of_date_is_no_age() -> None:
    assert initial_age([(b"date", date(0))], NOW + 0.9, NOW + 0.9) == 0.0
    assert initial_age([(b"date", date(0))], NOW + 1.5, NOW + 1.5) == 1.5


def test_a_clock_that_stepped_back_between_request_and_answer() -> None:
    assert initial_age([], NOW + 100, NOW) == 0.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], None),
        ([(b"cache-control", b"max-age=60")], 60.0),
        ([(b"cache-control", b"max-age=60, s-maxage=5")], 5.0),
        ([(b"cache-control", b"max-age=1, s-maxage=3600")], 3600.0),
        ([(b"cache-control", b"public")], None),
        ([(b"expires", date(100))], 100.0),
        ([(b"expires", date(100)), (b"date", date(-20))], 120.0),
        ([(b"expires", date(300)), (b"date", date(400))], 0.0),
        ([(b"expires", date(100)), (b"date", b"foo")], 100.0),
        ([(b"expires", date(-100))], 0.0),
        ([(b"expires", b"0")], 0.0),
        ([(b"expires", b"-1")], 0.0),
        ([(b"expires", date(100)), (b"cache-control", b"max-age=7")], 7.0),
        ([(b"expires", date(100)), (b"cache-control", b"max-age=0")], 0.0),
        ([(b"expires", b"0"), (b"cache-control", b"max-age=7")], 7.0),
        ([(b"expires", date(100)), (b"cdn-cache-control", b"foo")], None),
        ([(b"expires", date(-100)), (b"cdn-cache-control", b"max-age=7")], 7.0),
        ([(b"cache-control", b"max-age=7"), (b"cdn-cache-control", b"max-age=9")], 9.0),
        # A validator alone is no lifetime: nothing is guessed.
        ([(b"last-modified", date(-100_000)), (b"etag", b'"a"')], None),
    ],
)
def test_the_lifetime_an_answer_states(headers: list[Pair], expected: float | None) -> None:
    assert explicit_lifetime(entry(*headers), in_force(headers)) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, "fresh"),
        (59, "fresh"),
        (59.999, "fresh"),
        (60, "stale_revalidate"),
        (61, "stale_revalidate"),
        (299, "stale_revalidate"),
        (299.999, "stale_revalidate"),
        (300, "miss"),
        (301, "miss"),
    ],
)
def test_c4_sixty_and_three_hundred(age: float, expected: str) -> None:
    assert reuse(terms_of(FIXED), age) == expected
    assert reuse(terms_of(OBEY, (b"cache-control", b"max-age=60, stale-while-revalidate=240")), age) == expected


@pytest.mark.parametrize("age", [300, 301, 10_000])
def test_past_the_window_a_validator_saves_the_body(age: float) -> None:
    assert reuse(terms_of(FIXED, (b"etag", b'"a"')), age) == "must_revalidate"
    assert reuse(terms_of(FIXED, (b"last-modified", date(-9))), age) == "must_revalidate"


FORBIDDING = ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=60", 'no-cache="x"']


@pytest.mark.parametrize("directive", FORBIDDING)
@pytest.mark.parametrize("policy", [FIXED, OBEY])
@pytest.mark.parametrize("also", ["", ", stale-while-revalidate=240", ", stale-if-error=240"])
def test_c5_some_directives_forbid_stale_whatever_the_configuration(directive: str, policy: CachePolicy, also: str) -> None:
    line = f"max-age=60, {directive}{also}".encode()
    for validator in ([], [(b"etag", b'"a"')]):
        found = terms_of(policy, (b"cache-control", line), *validator)
        for age in (60.0, 61.0, 299.0, 301.0):
            assert reuse(found, age) == ("must_revalidate" if validator else "miss")
        assert found.stale <= found.fresh
        assert found.error <= found.fresh


@pytest.mark.parametrize("policy", [FIXED, OBEY])
def test_no_cache_is_never_used_without_asking(policy: CachePolicy) -> None:
    found = terms_of(policy, (b"cache-control", b"max-age=1000, no-cache"), (b"etag", b'"a"'))
    assert reuse(found, 0.0) == "must_revalidate"


@pytest.mark.parametrize(
    ("policy", "line", "expected"),
    [
        (FIXED, b"", (60, 300, 300)),
        (CachePolicy("fixed", fresh=5, stale=7), b"", (5, 7, 7)),
        (CachePolicy("fixed", fresh=60, stale=10), b"", (60, 60, 60)),  # a window that ends before it begins
        (FIXED, b"max-age=10", (10, 300, 300)),  # never fresh for longer than the answer says
        (FIXED, b"max-age=3600", (60, 300, 300)),  # nor than the route says
        (FIXED, b"max-age=0", (0, 300, 300)),
        (FIXED, b"stale-if-error=3600", (60, 300, 3660)),
        (FIXED, b"s-maxage=10", (10, 10, 10)),
        (OBEY, b"", (0, 0, 0)),
        (OBEY, b"max-age=10", (10, 10, 10)),
        (OBEY, b"max-age=10, stale-while-revalidate=20", (10, 30, 10)),
        (OBEY, b"max-age=10, stale-if-error=50", (10, 10, 60)),
        (OBEY, b"max-age=10, stale-while-revalidate=x, stale-if-error", (10, 10, 10)),
    ],
)
def test_terms(policy: CachePolicy, line: bytes, expected: tuple[float, float, float]) -> None:
    assert terms_of(policy, (b"cache-control", line))[:3] == expected


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("policy", [FIXED, OBEY])
def test_what_is_not_there_is_believed_for_ten_seconds(status: int, policy: CachePolicy) -> None:
    line = b"max-age=3600, stale-while-revalidate=60, stale-if-error=60"
    assert terms_of(policy, (b"cache-control", line), status=status)[:3] == (10, 10, 10)
    assert terms_of(policy, (b"cache-control", b"max-age=3"), status=status)[:3] == (3, 3, 3)


def test_a_stale_answer_may_stand_in_for_an_error_longer_than_it_is_served_stale() -> None:
    found = terms_of(OBEY, (b"cache-control", b"max-age=10, stale-if-error=50"))
    assert reuse(found, 30.0) == "must_revalidate"
    assert reuse(found, 61.0) == "miss"


_SECONDS = st.one_of(st.none(), st.integers(0, 500))
_SAID = st.builds(
    Directives,
    no_cache=st.booleans(),
    public=st.booleans(),
    must_revalidate=st.booleans(),
    proxy_revalidate=st.booleans(),
    max_age=_SECONDS,
    s_maxage=_SECONDS,
    stale_while_revalidate=_SECONDS,
    stale_if_error=_SECONDS,
)
_POLICIES = st.builds(CachePolicy, st.sampled_from(["fixed", "obey-origin"]), st.integers(0, 400), st.integers(0, 400))


@given(_SAID, _POLICIES, st.sampled_from([200, 301, 404, 410]), st.floats(0, 1000))
def test_what_is_served_was_allowed_to_be(said: Directives, policy: CachePolicy, status: int, age: float) -> None:
    decision = reuse(terms(entry(status=status), said, policy), age)
    stated = said.s_maxage if said.s_maxage is not None else said.max_age
    lifetime = policy.fresh if policy.mode == "fixed" and stated is None else (stated or 0)
    if decision == "fresh":
        assert age < lifetime
        assert not said.no_cache
    if decision == "stale_revalidate":
        assert not said.forbids_stale
        window = policy.stale if policy.mode == "fixed" else lifetime + (said.stale_while_revalidate or 0)
        assert age < max(window, lifetime)
    if status in (404, 410):
        assert decision == "miss" or age < 10


@given(_SAID, _POLICIES, st.floats(0, 1000), st.floats(0, 1000))
def test_growing_older_never_makes_an_answer_better(said: Directives, policy: CachePolicy, one: float, other: float) -> None:
    found = terms(entry(), said, policy)
    order = ["fresh", "stale_revalidate", "must_revalidate", "miss"]
    younger, older = sorted((one, other))
    assert order.index(reuse(found, younger)) <= order.index(reuse(found, older))
