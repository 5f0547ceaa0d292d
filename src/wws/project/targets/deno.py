"""A folder that Deno serves as it is: on Deno Deploy, in a container, or on a machine of one's own.

deno.json      what is installed, the tasks, the settings of Deno Deploy
main.ts        and the other TypeScript of `wws.hosts.deno`
python.zip     what the gateway needs of the package, found by its imports
bundle.json    the configuration as plain data, without a secret
crons.ts       what the platform's clock calls
public/        the files that are served as they are
Dockerfile     for a container
"""

from __future__ import annotations

import gzip
import io
import json
import os
import secrets
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import wws
from wws.hosts.edge.bundle import PEPPER, Page, names, written
from wws.project.environment import read_environment
from wws.project.public import Public
from wws.project.settings import Project
from wws.project.targets import Built
from wws.project.targets._crons import crons
from wws.project.targets._deno import VERSION, deno
from wws.project.targets._folder import package, write
from wws.project.targets._functions import FOLDER as FUNCTIONS
from wws.project.targets._functions import sources
from wws.project.targets._limits import Reach, refusals, warnings
from wws.project.targets._plain import edge_project

__all__ = ["PYODIDE", "build", "build_here", "deploy", "dev", "load"]

FOLDER = Path(".wws") / "deno"
ENTRY = "wws.hosts.deno.main"
PYODIDE = "314.0.7"
"""Its memory snapshots are no public interface: another version has to be tried first."""
MEMORY = 768
"""MiB, what Deno Deploy gives without being asked (docs.deno.com/deploy/reference/runtime)."""
PUBLIC = "public"
"""The folder's name there, whatever it is called here; `glue/files.ts` looks for it."""
_MARK = "deno.json"
_GLUE = Path(wws.__file__).parent / "hosts" / "deno" / "glue"
_TIME = (1980, 1, 1, 0, 0, 0)
_WORD = "allowed here: no `store` at all, for Deno KV"
STORES = {
    "lmdb:": f"LMDB is a native library, and Python runs in WebAssembly there; {_WORD}",
    "memory:": f"a memory of its own in every process would count in each alone; {_WORD}",
    "redis": f"Python in WebAssembly opens no connections; {_WORD}",
    "valkey": f"Python in WebAssembly opens no connections; {_WORD}",
}
"""Stores by the beginning of their address, and why each is refused."""

_PERMISSIONS = "--allow-net --allow-read --allow-write --allow-env"
_RUN = {
    "snapshot": "run --allow-read --allow-write=snapshot.bin --allow-env snapshot.ts",
    "start": f"run {_PERMISSIONS} main.ts",
    "keys": f"run {_PERMISSIONS} keys.ts",
}
"""Deno's arguments by the name of the task."""
_CRONS = """\
// Written by `wws build --target deno`: the platform looks for crons at the top level of a module.
"""
_DOCKERFILE = f"""\
# Written by `wws build --target deno`.
#   docker build -t gateway . && docker run -p 8787:8787 -v gateway:/data --env-file .env gateway
FROM denoland/deno:{VERSION}
WORKDIR /app
COPY . .
RUN deno install && deno task snapshot && mkdir -p /data && chown deno:deno /data
USER deno
ENV WWS_LISTEN=0.0.0.0:8787 WWS_KV=/data/kv.sqlite3
VOLUME /data
EXPOSE 8787
HEALTHCHECK CMD ["deno", "eval", "if (!(await fetch('http://127.0.0.1:8787/readyz')).ok) Deno.exit(1)"]
CMD ["run", {", ".join(f'"{word}"' for word in _PERMISSIONS.split())}, "main.ts"]
"""


def load(path: Path, environ: Mapping[str, str]) -> Project:
    """The project of the file `path`, checked with stand-ins for its secrets. Raises `ConfigError`."""
    return edge_project(path, environ, STORES).project


def build(project: Project, out: Path | None) -> Built:
    """Writes `.wws/deno` beside wws.toml, or the folder `out`. Raises `ConfigError` with all that cannot be had there."""
    return _build(project, out, "network")  # a container may stand in a network of one's own


def build_here(project: Project, out: Path | None) -> Built:
    """`build` for a process on this machine, which reaches what listens here."""
    return _build(project, out, "machine")


def deploy(project: Project, done: Built, dry_run: bool) -> int:
    """Calls `deno deploy` on what was built; the exit status. Raises `WwsError` when there is no deno.

    A dry run does here what is done there: TypeScript is checked, Python is started, and its snapshot made.
    """

    def run(*arguments: str) -> int:
        return deno(done.path, arguments, os.environ, project.folder)

    if not dry_run:
        return run("deploy", "--prod")
    return run("check", "main.ts", "keys.ts", "snapshot.ts") or run(*_RUN["snapshot"].split())


def dev(project: Project, environ: Mapping[str, str]) -> int:
    """Builds the project and serves it by Deno at `[server] listen`; the exit status. Raises `WwsError` when there is no deno.

    Secrets are those of the environment and of `.dev.vars`; values are kept in `.wws/deno.sqlite3`.
    """
    done = build_here(project, None)
    source = read_environment(project.folder, environ, [])
    wanted = names(edge_project(project.path, environ, STORES).bundle())
    values = {name: value for name in wanted if (value := source.get(name)) is not None}
    values.setdefault(PEPPER, secrets.token_hex(32))
    database = (project.folder / ".wws" / "deno.sqlite3").resolve()
    own = {"WWS_LISTEN": str(project.server.listen), "WWS_KV": str(database), "DENO_NO_UPDATE_CHECK": "1"}
    return deno(done.path, _RUN["start"].split(), {**environ, **values, **own}, project.folder)


def _build(project: Project, out: Path | None, reach: Reach) -> Built:
    edge = edge_project(project.path, os.environ, STORES)
    for refusal in refusals(edge, reach):
        edge.refuse(*refusal)
    named = crons(edge)
    edge.check()
    pages, missing = _pages(edge.project.public)
    bundle = replace(edge.bundle(), pages=pages, missing=missing)
    files: dict[str, bytes] = {file.name: file.read_bytes() for file in sorted(_GLUE.iterdir())}
    files[_MARK] = _json(configuration())
    files["crons.ts"] = _crons_module(named).encode()
    files["bundle.json"] = _json(written(bundle))
    functions = {f"{FUNCTIONS}/{path}": text for path, text in sources(edge.project.functions).items()}
    files["python.zip"] = archive({**package([ENTRY]), **functions})
    files["Dockerfile"] = _DOCKERFILE.encode()
    files[".dockerignore"] = b"node_modules\nsnapshot.bin\n*.sqlite3*\n"
    files |= {f"{PUBLIC}/{name}": data for name, data in _public(edge.project.public, pages).items()}
    folder = project.folder / FOLDER if out is None else out
    write(folder, files, _MARK, ("snapshot.bin", PUBLIC))
    size = sum(map(len, files.values()))
    packed = len(gzip.compress(b"".join(files.values()), 9, mtime=0))
    notes = [f"warning: {word}" for word in warnings(edge)]
    notes += [
        f"about {packed / 1024:.0f} KiB, compressed; the snapshot is made where it is deployed: deno task snapshot",
        f"in its environment: {', '.join(names(bundle))}",
    ]
    return Built(folder, bundle.policy.version, len(files), size, tuple(notes))


def _pages(public: Public) -> tuple[dict[str, Page], str | None]:
    """The public folder by path, and the path of its page for what is not there."""
    pages = {}
    for path, asset in public.assets.items():
        sizes = {coding: size for coding, (_, size) in asset.variants.items()}
        pages[path] = Page(
            asset.file.relative_to(public.root).as_posix(), asset.size, asset.modified, asset.etag.decode(), asset.type.decode(),
            sizes, asset.redirect,
        )  # fmt: skip
    return pages, next((path for path, asset in public.assets.items() if asset is public.missing), None)


def _public(public: Public, pages: Mapping[str, Page]) -> dict[str, bytes]:
    """The files of the folder that are served."""
    names = {page.file for page in pages.values()}
    return {name: (public.root / name).read_bytes() for name in sorted(names)}


def _crons_module(named: Mapping[str, str]) -> str:
    lines = [
        f'Deno.cron("wws {number}", "{there}", () => tick("{cron}"));\n' for number, (cron, there) in enumerate(named.items(), 1)
    ]
    return _CRONS + "".join(['import { tick } from "./ticks.ts";\n\n', *lines] if lines else [])


def configuration() -> dict[str, Any]:
    """deno.json (docs.deno.com/runtime/fundamentals/configuration), with the settings of Deno Deploy in it."""
    return {
        "nodeModulesDir": "auto",
        "imports": {"pyodide": f"npm:pyodide@{PYODIDE}"},
        # The second: a request is aborted when its client leaves, and not when it is answered.
        "unstable": ["cron", "kv", "no-legacy-abort"],
        "fmt": {"lineWidth": 130},
        "tasks": {name: f"deno {arguments}" for name, arguments in _RUN.items()},
        "deploy": {
            "install": "deno install",
            "build": "deno task snapshot",
            "runtime": {"type": "dynamic", "entrypoint": "main.ts", "memoryLimit": MEMORY},
        },
    }


def archive(files: Mapping[str, bytes]) -> bytes:
    """A zip archive that Python imports from, the same bytes for the same files.

    A folder has an entry of its own: without one it is no package for Python, where it has no `__init__.py`.
    """
    folders = {f"{parent.as_posix()}/": b"" for name in files for parent in PurePosixPath(name).parents if parent.name}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for name, data in sorted({**folders, **files}.items()):
            packed.writestr(zipfile.ZipInfo(name, _TIME), data)
    return out.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"
