"""Checks of the listeners, the store, sessions, limits and ages."""

from __future__ import annotations

import os
from collections.abc import Mapping

from wws.bindings import Endpoint
from wws.project import build
from wws.project.address import Address
from wws.project.build import PLACEHOLDER, value
from wws.project.checks.subject import Subject
from wws.project.document import nearest, not_set
from wws.project.durations import duration
from wws.project.kinds import PATTERN, shape

__all__ = ["admin", "ages", "limits", "listeners", "proxies", "sessions", "store", "tls"]

SHORTEST_TOKEN = 16
"""Characters of an admin token: 64 bits where they are hexadecimal digits."""


def listeners(subject: Subject) -> None:
    listen, admin, report = subject.server.listen, subject.server.admin, subject.report
    if admin is None:
        return
    if listen.collides(admin):
        report.problem(("server", "admin"), f'found {admin}, where the public listener is; allowed: another port, or "off"')
    elif not admin.local:
        report.warning(("server", "admin"), f"{admin} is reachable from other machines: the admin API belongs on 127.0.0.1")


def tls(subject: Subject) -> None:
    files = {"cert": subject.server.cert, "key": subject.server.key}
    for name, other in (("cert", "key"), ("key", "cert")):
        file = files[name]
        if file is None:
            continue
        if files[other] is None and not subject.report.is_broken(("server", other)):
            subject.report.problem(("server", name), f"`{other}` is missing: TLS needs both")
        if not os.access(file, os.R_OK) or file.is_dir():
            subject.report.problem(("server", name), f"found {file}, which is not a file that can be read")


def proxies(subject: Subject) -> None:
    for index, network in enumerate(subject.server.trusted_proxies):
        if network.prefixlen == 0:
            path = ("server", "trusted_proxies", index)
            subject.report.warning(path, f"{network} lets every client choose its address by a header")


def store(subject: Subject) -> None:
    memory = value(subject.values, "kv.store") == "memory:"
    if memory and subject.server.workers != 1:
        path = ("kv", "store") if "kv" in subject.document else ("server", "workers")
        subject.report.problem(
            path, 'found "memory:" with several workers, of which each would count alone; allowed: "lmdb:PATH", or workers = 1'
        )


def sessions(subject: Subject) -> None:
    report = subject.report
    if report.is_broken(("auth", "supabase_url")):
        return
    url, path = value(subject.values, "auth.supabase_url"), ("auth", "supabase_url")
    if url is None or PLACEHOLDER in url:
        state = "is not set" if url is None else f"still says {PLACEHOLDER}"
        report.warning(path, f"{state}: sessions are off, only API keys are accepted")
        return
    endpoint = Endpoint(url)
    if endpoint.scheme != "https" and not Address(endpoint.host, endpoint.port).local:
        report.problem(path, f"found {url}; allowed: https, or http on this machine: sessions would pass in the clear")
    key = value(subject.values, "auth.supabase_key")
    if key is not None:
        if key.reveal().startswith("sb_secret_"):
            report.problem(("auth", "supabase_key"), "found a secret key (sb_secret_...); allowed: the publishable one")
    elif names := subject.absent("auth", "supabase_key"):
        subject.missing(("auth", "supabase_key"), not_set(names), "sessions are off, only API keys are accepted")
    elif not report.is_broken(("auth", "supabase_key")):
        message = '`supabase_key` is missing: write supabase_key = "${SUPABASE_PUBLISHABLE_KEY}"'
        subject.missing(path, message, "sessions are off, only API keys are accepted")


def limits(subject: Subject) -> None:
    taken: dict[str, str] = {}
    for name in subject.names("limits"):
        if name in ("default", "address"):
            continue
        try:
            PATTERN.read(name)
        except ValueError as error:
            hint = nearest(name, ("default", "address"))
            subject.report.problem(("limits", name), f"{error}{hint}; allowed: {PATTERN.allowed}, default, address")
            continue
        if (other := taken.setdefault(shape(name), name)) != name:
            subject.report.problem(("limits", name), f'takes the same paths as "{other}"')


def ages(subject: Subject) -> None:
    """Both are ages of the answer (not one after the other), so a stale answer cannot be younger than a fresh one."""
    cache = subject.policy.cache
    _older(subject, ("cache", "stale"), cache.fresh, cache.stale)
    for index, route in subject.rows("routes"):
        given = route.get("cache")
        if isinstance(given, Mapping):
            fresh, stale = given.get("fresh", cache.fresh), given.get("stale", cache.stale)
            _older(subject, ("routes", index, "cache", "stale"), fresh, stale)


def _older(subject: Subject, path: tuple[str | int, ...], fresh: float, stale: float) -> None:
    if stale < fresh:
        message = f'found "{duration(stale)}", less than `fresh`; allowed: an age of at least "{duration(fresh)}"'
        subject.report.problem(path, message)


def admin(subject: Subject) -> None:
    """Tokens are compared, not guessed at: they must be long, and each its own."""
    tokens = build.admin(subject.values).tokens
    places = {name: ("admin", "token") if name == "admin" else ("admin", "tokens", name) for name in tokens}
    for path in (("admin", "token"), *[("admin", "tokens", name) for name in _named_tokens(subject)]):
        if names := subject.absent(*path):
            subject.missing(path, not_set(names), "nothing can be changed through the admin API with it")
    if "admin" in _named_tokens(subject):
        subject.report.problem(("admin", "tokens", "admin"), "`admin` is the name of admin.token; allowed: another name")
    for name, token in tokens.items():
        if len(token.reveal()) < SHORTEST_TOKEN:
            message = f"shorter than {SHORTEST_TOKEN} characters; make one with: openssl rand -hex 32"
            subject.report.problem(places[name], message)
        twins = [other for other in tokens if other < name and tokens[other] == token]
        if twins:
            subject.report.problem(places[name], f"the same token as that of {twins[0]}: the audit log could not tell them apart")
    if tokens and subject.server.admin is None:
        subject.report.warning(("admin",), 'has no effect: server.admin is "off"')


def _named_tokens(subject: Subject) -> Mapping[str, object]:
    table = subject.names("admin").get("tokens", {})
    return table if isinstance(table, dict) else {}
