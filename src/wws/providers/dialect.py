"""What one kind of provider does differently, as data, and what all OpenAI-compatible ones have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wws import codec
from wws.core.resilience.wait import COOLDOWN_MAX
from wws.core.wire.complaint import Complaint
from wws.errors import Refusal

__all__ = ["CODES", "PATTERNS", "STATUSES", "Dialect", "Draft", "Meaning", "Model", "Pattern", "value_of"]


class Meaning(NamedTuple):
    """An `error_type`, the public code, and the seconds to stay away that this error implies where no header says so."""

    error_type: str
    code: str
    wait: float | None = None


INVALID = Meaning("caller_invalid_request", "invalid_request")
UNKNOWN_MODEL = Meaning("caller_model_unknown", "model_not_found")
CONTEXT = Meaning("caller_context_length", "context_length_exceeded")
POLICY = Meaning("caller_content_policy", "content_policy_violation")
TOO_LARGE = Meaning("caller_invalid_request", "body_too_large")
AUTH = Meaning("provider_auth_failed", "provider_auth_failed")
BILLING = Meaning("provider_billing", "provider_billing")
RATE = Meaning("provider_rate_limited", "provider_rate_limited")
QUOTA = Meaning("provider_quota", "provider_quota")
OVERLOADED = Meaning("provider_overloaded", "provider_overloaded")
FAILED = Meaning("provider_server_error", "provider_error")
LOCKED_OUT = Meaning("provider_auth_failed", "provider_auth_failed", COOLDOWN_MAX)

STATUSES: dict[int, Meaning] = {
    400: INVALID,
    401: AUTH,
    402: BILLING,
    403: AUTH,
    404: Meaning("caller_invalid_request", "not_found"),
    405: Meaning("caller_invalid_request", "method_not_allowed"),
    408: OVERLOADED,
    409: OVERLOADED,  # a lock, as the SDKs understand it
    413: CONTEXT,  # bare; a body that is too large says so, see PATTERNS
    415: Meaning("caller_invalid_request", "unsupported_media_type"),
    422: Meaning("caller_invalid_request", "unprocessable"),
    425: RATE,
    429: RATE,
    503: OVERLOADED,
    529: OVERLOADED,
}

CODES: dict[str, Meaning] = {
    # OpenAI (platform.openai.com/docs/guides/error-codes) and servers that copy it
    "context_length_exceeded": CONTEXT,
    "string_above_max_length": INVALID,
    "model_not_found": UNKNOWN_MODEL,
    "invalid_api_key": AUTH,
    "insufficient_quota": BILLING,
    "billing_hard_limit_reached": BILLING,
    "billing_not_active": BILLING,
    "rate_limit_exceeded": RATE,
    "content_policy_violation": POLICY,
    "content_filter": POLICY,
    "server_is_overloaded": OVERLOADED,
    # Anthropic's error types (docs.anthropic.com/en/api/errors); `invalid_request_error` tells no more than its status
    "authentication_error": AUTH,
    "permission_error": AUTH,
    "billing_error": BILLING,
    "not_found_error": UNKNOWN_MODEL,
    "request_too_large": TOO_LARGE,
    "rate_limit_error": RATE,
    "overloaded_error": OVERLOADED,
    "timeout_error": FAILED,
    "api_error": FAILED,
    # vLLM
    "NotFoundError": UNKNOWN_MODEL,
}


class Pattern(NamedTuple):
    """`meaning` when the status is one of `statuses` and every one of `words` occurs in the text, in lower case."""

    statuses: frozenset[int]
    words: tuple[str, ...]
    meaning: Meaning


_REFUSED = frozenset({200, 400, 413, 422, 500})
_NAMED = frozenset({200, 400, 404, 422})
PATTERNS: tuple[Pattern, ...] = (
    Pattern(_REFUSED, ("maximum context length",), CONTEXT),
    Pattern(_REFUSED, ("prompt is too long",), CONTEXT),
    Pattern(_REFUSED, ("context window",), CONTEXT),
    Pattern(_REFUSED, ("context length",), CONTEXT),
    Pattern(_REFUSED, ("too large for model",), CONTEXT),
    Pattern(_REFUSED, ("maximum input length",), CONTEXT),
    Pattern(frozenset({413}), ("entity too large",), TOO_LARGE),
    Pattern(frozenset({413}), ("body",), TOO_LARGE),
    Pattern(_NAMED, ("unknown model",), UNKNOWN_MODEL),
    Pattern(_NAMED, ("no such model",), UNKNOWN_MODEL),
    Pattern(_NAMED, ("invalid model",), UNKNOWN_MODEL),
    Pattern(_NAMED, ("model", "does not exist"), UNKNOWN_MODEL),
    Pattern(_NAMED, ("model", "not found"), UNKNOWN_MODEL),
    Pattern(_NAMED, ("model", "not a valid"), UNKNOWN_MODEL),
    Pattern(_REFUSED | {403}, ("content policy",), POLICY),
    Pattern(_REFUSED | {403}, ("content management policy",), POLICY),
    Pattern(_REFUSED | {403}, ("safety system",), POLICY),
    Pattern(frozenset({429, 503}), ("overloaded",), OVERLOADED),
)


class Model(NamedTuple):
    """A model as rewrites need it, worked out once. `family` is its name, and what an alias serves, in lower case."""

    name: str
    piece: codec.Piece
    family: str
    max_output: int | None


def value_of(name: str, text: codec.Piece) -> Any:
    """The decoded member `name`. A member is only looked into where it must be, so bad JSON may be found here: `Refusal`."""
    try:
        return codec.value(text)
    except ValueError:
        raise Refusal("invalid_json", param=name) from None


class Draft:
    """A request on its way to a provider: `members` may be changed, `warnings` names what was (for `x-wws-warning`)."""

    __slots__ = ("members", "model", "stream", "warnings")

    def __init__(self, members: dict[str, codec.Piece], model: Model, stream: bool, warnings: list[str]) -> None:
        self.members = members
        self.model = model
        self.stream = stream
        self.warnings = warnings

    def value(self, name: str) -> Any:
        """The decoded member. Raises `Refusal` with `invalid_json`."""
        return value_of(name, self.members[name])

    def put(self, name: str, value: object) -> None:
        """Sets the member."""
        self.members[name] = codec.piece(value)

    def drop(self, name: str) -> None:
        """Takes the member out and says so."""
        del self.members[name]
        self.warnings.append(f"{name}:dropped")


Rewrite = Callable[[Draft], None]
Hint = Callable[[Mapping[bytes, bytes], Complaint, float], Meaning | None]

ANTHROPIC = frozenset({"messages"})
OPENAI = frozenset({"chat", "embeddings", "models"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """The differences of one kind. Everything is looked at before what is common to all.

    `bearer`: the Anthropic endpoint takes the key as `Authorization: Bearer`, not as `x-api-key`.
    `finish` are finish reasons that are errors when nothing else came; `finish_names` what they are called in a stream
    (None: an error there too). `rewrites` are asked in order for each member that a request has. `messages` are rewritten
    when one of `messages_reasons` holds for their bytes. `hint` may refine a 429 by its headers and text.
    """

    kind: str
    base_url: str | None = None
    anthropic_url: str | None = None
    operations: frozenset[str] = OPENAI
    bearer: bool = False
    codes: Mapping[str, Meaning] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()
    finish: Mapping[str, Meaning] = field(default_factory=dict)
    finish_names: Mapping[str, str | None] = field(default_factory=dict)
    rewrites: Mapping[str, Rewrite] = field(default_factory=dict)
    messages_reasons: tuple[Callable[[bytes], bool], ...] = ()
    messages: Rewrite | None = None
    hint: Hint | None = None
