"""The table of faults: what the provider did, what the caller saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.faults.scripts import TEXT
from tests.faults.wall import Result

__all__ = ["FAULTS", "Row", "page", "rows"]

FAULTS = {
    "F01": "answers 429 with `Retry-After: 2`",
    "F02": "answers 429 for ever, without a hint",
    "F03": "fails once with 500",
    "F04": "answers 503 for ever",
    "F05": "resets the connection before the answer, once",
    "F06": "accepts, and is silent",
    "F07": "sends its first token after 20 s",
    "F08": "cuts the stream at 40 of 60 tokens",
    "F09": "stalls in the middle, but for comments",
    "F10": "sends one malformed event",
    "F11": "finishes without `[DONE]` and leaves the connection open",
    "F12": "answers 400: the context is too long",
    "F13": "answers 400: content policy",
    "F14": "cuts the stream; the fallback takes no prefill",
    "F15": "is down for a while (20 requests), then comes back",
    "F16": "fails, so that the fallback answers",
    "S01": "sends its first token after 3 s, and `commit_after` is 500 ms",
    "S02": "is silent, and so is the fallback; `commit_after` is 500 ms",
    "S03": "sends its first token after 20 s, and `hedge_after` is 300 ms",
    "S04": "answers after 1 s; the fallback is down, and `hedge_after` is 300 ms",
}

HEAD = """\
# When providers fail

<!-- Written by `make faults`: tests/faults through `wws serve`, over real sockets, with the openai SDK as the caller. -->

An AI provider may stall, cut a stream, lie with a 200, or run out of quota. What a caller notices of it:

- Until the first token (with `mode = "buffer"` on a route: until the last one) a failed attempt is invisible: the next
  model of the alias answers, within one budget of attempts (`[attempts] max`) and one deadline (`[timeouts] total`).
- A plain caller is served by streaming upstream and putting the answer together (`[attempts] assemble`), so that silence is
  told from slowness, and an answer that is cut in the middle is asked for again.
- Where a first token may take longer than `[attempts] commit_after` (30 s), a stream's head is sent then, and a comment every
  15 s, so that no proxy cuts it off. The attempts go on behind it; what fails in the end is an error event.
- With `[attempts] hedge_after` the next model is asked as well when no token has come for so long, within the same budgets of
  attempts and second tries. The first to have a token answers, the other call is cancelled; both may bill.
- After the first token of a stream a failure is an error event in the stream, never a normal finish.
- A route that keeps failing is left alone (`[attempts] breaker`): after 5 failures in a row, or half of at least 20 requests
  in 10 s. One probe every 30 s finds out when it is back. `Retry-After` is honoured, up to 300 s.
- A route takes so many requests at a time as its provider allows (`concurrency`, `packs`); others wait in a short line, or go
  to the next model.

The timers of this run are shorter than the defaults: `first_byte` 1 s, `first_token` 1.5 s, `idle` 2 s. The faults F01 to F16 are
met by a gateway with the defaults of `[attempts]`, S01 to S04 by gateways with a `first_token` of 60 s (S02: 1 s).

"""


class Row(NamedTuple):
    """One request that met a fault."""

    fault: str
    stream: bool
    result: Result


def rows(seen: Sequence[Row]) -> list[str]:
    """The table in Markdown."""
    lines = ["| fault | the provider | stream | the caller sees | calls upstream | seconds |", "|---|---|---|---|---|---|"]
    for fault, stream, result in sorted(seen, key=lambda row: (row.fault, row.stream)):
        told = FAULTS[fault]
        what = "yes" if stream else "no"
        lines.append(f"| {fault} | {told} | {what} | {_saw(result)} | {result.attempts} | {result.seconds:.1f} |")
    return lines


def _saw(result: Result) -> str:
    if result.error is not None:
        part = f"{len(result.text.split())} tokens, then " if result.text else ""
        return f"{part}the error `{result.error}`"
    whole = "the whole answer" if result.text == TEXT else f"{len(result.text.split())} tokens"
    return f"{whole} from {'the primary' if result.provider == 'main' else 'the fallback'}"


def page(seen: Sequence[Row]) -> str:
    """docs/failure-behaviour.md."""
    return HEAD + "\n".join(rows(seen)) + "\n"
