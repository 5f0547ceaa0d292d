"""Whom a count is kept for: a verified user, else the client's address."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

__all__ = ["UNKNOWN", "address", "user"]

UNKNOWN: Final = "a.unknown"
"""Clients without an address share one bucket: whoever hides it gets no count of their own."""


def user(id: str) -> str:
    """The subject of a verified user. Colons are escaped: they part the pieces of a key."""
    if ":" in id or "%" in id:
        id = id.replace("%", "%25").replace(":", "%3A")
    return "u." + id


@lru_cache(maxsize=8192)
def address(client: str) -> str:
    """The subject of an address as text.

    An IPv6 client owns at least a /64 (RFC 6177 section 2) and could count anew from each of its addresses, so the /64 is the
    subject. An IPv4-mapped address (RFC 4291 section 2.5.5.2) is the IPv4 one.
    """
    try:
        if ":" not in client:
            return f"a.{IPv4Address(client)}"
        six = IPv6Address(client.partition("%")[0])
    except AddressValueError:
        return UNKNOWN
    if six.ipv4_mapped is not None:
        return f"a.{six.ipv4_mapped}"
    return f"a.{six.packed[:8].hex()}"
