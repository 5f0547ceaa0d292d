"""The rules: the documented defaults, first match wins, facts that are not known, and the dry run's words."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.policy import DEFAULT_MODELS, Condition, ModelRef, Policy, ProviderConfig, Rule
from wws.core.route.choose import Choice, Router, Task, choose, explain, printable
from wws.core.route.estimate import context_length

LONG = ("long_context", "Context exceeds 128K, using GLM-4-Long", ["zai/glm-4-long"])
CODE = ("code", "Standard code task", ["synthetic/hf:deepseek-ai/DeepSeek-V3", "zai/glm-4-flash"])
REASONING = ("reasoning", "Standard reasoning task", ["synthetic/hf:moonshotai/Kimi-K2-Thinking", "zai/glm-4-plus"])


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (Task(context_length=200_000), LONG),
        (Task(context_length=128_001), LONG),
        (Task(context_length=128_000), REASONING),
        (Task(type="code", context_length=128_000), CODE),
        (Task(type="code", context_length=128_001), LONG),
        (Task(type="debugging", context_length=200_000), LONG),
        (Task(type="code"), CODE),
        (Task(type="implementation"), CODE),
        (Task(type="debugging"), CODE),
        (Task(type="Code"), CODE),
        (Task(type="coder"), REASONING),
        (Task(type="reasoning"), REASONING),
        (Task(type="review", complexity="high"), REASONING),
        (Task(type=""), REASONING),
        (Task(complexity="low", context_length=0), REASONING),
        (Task(), REASONING),
    ],
)
def test_the_documented_defaults(task: Task, expected: tuple[str, str, list[str]]) -> None:
    choice = choose(task, Policy())
    assert (choice.alias, choice.reason, [str(ref) for ref in choice.candidates]) == expected


def test_the_defaults_ask_for_the_context_length_and_not_for_the_complexity() -> None:
    router = Router(Policy())
    assert router.needs_context
    assert not router.needs_complexity
    assert router.context_floor == 127_999


def test_facts_no_rule_asks_for_are_not_asked_for() -> None:
    router = Router(Policy(rules=(Rule("code", "always"),)))
    assert (router.needs_context, router.needs_complexity) == (False, False)
    router = Router(Policy(rules=(Rule("code", "hard", Condition(complexity=("high",))), Rule("reasoning", "else"))))
    assert (router.needs_context, router.needs_complexity) == (False, True)
    router = Router(Policy(rules=(Rule("code", "short", Condition(context_length_under=10)), Rule("reasoning", "else"))))
    assert (router.needs_context, router.needs_complexity, router.context_floor) == (True, False, 9)


@pytest.mark.parametrize(
    ("when", "task", "holds"),
    [
        (Condition(), Task(), True),
        (Condition(type=("a",)), Task(), False),
        (Condition(type=("A",)), Task("a"), True),
        (Condition(type=()), Task("a"), False),
        (Condition(complexity=("high",)), Task(complexity="HIGH"), True),
        (Condition(complexity=("high",)), Task(complexity="low"), False),
        (Condition(complexity=("high",)), Task(), False),
        (Condition(context_length_over=0), Task(context_length=1), True),
        (Condition(context_length_over=0), Task(context_length=0), False),
        (Condition(context_length_over=0), Task(), False),
        (Condition(context_length_under=5), Task(context_length=4), True),
        (Condition(context_length_under=5), Task(context_length=5), False),
        (Condition(context_length_under=5), Task(), False),
        (Condition(context_length_over=2, context_length_under=5), Task(context_length=3), True),
        (Condition(context_length_over=2, context_length_under=5), Task(context_length=2), False),
        (Condition(type=("a",), complexity=("low",)), Task("a", "low"), True),
        (Condition(type=("a",), complexity=("low",)), Task("a", "high"), False),
        (Condition(context_length_over=10**30), Task(context_length=10**30 + 1), True),
    ],
)
def test_every_part_of_a_condition_must_hold(when: Condition, task: Task, holds: bool) -> None:
    policy = Policy(rules=(Rule("code", "yes", when), Rule("reasoning", "no")))
    assert choose(task, policy).reason == ("yes" if holds else "no")
    assert explain(task, policy)[0].matched is holds


def test_where_no_rule_matches_the_first_alias_serves_and_says_so() -> None:
    policy = Policy(rules=(Rule("long_context", "long", Condition(context_length_over=5)),))
    assert choose(Task(), policy) == Choice("code", DEFAULT_MODELS["code"], "No rule matched, using code")
    assert choose(Task("anything"), dataclasses.replace(policy, rules=())).alias == "code"


def test_without_models_there_is_no_candidate() -> None:
    assert choose(Task("code"), Policy(models={})).candidates == ()
    assert choose(Task("code"), Policy(models={})).alias is None


def test_a_rule_for_an_alias_that_does_not_exist_is_passed_over() -> None:
    policy = Policy(rules=(Rule("gone", "never"), Rule("reasoning", "else")))
    assert choose(Task(), policy).reason == "else"
    first, second = explain(Task(), policy)
    assert (first.matched, first.chosen, first.why) == (True, False, "always applies; but [models] has no 'gone'")
    assert second.chosen


def test_candidates_at_providers_that_are_not_there_are_left_out() -> None:
    router = Router(Policy(), available={"zai"})
    assert router.choose(Task("code")).candidates == (ModelRef("zai", "glm-4-flash"),)
    assert router.choose(Task("code")).reason == "Standard code task"
    assert Router(Policy(), available={"synthetic"}).choose(Task(context_length=200_000)).candidates == ()
    assert Router(Policy(), available=()).choose(Task("code")).candidates == ()


def test_the_providers_of_the_policy_are_those_available_when_nobody_says_otherwise() -> None:
    policy = Policy(providers={"zai": ProviderConfig("zai", "zai")})
    assert Router(policy).providers == {"zai"}
    assert choose(Task("code"), policy).candidates == (ModelRef("zai", "glm-4-flash"),)
    assert Router(Policy()).providers == {"synthetic", "zai"}


def test_a_restricted_route_follows_the_rules_of_its_aliases_only() -> None:
    router = Router(Policy(), allowed=("code",))
    assert router.restricted
    assert router.choose(Task(context_length=200_000)).alias == "code"
    assert router.choose(Task("code")).reason == "Standard code task"
    assert router.choose(Task("poem")).reason == "No rule matched, using code"
    assert not router.needs_context
    assert Router(Policy(), allowed=()).choose(Task("code")).candidates == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Standard code task", "Standard code task"),
        ("two\nlines\r\nx: y", "two lines x: y"),
        ("tab\tand\x00nul\x7f", "tab and nul"),
        ("  outer   space ", "outer space"),
        ("Gr\u00f6\u00dfe \u2192 \u9577", "Gr??e ? ?"),
        ("", ""),
    ],
)
def test_a_reason_is_one_line_of_printable_ascii(text: str, line: str) -> None:
    assert printable(text) == line
    assert choose(Task(), Policy(rules=(Rule("code", text),))).reason == line


def test_explain_tells_of_every_rule_whether_it_matched_and_why() -> None:
    told = explain(Task("code", None, 200_000), Policy())
    assert [(one.rule.use, one.matched, one.chosen, one.why) for one in told] == [
        ("long_context", True, True, "context_length 200000 is over 128000"),
        ("code", True, False, "type 'code' is one of code, implementation, debugging"),
        ("reasoning", True, False, "always applies"),
    ]
    told = explain(Task("poem"), Policy())
    assert [(one.matched, one.chosen, one.why) for one in told] == [
        (False, False, "context_length is not known"),
        (False, False, "type 'poem' is not one of code, implementation, debugging"),
        (True, True, "always applies"),
    ]


def test_explain_names_each_part_that_failed() -> None:
    when = Condition(type=("a",), complexity=("low",), context_length_over=1, context_length_under=9)
    (told,) = explain(Task("b", "low", 9), Policy(rules=(Rule("code", "x", when),)))
    assert told.why == "type 'b' is not one of a; context_length 9 is not under 9"
    (told,) = explain(Task(None, None, 5), Policy(rules=(Rule("code", "x", when),)))
    assert told.why == "type is not known; complexity is not known"
    (told,) = explain(Task("a", "LOW", 5), Policy(rules=(Rule("code", "x", when),)))
    assert told.matched
    assert told.why == (
        "type 'a' is one of a; complexity 'LOW' is one of low; context_length 5 is over 1; context_length 5 is under 9"
    )


# Against an oracle that is written as the sentence reads: the first rule of which every part holds.

ALIASES = ("one", "two", "three")
MODELS: dict[str, tuple[ModelRef, ...]] = {alias: (ModelRef("p", alias), ModelRef("q", alias)) for alias in ALIASES}
words = st.sampled_from(["code", "poem", "debugging", "Code"])
tiers = st.sampled_from(["low", "medium", "high"])
lengths = st.integers(0, 6)
conditions = st.builds(
    Condition,
    type=st.none() | st.lists(words, max_size=2).map(tuple),
    complexity=st.none() | st.lists(tiers, max_size=2).map(tuple),
    context_length_over=st.none() | lengths,
    context_length_under=st.none() | lengths,
)
rules = st.lists(st.builds(Rule, use=st.sampled_from(ALIASES), reason=st.sampled_from("abcdef"), when=conditions), max_size=6)
tasks = st.builds(Task, type=st.none() | words, complexity=st.none() | tiers, context_length=st.none() | lengths)


def holds(when: Condition, task: Task) -> bool:
    def one_of(fact: str | None, wanted: tuple[str, ...] | None) -> bool:
        return wanted is None or (fact is not None and fact.casefold() in [word.casefold() for word in wanted])

    length = task.context_length
    return (
        one_of(task.type, when.type)
        and one_of(task.complexity, when.complexity)
        and (when.context_length_over is None or (length is not None and length > when.context_length_over))
        and (when.context_length_under is None or (length is not None and length < when.context_length_under))
    )


@given(rules, tasks)
def test_the_first_rule_that_holds_decides(listed: list[Rule], task: Task) -> None:
    policy = Policy(models=MODELS, rules=tuple(listed))
    first = next((rule for rule in listed if holds(rule.when, task)), None)
    choice = choose(task, policy)
    assert choice.candidates == MODELS["one" if first is None else first.use]
    assert choice.reason == ("No rule matched, using one" if first is None else first.reason)


@given(rules, tasks, st.sets(st.sampled_from(ALIASES), min_size=1), st.sets(st.sampled_from("pq"), min_size=1))
def test_there_is_always_a_candidate_and_only_of_what_is_allowed(
    listed: list[Rule], task: Task, allowed: set[str], available: set[str]
) -> None:
    choice = Router(Policy(models=MODELS, rules=tuple(listed)), available, tuple(allowed)).choose(task)
    assert choice.alias in allowed
    assert choice.candidates
    assert {ref.provider for ref in choice.candidates} <= available


@given(rules, tasks)
def test_explain_and_choose_agree(listed: list[Rule], task: Task) -> None:
    policy = Policy(models=MODELS, rules=tuple(listed))
    told = explain(task, policy)
    assert [one.rule for one in told] == listed
    assert [one.matched for one in told] == [holds(rule.when, task) for rule in listed]
    chosen = [one.rule.reason for one in told if one.chosen]
    assert chosen in ([choose(task, policy).reason], [])
    assert all(one.why for one in told)


@given(rules, st.none() | words, st.none() | tiers, st.data())
def test_lengths_up_to_the_floor_make_no_difference(
    listed: list[Rule], kind: str | None, tier: str | None, data: st.DataObject
) -> None:
    router = Router(Policy(models=MODELS, rules=tuple(listed)))
    if router.needs_context and router.context_floor >= 0:
        lower = data.draw(st.integers(0, router.context_floor))
        assert router.choose(Task(kind, tier, lower)) == router.choose(Task(kind, tier, router.context_floor))
    elif not router.needs_context:
        assert router.choose(Task(kind, tier, 3)) == router.choose(Task(kind, tier, None))


@given(rules, st.none() | words, lengths)
def test_complexity_makes_no_difference_where_no_rule_asks(listed: list[Rule], kind: str | None, length: int) -> None:
    router = Router(Policy(models=MODELS, rules=tuple(listed)))
    if not router.needs_complexity:
        assert router.choose(Task(kind, "high", length)) == router.choose(Task(kind, None, length))


@given(rules, st.none() | words, st.integers(0, 2_000_000), st.integers(0, 300_000))
def test_what_is_known_beforehand_is_what_a_closer_look_gives(
    listed: list[Rule], kind: str | None, size: int, max_tokens: int
) -> None:
    router = Router(Policy(models=MODELS, rules=tuple(listed)))
    kind = None if kind is None else kind.lower()
    brief = router.brief(kind, size, max_tokens)
    if brief is not None:
        assert brief == router.choose(Task(kind, None, context_length(size, max_tokens)))


def test_most_tasks_are_known_beforehand() -> None:
    router = Router(Policy())
    assert router.brief("code", 100_000, 4096) == choose(Task("code", None, 0), Policy())
    assert router.brief("coder", 0, 0) == router.brief(None, 0, 0)
    assert router.brief("code", 500_000, 0) is None
    assert router.brief("code", 0, 200_000) is None
    assert Router(Policy(rules=(Rule("code", "hard", Condition(complexity=("high",))),))).brief(None, 0, 0) is None
