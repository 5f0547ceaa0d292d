"""What the checks look at, and how they tell what they find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wws.core.policy import Policy
from wws.project.document import Report
from wws.project.functions.folder import Folder
from wws.project.settings import ServerSettings

__all__ = ["Subject"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: the document as tomllib read it, its values as their kinds read them, and what was built from those.

    With `allow_missing` a secret that nothing defines only turns off what needs it (`wws dev`).
    """

    document: Mapping[str, Any]
    values: Mapping[str, Any]
    policy: Policy
    server: ServerSettings
    functions: Folder
    folder: Path
    report: Report
    allow_missing: bool

    def missing(self, path: tuple[str | int, ...], message: str, off: str) -> None:
        """A secret is missing: `off` says what does not work without it."""
        if self.allow_missing:
            self.report.warning(path, f"{message}: {off}")
        else:
            self.report.problem(path, message)

    def names(self, table: str) -> Mapping[str, Any]:
        """The names of a table of the document, those with broken values included."""
        found = self.document.get(table, {})
        return found if isinstance(found, dict) else {}

    def rows(self, table: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The tables of an array, values as their kinds read them."""
        yield from enumerate(self.values.get(table, ()))

    def absent(self, *path: str) -> tuple[str, ...]:
        """The variables missing for the secret at `path`."""
        return next((absent.names for absent in self.report.absent if absent.path == path), ())
