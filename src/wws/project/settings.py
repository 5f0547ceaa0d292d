"""A loaded project: what wws.toml says beside the policy, and the policy itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

from wws.core.policy import Policy
from wws.core.queue.delivery import Terms
from wws.errors import Problem
from wws.project.address import Address
from wws.project.crons import Cron
from wws.project.functions.folder import Folder
from wws.project.public import Public
from wws.project.secret import Secret

__all__ = [
    "AdminSettings",
    "FunctionLimits",
    "Project",
    "QueueSettings",
    "Rollout",
    "ServerSettings",
    "StoreSettings",
    "Variable",
]

Variable = str | int | float | bool | Secret


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`[server]`: durations in seconds, sizes in bytes. `admin` None: no admin listener. `cert` and `key` come together."""

    listen: Address = Address("127.0.0.1", 8787)
    admin: Address | None = Address("127.0.0.1", 8788)
    workers: int | Literal["auto"] = 1
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    cert: Path | None = None
    key: Path | None = None
    log: Literal["all", "errors", "off"] = "all"
    max_connections: int = 16384
    header_timeout: float = 10.0
    keep_alive: float = 15.0
    drain_delay: float = 0.0
    grace: float = 30.0


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """`[admin]`: `tokens` by the name of who has them, the one of `admin.token` as `admin`; none: nothing can be changed."""

    tokens: dict[str, Secret] = field(default_factory=dict)
    keep: int = 5
    bundle_limit: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FunctionLimits:
    """`[functions]`, times in seconds: of one run, and of holding up the event loop until it is told, and stopped."""

    timeout: float = 30.0
    block_after: float = 0.25
    block_limit: float = 2.0
    isolates: int = 2
    isolate_queue: int = 64

    def of(self, settings: Mapping[str, Any]) -> float:
        """The timeout of a function with this `config`."""
        return float(settings.get("timeout", self.timeout))


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """One of `[[queues]]`. `function` None: messages are taken and delivered elsewhere."""

    binding: str
    function: str | None = None
    terms: Terms = Terms()
    dead_letter: str | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A version that `percent` of the callers get."""

    project: Project
    percent: float


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """`[kv]`, beside the address: how a store that is somewhere else is asked. Durations in seconds."""

    timeout: float = 0.05
    near: float = 60.0
    grace: float = 300.0
    instances: int = 1


@dataclass(frozen=True, slots=True)
class Project:
    """One wws.toml, checked. `warnings` do not stop anything but should be shown at the start.

    `vars` are the `[vars]`; those taken from the environment are `Secret`s, revealed only when handed to a function. `base` is
    the home of a version that was deployed, `release` its name, and `rollout` the version that only some callers get. Each of
    `crons` has its time zone.
    """

    path: Path
    policy: Policy
    server: ServerSettings = ServerSettings()
    admin: AdminSettings = AdminSettings()
    store_url: str = field(default="lmdb:./.wws/state", repr=False)  # may hold a password
    kv_namespaces: tuple[str, ...] = ()
    vars: dict[str, Variable] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)
    base: Path | None = None
    services: dict[str, str] = field(default_factory=dict)
    """Bindings of `[[services]]`: name to function."""
    functions: Folder = field(default_factory=lambda: Folder(Path()))
    """The functions folder as it was read with the file. `functions.broken` should be shown as errors, and stop nothing."""
    release: str = "local"
    rollout: Rollout | None = None
    public: Public = field(default_factory=lambda: Public(Path()))
    """The public folder: its list of files, as it was then."""
    kv: StoreSettings = StoreSettings()
    crons: tuple[Cron, ...] = ()
    queues: tuple[QueueSettings, ...] = ()
    limits: FunctionLimits = FunctionLimits()

    @property
    def folder(self) -> Path:
        """Where wws.toml stands: the folder of `functions/` and `public/`."""
        return self.path.parent

    @property
    def home(self) -> Path:
        """Where the state and the secrets are: the folder of the gateway's own wws.toml, for a version that was deployed too."""
        return self.folder if self.base is None else self.base
