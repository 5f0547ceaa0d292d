"""What follows from an attempt that failed: the same route again, another route, or the caller gets the error.

One table, and nothing else decides it: retrying on everything rate-limits the fallback too, and a timeout that is
retried on the same silent route costs the caller all of its patience. How often, how soon and whether a breaker agrees
are the business of whoever loops over this.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["PATIENCE", "TABLE", "Action", "Outcome", "Row", "decide"]

PATIENCE: Final = 2.0
"""Seconds of `Retry-After` that are worth waiting on the same route; longer than that, another route is sooner."""

Outcome = str
"""An `error_type` (`provider_overloaded`, `caller_context_length`, ...) or one of the transport's: `connect_failed`, `reset`
(closed before the answer's head), `malformed`, `timeout` (head or first token), `stall`, `cut` (after the head), `empty`."""


class Row(NamedTuple):
    """`again`: the same route may be tried once more. `elsewhere`: the next route may be tried.

    `wider`: of the next routes only one with a larger context window. `alarm`: somebody has to look at it.
    `code` is what the caller gets when nothing else is left to try.
    """

    again: bool
    elsewhere: bool
    code: str
    wider: bool = False
    alarm: bool = False
    hint: bool = False
    """Whether `again` needs a provider that said how long to wait, and little (429 without a hint: another route)."""


TABLE: Final[dict[Outcome, Row]] = {
    # the transport
    "connect_failed": Row(True, True, "provider_unreachable"),
    "reset": Row(True, True, "provider_unreachable"),
    "malformed": Row(True, True, "provider_error"),
    "timeout": Row(False, True, "provider_timeout"),
    "stall": Row(False, True, "provider_timeout"),
    "cut": Row(False, True, "upstream_disconnect"),
    "empty": Row(False, True, "provider_error"),  # finished, and said nothing
    # the same as error types, for an attempt that is known by its name only
    "provider_connection_failed": Row(True, True, "provider_unreachable"),
    "provider_timeout": Row(False, True, "provider_timeout"),
    "provider_stream_cut": Row(False, True, "upstream_disconnect"),
    # the provider: 5xx, an error or nothing inside 200; 408, 409, 503, 529; 425, 429; 402; 401, 403
    "provider_server_error": Row(True, True, "provider_error"),
    "provider_overloaded": Row(True, True, "provider_overloaded"),
    "provider_rate_limited": Row(True, True, "provider_rate_limited", hint=True),
    "provider_quota": Row(True, True, "provider_quota", hint=True),
    "provider_billing": Row(False, True, "provider_billing", alarm=True),
    "provider_auth_failed": Row(False, True, "provider_auth_failed", alarm=True),
    # the caller
    "caller_invalid_request": Row(False, False, "invalid_request"),
    "caller_model_unknown": Row(False, False, "model_not_found"),
    "caller_context_length": Row(False, True, "context_length_exceeded", wider=True),
    "caller_content_policy": Row(False, False, "content_policy_violation"),
    "caller_cancelled": Row(False, False, "client_closed"),
}
# A model that our own route names and the provider does not know is our mistake, not the caller's.
_MISROUTED: Final = Row(False, True, "provider_error", alarm=True)
_UNKNOWN: Final = Row(False, False, "internal_error", alarm=True)


class Action(NamedTuple):
    """What may be done next, and what the caller gets if nothing is. `wait`: seconds before the same route, at least."""

    retry_same: bool
    fail_over: bool
    public_code: str
    wider: bool = False
    alarm: bool = False
    wait: float = 0.0


def decide(
    outcome: Outcome,
    code: str | None = None,
    *,
    retried: bool = False,
    visible: bool = False,
    named: bool = False,
    retry_after: float | None = None,
    left: float = float("inf"),
) -> Action:
    """The next step after `outcome`.

    `code` is the public code of the provider's verdict, where there is one. `retried`: this route has had its second try
    in this request. `visible`: the caller has seen a part of the answer, so nothing can be tried any more. `named`: the
    caller chose the model, not our rules. `retry_after` is what the provider asked for, `left` the time until the
    request's deadline, both in seconds.
    """
    row = TABLE.get(outcome, _UNKNOWN)
    if outcome == "caller_model_unknown" and not named:
        row, code = _MISROUTED, None
    public = code or row.code
    if visible:
        return Action(False, False, public, False, row.alarm)
    wait = retry_after or 0.0
    soon = wait <= PATIENCE and wait < left and (retry_after is not None or not row.hint)
    return Action(row.again and not retried and soon, row.elsewhere and left > 0, public, row.wider, row.alarm, wait)
