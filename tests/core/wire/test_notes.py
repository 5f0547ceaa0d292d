"""The header lines that say what the gateway did."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.trail import Attempt, Trail
from wws.core.wire import notes


def lines(trail: Trail, limits: str = "", total: float = 0.0) -> dict[str, str]:
    """The lines by name; each ends as it must."""
    text = notes.render("id-1", trail, total, limits)
    assert text.endswith("\r\n")
    fields = [line.split(": ", 1) for line in text[:-2].split("\r\n")]
    by_name = {one[0]: one[1] for one in fields}
    assert len(by_name) == len(fields)
    return by_name


def test_a_request_that_did_nothing_yet() -> None:
    assert lines(Trail(0.0)) == {
        "x-request-id": "id-1",
        "server-timing": "auth;dur=0.00, limit;dur=0.00, route;dur=0.00, cache;dur=0.00, upstream;dur=0.00, total;dur=0.00",
    }


def test_the_time_of_every_step_in_milliseconds() -> None:
    trail = Trail(0.0)
    trail.auth, trail.limit, trail.route, trail.cache, trail.upstream = 0.00012, 0.000056, 0.02, 0.0199999, 12.3456
    assert lines(trail, total=12.5)["server-timing"] == (
        "auth;dur=0.12, limit;dur=0.05, route;dur=20.00, cache;dur=19.99, upstream;dur=12345.60, total;dur=12500.00"
    )


def test_a_cached_answer() -> None:
    trail = Trail(0.0)
    trail.cache_status, trail.cache_outcome = "hit; ttl=42", "hit"
    fields = lines(trail)
    assert (fields["cache-status"], fields["x-wws-cache"]) == ("wws; hit; ttl=42", "HIT")


def test_an_ai_answer() -> None:
    trail = Trail(0.0)
    trail.cache_status, trail.cache_outcome = "fwd=bypass", "bypass"
    trail.reason, trail.provider, trail.model = "Standard code task", "zai", "glm-4-flash"
    trail.attempts.append(Attempt("zai", "glm-4-flash", "ok", 0.5))
    fields = lines(trail, "ratelimit: x\r\n")
    assert fields["x-wws-route-reason"] == "Standard code task"
    assert (fields["x-wws-provider"], fields["x-wws-model"], fields["x-wws-attempts"]) == ("zai", "glm-4-flash", "1")
    assert "x-wws-cache" not in fields and "x-wws-fallback" not in fields and fields["ratelimit"] == "x"


def test_an_answer_from_a_fallback_names_who_failed() -> None:
    trail = Trail(0.0)
    trail.reason, trail.provider, trail.model = "r", "zai", "m2"
    trail.attempts += [
        Attempt("synthetic", "m1", "provider_overloaded", 0.1),
        Attempt("synthetic", "m1", "provider_timeout", 0.1),
        Attempt("zai", "m2", "ok", 0.1),
    ]
    fields = lines(trail)
    assert fields["x-wws-fallback"] == "synthetic:provider_overloaded>synthetic:provider_timeout>zai"
    assert fields["x-wws-attempts"] == "3"


def test_a_retry_on_the_same_model_is_no_fallback() -> None:
    trail = Trail(0.0)
    trail.reason, trail.provider, trail.model = "r", "zai", "m"
    trail.attempts += [Attempt("zai", "m", "provider_timeout", 0.1), Attempt("zai", "m", "ok", 0.1)]
    assert "x-wws-fallback" not in lines(trail)


def test_nobody_answered() -> None:
    trail = Trail(0.0)
    trail.reason = "r"
    trail.attempts += [Attempt("a", "m", "provider_timeout", 0.1), Attempt("b", "m", "provider_timeout", 0.1)]
    fields = lines(trail)
    assert fields["x-wws-fallback"] == "a:provider_timeout>b:provider_timeout>none"
    assert "x-wws-provider" not in fields and "x-wws-model" not in fields


def test_what_was_degraded_and_warned_of() -> None:
    trail = Trail(0.0)
    trail.degraded, trail.warnings = ("limit", "cache"), ("dropped n", "dropped logit_bias")
    fields = lines(trail)
    assert fields["x-wws-degraded"] == "limit, cache" and fields["x-wws-warning"] == "dropped n; dropped logit_bias"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("abc-DEF_1.2", True),
        ("0" * 128, True),
        ("0" * 129, False),
        ("", False),
        ("a b", False),
        ("a\r\nx: y", False),
        ("a:b", False),
        ("a;b", False),
        ("\xe4", False),
        ("${jndi:ldap://x}", False),
        ("<script>", False),
    ],
)
def test_request_ids_of_callers(text: str, good: bool) -> None:
    assert notes.acceptable_id(text) is good


@given(st.text(max_size=200))
def test_an_accepted_request_id_is_safe_anywhere(text: str) -> None:
    if notes.acceptable_id(text):
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", text)
