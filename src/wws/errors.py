"""Every error of WWS: one tree for programs, one table for callers.

    WwsError
    +-- ConfigError        the project is wrong: every problem found, with file and line
    +-- Refusal            a request gets this answer instead of the one it asked for; `code` is a row of TABLE
    +-- FetchRefused       a function may not fetch from there, or no more than it did
    +-- FunctionError      a function of the project cannot be loaded: which, where, why
    +-- StoreError         a store could not do what it was asked (never: a key that is missing)
    +-- QueueFull          a queue holds as many messages as it may
    +-- UpstreamError      the other side of an outgoing connection failed
        +-- ConnectFailed      no connection: refused, unreachable, DNS, TLS
        +-- UpstreamTimeout    silent for longer than `phase` allows
        +-- UpstreamCut        closed before the answer was whole
        +-- UpstreamMalformed  sent what is not HTTP, or more than we accept

Apart from the tree stands FunctionStopped, a BaseException.

The `error_type` of a row is one of the closed set of names that logs and metrics use; they are grouped by whose fault
it was: `caller_`, `policy_`, `provider_`, `dependency_`, `wws_`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

__all__ = [
    "TABLE",
    "ConfigError",
    "ConnectFailed",
    "FetchRefused",
    "FunctionError",
    "FunctionStopped",
    "Problem",
    "QueueFull",
    "Refusal",
    "Row",
    "StoreError",
    "UpstreamCut",
    "UpstreamError",
    "UpstreamMalformed",
    "UpstreamTimeout",
    "WwsError",
]


class Row(NamedTuple):
    """What a caller sees of one code: HTTP status, OpenAI's `type`, our `error_type`, and the text where none is given."""

    status: int
    type: str
    error_type: str
    message: str


_BAD: Final = "invalid_request_error"
_LATER: Final = "server_error"

TABLE: Final[dict[str, Row]] = {
    # the caller's
    "invalid_request": Row(400, _BAD, "caller_invalid_request", "The request is not valid."),
    "invalid_json": Row(400, _BAD, "caller_invalid_request", "The body is not valid JSON. Send a JSON object, UTF-8."),
    "body_too_deep": Row(400, _BAD, "caller_invalid_request", "The body is nested too deeply."),
    "body_too_large": Row(413, _BAD, "caller_invalid_request", "The body is too large."),
    "malformed_credential": Row(400, _BAD, "caller_invalid_request", "The Authorization header is malformed: send `Bearer TOKEN` once."),
    "not_found": Row(404, "not_found_error", "caller_invalid_request", "Nothing is served at this path."),
    "method_not_allowed": Row(405, _BAD, "caller_invalid_request", "This path does not take this method."),
    "unsupported_media_type": Row(415, _BAD, "caller_invalid_request", "This kind of content is not taken here."),
    "unprocessable": Row(422, _BAD, "caller_invalid_request", "The body is understood, but its values are not accepted."),
    "request_timeout": Row(408, _BAD, "caller_invalid_request", "The request did not arrive in time."),
    "model_not_found": Row(404, _BAD, "caller_model_unknown", "The model does not exist here. GET /v1/models lists those that do."),
    "unsupported_endpoint": Row(404, "not_found_error", "caller_invalid_request", "No provider of this model has this endpoint."),
    "context_length_exceeded": Row(400, _BAD, "caller_context_length", "The input is longer than the model's context window."),
    "content_policy_violation": Row(400, _BAD, "caller_content_policy", "The provider refused the content under its policy."),
    "client_closed": Row(499, _BAD, "caller_cancelled", "The client went away."),
    # policy
    "missing_credential": Row(401, "authentication_error", "policy_unauthenticated", "Send `Authorization: Bearer` with a session token or an API key."),
    "invalid_api_key": Row(401, "authentication_error", "policy_unauthenticated", "The credential is not valid or has expired."),
    "insufficient_scope": Row(403, "permission_error", "policy_unauthenticated", "The credential does not allow this."),
    "origin_not_allowed": Row(403, "permission_error", "policy_unauthenticated", "Pages of this origin may not call this path: [cors] origins, or the route's `cors`, do not name it."),
    "user_banned": Row(403, "permission_error", "policy_unauthenticated", "This user is banned."),
    "rate_limit_exceeded": Row(429, "rate_limit_error", "policy_rate_limited", "Too many requests."),
    "insufficient_quota": Row(429, "insufficient_quota", "policy_budget", "The budget is used up."),
    "concurrency_limit": Row(503, _LATER, "policy_concurrency", "Too many requests of this kind are in progress."),
    "overloaded": Row(503, _LATER, "policy_concurrency", "The gateway is at its capacity."),
    # the provider's
    "provider_auth_failed": Row(502, _LATER, "provider_auth_failed", "The gateway's credential for the provider was refused. This is not about your credential."),
    "provider_billing": Row(503, _LATER, "provider_billing", "The provider account cannot be billed."),
    "provider_rate_limited": Row(429, "rate_limit_error", "provider_rate_limited", "The provider limits its requests."),
    "provider_overloaded": Row(503, _LATER, "provider_overloaded", "The provider is overloaded."),
    "provider_quota": Row(429, "insufficient_quota", "provider_quota", "The provider's quota is used up for now."),
    "provider_timeout": Row(504, _LATER, "provider_timeout", "The provider did not answer in time."),
    "provider_unreachable": Row(502, _LATER, "provider_connection_failed", "The provider cannot be reached."),
    "provider_error": Row(502, _LATER, "provider_server_error", "The provider failed."),
    "upstream_disconnect": Row(502, _LATER, "provider_stream_cut", "The provider ended the answer early."),
    # what we depend on
    "auth_unavailable": Row(503, _LATER, "dependency_unavailable", "The credential cannot be checked just now."),
    "store_unavailable": Row(503, _LATER, "dependency_unavailable", "The gateway's store does not answer just now."),
    "origin_unreachable": Row(502, _LATER, "dependency_unavailable", "The origin server cannot be reached."),
    "origin_timeout": Row(504, _LATER, "dependency_unavailable", "The origin server did not answer in time."),
    "origin_malformed": Row(502, _LATER, "dependency_unavailable", "The origin server's answer is not valid HTTP."),
    "fetch_failed": Row(502, _LATER, "dependency_unavailable", "Something that the function needs cannot be reached."),
    "fetch_timeout": Row(504, _LATER, "dependency_unavailable", "Something that the function needs did not answer in time."),
    # ours
    "function_suspended": Row(503, _LATER, "wws_function", "The function held up the gateway and is left alone for a while."),
    "function_timeout": Row(504, _LATER, "wws_function", "The function did not end in time."),
    "auth_misconfigured": Row(500, _LATER, "wws_internal", "The gateway's own key for the auth server was refused."),
    "function_failed": Row(500, _LATER, "wws_function", "The function failed on this request."),
    "function_broken": Row(500, _LATER, "wws_function", "The function cannot be loaded. `wws check` and the log say why."),
    "loop_detected": Row(508, _LATER, "wws_function", "Functions call one another without end."),
    "internal_error": Row(500, _LATER, "wws_internal", "The gateway failed on this request."),
}  # fmt: skip


class WwsError(Exception):
    """Base of everything WWS raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a project: where, what was found, what is allowed."""

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigError(WwsError):
    """The project cannot be used. `problems` holds every reason at once."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class Refusal(WwsError):
    """A request is answered with an error.

    `code` is a row of TABLE and decides status and shape. `message` replaces the row's text; it is ours and never an
    upstream's. `param` names the offending field. `retry_after` is in seconds (rounded up to at least 1 on the wire).
    `challenge` is the value of `WWW-Authenticate` (RFC 9110 section 11.6.1). `retry` False sends `x-should-retry: false`.
    `allow` are the methods a path takes (RFC 9110 section 10.2.1), for 405.
    """

    param: str | None = None
    retry_after: float | None = None
    challenge: str | None = None
    retry: bool | None = None
    allow: tuple[str, ...] | None = None

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        challenge: str | None = None,
        retry: bool | None = None,
        allow: tuple[str, ...] | None = None,
    ) -> None:
        self.code = code
        self.row = row = TABLE[code]
        self.message = row.message if message is None else message
        # Most have one of these or none, and each that is set has its price.
        if param is not None:
            self.param = param
        if retry_after is not None:
            self.retry_after = retry_after
        if challenge is not None:
            self.challenge = challenge
        if retry is not None:
            self.retry = retry
        if allow is not None:
            self.allow = allow

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class FetchRefused(WwsError):
    """A function may not fetch from there: an address inside, too many redirects, an answer larger than is allowed."""


class FunctionError(WwsError):
    """A function of the project cannot be loaded. `problems` say where and why."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


class FunctionStopped(BaseException):
    """Raised inside a function that holds up the event loop for longer than it may. Not an `Exception`: no handler of the
    function's own is meant to catch it."""


class StoreError(WwsError):
    """A store failed: gone, full, too slow, or holding what is not ours. Never a missing key."""


class QueueFull(WwsError):
    """A queue takes no more: it holds as many messages, dead letters included, as its `max_messages`."""

    def __init__(self, queue: str, most: int) -> None:
        super().__init__(
            f"the queue {queue} holds its most of {most} messages, dead letters included: "
            f"see `wws queues list`, and raise max_messages or purge it"
        )


class UpstreamError(WwsError):
    """Base of what an outgoing connection can do to us. `sent` tells whether any byte of the request may have arrived."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        self.sent = sent
        super().__init__(message)


class ConnectFailed(UpstreamError):
    """No connection could be made: nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class UpstreamTimeout(UpstreamError):
    """Silent for too long. `phase` names the timer of `[timeouts]` that ran out."""

    def __init__(self, phase: Literal["connect", "first_byte", "first_token", "idle", "total"]) -> None:
        self.phase = phase
        super().__init__(f"{phase} timeout", sent=phase != "connect")


class UpstreamCut(UpstreamError):
    """The connection ended before the answer was whole. `answered` tells whether any byte of the answer had come."""

    def __init__(self, message: str, *, answered: bool) -> None:
        self.answered = answered
        super().__init__(message)


class UpstreamMalformed(UpstreamError):
    """The answer is not acceptable HTTP/1.1."""
