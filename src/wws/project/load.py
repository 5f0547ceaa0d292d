"""Loading a project: wws.toml in, a `Project` out, or a `ConfigError` with every problem of the file at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from wws.core.policy import Policy
from wws.errors import ConfigError, Problem
from wws.project import build, checks
from wws.project.checks.routing import RESERVED
from wws.project.document import Report, read
from wws.project.environment import read_environment
from wws.project.functions.folder import Folder, scan
from wws.project.locate import syntax_line
from wws.project.public import Public
from wws.project.public import scan as scan_public
from wws.project.secret import Secret
from wws.project.settings import Project, ServerSettings, Variable
from wws.stores.redis_address import without_login

__all__ = ["Examined", "examine", "load", "loads"]

MAX_BYTES = 1024 * 1024
"""No wws.toml is longer; a wrong path may name anything."""


def load(path: Path, *, environ: Mapping[str, str], allow_missing: bool = False, home: Path | None = None) -> Project:
    """The project of the file `path`. `environ`, the secrets and the `.dev.vars` in `home` give `${NAME}` its values.

    `home` is the file's own folder where it is left out. With `allow_missing` a secret that nothing defines is a warning that
    says what is off. Raises `ConfigError`.
    """
    return loads(_text(path), path, environ=environ, allow_missing=allow_missing, home=home)


def loads(text: str, path: Path, *, environ: Mapping[str, str], allow_missing: bool = False, home: Path | None = None) -> Project:
    """`load` for a text that stands, or could stand, in the file `path`: an empty text is a project of defaults."""
    found = examine(path, text, environ=environ, allow_missing=allow_missing, home=home)
    if found.project is None:
        raise ConfigError(found.problems)
    return found.project


class Examined(NamedTuple):
    """All that can be said of a file; `project` is None when there are problems."""

    project: Project | None
    problems: list[Problem]
    warnings: list[Problem]


def examine(
    path: Path,
    text: str | None = None,
    *,
    environ: Mapping[str, str],
    allow_missing: bool = False,
    home: Path | None = None,
) -> Examined:
    """`load` (`loads` with a text) that raises nothing."""
    try:
        text = _text(path) if text is None else text
        document = _parse(text, path)
    except ConfigError as error:
        return Examined(None, error.problems, [])
    report = Report(str(path), text)
    environment = read_environment(home or path.parent, environ, report.problems)
    values = read(document, environment, report)
    functions = scan(path.parent / build.value(values, "functions.folder"))
    public = scan_public(path.parent / build.value(values, "static.folder"))
    policy = build.policy(values, functions, bool(public.assets))
    server = build.server(values, home or path.parent)
    checks.check(checks.Subject(document, values, policy, server, functions, path.parent, report, allow_missing))
    report.problems += functions.problems
    report.warnings += (*functions.warnings, *public.problems)
    warnings = _in_order(report.warnings, str(path))
    if report.problems:
        return Examined(None, _in_order(report.problems, str(path)), warnings)
    return Examined(_project(path, policy, server, values, functions, public, warnings, home, environment.secrets), [], warnings)


def _project(
    path: Path,
    policy: Policy,
    server: ServerSettings,
    values: dict[str, Any],
    functions: Folder,
    public: Public,
    warnings: list[Problem],
    home: Path | None,
    secrets: Mapping[str, str],
) -> Project:
    store = build.value(values, "kv.store")
    namespaces = tuple([table["binding"] for table in values.get("kv_namespaces", ())])
    services = {table["binding"]: table["function"] for table in values.get("services", ()) if len(table) == 2}
    variables = {
        **_free(secrets, (*namespaces, *services, *[queue.binding for queue in build.queues(values)])),
        **values.get("vars", {}),
    }
    kv, crons, queues, limits = build.kv(values), build.crons(values), build.queues(values), build.limits(values)
    parts = {
        "policy": replace(policy, routes=()),
        "routes": list(map(repr, policy.routes)),  # a route has no secret, and a project may have a thousand
        "server": server,
        "store": without_login(store),
        "kv": namespaces,
        "vars": variables,
        "services": services,
        "functions": functions.digest,
        "public": sorted([(name, asset.etag.decode()) for name, asset in public.assets.items()]),
        "asked": kv,
        "crons": crons,
        "queues": queues,
        "limits": limits,
    }
    policy = replace(policy, version=build.version(parts))
    project = Project(
        path, policy, server, build.admin(values), store, namespaces, variables, warnings, home, services, functions, kv=kv
    )
    return replace(project, public=public, crons=crons, queues=queues, limits=limits)


def _free(secrets: Mapping[str, str], bound: tuple[str, ...]) -> dict[str, Variable]:
    """The secrets that functions see as `env.NAME`: those whose name is not the gateway's own or a binding's already."""
    taken = {*RESERVED, *bound}
    return {name: Secret(value) for name, value in secrets.items() if name not in taken and not name.startswith("_")}


def _text(path: Path) -> str:
    def refuse(message: str, line: int | None = None) -> ConfigError:
        return ConfigError([Problem(str(path), line, "", message)])

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise refuse("there is no such file; `wws init` writes one to start from") from None
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise refuse(f"longer than {MAX_BYTES} bytes: this is no wws.toml")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse("not UTF-8", data.count(b"\n", 0, error.start) + 1) from None


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, message = syntax_line(error, text)
        raise ConfigError([Problem(str(path), line, "", f"not TOML: {message}")]) from None
    except RecursionError:
        raise ConfigError([Problem(str(path), None, "", "not TOML: nested too deeply")]) from None


def _in_order(problems: list[Problem], file: str) -> list[Problem]:
    """As the eye goes: the file itself from top to bottom, then the files beside it."""
    return sorted(problems, key=lambda problem: (problem.file != file, problem.file, problem.line or 0))
