"""Who may change something: a bearer token of `[admin]`, compared in constant time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b, sha256
from hmac import compare_digest
from ipaddress import ip_address
from typing import NamedTuple

from wws.admin.answers import NotDone
from wws.http import Request
from wws.project.secret import Secret

__all__ = ["Access", "Who", "is_loopback", "on_loopback"]

_CHALLENGE = 'Bearer realm="wws-admin"'


def is_loopback(authority: str) -> bool:
    """Whether a host, with a port or none, is this machine's own name or address. RFC 6761 section 6.3: names below
    `localhost` are that."""
    host = authority.rpartition(":")[0] if re.search(r":\d+$", authority) and not authority.endswith("]") else authority
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def on_loopback(listen: str) -> bool:
    """Whether a listener is for this machine alone. One on a unix socket is, too, and is reached by no page."""
    return not listen.startswith("unix:") and is_loopback(listen)


class Who(NamedTuple):
    """Whose token it was: its name in wws.toml, and a digest that tells a token from the one it was replaced by."""

    name: str
    id: str

    def __str__(self) -> str:
        return f"{self.name}:{self.id}"


class Access:
    """The tokens there are just now: a reload may bring others."""

    def __init__(self, tokens: Callable[[], Mapping[str, Secret]]) -> None:
        self._tokens = tokens

    def who(self, request: Request) -> Who:
        """Whose token the request carries. Raises `NotDone`: 403 where there are none, 401 for one that is missing or wrong.

        Every known token is compared, so that the time does not tell which was near.
        """
        tokens = {name: token.reveal().encode() for name, token in self._tokens().items()}
        if not tokens:
            raise NotDone("admin_off", "nothing can be changed here: no [admin] token is configured")
        given = request.headers.get("authorization") or ""
        scheme, _, token = given.partition(" ")
        digest = sha256(token.strip().encode("latin-1")).digest()
        found = [name for name, known in tokens.items() if compare_digest(sha256(known).digest(), digest)]
        if scheme.lower() != "bearer" or not found:
            raise NotDone("admin_token", "send `Authorization: Bearer` with a token of [admin]", www_authenticate=_CHALLENGE)
        return Who(found[0], blake2b(tokens[found[0]], digest_size=4).hexdigest())
