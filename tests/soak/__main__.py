"""`make soak`: everything that a gateway meets, for ten minutes, and what is left of it.

SOAK_SECONDS and SOAK_WORKERS say how long and how many; SOAK_PAGE names the page to write, with the picture beside it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.e2e.ask import ask
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway
from tests.e2e.projects import SECRETS
from tests.soak.load import CALLERS, Load
from tests.soak.page import page
from tests.soak.plot import plot
from tests.soak.project import USERS, script, toml
from tests.soak.verdict import Check, checks
from tests.soak.watch import Sample, look

WARM = 0.25
"""The part of the time that is warm-up."""
LOOKS = 150
_RELOAD = float(os.environ.get("SOAK_RELOAD", "12"))  # seconds between reloads
_QUIET = 12.0  # seconds until all is quiet, at most: idle connections of both sides are closed by then


class Soak:
    """One run."""

    def __init__(self, gateway: Gateway, around: Neighbours, seconds: float, workers: int) -> None:
        self.gateway = gateway
        self.around = around
        self.seconds = seconds
        self.workers = workers
        self.samples: list[Sample] = []
        self.reloads: list[float] = []
        self.load = Load(gateway.url, [around.supabase.mint(sub=f"user-{number}") for number in range(USERS)])
        self.started = time.monotonic()

    def look(self) -> Sample:
        """A look at the gateway now."""
        assert self.gateway.process is not None
        metrics = ask(self.gateway.admin_url, "/metrics").body.decode()
        return look(time.monotonic() - self.started, self.gateway.process.pid, metrics)

    def reload(self) -> None:
        """Another limit in the file, and SIGHUP."""
        assert self.gateway.process is not None
        self.reloads.append(time.monotonic() - self.started)
        self.gateway.config.write_text(toml(self.around, self.workers, len(self.reloads)))
        self.gateway.process.send_signal(signal.SIGHUP)

    async def calm(self) -> Sample:
        """The least that is held once nobody calls."""
        until = time.monotonic() + _QUIET
        least = await asyncio.to_thread(self.look)
        while time.monotonic() < until:
            await asyncio.sleep(0.5)
            sample = await asyncio.to_thread(self.look)
            if (sample.gauges.active, sample.gauges.connections, sample.gauges.tasks, sample.lasting) <= (
                least.gauges.active, least.gauges.connections, least.gauges.tasks, least.lasting,
            ):  # fmt: skip
                least = sample
        return least

    async def under_load(self, progress: Progress) -> None:
        """Calls, looks and reloads for the time that was asked for."""
        task = progress.add_task("soaking", total=self.seconds, asked=0, wrong=0, memory="")
        calling = asyncio.ensure_future(self.load.run())
        begun = time.monotonic()
        reload_at = begun + _RELOAD
        while (now := time.monotonic()) < begun + self.seconds:
            await asyncio.sleep(max(0.5, self.seconds / LOOKS))
            sample = await asyncio.to_thread(self.look)
            self.samples.append(sample)
            self.around.main.requests.clear()
            self.around.backup.requests.clear()
            self.around.origin.requests.clear()
            self.around.supabase.requests.clear()
            if now >= reload_at:
                reload_at = now + _RELOAD
                self.reload()
            memory = f"{sample.memory / 2**20:.0f} MiB, {sample.descriptors} fds, {sample.gauges.tasks:.0f} tasks"
            asked, wrong = self.load.done.total(), self.load.wrong.total()
            progress.update(task, completed=now - begun, asked=asked, wrong=wrong, memory=memory)
        progress.update(task, completed=self.seconds)
        self.load.stop.set()
        await calling


async def run(soak: Soak, console: Console) -> tuple[Sample, Sample]:
    """A little of everything, quiet, the load that counts, quiet."""
    first = Load(soak.gateway.url, soak.load._tokens[:20], seed=2)
    asyncio.get_running_loop().call_later(3.0, first.stop.set)
    await first.run()
    before = await soak.calm()
    soak.started = time.monotonic()
    columns = (
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[asked]} asked, {task.fields[wrong]} wrong; {task.fields[memory]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        await soak.under_load(progress)
    return before, await soak.calm()


def show(console: Console, found: list[Check], soak: Soak) -> None:
    """The tables."""
    table = Table("what", "before", "after", "may grow by", "")
    for check in found:
        numbers = [f"{value:.1f} {check.unit}" if check.unit else f"{value:.0f}" for value in check[1:4]]
        table.add_row(check.what, *numbers, "[green]good[/]" if check.good else "[red]NOT GOOD[/]")
    console.print(table)
    callers = Table("callers", "times")
    for name, count in soak.load.done.most_common():
        callers.add_row(name, str(count))
    console.print(callers)
    for what, count in soak.load.wrong.most_common(20):
        console.print(f"[red]{count} x {what}[/]")


def main() -> int:
    seconds = float(os.environ.get("SOAK_SECONDS", "600"))
    workers = int(os.environ.get("SOAK_WORKERS", "2"))
    console = Console(width=None if sys.stdout.isatty() else 120)
    with tempfile.TemporaryDirectory(prefix="wws-soak-") as folder, Neighbours() as around:
        script(around)
        with Gateway(Path(folder), toml(around, workers, 0), env=SECRETS) as gateway:
            soak = Soak(gateway, around, seconds, workers)
            calm = asyncio.run(run(soak, console))
        warm = max(seconds * WARM, 5.0)
        found = checks(soak.samples, warm, calm, soak.load.wrong.total())
        show(console, found, soak)
        target = os.environ.get("SOAK_PAGE")
        if target:
            picture = Path(target).with_suffix(".svg")
            title = f"{workers} workers under the load of {CALLERS} callers"
            picture.write_text(plot(soak.samples, warm, soak.reloads, title))
            Path(target).write_text(page(found, soak.load.done, soak.reloads, seconds, workers, picture.name))
            console.print(f"wrote {target} and {picture}")
        return 0 if all(check.good for check in found) else 1


if __name__ == "__main__":
    sys.exit(main())
