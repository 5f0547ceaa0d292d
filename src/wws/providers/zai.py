"""z.ai (GLM models), pay as you go (docs.z.ai; models.dev).

The base of the Coding Plan (`/api/coding/paas/v4`) is for the tools that plan names, not for a gateway
(docs.z.ai/devpack/usage-policy): whoever has such a plan sets `base_url` knowingly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from wws.core.resilience.wait import COOLDOWN_MAX, capped
from wws.core.wire.complaint import Complaint
from wws.providers.dialect import (
    AUTH,
    BILLING,
    CONTEXT,
    FAILED,
    INVALID,
    LOCKED_OUT,
    POLICY,
    QUOTA,
    RATE,
    UNKNOWN_MODEL,
    Dialect,
    Draft,
    Meaning,
)  # fmt: skip
from wws.providers.rewrite import (
    SCALE,
    clamp_max_tokens,
    drop,
    has_list_content,
    names_developer,
    nearest_effort,
    rename,
    rewrite_messages,
)

__all__ = ["ZAI"]

# docs.z.ai/api-reference/api-code. The code is text of digits, and comes inside HTTP 200 too.
CODES: dict[str, Meaning] = {
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004"), AUTH),  # key missing, invalid, expired
    **dict.fromkeys(("1110", "1111", "1112", "1120", "1121"), LOCKED_OUT),  # account inactive, missing, locked
    **dict.fromkeys(("1113", "1309"), Meaning("provider_billing", "provider_billing", COOLDOWN_MAX)),  # balance, plan expired
    **dict.fromkeys(("1210", "1213", "1214", "1215"), INVALID),  # parameters
    **dict.fromkeys(("1211", "1212", "1220", "1221", "1222"), UNKNOWN_MODEL),  # model or API unknown or not permitted
    **dict.fromkeys(("500", "1230", "1231", "1234"), FAILED),  # 1231 is a repeated request_id, which we never send
    "1261": CONTEXT,
    **dict.fromkeys(("1300", "1301"), POLICY),
    "1302": RATE,  # concurrency: over in seconds
    "1303": RATE,
    "1304": Meaning("provider_quota", "provider_quota", COOLDOWN_MAX),  # a day's calls
    "1305": Meaning("provider_overloaded", "provider_overloaded", 30.0),  # lasts minutes
    **dict.fromkeys(("1308", "1310"), QUOTA),  # a window's usage; the message says until when
    **dict.fromkeys(("434", "435"), INVALID),  # beta permission, file too large
    "401": AUTH,
    "402": BILLING,
}

# "If a stream fails during inference no error code is sent; the reason is in finish_reason."
FINISH: dict[str, Meaning] = {
    "sensitive": POLICY,
    "network_error": FAILED,
    "model_context_window_exceeded": CONTEXT,
}
# What they are called when a part of the answer has been seen already: OpenAI's words, or an error where there is none.
FINISH_NAMES: dict[str, str | None] = {
    "sensitive": "content_filter",
    "network_error": None,
    "model_context_window_exceeded": "length",
}

# The stamp has no zone and is Beijing's (can1357/oh-my-pi#11014, checked there against the quota endpoint).
_RESET = re.compile(r"reset at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_BEIJING = timezone(timedelta(hours=8))

_VERSION = re.compile(r"glm-(\d+)(?:\.(\d+))?")
_THINKING_OFF = {"type": "disabled"}
_THINKING_ON = {"type": "enabled"}
_FLASH_EFFORTS = ("low", "high", "max")


def version(family: str) -> tuple[int, int]:
    """A GLM model's version: `glm-4.6-air` is (4, 6); (0, 0) for what is none."""
    found = _VERSION.search(family)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def reset_hint(headers: Mapping[bytes, bytes], complaint: Complaint, now: float) -> Meaning | None:
    """Until when a used-up window lasts, from the message of 1308 and 1310."""
    found = _RESET.search(complaint.message) if complaint.code in ("1308", "1310") else None
    if found is None:
        return None
    try:
        moment = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=_BEIJING)
    except ValueError:
        return None
    return QUOTA._replace(wait=capped(moment.timestamp() - now))


def only_auto(draft: Draft) -> None:
    """`tool_choice` may only be `auto`. `none` means no tools: then they are not sent at all."""
    choice = draft.value("tool_choice")
    if choice == "auto":
        return
    draft.drop("tool_choice")
    if choice == "none" and "tools" in draft.members:
        draft.drop("tools")


def stream_tools(draft: Draft) -> None:
    """Arguments of tool calls are streamed by GLM-4.6 and later, when `tool_stream` asks for it."""
    if draft.stream and "tool_stream" not in draft.members and version(draft.model.family) >= (4, 6):
        draft.put("tool_stream", True)


def effort(draft: Draft) -> None:
    """`reasoning_effort` is GLM-5.2's and later, GLM-5.3-Flash knows three values; older models only think or do not."""
    asked = draft.value("reasoning_effort")
    newer = version(draft.model.family) >= (5, 2)
    if asked not in SCALE or (newer and "flash" not in draft.model.family):
        return
    if newer and asked not in ("none", "minimal"):
        if asked not in _FLASH_EFFORTS:
            draft.put("reasoning_effort", nearest_effort(asked, _FLASH_EFFORTS))
            draft.warnings.append("reasoning_effort:clamped")
        return
    del draft.members["reasoning_effort"]
    if "thinking" not in draft.members:
        draft.put("thinking", _THINKING_OFF if asked in ("none", "minimal") else _THINKING_ON)
    draft.warnings.append("reasoning_effort:thinking")


def messages(draft: Draft) -> None:
    """No `developer` role; list content of tool and assistant messages is dropped by the templates (LiteLLM #25868)."""
    rewrite_messages(draft, system=True, flatten=True)


ZAI = Dialect(
    kind="zai",
    base_url="https://api.z.ai/api/paas/v4",
    anthropic_url="https://api.z.ai/api/anthropic",
    operations=frozenset({"chat", "models"}),
    bearer=True,
    codes=CODES,
    finish=FINISH,
    finish_names=FINISH_NAMES,
    rewrites={
        "request_id": drop("request_id"),  # one that is sent twice is refused (1231), and a retry sends it twice
        "tool_choice": only_auto,
        "tools": stream_tools,
        "reasoning_effort": effort,
        "max_completion_tokens": rename("max_completion_tokens", "max_tokens"),
        "max_tokens": clamp_max_tokens,
    },
    messages_reasons=(names_developer, has_list_content),
    messages=messages,
    hint=reset_hint,
)
