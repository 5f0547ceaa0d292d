"""Whose request is this, by address: the peer, or what a trusted proxy says of it."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks of CIDR texts or single addresses; `ValueError` names the one that is none."""
    return tuple(ip_network(text, strict=False) for text in texts)


def trusted(address: str, proxies: tuple[Network, ...]) -> bool:
    """Whether `address` is one of the configured proxies."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in proxies)


def client_address(peer: str, forwarded_for: Sequence[str], proxies: tuple[Network, ...]) -> str:
    """The address nearest to the client that a trusted hop vouches for; "" when there is none.

    `forwarded_for` are the values of every X-Forwarded-For field in order: text anyone may write. It is walked from the
    right, past configured proxies only, and not at all when the peer is no configured proxy.
    """
    if not proxies or not trusted(peer, proxies):
        return peer
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    address = peer
    for hop in reversed(hops):
        try:
            if "%" in hop:  # a zone (RFC 4007) is a word of another machine, of any letters
                return address
            ip_address(hop)
        except ValueError:
            return address  # beyond this entry nothing can be vouched for
        address = hop
        if not trusted(hop, proxies):
            break
    return address
