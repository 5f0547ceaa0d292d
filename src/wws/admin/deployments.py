"""Deploying to a running gateway: verify, load, switch. Whatever fails leaves everything as it was."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from wws.admin.access import Who
from wws.admin.answers import NotDone, because
from wws.admin.audit import Audit
from wws.errors import ConfigError, WwsError
from wws.project.bundle import open_bundle
from wws.project.deployed import chosen
from wws.project.functions.loading import Functions
from wws.project.releases import LOCAL, ReleaseError, Releases, State
from wws.project.settings import Project

__all__ = ["Deployments", "Switched", "describe"]

IMPORTS = 30.0
"""Seconds that the code of all functions may take to import."""
Details = dict[str, object]


class Switched(Protocol):
    """How a reload of all processes ended: not `ok`, and every one of them answers as before."""

    @property
    def ok(self) -> bool:
        """Whether the new version answers."""
        ...

    @property
    def problems(self) -> list[str]:
        """Why not, a line each."""
        ...


class Deployments:
    """The changes that the admin API makes, one at a time. `current` is the project that is served.

    `reload` has every process serve what the state on disk says, or none. What is not done raises `NotDone`.
    """

    def __init__(
        self,
        current: Callable[[], Project],
        audit: Audit,
        reload: Callable[[], Awaitable[Switched]],
        environ: Mapping[str, str],
        time: Callable[[], float],
    ) -> None:
        self._current = current
        self._releases = Releases(current().home)
        self._audit = audit
        self._reload = reload
        self._environ = environ
        self._time = time
        self._alone = asyncio.Lock()

    async def state(self) -> State:
        """What is deployed."""
        try:
            return await asyncio.to_thread(self._releases.state)
        except ReleaseError as error:
            raise because(error) from None

    async def deploy(self, data: bytes, percent: float, who: Who) -> State:
        """A bundle becomes the version that answers, or that `percent` of the callers get."""

        def made(details: Details) -> State:
            bundle = open_bundle(data, self._current().admin.bundle_limit)
            details["version"] = bundle.version
            state = self._releases.add(bundle, self._time(), str(who))
            return state.activated(bundle.version) if percent >= 100 else state.rolled_out(bundle.version, percent)

        return await self._change("deploy", who, made, {"percent": percent})

    async def rollback(self, version: str | None, who: Who) -> State:
        """A roll-out is ended; without one the version before, or the one named, answers again."""
        return await self._change("rollback", who, lambda _: self._releases.state().rolled_back(version), {"version": version})

    async def rollout(self, percent: float, who: Who) -> State:
        """The version that is being rolled out goes to `percent` of the callers."""

        def made(details: Details) -> State:
            state = self._releases.state()
            if state.rollout is None:
                raise ReleaseError("no version is being rolled out; begin with: wws deploy --percent 10")
            details["version"] = state.rollout.version
            return state.rolled_out(state.rollout.version, percent)

        return await self._change("rollout", who, made, {"percent": percent})

    async def _change(self, what: str, who: Who, make: Callable[[Details], State], details: Details) -> State:
        """Makes a change and writes who made it, or why it was not made."""
        try:
            async with self._alone:
                state = await self._switched(make, details)
        except WwsError as error:
            why = because(error)
            await asyncio.to_thread(self._audit.add, who, what, f"not done: {why.message}", **details)
            raise why from None
        await asyncio.to_thread(self._audit.add, who, what, "done", **details, active=state.active)
        return state

    async def _switched(self, make: Callable[[Details], State], details: Details) -> State:
        releases = self._releases
        handle = await asyncio.to_thread(releases.lock)
        try:
            before = await asyncio.to_thread(releases.state)
            try:
                state = (await asyncio.to_thread(make, details)).kept(self._current().admin.keep)
                await self._sound(state)
                await asyncio.to_thread(releases.record, state)
                switched = await self._reload()
                if not switched.ok:
                    raise NotDone("bundle_refused", "; ".join(switched.problems))
            except BaseException:
                await asyncio.to_thread(releases.record, before)
                await asyncio.to_thread(releases.clean, before)
                raise
            await asyncio.to_thread(releases.clean, state)
        finally:
            os.close(handle)
        return state

    async def _sound(self, state: State) -> None:
        """Raises `WwsError` unless what is served in `state` is right: its wws.toml, and the code of every function, which is
        imported here once beside the requests."""
        project = await asyncio.to_thread(chosen, self._current(), state, self._environ)
        for one in (project, None if project.rollout is None else project.rollout.project):
            if one is None or one.release in (LOCAL, self._current().release):
                continue
            if one.functions.broken:
                raise ConfigError(list(one.functions.broken))
            functions = Functions(one.functions)
            try:
                async with asyncio.timeout(IMPORTS):
                    failed = await functions.warm()
            except TimeoutError:
                raise NotDone("bundle_refused", f"the functions are not imported within {IMPORTS:g} s") from None
            finally:
                functions.close()
            if failed:
                raise ConfigError([problem for error in failed for problem in error.problems])


def describe(state: State) -> dict[str, Any]:
    """A state as the API tells it, the latest version first."""
    rollout = state.rollout
    versions = [{**asdict(release), "state": _standing(release.version, state)} for release in reversed(state.releases)]
    return {
        "active": state.active,
        "rollout": None if rollout is None else rollout._asdict(),
        "previous": state.previous[-1] if state.previous else None,
        "versions": [*versions, {"version": LOCAL, "state": _standing(LOCAL, state)}],
    }


def _standing(version: str, state: State) -> str:
    if version == state.active:
        return "active"
    if state.rollout is not None and version == state.rollout.version:
        return f"{state.rollout.percent:g}%"
    return ""
