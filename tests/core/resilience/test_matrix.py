"""The retry and failover matrix, row by row, and what holds for every row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.resilience.matrix import PATIENCE, TABLE, Action, decide
from wws.errors import TABLE as CODES

ROWS = [
    # outcome, retry the same route, fail over, what the caller gets in the end
    ("connect_failed", True, True, 502),
    ("reset", True, True, 502),
    ("malformed", True, True, 502),
    ("timeout", False, True, 504),
    ("stall", False, True, 504),
    ("cut", False, True, 502),
    ("caller_invalid_request", False, False, 400),
    ("caller_context_length", False, True, 400),
    ("caller_content_policy", False, False, 400),
    ("provider_auth_failed", False, True, 502),
    ("provider_billing", False, True, 503),
    ("provider_overloaded", True, True, 503),
    ("provider_server_error", True, True, 502),
    ("provider_rate_limited", False, True, 429),
    ("provider_quota", False, True, 429),
    ("caller_cancelled", False, False, 499),
]


@pytest.mark.parametrize(("outcome", "same", "over", "status"), ROWS)
def test_rows(outcome: str, same: bool, over: bool, status: int) -> None:
    action = decide(outcome)
    assert (action.retry_same, action.fail_over, CODES[action.public_code].status) == (same, over, status)


def test_the_names_of_the_transport_agree_with_their_error_types() -> None:
    assert TABLE["connect_failed"] == TABLE["reset"] == TABLE["provider_connection_failed"]
    assert TABLE["timeout"] == TABLE["stall"] == TABLE["provider_timeout"]
    assert TABLE["cut"] == TABLE["provider_stream_cut"]


def test_a_context_that_is_too_long_goes_to_a_wider_window_only() -> None:
    assert decide("caller_context_length").wider
    assert [outcome for outcome, row in TABLE.items() if row.wider] == ["caller_context_length"]


def test_our_key_and_our_bill_alarm_and_never_become_the_callers_401() -> None:
    for outcome in ("provider_auth_failed", "provider_billing"):
        assert decide(outcome).alarm
        assert CODES[decide(outcome).public_code].status not in (401, 402, 403)


def test_an_unknown_model_is_the_callers_mistake_or_ours() -> None:
    theirs = decide("caller_model_unknown", "model_not_found", named=True)
    assert theirs == Action(False, False, "model_not_found")
    ours = decide("caller_model_unknown", "model_not_found", named=False)
    assert (ours.fail_over, ours.alarm, CODES[ours.public_code].status) == (True, True, 502)


@pytest.mark.parametrize(
    ("wait", "same"), [(None, False), (0.0, True), (1.0, True), (PATIENCE, True), (PATIENCE + 0.1, False), (300.0, False)]
)
def test_a_rate_limit_is_waited_for_when_it_is_short(wait: float | None, same: bool) -> None:
    action = decide("provider_rate_limited", retry_after=wait)
    assert action.retry_same is same
    assert action.fail_over
    assert action.wait == (wait or 0.0)


def test_an_overload_that_lasts_goes_elsewhere_at_once() -> None:
    assert decide("provider_overloaded").retry_same
    assert not decide("provider_overloaded", retry_after=30.0).retry_same


def test_a_wait_past_the_deadline_is_not_waited() -> None:
    assert not decide("provider_rate_limited", retry_after=1.0, left=0.5).retry_same
    assert not decide("provider_server_error", left=0.0).fail_over


def test_the_callers_code_is_the_verdicts() -> None:
    assert decide("caller_invalid_request", "unprocessable").public_code == "unprocessable"


def test_an_outcome_outside_the_set_is_ours_and_alarms() -> None:
    action = decide("provider_surprise")
    assert action == Action(False, False, "internal_error", False, True)


@given(
    outcome=st.sampled_from(sorted(TABLE)),
    retried=st.booleans(),
    visible=st.booleans(),
    named=st.booleans(),
    retry_after=st.none() | st.floats(0, 300),
    left=st.floats(0, 600),
)
def test_invariants(outcome: str, retried: bool, visible: bool, named: bool, retry_after: float | None, left: float) -> None:
    action = decide(outcome, retried=retried, visible=visible, named=named, retry_after=retry_after, left=left)
    assert action.public_code in CODES
    if visible:
        assert not action.retry_same and not action.fail_over
    if retried:
        assert not action.retry_same
    if outcome in ("timeout", "stall", "provider_timeout"):
        assert not action.retry_same
    if outcome.startswith("caller_"):
        assert not action.retry_same
    if action.retry_same:
        assert action.wait <= PATIENCE and action.wait < left
