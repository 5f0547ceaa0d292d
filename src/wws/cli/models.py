"""Whether the models of a project exist: by the dated catalogue, and by the providers' own lists."""

from __future__ import annotations

import difflib
import http.client
import json
import ssl
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from wws.bindings import Endpoint, SystemClock
from wws.core.policy import ModelRef, ProviderConfig
from wws.core.route.catalogue import CATALOGUE_DATE, nearest
from wws.errors import Problem
from wws.project.locate import line_of, locate
from wws.project.settings import Project
from wws.providers import make_providers

__all__ = ["fetch_models", "known_models", "online_models"]

TIMEOUT = 10.0
"""Seconds a provider's list may take."""
MAX_BYTES = 8 * 1024 * 1024
"""Of a provider's list; the longest public one (OpenRouter's) is below 1 MiB."""


def known_models(project: Project) -> list[Problem]:
    """A warning for each model that the catalogue does not know, with the nearest name it does."""
    place = _Place(project)
    warnings = []
    for alias, index, ref, provider in _used(project):
        known, near = nearest(provider.kind, ref.model)
        if not known:
            hint = f"; the nearest is {ref.provider}/{near}" if near else ""
            message = f"{ref} is not in the catalogue of {CATALOGUE_DATE}{hint}; `wws check --online` asks the provider"
            warnings.append(place.problem(alias, index, message))
    return warnings


def online_models(project: Project) -> list[Problem]:
    """A warning for each model that its provider does not list today, and for each provider whose list cannot be had."""
    place = _Place(project)
    used = list(_used(project))
    served = make_providers(project.policy, SystemClock())
    lists: dict[str, list[str]] = {}
    warnings = []
    for name, config in project.policy.providers.items():
        if config.kind == "sandbox":
            continue
        try:
            lists[name] = fetch_models(served[name].base_url, config.api_key)
        except (OSError, ValueError, http.client.HTTPException) as error:
            warnings.append(place.provider(name, f"{name} did not list its models: {error}"))
    for alias, index, ref, _ in used:
        if ref.provider in lists and ref.model not in lists[ref.provider]:
            close = difflib.get_close_matches(ref.model, lists[ref.provider], 1, 0.0)
            hint = f"; the nearest it has is {ref.provider}/{close[0]}" if close else "; it lists none"
            warnings.append(place.problem(alias, index, f"{ref.provider} does not list {ref.model} today{hint}"))
    return warnings


def fetch_models(base_url: str, api_key: str | None) -> list[str]:
    """The ids of `GET /models`. No redirects. Raises `OSError`, `HTTPException`, `ValueError` for a bad answer."""
    endpoint = Endpoint(base_url)
    if endpoint.unix is not None:
        raise ValueError("its address is a socket, which this command does not ask")
    headers = {"Accept": "application/json", "User-Agent": "wws"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    if endpoint.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            endpoint.host, endpoint.port, timeout=TIMEOUT, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=TIMEOUT)
    try:
        connection.request("GET", quote(endpoint.base) + "/models", headers=headers)
        answer = connection.getresponse()
        body = answer.read(MAX_BYTES + 1)
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"it answered {answer.status}")
    if len(body) > MAX_BYTES:
        raise ValueError("its answer is too long")
    return _ids(json.loads(body))


def _ids(answer: Any) -> list[str]:
    models = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(models, list):
        raise ValueError("its answer is no list of models")
    return [model["id"] for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)]


def _used(project: Project) -> Iterable[tuple[str, int, ModelRef, ProviderConfig]]:
    for alias, refs in project.policy.models.items():
        for index, ref in enumerate(refs):
            provider = project.policy.providers.get(ref.provider) or ProviderConfig(ref.provider, ref.provider)
            yield alias, index, ref, provider


class _Place:
    """Where in wws.toml a model or a provider stands."""

    def __init__(self, project: Project) -> None:
        self.file = str(project.path)
        self.lines = locate(project.path.read_text(encoding="utf-8-sig"))

    def problem(self, alias: str, index: int, message: str) -> Problem:
        return Problem(self.file, line_of(self.lines, ("models", alias, index)), f"models.{alias}", message)

    def provider(self, name: str, message: str) -> Problem:
        return Problem(self.file, line_of(self.lines, ("providers", name)), f"providers.{name}", message)
