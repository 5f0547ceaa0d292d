"""The bindings that every function has, whatever the host: `env.ai`, `env.fetch`, `env.cache`, and the project's services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wws.core.policy import Policy
from wws.functions.ai_binding import AI
from wws.functions.cache_binding import CacheBinding
from wws.functions.fetch import Fetch
from wws.functions.service import Service

__all__ = ["bindings"]


def bindings(policy: Policy, services: Mapping[str, str]) -> dict[str, Any]:
    """By name; `services` are binding to function."""
    own: dict[str, Any] = {"ai": AI(), "cache": CacheBinding(), "fetch": Fetch(policy.fetch)}
    return {**own, **{binding: Service(function) for binding, function in services.items()}}
