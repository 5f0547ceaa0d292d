"""What commands print: results on standard output, troubles on standard error, and both as JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from wws.errors import ConfigError, Problem, WwsError

__all__ = ["fail", "note", "print_json", "print_line", "print_table", "problem_fields"]


def print_line(text: str = "") -> None:
    """One line of the result."""
    sys.stdout.write(f"{text}\n")


def print_json(value: object) -> None:
    """The result for machines: one JSON value."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def note(text: str) -> None:
    """A remark beside the result."""
    sys.stderr.write(f"{text}\n")


def problem_fields(problem: Problem) -> dict[str, object]:
    """A problem as JSON."""
    return {"file": problem.file, "line": problem.line, "key": problem.key, "message": problem.message}


def fail(error: WwsError | str, *, as_json: bool = False) -> int:
    """Tells why the command failed; the status to end with."""
    problems = error.problems if isinstance(error, ConfigError) else []
    if as_json:
        fields = {"message": str(error), "problems": list(map(problem_fields, problems))}
        print_json({"error": fields})
    elif problems:
        for problem in problems:
            note(f"error: {problem}")
    else:
        note(f"error: {error}")
    return 1


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, loose: int | None = None) -> None:
    """Rows under headings; a terminal gets them drawn, a file or pipe as tab-separated lines.

    `loose` is the column that may be broken over several lines where the terminal is narrow.
    """
    if not sys.stdout.isatty():
        for row in rows:
            print_line("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=loose is not None and index != loose)
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    Console().print(table)
