"""AI providers: one class for all OpenAI-compatible servers, a `Dialect` for each kind that differs, and the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from wws.bindings import Clock, Provider
from wws.core.policy import Policy, ProviderConfig
from wws.providers.compat import OPENAI, CompatProvider
from wws.providers.sandbox import SandboxProvider
from wws.providers.synthetic import SYNTHETIC
from wws.providers.zai import ZAI

__all__ = ["KINDS", "make_providers"]

Maker = Callable[[ProviderConfig, Clock], Provider]


def _sandbox(config: ProviderConfig, clock: Clock) -> Provider:
    return SandboxProvider(clock, config.name)


KINDS: dict[str, Maker] = {
    "openai": partial(CompatProvider, dialect=OPENAI),
    "sandbox": _sandbox,
    "synthetic": partial(CompatProvider, dialect=SYNTHETIC),
    "zai": partial(CompatProvider, dialect=ZAI),
}


def make_providers(policy: Policy, clock: Clock) -> dict[str, Provider]:
    """The providers of a policy by name. Raises `ValueError` that names the provider when one cannot be made."""
    providers = {}
    for name, config in policy.providers.items():
        if config.kind not in KINDS:
            raise ValueError(f"provider {name}: kind {config.kind!r} is none of {', '.join(sorted(KINDS))}")
        providers[name] = KINDS[config.kind](config, clock)
    return providers
