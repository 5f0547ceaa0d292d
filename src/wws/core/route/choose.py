"""The model router's decision: the facts of a task and the `[[rules]]` in, models in order out. The first match wins.

A fact that is not known (None) satisfies no condition. Where no rule matches, the first alias of `[models]` serves.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from wws.core.policy import Condition, ModelRef, Policy, Rule
from wws.core.route.estimate import BYTES_PER_TOKEN, largest_within

__all__ = ["Choice", "Explanation", "Router", "Task", "choose", "explain"]


class Task(NamedTuple):
    """What is known of a request: `type` and `complexity` are words, case does not matter; `context_length` is in tokens."""

    type: str | None = None
    complexity: str | None = None
    context_length: int | None = None


NOTHING_KNOWN: Final = Task()


class Choice(NamedTuple):
    """`candidates` are tried in order. `alias` is None when the caller named a model. `reason` is printable ASCII."""

    alias: str | None
    candidates: tuple[ModelRef, ...]
    reason: str


class Explanation(NamedTuple):
    """How one rule fared: `matched` by the facts, `chosen` as the first that was, `why` in words."""

    rule: Rule
    matched: bool
    chosen: bool
    why: str


class _Compiled(NamedTuple):
    types: frozenset[str] | None
    complexities: frozenset[str] | None
    over: int | None
    under: int | None
    choice: Choice


class Router:
    """The rules of a policy, made ready once.

    `available` names the providers there are: candidates at others are left out. None: those of the policy, or any where
    the policy names none. `allowed` are the aliases of `[models]` a route is restricted to: rules for others do not apply.

    `needs_context` and `needs_complexity` tell whether any rule asks for that fact, so that nobody estimates it in vain.
    No rule tells two context lengths of at most `context_floor` tokens apart.
    """

    __slots__ = (
        "_brief",
        "_brief_size",
        "_otherwise",
        "_rules",
        "aliases",
        "context_floor",
        "needs_complexity",
        "needs_context",
        "providers",
        "restricted",
    )

    def __init__(self, policy: Policy, available: Collection[str] | None = None, allowed: Collection[str] | None = None) -> None:
        names = policy.providers if available is None else available
        refs = {ref.provider for models in policy.models.values() for ref in models}
        self.providers = frozenset(names if names or available is not None else refs)
        self.restricted = allowed is not None
        self.aliases: dict[str, Choice] = {
            alias: Choice(alias, tuple([ref for ref in models if ref.provider in self.providers]), printable(f"alias {alias}"))
            for alias, models in policy.models.items()
            if allowed is None or alias in allowed
        }
        self._rules = tuple([self._compile(rule) for rule in policy.rules if rule.use in self.aliases])
        first = next(iter(self.aliases.values()), Choice(None, (), ""))
        self._otherwise = first._replace(reason=printable(f"No rule matched, using {first.alias}"))
        bounds = [bound for rule in self._rules for bound in (rule.over, rule.under) if bound is not None]
        self.needs_context = bool(bounds)
        self.needs_complexity = any(rule.complexities is not None for rule in self._rules)
        self.context_floor = min(bounds, default=1) - 1
        self._brief_size = largest_within(self.context_floor)
        types = {kind for rule in self._rules for kind in rule.types or ()}
        self._brief = {kind: self.choose(Task(kind, None, 0)) for kind in (None, *types)}

    def _compile(self, rule: Rule) -> _Compiled:
        when = rule.when
        choice = self.aliases[rule.use]._replace(reason=printable(rule.reason))
        return _Compiled(_words(when.type), _words(when.complexity), when.context_length_over, when.context_length_under, choice)

    def choose(self, task: Task) -> Choice:
        """The choice of the first rule that matches; without candidates only where no provider of the alias is available."""
        kind, complexity, length = task
        if kind is not None:
            kind = kind.lower()
        if complexity is not None:
            complexity = complexity.lower()
        for types, complexities, over, under, choice in self._rules:
            if types is not None and kind not in types:
                continue
            if over is not None and (length is None or length <= over):
                continue
            if complexities is not None and complexity not in complexities:
                continue
            if under is not None and (length is None or length >= under):
                continue
            return choice
        return self._otherwise

    def brief(self, kind: str | None, size: int, max_tokens: int) -> Choice | None:
        """What `choose` gives for a task of which no more is known than its type, in lower case, and a body of `size` bytes that
        asks for `max_tokens`. None where that takes a look: at how hard it is, or how long beyond `context_floor`.
        """
        if self.needs_complexity or (self.needs_context and size + BYTES_PER_TOKEN * max_tokens > self._brief_size):
            return None
        return self._brief.get(kind) or self._brief[None]


def choose(task: Task, policy: Policy) -> Choice:
    """One decision of `policy`, for those who need only one; `Router` keeps what it prepares for the next."""
    return Router(policy).choose(task)


def explain(task: Task, policy: Policy) -> list[Explanation]:
    """Every rule in order, whether the task matches it, and why: the dry run behind `choose`."""
    found = False
    told: list[Explanation] = []
    for rule in policy.rules:
        checks = _checks(rule.when, task)
        failed = [words for holds, words in checks if not holds]
        matched = not failed
        chosen = matched and not found and rule.use in policy.models
        found = found or chosen
        why = "; ".join(failed or [words for _, words in checks]) or "always applies"
        told.append(
            Explanation(rule, matched, chosen, why if rule.use in policy.models else f"{why}; but [models] has no {rule.use!r}")
        )
    return told


def _checks(when: Condition, task: Task) -> list[tuple[bool, str]]:
    checks: list[tuple[bool, str]] = []
    for name, fact, wanted in (("type", task.type, when.type), ("complexity", task.complexity, when.complexity)):
        if wanted is None:
            continue
        holds = fact is not None and fact.lower() in (_words(wanted) or ())
        state = "is not known" if fact is None else f"{fact!r} is {'' if holds else 'not '}one of"
        checks.append((holds, f"{name} {state}" + ("" if fact is None else f" {', '.join(wanted)}")))
    length = task.context_length
    for word, bound in (("over", when.context_length_over), ("under", when.context_length_under)):
        if bound is None:
            continue
        if length is None:
            checks.append((False, "context_length is not known"))
            continue
        holds = length > bound if word == "over" else length < bound
        checks.append((holds, f"context_length {length} is {'' if holds else 'not '}{word} {bound}"))
    return checks


def _words(words: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if words is None else frozenset([word.lower() for word in words])


def printable(text: str) -> str:
    """`text` as one line of printable ASCII, because a reason ends up in a header (RFC 9110 section 5.5)."""
    return " ".join("".join([c if c.isprintable() else " " for c in text]).split()).encode("ascii", "replace").decode()
