"""What a build ships to an edge host: the checked policy as plain data, and which secrets the platform has to add.

    {"policy": {...}, "kv_namespaces": ["VISITS"], "vars": {"REGION": "eu"}, "log": "all",
     "secrets": {"providers.zai.api_key": "${ZAI_API_KEY}"}}

No secret stands in it: `secrets` says at which place of the policy, or for which of `vars`, which of the platform's goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from wws.core.policy import Policy
from wws.errors import ConfigError, Problem
from wws.hosts.edge.functions import Shipped
from wws.hosts.edge.plain import from_plain, to_plain

__all__ = ["PEPPER", "Bundle", "Page", "Tick", "names", "read", "written"]

PEPPER: Final = "WWS_PEPPER"
"""The secret that keys every digest in the store: each deployment needs it."""
SHORTEST: Final = 16
"""Bytes of a pepper: anything shorter is guessed rather than found."""

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Tick:
    """One of `[triggers] crons`. `function` None: every function that has a `scheduled` handler. `there`: how the platform writes
    the expression, where its events name that."""

    cron: str
    function: str | None = None
    there: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One path of the public folder: its file there, and what a `wws.project.public.Asset` says of it. `variants`: coding to
    bytes; their files lie beside it."""

    file: str
    size: int = 0
    modified: float = 0.0
    etag: str = ""
    type: str = ""
    variants: dict[str, int] = field(default_factory=dict)
    redirect: str | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A project as an edge host serves it. `secrets` are texts with `${NAME}` in them, by the place they belong to."""

    policy: Policy
    kv_namespaces: tuple[str, ...] = ()
    vars: dict[str, Any] = field(default_factory=dict)
    log: Literal["all", "errors", "off"] = "all"
    secrets: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Shipped] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    """Bindings of `[[services]]`: name to function."""
    crons: tuple[Tick, ...] = ()
    pages: dict[str, Page] = field(default_factory=dict)
    """The public folder by path, where the platform does not serve it."""
    missing: str | None = None
    """The path of its page for what is not there."""


def written(bundle: Bundle) -> dict[str, Any]:
    """The bundle as plain data. Whoever builds it has left every secret out of its policy: one that stands there is refused."""
    policy = bundle.policy
    if policy.auth.supabase_key is not None or any(one.api_key is not None for one in policy.providers.values()):
        raise ValueError("a secret stands in the policy")
    plain: dict[str, Any] = to_plain(bundle)
    return plain


def names(bundle: Bundle) -> tuple[str, ...]:
    """The secrets that the platform must hold, in order."""
    used = {found[1] for text in bundle.secrets.values() for found in _REFERENCE.finditer(text) if found[1]}
    return tuple(sorted(used | {PEPPER}))


def read(data: Any, secret: Callable[[str], str | None]) -> tuple[Bundle, bytes]:
    """The bundle with its secrets in place, and the pepper. Raises `ConfigError` that names every secret that is missing."""
    bundle = from_plain(Bundle, data)
    values = {name: secret(name) or "" for name in names(bundle)}
    problems = [Problem("secrets", None, name, "not set on the platform") for name, value in values.items() if not value]
    if not problems and len(values[PEPPER].encode()) < SHORTEST:
        problems.append(Problem("secrets", None, PEPPER, f"shorter than {SHORTEST} bytes; make one with: openssl rand -hex 32"))
    if problems:
        raise ConfigError(problems)
    told = {place: _expanded(text, values) for place, text in bundle.secrets.items()}
    return replace(bundle, policy=_policy(bundle.policy, told), vars=_vars(bundle.vars, told)), values[PEPPER].encode()


def _expanded(text: str, values: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: values[found[1]] if found[1] else "${", text)


def _policy(policy: Policy, told: Mapping[str, str]) -> Policy:
    providers = {
        name: replace(config, api_key=told.get(f"providers.{name}.api_key")) for name, config in policy.providers.items()
    }
    return replace(policy, providers=providers, auth=replace(policy.auth, supabase_key=told.get("auth.supabase_key")))


def _vars(variables: Mapping[str, Any], told: Mapping[str, str]) -> dict[str, Any]:
    found = {place.removeprefix("vars."): text for place, text in told.items() if place.startswith("vars.")}
    return {**variables, **found}
