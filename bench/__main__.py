"""`python -m bench`: the budget table against nginx, in one run. See README.md beside this file."""

from __future__ import annotations

import argparse
import os
import sys

from rich.console import Console

from bench.errors import BenchError, Missing
from bench.limits import prepare
from bench.machine import ROOT, facts, require
from bench.measure import Plan, measure
from bench.report import markdown, table
from bench.shapes import SHAPES, select
from bench.world import open_world

_RESULTS = ROOT / "bench" / "results.md"


def _options(arguments: list[str] | None = None) -> argparse.Namespace:
    names = ", ".join(shape.name for shape in SHAPES)
    parser = argparse.ArgumentParser(
        prog="bench",
        description="Measures WWS against nginx on this machine.",
        epilog=f"Shapes: {names}. Example: python -m bench --only chat --only sse --rounds 3",
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="measure only this shape; may repeat")
    parser.add_argument("--rounds", type=int, default=None, help="rounds, whose median is told (default 5)")
    parser.add_argument("--quick", action="store_true", help="one round of 2 s: a rough figure")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """0 measured, 1 a part is missing or a shape failed, 2 usage. A run of the whole table, unless quick, writes results.md."""
    options = _options(arguments)
    try:
        shapes = select(options.only)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    console = Console(stderr=True)
    rounds = options.rounds if options.rounds is not None else (1 if options.quick else 5)
    plan = Plan(rounds=max(1, rounds), seconds=2.0 if options.quick else 3.0)
    try:
        require("nginx", "wrk", "taskset", "redis-server")
        known = {**facts(), "load average before": f"{os.getloadavg()[0]:.2f}"}
        prepare()
        with console.status("starting") as status, open_world() as world:
            results = measure(world, shapes, plan, status.update)
    except Missing as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except BenchError as error:
        print(f"bench: a measurement failed: {error}", file=sys.stderr)
        return 1
    Console(width=None if sys.stdout.isatty() else 200).print(table(results))
    faults = [result for result in results if result.fault is not None]
    for result in faults:
        print(f"bench: {result.shape.name} was not measured: {result.fault}", file=sys.stderr)
    if not options.only and not options.quick:
        _RESULTS.write_text(markdown(results, known, plan))
        print(f"written to {_RESULTS.relative_to(ROOT)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
