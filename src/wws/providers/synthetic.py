"""synthetic.new (dev.synthetic.new; the vendor's client synthetic-lab/octofriend; aliou/pi-synthetic).

Its error bodies are `{"error": "text"}` without a code, so the status and the text decide. It takes one request at a time
per model and subscription pack, and says in `x-synthetic-quotas` what is left of the others.
"""

from __future__ import annotations

from collections.abc import Mapping

from wws.core.resilience import quota
from wws.core.wire.complaint import Complaint
from wws.providers.dialect import INVALID, QUOTA, UNKNOWN_MODEL, Dialect, Draft, Meaning, Pattern
from wws.providers.rewrite import (
    SCALE,
    clamp_max_tokens,
    clamp_to,
    drop,
    has_blank_content,
    has_list_content,
    is_glm,
    names_developer,
    nearest_effort,
    rewrite_messages,
)

__all__ = ["SYNTHETIC"]

_BAD = frozenset({400})
PATTERNS = (
    # An unknown id or alias is 400 here, not 404.
    Pattern(_BAD, ("does not appear to support image",), INVALID),
    Pattern(_BAD, ("model", "not supported"), UNKNOWN_MODEL),
    Pattern(_BAD, ("model", "not available"), UNKNOWN_MODEL),
    Pattern(_BAD, ("unsupported model",), UNKNOWN_MODEL),
)

# `reasoning_parameters.efforts` of the provider's /models, autumn 2026; the first family that matches. The values differ by
# model and one that is not listed is refused.
EFFORTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("kimi-k3", ("low", "high", "max")),
    ("glm-5.2", ("none", "high", "max")),
    ("glm-5.3-flash", ("low", "high", "max")),
    ("qwen3.8-27b", ("low", "medium", "xhigh")),
    ("glm-4.7-flash", ("none", "minimal", "low", "medium", "high")),
)


def quota_hint(headers: Mapping[bytes, bytes], complaint: Complaint, now: float) -> Meaning | None:
    """A 429 is about a quota when the header shows one used up; otherwise it is about concurrency and over in seconds."""
    header = headers.get(b"x-synthetic-quotas")
    known = quota.parse(header) if header is not None else None
    wait = quota.wait(known, now) if known is not None else None
    return None if wait is None else QUOTA._replace(wait=wait)


def thinking(draft: Draft) -> None:
    """z.ai's way to say it: disabled is `reasoning_effort` none, enabled is what the model does anyway."""
    wanted = draft.value("thinking")
    del draft.members["thinking"]
    if isinstance(wanted, dict) and wanted.get("type") == "disabled" and "reasoning_effort" not in draft.members:
        draft.put("reasoning_effort", "none")
    draft.warnings.append("thinking:reasoning_effort")


def effort(draft: Draft) -> None:
    """A value that the model knows."""
    asked = draft.value("reasoning_effort")
    for family, known in EFFORTS:
        if family in draft.model.family:
            if asked in SCALE and asked not in known:
                draft.put("reasoning_effort", nearest_effort(asked, known))
                draft.warnings.append("reasoning_effort:clamped")
            return


def max_tokens(draft: Draft) -> None:
    """Within the model's limit; MiniMax wants it by its newer name."""
    clamp_max_tokens(draft)
    if "minimax" in draft.model.family and "max_completion_tokens" not in draft.members:
        draft.members["max_completion_tokens"] = draft.members.pop("max_tokens")


def messages(draft: Draft) -> None:
    """`developer` is unknown to some models; GLM's templates drop list content; empty assistant content may be refused."""
    rewrite_messages(draft, system=True, flatten=is_glm(draft), blank=True)


SYNTHETIC = Dialect(
    kind="synthetic",
    base_url="https://api.synthetic.new/openai/v1",
    anthropic_url="https://api.synthetic.new/anthropic",
    bearer=True,
    patterns=PATTERNS,
    rewrites={
        "tool_stream": drop("tool_stream"),
        "clear_thinking": drop("clear_thinking"),
        "thinking": thinking,
        "reasoning_effort": effort,
        "max_completion_tokens": clamp_to("max_completion_tokens"),
        "max_tokens": max_tokens,
    },
    messages_reasons=(names_developer, has_list_content, has_blank_content),
    messages=messages,
    hint=quota_hint,
)
