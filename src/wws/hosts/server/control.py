"""What the admin listener may ask of the whole gateway, be it one process or several."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from wws._version import __version__
from wws.hosts.server.reload import Reloaded
from wws.hosts.server.serving import Serving
from wws.hosts.server.status import merged
from wws.observe.merge import Totals, exposition, snapshot
from wws.project.settings import Project

__all__ = ["Alone", "Control", "families", "status"]


class Control(Protocol):
    """The gateway as a whole. Raises `WwsError` when the other processes cannot be asked."""

    async def metrics(self) -> bytes:
        """Prometheus' text, of all processes together."""
        ...

    async def status(self) -> dict[str, Any]:
        """What `/status` answers."""
        ...

    async def gather(self, what: str, value: Any) -> list[Any]:
        """The answer of each process's `Watch`."""
        ...

    async def reload(self) -> Reloaded:
        """Reads the configuration and the code of functions anew, and switches all processes to them, or none."""
        ...


class Alone:
    """The `Control` of a gateway that is one process."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def metrics(self) -> bytes:
        """See `Control`."""
        totals = Totals()
        totals.add(snapshot(self._serving.process.metrics.collect()))
        totals.add(snapshot(families(self._serving.reloads.counts, 1, 0)))
        return exposition(totals)

    async def status(self) -> dict[str, Any]:
        """See `Control`."""
        serving = self._serving
        worker = {"worker": 0, "pid": os.getpid(), "restarts": 0, **serving.status()}
        project = serving.process.generation.project
        return status(project, serving.started, [worker], serving.reloads.fields(), 0)

    async def gather(self, what: str, value: Any) -> list[Any]:
        """See `Control`."""
        return [self._serving.process.watch.answer(what, value)]

    async def reload(self) -> Reloaded:
        """See `Control`."""
        return await self._serving.reload()


def families(reloads: dict[str, int], workers: int, restarts: int) -> Iterable[Metric]:
    """The metrics of the gateway as a whole."""
    reloaded = CounterMetricFamily("wws_config_reloads", "Reloads of the configuration.", labels=("result",))
    for result, count in reloads.items():
        reloaded.add_metric([result], count)
    yield reloaded
    yield GaugeMetricFamily("wws_workers", "Worker processes that serve.", value=workers)
    yield CounterMetricFamily("wws_worker_restarts", "Workers started in place of one that ended by itself.", value=restarts)


_SHARED = ("upstreams", "store")


def status(
    project: Project, started: Project, workers: list[dict[str, Any]], reloads: dict[str, Any], restarts: int
) -> dict[str, Any]:
    """What `/status` answers: the gateway's own fields, what the workers have in common, and each of them."""
    return {
        "name": project.policy.name,
        "wws": __version__,
        "version": project.policy.version,
        "listen": str(started.server.listen),
        "restarts": restarts,
        "reloads": reloads,
        **merged([one for one in workers if "upstreams" in one]),
        "workers": [{name: value for name, value in one.items() if name not in _SHARED} for one in workers],
    }
