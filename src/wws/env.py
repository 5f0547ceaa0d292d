"""What a function gets as `env`. Not compiled: the names of its attributes are the project's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wws.bindings import Services

__all__ = ["Env"]


class Env:
    """What a function gets as `env`: the project's bindings as attributes, and `wws`, the services of the host."""

    def __init__(self, wws: Services, bindings: Mapping[str, Any] | None = None) -> None:
        self.wws = wws
        for name, binding in (bindings or {}).items():
            setattr(self, name, binding)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"no binding {name!r} in wws.toml; there are: {', '.join(sorted(vars(self).keys() - {'wws'})) or 'none'}"
        )

    def __repr__(self) -> str:
        return f"<Env {', '.join(sorted(vars(self)))}>"
