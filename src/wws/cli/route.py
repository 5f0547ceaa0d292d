"""`wws route`."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated, Any

import typer

from wws.bindings import SystemClock
from wws.cli.launch import Start, project_of
from wws.cli.options import Config, Json, command
from wws.cli.output import fail, note, print_json, print_line
from wws.core.fault import Fault
from wws.core.policy import Condition, ModelRef, Policy
from wws.core.route.choose import Choice, Router, Task, explain
from wws.core.route.resolve import AUTO, resolve
from wws.providers import make_providers

app = command()


class Complexity(StrEnum):
    """How hard a task is."""

    low = "low"
    medium = "medium"
    high = "high"


@app.command()
def route(
    type: Annotated[
        str | None, typer.Option("--type", metavar="WORD", help="The task's type, such as code.", show_default=False)
    ] = None,
    context_length: Annotated[
        int | None, typer.Option("--context-length", min=0, metavar="TOKENS", help="How long its context is.", show_default=False)
    ] = None,
    complexity: Annotated[Complexity | None, typer.Option("--complexity", help="How hard it is.", show_default=False)] = None,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="auto, an alias, or provider/model.")] = AUTO,
    config: Config = None,
    json: Json = False,
) -> None:
    """Explain which model a task would get, and why. Nobody is called.

    Without a wws.toml the default rules are explained.

    \b
    Example:
      wws route --type code --context-length 200000
    """
    project = project_of(Start("dev", None if config is None else str(config)), os.environ)
    policy = project.policy
    task = Task(type, None if complexity is None else complexity.value, context_length)
    choice = resolve(model, task, Router(policy))
    if isinstance(choice, Fault):
        raise typer.Exit(fail(choice.message or choice.code, as_json=json))
    rules = explain(task, policy) if model == AUTO else []
    if not policy.providers:
        note("no provider is configured: these are the defaults")
    result = _result(choice, policy)
    if json:
        told = [
            {"use": one.rule.use, "when": _when(one.rule.when), "matched": one.matched, "chosen": one.chosen, "why": one.why}
            for one in rules
        ]
        print_json({**result, "rules": told})
        return
    print_line(f"{result['provider']}/{result['model']}")
    print_line(f"  reason     {choice.reason}")
    print_line(f"  base url   {result['base_url'] or 'not configured'}")
    for fallback in result["fallbacks"]:
        print_line(f"  fallback   {fallback['provider']}/{fallback['model']}")
    for number, one in enumerate(rules, 1):
        mark = "->" if one.chosen else "  "
        print_line(f"{mark} rule {number}, {one.rule.use}: {'matches' if one.matched else 'does not match'}: {one.why}")


def _result(choice: Choice, policy: Policy) -> dict[str, Any]:
    providers = make_providers(policy, SystemClock())

    def target(ref: ModelRef) -> dict[str, Any]:
        served = providers.get(ref.provider)
        return {"provider": ref.provider, "base_url": None if served is None else served.base_url, "model": ref.model}

    first, *rest = [target(ref) for ref in choice.candidates]
    return {"alias": choice.alias, **first, "reason": choice.reason, "fallbacks": rest}


def _when(condition: Condition) -> dict[str, Any]:
    names = ("type", "complexity", "context_length_over", "context_length_under")
    parts = {name: getattr(condition, name) for name in names}
    return {name: part for name, part in parts.items() if part is not None}
