"""Addresses of Redis and Valkey, as they stand in `[kv] store`.

    redis://HOST:6379/0                                one server
    redis+cluster://HOST:7000,HOST:7001                a cluster, by some of its nodes
    redis+sentinel://HOST:26379,HOST:26379/NAME/0      the master NAME, found by asking sentinels

`rediss` in the place of `redis` is TLS. `USER:PASSWORD@` stands before the hosts, escaped as in every URL. Options:
`?prefix=wws` (what all names there begin with), `ca=FILE`, `cert=FILE` and `key=FILE` for TLS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote

__all__ = ["ALLOWED", "SCHEMES", "RedisAddress", "parse_redis", "without_login"]

Kind = Literal["single", "cluster", "sentinel"]

SCHEMES: Final[dict[str, tuple[Kind, bool]]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
}
"""What an address begins with: how the servers are found, and whether by TLS."""

ALLOWED: Final = '"redis://HOST:6379/0", "rediss://...", "redis+cluster://HOST,HOST", "redis+sentinel://HOST,HOST/MASTER/0"'

_PORTS: Final[dict[Kind, int]] = {"single": 6379, "cluster": 6379, "sentinel": 26379}
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?)(?::([0-9]{1,5}))?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A parsed address. `str` is what may be printed: without the user and the password."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    master: str | None = None
    prefix: str = "wws"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        scheme = next(name for name, (kind, tls) in SCHEMES.items() if (kind, tls) == (self.kind, self.tls))
        hosts = ",".join([f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts])
        path = "" if self.master is None else f"/{self.master}"
        return f"{scheme}://{hosts}{path}" + ("" if self.kind == "cluster" else f"/{self.database}")


def parse_redis(url: str) -> RedisAddress:
    """The address of `url`. Raises `ValueError` with what is wrong, never with what may be a password."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in SCHEMES:
        raise ValueError(f"no address of Redis; allowed: {ALLOWED}")
    kind, tls = SCHEMES[scheme]
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    login, _, hosts = place.rpartition("@")
    user, password = _login(login)
    master, database = _path(kind, [part for part in path.split("/") if part])
    given = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in given.items():
        if name not in ("prefix", "ca", "cert", "key"):
            raise ValueError(f"the unknown option {name!r}; allowed: prefix, ca, cert, key")
        if name != "prefix" and not tls:
            raise ValueError(f"the option {name!r} is for TLS: write {scheme.replace('redis', 'rediss')}://")
        if not value or (name == "prefix" and not _NAME.fullmatch(value)):
            raise ValueError(f"the option {name!r} has no proper value")
    if ("cert" in given) != ("key" in given):
        raise ValueError("`cert` and `key` come together")
    return RedisAddress(
        kind,
        tuple([_host(text, _PORTS[kind]) for text in hosts.split(",")]),
        tls,
        user,
        password,
        database,
        master,
        **given,
    )


def without_login(url: str) -> str:
    """The address of any store as it may be printed: without a user and a password."""
    scheme, _, rest = url.partition("://")
    return url if scheme not in SCHEMES else f"{scheme}://{rest.rpartition('@')[2]}"


def _login(text: str) -> tuple[str | None, str | None]:
    """`USER:PASSWORD`, or `:PASSWORD`."""
    if not text:
        return None, None
    user, colon, password = text.partition(":")
    if not colon or not password:
        raise ValueError("no password: write redis://:PASSWORD@HOST or redis://USER:PASSWORD@HOST")
    return unquote(user) or None, unquote(password)


def _path(kind: Kind, parts: list[str]) -> tuple[str | None, int]:
    """The name of the master and the database."""
    master = None
    if kind == "sentinel":
        if not parts or not _NAME.fullmatch(parts[0]):
            raise ValueError("no name of a master: write redis+sentinel://HOST,HOST/MASTER")
        master = parts.pop(0)
    if not parts:
        return master, 0
    if kind == "cluster" or len(parts) > 1 or not parts[0].isdecimal() or len(parts[0]) > 5:
        raise ValueError("the path is a database's number, and nothing in a cluster, which has only one")
    return master, int(parts[0])


def _host(text: str, port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if found is None or (found[2] is not None and not 0 < int(found[2]) <= 65535):
        raise ValueError("a host that is none: write HOST or HOST:PORT, an IPv6 address in brackets")
    return found[1].strip("[]"), port if found[2] is None else int(found[2])
