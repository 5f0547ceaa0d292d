"""From the `model` a request names to the models that may serve it.

none, or "auto"     the rules decide
an alias            its list in `[models]`
provider/model      that one model, when the provider is configured
"""

from __future__ import annotations

import re
from typing import Final

from wws.core.fault import Fault
from wws.core.policy import ModelRef
from wws.core.route.choose import Choice, Router, Task

__all__ = ["AUTO", "EMBEDDINGS", "names", "resolve"]

AUTO: Final = "auto"
EMBEDDINGS: Final = "embeddings"
"""The alias that serves an embeddings request without a model: the rules choose models that write text."""

# The id becomes a header value and a label of metrics: visible ASCII without quotes, commas or spaces, and not for ever.
_MODEL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")


def resolve(model: str | None, task: Task, router: Router, operation: str = "chat") -> Choice | Fault:
    """The candidates for a request that names `model`.

    A `Fault` is `model_not_found` for a name that means nothing here or is not allowed on this route, and `internal_error`
    where the project lists models but none of their providers is configured.
    """
    if model is None or model == AUTO:
        if operation == EMBEDDINGS:
            choice = router.aliases.get(EMBEDDINGS)
            if choice is None:
                return Fault("model_not_found", _name_one(router), "model")
        else:
            choice = router.choose(task)
    else:
        choice = router.aliases.get(model)
        if choice is None:
            return _named(model, router)
    return choice if choice.candidates else _unserved(choice)


def names(router: Router) -> tuple[str, ...]:
    """Every model name of the project, for lists: `auto`, the aliases, and the models behind them as `provider/model`."""
    behind = [str(ref) for choice in router.aliases.values() for ref in choice.candidates]
    return tuple(dict.fromkeys([AUTO, *[alias for alias, choice in router.aliases.items() if choice.candidates], *behind]))


def _named(model: str, router: Router) -> Choice | Fault:
    provider, slash, rest = model.partition("/")
    if slash and provider in router.providers and _MODEL_ID.fullmatch(rest):
        ref = ModelRef(provider, rest)
        if not router.restricted or any(ref in choice.candidates for choice in router.aliases.values()):
            return Choice(None, (ref,), "model named by the caller")
    return Fault("model_not_found", _unknown(model, router), "model")


def _unknown(model: str, router: Router) -> str:
    shown = f"The model '{model}'" if _MODEL_ID.fullmatch(model) else "This model"
    full = [str(ref) for choice in router.aliases.values() for ref in choice.candidates if ref.model == model]
    hint = f" Did you mean '{full[0]}'?" if full else ""
    return f"{shown} does not exist here.{hint} {_choices(router)}"


def _choices(router: Router) -> str:
    aliases = f", an alias ({', '.join(router.aliases)})" if router.aliases else ""
    where = f" (provider: {', '.join(sorted(router.providers))})" if router.providers and not router.restricted else ""
    return f"Use '{AUTO}'{aliases} or provider/model{where}."


def _name_one(router: Router) -> str:
    where = f" at one of: {', '.join(sorted(router.providers))}" if router.providers else ""
    return f"Embeddings need a model: name provider/model{where}, or give [models] an alias '{EMBEDDINGS}'."


def _unserved(choice: Choice) -> Fault:
    if choice.alias is None:
        return Fault("internal_error", "No models are configured here: [models] is empty.", "model")
    return Fault("internal_error", f"No provider of the alias '{choice.alias}' is configured here.", "model")
