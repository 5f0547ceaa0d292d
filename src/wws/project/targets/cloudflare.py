"""A folder that wrangler deploys as it is: a Python Worker with the gateway, the checked configuration and the SDK.

wrangler.jsonc         bindings, migrations, the flags of production and no other
src/entry.py           names the worker and the object that counts
src/wws_bundle.py      the configuration as plain data, without a secret
src/functions/         the project's own
src/wws/               what the edge needs of the package, found by its imports
python_modules/        Cloudflare's Python SDK
"""

from __future__ import annotations

import gzip
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from wws._version import __version__
from wws.core.policy import Limit
from wws.errors import ConfigError, Problem
from wws.hosts.cloudflare.rates import PERIODS, binding, rates
from wws.hosts.edge.bundle import PEPPER, Bundle, names, written
from wws.project.environment import DEV_VARS, read_environment
from wws.project.files import project_files
from wws.project.locate import Path as Place
from wws.project.settings import Project
from wws.project.targets import Built
from wws.project.targets._crons import crons
from wws.project.targets._folder import package, write
from wws.project.targets._functions import FOLDER as FUNCTIONS
from wws.project.targets._functions import sources
from wws.project.targets._limits import STORES, Reach, refusals, warnings
from wws.project.targets._plain import Edge, edge_project
from wws.project.targets._sdk import sdk_files
from wws.project.targets._wrangler import wrangler as run_wrangler

__all__ = ["COMPATIBILITY_DATE", "FLAGS", "MAX_BYTES", "build", "build_here", "contents", "deploy", "dev", "load"]

FOLDER = Path(".wws") / "cloudflare"
COMPATIBILITY_DATE = "2026-11-01"
FLAGS = ("python_workers",)
MAX_BYTES = 64 * 1024 * 1024
"""Of an upload, uncompressed (developers.cloudflare.com/workers/platform/limits)."""
ENTRY = "wws.hosts.cloudflare.worker"
ASSETS = "assets"
_MARK = "wrangler.jsonc"

_ENTRY = '''\
"""Written by `wws build --target cloudflare`."""

from wws.hosts.cloudflare.worker import Counters, Worker, prepared
from wws_bundle import DATA

__all__ = ["Counters", "Default"]


class Default(Worker):
    bundle = prepared(DATA, __file__)
'''


def load(path: Path, environ: Mapping[str, str]) -> Project:
    """The project of the file `path`, checked with stand-ins for its secrets. Raises `ConfigError`."""
    return edge_project(path, environ, STORES).project


def build(project: Project, out: Path | None) -> Built:
    """Writes `.wws/cloudflare` beside wws.toml, or the folder `out`. Raises `ConfigError` with all that cannot be had there."""
    return _build(project, out, "world")


def build_here(project: Project, out: Path | None) -> Built:
    """`build` for a runtime on this machine, which reaches what listens here."""
    return _build(project, out, "machine")


def deploy(project: Project, done: Built, dry_run: bool) -> int:
    """Calls `wrangler deploy` on what was built; its exit status. Raises `WwsError` when there is no wrangler."""
    arguments = ["deploy", *(["--dry-run", "--outdir", str(done.path / "dist")] if dry_run else [])]
    return run_wrangler(done.path, arguments, os.environ, project.folder)


def dev(project: Project, environ: Mapping[str, str]) -> int:
    """Builds the project and serves it by `wrangler dev`, in the platform's own runtime; its exit status.

    The secrets of the environment and of `.dev.vars` go into a `.dev.vars` of the built folder, where wrangler looks for them.
    """
    done = build_here(project, None)
    source = read_environment(project.folder, environ, [])
    edge = edge_project(project.path, environ)
    values = {name: source.get(name) for name in names(edge.bundle())}
    values[PEPPER] = values[PEPPER] or secrets.token_hex(32)
    _secret_file(done.path / DEV_VARS, {name: value for name, value in values.items() if value is not None})
    return run_wrangler(
        done.path, ["dev", "--ip", "127.0.0.1", "--port", str(project.server.listen.port)], environ, project.folder
    )


def _secret_file(path: Path, values: Mapping[str, str]) -> None:
    """Readable by its owner alone."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines([f"{name}={json.dumps(value)}\n" for name, value in values.items()])


def _build(project: Project, out: Path | None, reach: Reach) -> Built:
    edge = edge_project(project.path, os.environ, STORES)
    for refusal in (*refusals(edge, reach), *_approximate(edge)):
        edge.refuse(*refusal)
    named = crons(edge)
    edge.check()
    bundle = edge.bundle()
    bundle = replace(bundle, crons=tuple([replace(tick, there=named[tick.cron]) for tick in bundle.crons]))
    files = contents(edge, bundle)
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        raise ConfigError([Problem(str(project.path), None, "", f"{size} bytes to upload; Cloudflare takes {MAX_BYTES}")])
    folder = project.folder / FOLDER if out is None else out
    write(folder, files, _MARK, ("src", "python_modules"))
    packed = len(gzip.compress(b"".join(files.values()), 9))
    notes = [f"warning: {word}" for word in warnings(edge)]
    notes.append(f"about {packed / 1024:.0f} KiB to upload, compressed")
    notes += [f"secret, once: wrangler secret put {name} --config {folder / _MARK}" for name in names(bundle)]
    return Built(folder, bundle.policy.version, len(files), size, tuple(notes))


def _approximate(edge: Edge) -> Iterator[tuple[Place, str]]:
    """Limits that the Rate Limiting binding cannot keep."""
    policy = edge.project.policy
    limits: list[tuple[Place, Limit | None]] = [(("limits", name), limit) for name, limit in policy.limits.items()]
    limits += [(("routes", index, "limit"), route.limit) for index, route in enumerate(policy.routes)]
    for place, limit in limits:
        if limit is not None and limit.approximate and limit.period not in PERIODS:
            yield (
                place,
                f"a period of {limit.period:g} s cannot be counted approximately; allowed here: 10s, min, or without the word",
            )
    address = policy.address_limit
    if address is not None and address.approximate:
        yield ("limits", "address"), "failed logins count more than once, which only an exact count can; leave out `approximate`"


def contents(edge: Edge, bundle: Bundle) -> dict[str, bytes]:
    """The folder's files by name."""
    files = {f"src/{path}": data for path, data in package([ENTRY]).items()}
    data = json.dumps(written(bundle), separators=(",", ":"), sort_keys=True)
    files["src/wws_bundle.py"] = f'"""The configuration, as `wws build` has checked it."""\n\nDATA = {data!r}\n'.encode()
    files["src/entry.py"] = _ENTRY.encode()
    files |= {f"src/{FUNCTIONS}/{path}": text for path, text in sources(edge.project.functions).items()}
    files |= {f"python_modules/{name}": data for name, data in sdk_files(os.environ).items()}
    files |= {f"{ASSETS}/{name}": path.read_bytes() for name, path in assets(edge).items()}
    files["python_modules/pyvenv.cfg"] = b""  # by which the platform's tool knows the folder
    config = json.dumps(wrangler(edge, bundle), indent=2)
    files[_MARK] = (
        f"// Written by `wws build --target cloudflare`, WWS {__version__}: change wws.toml instead.\n{config}\n".encode()
    )
    return dict(sorted(files.items()))


def wrangler(edge: Edge, bundle: Bundle) -> dict[str, Any]:
    """wrangler's configuration (developers.cloudflare.com/workers/wrangler/configuration).

    A KV namespace without an id is made at the first deployment, and found by its binding ever after.
    """
    told: dict[str, Any] = {
        "name": bundle.policy.name.lower().replace("_", "-"),
        "main": "src/entry.py",
        "compatibility_date": COMPATIBILITY_DATE,
        "compatibility_flags": list(FLAGS),
        "kv_namespaces": [{"binding": name} for name in ("WWS_KV", *bundle.kv_namespaces)],
        "durable_objects": {"bindings": [{"name": "WWS_COUNTERS", "class_name": "Counters"}]},
        "migrations": [{"tag": "wws-1", "new_sqlite_classes": ["Counters"]}],
        "observability": {"enabled": True},
    }
    if wanted := rates(bundle.policy):
        told["ratelimits"] = [
            {
                "name": binding(rate),
                "namespace_id": _namespace(told["name"], rate),
                "simple": {"limit": rate[0], "period": rate[1]},
            }
            for rate in wanted
        ]
    if bundle.crons:
        told["triggers"] = {"crons": list(dict.fromkeys([tick.there or tick.cron for tick in bundle.crons]))}
    if assets(edge):
        told["assets"] = {"directory": f"./{ASSETS}"}
    return told


def _namespace(worker: str, rate: tuple[int, int]) -> str:
    """The number of a rate's counts: its own in an account, and the same with every deployment."""
    return str(int.from_bytes(sha256(f"{worker} {rate}".encode()).digest()[:4], "big") % 2**31 or 1)


def assets(edge: Edge) -> dict[str, Path]:
    """The project's files below `public/`, by their names there."""
    found = project_files(edge.project.path)
    return {name.removeprefix("public/"): path for name, path in found.items() if name.startswith("public/")}
