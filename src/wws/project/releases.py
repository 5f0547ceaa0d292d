"""The versions of a project that were deployed to this machine, and which of them answers.

    .wws/releases/state.json        what is active, what is rolled out to how many, what was before
    .wws/releases/VERSION/          the files of a version

`state.json` is replaced as a whole, so a process that reads it, or starts after the machine lost power, finds one state or the
other. A change is made under a lock, by one process at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from wws.errors import WwsError
from wws.project.bundle import Bundle, unpack

__all__ = ["LOCAL", "Release", "ReleaseError", "Releases", "Rollout", "State"]

LOCAL = "local"
"""The project's own folder, which answers while nothing has been deployed."""
_FOLDER = Path(".wws") / "releases"
_STATE = "state.json"
_PREVIOUS = 50  # steps back that are remembered


class ReleaseError(WwsError):
    """A version cannot be had or made active; the message says why and what there is. Nothing was changed."""


class Rollout(NamedTuple):
    """A version that only some callers get."""

    version: str
    percent: float


@dataclass(frozen=True, slots=True)
class Release:
    """A version that is on disk. `added` is in seconds since 1970, `size` in bytes."""

    version: str
    name: str
    wws: str
    added: float
    by: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class State:
    """Which version answers. `previous` are those that did before, the latest last; `releases` all that are on disk, by age."""

    active: str = LOCAL
    rollout: Rollout | None = None
    previous: tuple[str, ...] = ()
    releases: tuple[Release, ...] = field(default=())

    def activated(self, version: str) -> State:
        """`version` answers everybody. Raises `ReleaseError` when there is none of this name."""
        self.demand(version)
        if version == self.active:
            return replace(self, rollout=None)
        return replace(self, active=version, rollout=None, previous=(*self.previous, self.active)[-_PREVIOUS:])

    def rolled_out(self, version: str, percent: float) -> State:
        """`version` answers `percent` of the callers; all of them with 100, none with 0. Raises `ReleaseError`."""
        self.demand(version)
        if version == self.active:
            raise ReleaseError(f"{version} answers everybody already")
        if percent >= 100:
            return self.activated(version)
        return replace(self, rollout=Rollout(version, percent) if percent > 0 else None)

    def rolled_back(self, version: str | None = None) -> State:
        """A roll-out is ended; without one, `version` or else the version before answers again. Raises `ReleaseError`."""
        if version is not None:
            return self.activated(version)
        if self.rollout is not None:
            return replace(self, rollout=None)
        kept = {release.version for release in self.releases} | {LOCAL}
        past = [one for one in self.previous if one in kept and one != self.active]
        if not past:
            raise ReleaseError(f"there is no version before {self.active}; there are: {self._names()}")
        last = len(self.previous) - 1 - self.previous[::-1].index(past[-1])
        return replace(self, active=past[-1], previous=self.previous[:last])

    def demand(self, version: str) -> None:
        """Raises `ReleaseError` for a version that is not here."""
        if version != LOCAL and all(release.version != version for release in self.releases):
            raise ReleaseError(f"there is no version {version}; there are: {self._names()}")

    def kept(self, keep: int) -> State:
        """Without the oldest releases beyond `keep`; what answers, and what a roll-back would bring, always stays."""
        wanted = {self.active, *self.previous[-1:], *([self.rollout.version] if self.rollout else [])}
        spare = [release.version for release in self.releases if release.version not in wanted]
        gone = set(spare[: max(0, len(self.releases) - keep)])
        return replace(self, releases=tuple([release for release in self.releases if release.version not in gone]))

    def _names(self) -> str:
        return ", ".join([*[release.version for release in self.releases], LOCAL])


class Releases:
    """The releases of the project in `home`. What cannot be read or written raises `ReleaseError`."""

    def __init__(self, home: Path) -> None:
        self.folder = home / _FOLDER
        self._file = self.folder / _STATE

    def config(self, version: str) -> Path:
        """The wws.toml of a version."""
        return self.folder / version / "wws.toml"

    def state(self) -> State:
        """What is active now."""
        try:
            return _state(json.loads(self._file.read_bytes()))
        except FileNotFoundError:
            return State()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReleaseError(f"{self._file} cannot be read ({error}): restore it, or remove it to serve the folder") from None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Alone until the end of the block, as with `lock`."""
        handle = self.lock()
        try:
            yield
        finally:
            os.close(handle)

    def lock(self) -> int:
        """Keeps all others from changing anything until the descriptor that is given is closed.

        Nothing is waited for: one of the other processes may be waiting for this one.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ReleaseError(f"{self.folder} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise ReleaseError("another change is being made just now; try again when it is done") from None
        return handle

    def add(self, bundle: Bundle, added: float, by: str) -> State:
        """Writes a bundle's files, and gives the state with it; one that is here already stays. The state is not written yet."""
        state, version = self.state(), bundle.version
        if any(release.version == version for release in state.releases) and self.config(version).is_file():
            return state
        try:
            with tempfile.TemporaryDirectory(prefix=".new-", dir=self.folder) as draft:
                unpack(bundle, Path(draft) / version)
                shutil.rmtree(self.folder / version, ignore_errors=True)  # left by a process that was killed
                os.replace(Path(draft) / version, self.folder / version)
        except OSError as error:
            raise ReleaseError(f"{self.folder} cannot be written: {error.strerror}") from None
        size = sum(map(len, bundle.files.values()))
        told = bundle.manifest
        release = Release(version, told["name"], told["wws"], added, by, len(bundle.files), size)
        return replace(state, releases=(*[one for one in state.releases if one.version != version], release))

    def record(self, state: State) -> None:
        """Makes `state` the one there is."""
        data = json.dumps({"format": 1, **asdict(state), "rollout": state.rollout and state.rollout._asdict()}, indent=2).encode()
        try:
            handle, draft = tempfile.mkstemp(prefix=".state-", dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._file)
        except OSError as error:
            raise ReleaseError(f"{self._file} cannot be written: {error.strerror}") from None

    def clean(self, state: State) -> None:
        """Removes the files of releases that are not in `state`."""
        known = {release.version for release in state.releases}
        for path in self.folder.iterdir():
            if path.is_dir() and path.name not in known:
                shutil.rmtree(path, ignore_errors=True)


def _state(found: dict[str, Any]) -> State:
    rollout = found["rollout"]
    return State(
        str(found["active"]),
        None if rollout is None else Rollout(str(rollout["version"]), float(rollout["percent"])),
        tuple(map(str, found["previous"])),
        tuple([Release(**release) for release in found["releases"]]),
    )
