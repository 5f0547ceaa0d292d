"""The hosts that the scenarios run on, by name. `WWS_SCENARIO_HOSTS` names those to run on, with commas between."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

__all__ = ["DEFAULT", "HOSTS", "Host", "chosen", "host_class"]

HOSTS = {
    "server": "tests.scenarios.hosts.server:ServerHost",
    "uvicorn": "tests.scenarios.hosts.asgi:UvicornHost",
    "hypercorn": "tests.scenarios.hosts.asgi:HypercornHost",
    "granian": "tests.scenarios.hosts.asgi:GranianHost",
    "deno": "tests.scenarios.hosts.deno:DenoHost",
    "deno-plain": "tests.scenarios.hosts.deno:PlainDenoHost",
    "workerd": "tests.scenarios.hosts.workerd:WorkerdHost",
}
"""Name to `module:class`; a module is imported only when its host is asked for."""

DEFAULT = "server,uvicorn"
"""Those that need nothing but Python."""


class Host(Protocol):
    """A gateway that runs: `with HostClass(folder, toml, env) as host: ...`. The project's files lie in `folder`.

    `own` are the tables of wws.toml that are this host's own: where it listens, what it keeps its state in.
    """

    own: str
    url: str

    def create_key(self, *options: str) -> dict[str, Any]:
        """A new API key, as `wws keys create --json` prints it; `options` are that command's."""
        ...


HostClass = Callable[[Path, str, dict[str, str]], AbstractContextManager[Host]]


def chosen() -> list[str]:
    """The names of the hosts to run on."""
    names = os.environ.get("WWS_SCENARIO_HOSTS", DEFAULT).split(",")
    unknown = set(names) - set(HOSTS)
    if unknown:
        raise ValueError(f"WWS_SCENARIO_HOSTS names {', '.join(sorted(unknown))}; there are {', '.join(HOSTS)}")
    return names


def host_class(name: str) -> Any:
    """The class of a host."""
    module, _, attribute = HOSTS[name].partition(":")
    return getattr(import_module(module), attribute)
