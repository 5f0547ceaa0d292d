"""How old a stored answer is, until when it may be used, and what to do with it now (RFC 9111 section 4.2, RFC 5861).

Ages and lifetimes are in seconds. All lifetimes are total ages: `fresh=60, stale=300` is what RFC 5861 writes as
`max-age=60, stale-while-revalidate=240`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from wws.core.cache import httpdate
from wws.core.cache.directives import MOST_SECONDS, Directives
from wws.core.cache.entry import Entry
from wws.core.policy import CachePolicy

__all__ = ["NEGATIVE_SECONDS", "OUTAGE", "Reuse", "Terms", "explicit_lifetime", "initial_age", "reuse", "terms"]

Pair = tuple[bytes, bytes]
Reuse = Literal["fresh", "stale_revalidate", "must_revalidate", "miss"]

NEGATIVE_SECONDS: Final = 10.0
"""The longest that 404 and 410 are believed: long enough against a storm, short enough to see a page that was just made."""
NEGATIVE: Final = frozenset({404, 410})
OUTAGE: Final = frozenset({500, 502, 503, 504})
"""RFC 5861 section 4: "an error is any situation that would result in a 500, 502, 503, or 504 HTTP response status code"."""


class Terms(NamedTuple):
    """Until which age a stored answer is fresh, may be served stale while it is refreshed, and stale in place of an error.

    `validate` is False where no conditional request can be made of it.
    """

    fresh: float
    stale: float
    error: float
    validate: bool


def initial_age(headers: list[Pair], request_time: float, response_time: float) -> float:
    """The age of an answer at its response time: `corrected_initial_age` of RFC 9111 section 4.2.3.

    `headers` are all of its fields; the times are wall time, of the request that was sent and of the arrival of its head.
    """
    date = httpdate.parse(_first(headers, b"date"), response_time)
    # apparent_age = max(0, response_time - date_value); a Date has whole seconds, so less than one is its rounding, not age.
    apparent = 0.0 if date is None or response_time - date < 1.0 else response_time - date
    # response_delay = response_time - request_time; corrected_age_value = age_value + response_delay
    corrected = _age_value(_first(headers, b"age")) + max(0.0, response_time - request_time)
    return max(apparent, corrected)


def _first(headers: list[Pair], name: bytes) -> bytes | None:
    for field, value in headers:
        if field == name:
            return value
    return None


def _age_value(value: bytes | None) -> float:
    # RFC 9111 section 5.1: of a list "the first member"; "If the field value (after discarding additional members) is
    # invalid, the field SHOULD be ignored."
    if value is None:
        return 0.0
    text = value.split(b",", 1)[0].strip(b" \t")
    if not text.isdigit():
        return 0.0
    return float(MOST_SECONDS if len(text.lstrip(b"0")) > 10 else min(int(text), MOST_SECONDS))


def explicit_lifetime(entry: Entry, directives: Directives) -> float | None:
    """The freshness lifetime that the answer itself states (RFC 9111 section 4.2.1), or None: nothing is guessed."""
    if directives.s_maxage is not None:
        return float(directives.s_maxage)
    if directives.max_age is not None:
        return float(directives.max_age)
    if directives.targeted:  # RFC 9213 section 2.2: Expires is ignored beside a targeted field
        return None
    expires = entry.first(b"expires")
    if expires is None:
        return None
    moment = httpdate.parse(expires, entry.response_time)
    if moment is None:  # section 5.3: "an invalid date format, especially the value "0"", means already expired
        return 0.0
    date = httpdate.parse(entry.first(b"date"), entry.response_time)
    return max(0.0, moment - (entry.response_time if date is None else date))


def terms(entry: Entry, directives: Directives, policy: CachePolicy) -> Terms:
    """Until when `entry` may be used under the route's policy.

    `fixed`: the ages of the policy, and never fresh for longer than the answer itself says. `obey-origin`: what the answer
    says and nothing else. Whatever the policy, directives that forbid stale answers are obeyed (RFC 9111 section 4.2.4).
    """
    stated = explicit_lifetime(entry, directives)
    grace = float(directives.stale_if_error or 0)
    if policy.mode == "fixed":
        fresh = policy.fresh if stated is None else min(policy.fresh, stated)
        stale = max(fresh, policy.stale)
        error = max(stale, fresh + grace)
    else:
        fresh = stated or 0.0
        stale = fresh + float(directives.stale_while_revalidate or 0)
        error = fresh + grace
    if entry.status in NEGATIVE:
        fresh = min(fresh, NEGATIVE_SECONDS)
        stale = error = fresh
    if directives.forbids_stale:
        stale = error = fresh
    if directives.no_cache:  # section 5.2.2.4: not "without forwarding it for validation"
        fresh = stale = error = 0.0
    validate = entry.first(b"etag") is not None or entry.first(b"last-modified") is not None
    return Terms(fresh, stale, error, validate)


def reuse(terms: Terms, age: float) -> Reuse:
    """What to do with a stored answer of this age.

    `fresh`: serve. `stale_revalidate`: serve, and refresh in the background. `must_revalidate`: ask the origin first; the
    answer may then be validated, or stand in for an error. `miss`: of no use any more.
    """
    if age < terms.fresh:
        return "fresh"
    if age < terms.stale:
        return "stale_revalidate"
    return "must_revalidate" if terms.validate or age < terms.error else "miss"
