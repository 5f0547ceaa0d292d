"""Checks of providers, models and rules: who answers AI requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wws.bindings import Endpoint
from wws.project.address import Address
from wws.project.build import KEYED
from wws.project.checks.subject import Subject
from wws.project.document import nearest, not_set

__all__ = ["KINDS", "answering", "models", "no_alias", "providers", "rules"]

PRICES = ("price_in", "price_out", "price_cached")
KINDS = ("synthetic", "zai", "openai", "sandbox")


def providers(subject: Subject) -> None:
    for name, table in subject.values.get("providers", {}).items():
        path = ("providers", name)
        kind = table.get("kind", name)
        if subject.report.is_broken((*path, "kind")):
            continue
        if kind not in KINDS:
            hint = nearest(name, KINDS)
            subject.report.problem(path, f"`kind` is missing, and the name is none{hint}; allowed: {', '.join(KINDS)}")
            continue
        if kind == "openai" and "base_url" not in table and not subject.report.is_broken((*path, "base_url")):
            subject.report.problem(path, '`base_url` is missing: a provider of kind "openai" has no address of its own')
        _provider_key(subject, name, kind, table)
        _prices(subject, name, table.get("models", {}))
        for key in ("base_url", "anthropic_url"):
            if key in table and "api_key" in table:
                _in_the_clear(subject, (*path, key), table[key])


def _provider_key(subject: Subject, name: str, kind: str, table: Mapping[str, Any]) -> None:
    path = ("providers", name)
    if names := subject.absent("providers", name, "api_key"):
        subject.missing((*path, "api_key"), not_set(names), f"provider {name} is off")
    elif kind in KEYED and "api_key" not in table and not subject.report.is_broken((*path, "api_key")):
        message = f'`api_key` is missing: write api_key = "${{{name.upper().replace("-", "_")}_API_KEY}}"'
        subject.missing(path, message, f"provider {name} is off")


def _prices(subject: Subject, name: str, models: Mapping[str, Any]) -> None:
    for model, table in models.items():
        path = ("providers", name, "models", model)
        given = {key for key in PRICES if key in table}
        if given and not given >= {"price_in", "price_out"} and not any(subject.report.is_broken((*path, key)) for key in PRICES):
            subject.report.problem(path, "`price_in` and `price_out` come together")


def _in_the_clear(subject: Subject, path: tuple[str | int, ...], url: str) -> None:
    endpoint = Endpoint(url)
    if endpoint.scheme == "http" and endpoint.unix is None and not Address(endpoint.host, endpoint.port).local:
        subject.report.warning(path, f"{url} is not https: the key and every prompt pass in the clear")


def answering(subject: Subject) -> None:
    """AI routes need somebody who answers."""
    if subject.names("providers") or not any(route.to == "ai" for route in subject.policy.routes):
        return
    missing = "no provider is configured, and AI routes need one: write [providers.synthetic] with its `api_key`"
    subject.missing(("providers",), missing, "only demo answers are possible")


def models(subject: Subject) -> None:
    known = subject.names("providers")
    for alias, refs in subject.values.get("models", {}).items():
        for index, ref in enumerate(refs):
            if ref.provider not in known:
                hint = nearest(ref.provider, known)
                where = f"allowed: {', '.join(known)}" if known else f"write [providers.{ref.provider}]"
                path = ("models", alias, index)
                subject.report.problem(path, f"found {ref}, but there is no [providers.{ref.provider}]{hint}; {where}")
    unserved = [alias for alias in ("code", "reasoning", "long_context") if alias not in subject.policy.models]
    if known and "models" not in subject.document and unserved:
        subject.report.warning(
            ("providers",), f"no configured provider serves the default models of {', '.join(unserved)}: list yours in [models]"
        )


def rules(subject: Subject) -> None:
    if "rules" not in subject.values:
        return
    aliases = subject.names("models") if "models" in subject.document else subject.policy.models
    always: int | None = None
    for index, rule in subject.rows("rules"):
        path = ("rules", index)
        use, when = rule.get("use"), rule.get("when", {})
        if use is not None and use not in aliases:
            subject.report.problem((*path, "use"), no_alias(use, aliases))
        over, under = when.get("context_length_over"), when.get("context_length_under")
        if over is not None and under is not None and over + 1 >= under:
            subject.report.problem((*path, "when"), f"no context is longer than {over} and shorter than {under}")
        if always is not None:
            subject.report.warning(path, f"never reached: rule {always + 1} always matches")
        elif use is not None and not subject.document["rules"][index].get("when"):
            always = index


def no_alias(name: str, aliases: Mapping[str, Any]) -> str:
    known = ", ".join(aliases) or "none is defined"
    return f'found "{name}", which is no alias of [models]{nearest(name, aliases)}; allowed: {known}'
