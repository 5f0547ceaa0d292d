"""What a caller is told of a limit, as header lines.

    RateLimit-Policy: "chat";q=60;w=60      quota and window in seconds     draft-ietf-httpapi-ratelimit-headers-10 section 3
    RateLimit: "chat";r=12;t=31             remaining, seconds              the same, section 4; RFC 9651 structured fields
    x-ratelimit-limit-requests: 60          and remaining, reset (a duration such as 6m0s): what OpenAI's SDK users read
    Retry-After: 31                         whole seconds, at least 1       RFC 9110 section 10.2.3

`t` counts to the moment the whole limit is free again, on a refusal to the one when the next request is admitted:
`Retry-After` should not be earlier than it (the draft, section 4).
"""

from __future__ import annotations

from math import ceil
from typing import Final
from urllib.parse import quote

from wws.core.limit.decision import Decision
from wws.core.policy import Limit
from wws.core.text import joined

__all__ = ["LimitFields", "duration", "retry_after"]

# RFC 9651 section 3.3.3: a String holds the printable ASCII characters; the quote and the backslash are escaped.
_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def duration(seconds: float) -> str:
    """Seconds, rounded up, as OpenAI writes them: `250ms`, `12s`, `6m0s`, `1h0m0s`."""
    if 0 < seconds <= 0.999:
        return f"{ceil(seconds * 1000)}ms"
    return _whole(ceil(seconds))


def _whole(seconds: int) -> str:
    minutes, seconds = divmod(max(0, seconds), 60)
    if not minutes:
        return f"{seconds}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s"


_joined: Final = joined
_SHORT: Final = [_whole(seconds) for seconds in range(128)]


def retry_after(seconds: float) -> int:
    """The value of `Retry-After`: waiting that long suffices, so it is rounded up, and is at least 1."""
    return max(1, ceil(seconds))


class LimitFields:
    """The fields of one limit. What the configuration fixes is put together here, once."""

    __slots__ = ("_head",)

    def __init__(self, limit: Limit) -> None:
        name = quote(limit.name, safe=_PRINTABLE).replace("\\", "\\\\").replace('"', '\\"')
        self._head = (
            f'ratelimit-policy: "{name}";q={limit.count};w={max(1, ceil(limit.period))}\r\n'
            f'x-ratelimit-limit-requests: {limit.count}\r\nratelimit: "{name}";r='
        )

    def render(self, decision: Decision) -> str:
        """The lines, each ending in CRLF, without `Retry-After`, which an error's own head carries."""
        allowed, remaining, wait, reset = decision
        if allowed and 1.0 <= reset < 127.0:
            until = ceil(reset)
            text = _SHORT[until]
        else:
            until, text = ceil(reset) if allowed else retry_after(wait), duration(reset)
        return _joined(
            self._head, remaining, ";t=", until, "\r\nx-ratelimit-remaining-requests: ", remaining,
            "\r\nx-ratelimit-reset-requests: ", text, "\r\n",
        )  # fmt: skip
