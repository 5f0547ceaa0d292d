"""A folder that `wws build --target cloudflare` has made, run by workerd itself: a real Python Worker.

Two things differ from production, and stand in the test's own configuration alone: the runtime's Python comes from npm's pyodide
(the flags of development), and KV is a server of ours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.edge.pyodide_bundle import NAME, make

__all__ = ["MODULES", "configuration", "require", "runtime", "snapshot"]

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "edge" / "node_modules"
_FLAGS = (
    "python_workers",
    "python_workers_development",
    "no_python_workers_20250116",
    "no_python_workers_20260610",
    "no_python_workers_314",
)
_SNAPSHOT = "python_dedicated_snapshot"
_CONFIG = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .gateway),
    (name = "ticker", worker = .ticker),
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "disk", disk = (path = {disk}, writable = true)),
{services}
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:0", http = (), service = "main"),
    (name = "ticks", address = "127.0.0.1:0", http = (), service = "ticker"),
  ],
);
const ticker :Workerd.Worker = (
  modules = [(name = "ticker.js", esModule = embed "ticker.js")],
  bindings = [(name = "MAIN", service = "main")],
  compatibilityDate = {date},
  compatibilityFlags = ["service_binding_extra_handlers"],
);
const gateway :Workerd.Worker = (
  modules = [
{modules}
  ],
  bindings = [
{bindings}
  ],
  durableObjectNamespaces = [(className = "Counters", uniqueKey = "wws-counters", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
  compatibilityDate = {date},
  compatibilityFlags = {flags},
);
"""
# Cron triggers are the platform's: this asks for one, as it does.
_TICKER = """\
export default {
  async fetch(request, env) {
    const asked = new URL(request.url).searchParams;
    const at = new Date(Number(asked.get("at")) * 1000);
    return Response.json(await env.MAIN.scheduled({ cron: asked.get("cron"), scheduledTime: at }));
  },
};
"""
# The Rate Limiting binding is the platform's: this answers as it does, and counts exactly until it ends.
_LIMITER = """\
import { WorkerEntrypoint } from "cloudflare:workers";
const counts = new Map();
export default class extends WorkerEntrypoint {
  limit({ key }) {
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return { success: count <= Number(this.env.LIMIT) };
  }
}
"""


def require() -> Path:
    """workerd's binary. Raises `RuntimeError` that says how to get it."""
    binary = MODULES / "@cloudflare" / f"workerd-{_platform()}" / "bin" / "workerd"
    if not binary.is_file():
        raise RuntimeError("workerd is not installed: run `make edge-runtimes`")
    return binary


def _platform() -> str:
    system = {"linux": "linux", "darwin": "darwin"}[sys.platform]
    machine = "arm64" if os.uname().machine in ("arm64", "aarch64") else "64"
    return f"{system}-{machine}"


def runtime(folder: Path) -> Path:
    """The folder with the Python runtime, made once below `folder`."""
    cache = folder / "bundle"
    if not (cache / NAME).is_file():
        make(MODULES / "pyodide-workerd", cache)
    return cache


def configuration(built: Path, secrets: dict[str, str], kv: dict[str, int], *, dedicated: bool = False) -> Path:
    """Writes `test.capnp` beside the built folder's wrangler.jsonc: its modules and bindings as workerd's own configuration.

    `kv` are the ports of the KV namespaces by binding. `dedicated`: for a memory snapshot with the worker's own imports.
    """
    text = "\n".join([line for line in (built / "wrangler.jsonc").read_text().splitlines() if not line.startswith("//")])
    wrangler = json.loads(text)
    names = [path.relative_to(built / "src").as_posix() for path in sorted((built / "src").rglob("*.py"))]
    names.sort(key=lambda name: name != "entry.py")  # the first one is the worker's
    modules = [_module(name, f"src/{name}") for name in names]
    sdk = sorted((built / "python_modules").rglob("*.py"))
    modules += [_module(name, name) for path in sdk if (name := path.relative_to(built).as_posix())]
    bindings = [f"(name = {_text(name)}, text = {_text(value)})," for name, value in secrets.items()]
    bindings += [f'(name = {_text(name)}, kvNamespace = "kv-{name}"),' for name in kv]
    for one in wrangler["durable_objects"]["bindings"]:
        bindings.append(f"(name = {_text(one['name'])}, durableObjectNamespace = {_text(one['class_name'])}),")
    services = [f'(name = "kv-{name}", external = (address = "127.0.0.1:{port}", http = ())),' for name, port in kv.items()]
    for one in wrangler.get("ratelimits", ()):
        services.append(f'(name = "{one["name"]}", worker = {_limiter(one["simple"]["limit"])}),')
        bindings.append(f"(name = {_text(one['name'])}, service = {_text(one['name'])}),")
    disk = built / "durable"
    disk.mkdir(exist_ok=True)
    flags = [*_FLAGS, *([_SNAPSHOT] if dedicated else [])]
    config = _CONFIG.format(
        disk=_text(str(disk.resolve())),
        services="\n".join(services),
        modules="\n".join(modules),
        bindings="\n".join(bindings),
        date=_text(wrangler["compatibility_date"]),
        flags=f"[{', '.join(map(_text, flags))}]",
    )
    (built / "ticker.js").write_text(_TICKER)
    (built / "limiter.js").write_text(_LIMITER)
    path = built / "test.capnp"
    path.write_text(config)
    return path


def _limiter(limit: int) -> str:
    return f"""(
      modules = [(name = "limiter.js", esModule = embed "limiter.js")],
      bindings = [(name = "LIMIT", text = "{limit}")],
      compatibilityDate = "2026-01-01",
    )"""


def _module(name: str, file: str) -> str:
    return f"(name = {_text(name)}, pythonModule = embed {_text(file)}),"


def _text(value: str) -> str:
    return json.dumps(value)


class Workerd:
    """A running workerd: `port` is where it listens, `ticks` where it is told that a cron is due."""

    def __init__(self, config: Path, cache: Path, *options: str, log: Path) -> None:
        self.log = log
        read, write = os.pipe()
        command = [str(require()), "serve", config.name, "--experimental", f"--control-fd={write}"]
        command += ["--pyodide-bundle-disk-cache-dir", str(cache.resolve()), *options]
        with log.open("ab") as out:
            self.process = subprocess.Popen(command, cwd=config.parent, stdout=out, stderr=out, pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as control:
            ports = dict([self._listening(control.readline()) for _ in range(2)])
        self.port, self.ticks = ports["http"], ports["ticks"]

    def _listening(self, line: str) -> tuple[str, int]:
        if not line:
            self.stop()
            raise AssertionError(f"workerd does not listen:\n{self.log.read_text()[-4000:]}")
        told = json.loads(line)
        return told["socket"], told["port"]

    def stop(self) -> None:
        """Ends it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def snapshot(config: Path, cache: Path, folder: Path) -> tuple[str, ...]:
    """A memory snapshot of a worker after its imports, written into `folder`; the options that start from it."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--experimental", "--pyodide-bundle-disk-cache-dir", str(cache.resolve())]
    options += ["--python-snapshot-dir", str(folder.resolve()), "--python-save-snapshot"]
    # A worker without tests of its own ends this command with an error once the snapshot is written.
    subprocess.run(
        [str(require()), "test", config.name, *options], cwd=config.parent, capture_output=True, timeout=120, check=False
    )
    if not (folder / "snapshot.bin").is_file():
        raise AssertionError("workerd has written no snapshot")
    return "--python-snapshot-dir", str(folder.resolve()), "--python-load-snapshot", "snapshot.bin"
