"""Facts a request does not state, estimated at no cost worth naming: how long it is, and how hard.

Complexity is a weighted sum of signals, each 0 to 1, found by looking words up; no model is asked. The weights and the
method follow the complexity router that LiteLLM documents (docs.litellm.ai, auto routing), with three tiers for its four.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

__all__ = ["WEIGHTS", "Facts", "Tier", "complexity", "context_length", "largest_within", "text_bytes"]

Tier = Literal["low", "medium", "high"]

BYTES_PER_TOKEN: Final = 4
MARGIN: Final = 10
"""Percent on top of bytes / 4: code and languages other than English take fewer bytes per token."""
IMAGE_BYTES: Final = 4096
"""What an embedded file counts for, as text: about 1,000 tokens, the order of what providers bill for one image."""

HEAD, TAIL = 1024, 3072
"""Characters of a prompt that are looked at: a task is stated at its start or, after what was pasted, at its end."""


def context_length(size_in_bytes: int, max_tokens: int = 0) -> int:
    """Tokens of the context window a request needs: bytes / 4 and a margin, and the answer it may ask for."""
    return -(-size_in_bytes * (100 + MARGIN) // (100 * BYTES_PER_TOKEN)) + max_tokens


def largest_within(tokens: int) -> int:
    """The largest number of bytes whose `context_length` is at most `tokens`."""
    return tokens * (100 * BYTES_PER_TOKEN) // (100 + MARGIN)


def text_bytes(body: bytes) -> int:
    """The size of `body` with each file embedded as a `data:` URL (RFC 2397) counted as `IMAGE_BYTES`, not by its base64."""
    size = len(body)
    at = body.find(b";base64,")
    while at >= 0:
        end = body.find(b'"', at)
        if end < 0:
            break
        size -= max(0, end - at - IMAGE_BYTES)
        at = body.find(b";base64,", end)
    return size


class Facts(NamedTuple):
    """What the signals look at. `length` is of the whole prompt in characters; the others are of its window."""

    length: int
    text: str
    words: frozenset[str]


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_CODE_MARKS: Final = (
    "```", "def ", "() {", "();", "){", "=> {", "{\n", "};", "</", "#include", "import {", "select * from",
    "console.log", "print(", "self.", "public static", "traceback (most",
)  # fmt: skip
_CODE_WORDS: Final = _words(
    "api bug code compile compiler debug debugging function html javascript json python refactor regex rust script sql "
    "stacktrace typescript unittest"
)
_REASONING_MARKS: Final = (
    "step by step", "think through", "think carefully", "reason through", "root cause", "trade-off", "tradeoff", "pros and cons",
    "why does", "prove that", "proof of", "work out", "from first principles", "weigh the", "what would happen if",
    "evaluate whether",
)  # fmt: skip
_REASONING_WORDS: Final = _words(
    "analyse analyze contradiction critique deduce derive disprove hypothesis infer justify prove theorem"
)
_TECHNICAL_WORDS: Final = _words(
    "algorithm architecture asynchronous authentication cache complexity concurrency consensus container cryptography database "
    "deadlock distributed encryption gradient heuristic idempotent index integral kernel kubernetes latency matrix microservice "
    "migration mutex optimization partition pipeline protocol quantum replication scalability schema sharding throughput "
    "transaction transformer"
)
_SIMPLE_MARKS: Final = ("what is ", "who is ", "when was ", "where is ", "define ", "translate ", "spell ", "thank")
_SIMPLE_WORDS: Final = _words("hello hey hi thanks yes no ok okay ping")
_SIMPLE_LENGTH: Final = 200
_STEP_MARKS: Final = ("\n1.", "\n2.", "\n- [", "first,", "and then", "after that", "finally", "step 1")


def _marks(text: str, marks: tuple[str, ...]) -> int:
    return sum([mark in text for mark in marks])


def _length(facts: Facts) -> float:
    return min(1.0, facts.length / 1600)  # 400 tokens


def _code(facts: Facts) -> float:
    return min(1.0, (_marks(facts.text, _CODE_MARKS) + len(facts.words & _CODE_WORDS)) / 2)


def _reasoning_markers(facts: Facts) -> int:
    return _marks(facts.text, _REASONING_MARKS) + len(facts.words & _REASONING_WORDS)


def _reasoning(facts: Facts) -> float:
    return min(1.0, _reasoning_markers(facts) / 2)


def _technical(facts: Facts) -> float:
    return min(1.0, len(facts.words & _TECHNICAL_WORDS) / 3)


def _simple(facts: Facts) -> float:
    if facts.length > _SIMPLE_LENGTH:
        return 0.0
    return float(facts.text.startswith(_SIMPLE_MARKS) or not facts.words.isdisjoint(_SIMPLE_WORDS))


def _multi_step(facts: Facts) -> float:
    return min(1.0, _marks(facts.text, _STEP_MARKS) / 2)


def _questions(facts: Facts) -> float:
    return min(1.0, (facts.text.count("?") + facts.text.count("\uff1f")) / 3)


WEIGHTS: Final[tuple[tuple[Callable[[Facts], float], float], ...]] = (
    (_length, 0.10),
    (_code, 0.30),
    (_reasoning, 0.25),
    (_technical, 0.25),
    (_simple, -0.05),
    (_multi_step, 0.03),
    (_questions, 0.02),
)
"""Signal and weight. Below LOW a task is low, from HIGH on it is high."""
LOW, HIGH = 0.15, 0.35
CERTAIN: Final = 2
"""This many reasoning markers make a task high whatever the sum."""


def complexity(prompt: str) -> Tier:
    """How hard the task in `prompt` looks. Work is bounded: only its head and tail are looked at."""
    text = _without_reminders(prompt)
    length = len(text)
    if length > HEAD + TAIL:
        text = f"{text[:HEAD]}\n{text[-TAIL:]}"
    text = text.lower()
    facts = Facts(length, text.lstrip(), frozenset([word.strip(".,:;!?()[]{}<>\"'`*") for word in text.split()]))
    if _reasoning_markers(facts) >= CERTAIN:
        return "high"
    score = sum([weight * signal(facts) for signal, weight in WEIGHTS])
    return "low" if score < LOW else "medium" if score < HIGH else "high"


def _without_reminders(prompt: str) -> str:
    """`prompt` without its `<system-reminder>` blocks: coding tools put them there, the user did not."""
    start = prompt.find("<system-reminder>")
    if start < 0:
        return prompt
    kept: list[str] = []
    at = 0
    while start >= 0:
        end = prompt.find("</system-reminder>", start)
        if end < 0:
            break
        kept.append(prompt[at:start])
        at = end + len("</system-reminder>")
        start = prompt.find("<system-reminder>", at)
    kept.append(prompt[at:])
    return "".join(kept)
