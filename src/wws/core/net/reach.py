"""Where a function may fetch from: the public internet, and what the project allows beyond it.

An address that a caller can name must not lead into the network the gateway stands in (OWASP, Server-Side Request Forgery
Prevention Cheat Sheet). Addresses are judged, not names: the host resolves a name, asks here for each address, and connects to
the very address that was judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

__all__ = ["Reach"]

Address = IPv4Address | IPv6Address

# What `is_global` of the standard library takes for public in some of its versions, or is public and yet somebody's inside.
_INSIDE: Final = (
    ip_network("192.0.0.0/24"),  # IETF protocol assignments (RFC 6890); 192.0.0.192 is a metadata service
    ip_network("168.63.129.16/32"),  # Azure's virtual public IP of the host
    ip_network("100.64.0.0/10"),  # RFC 6598; 100.100.100.200 is a metadata service
    ip_network("198.18.0.0/15"),  # RFC 2544
    ip_network("64:ff9b:1::/48"),  # RFC 8215: translation to addresses inside
    ip_network("fec0::/10"),  # site-local, deprecated by RFC 3879
)
_NAT64: Final = ip_network("64:ff9b::/96")  # RFC 6052 section 2.1
_COMPATIBLE: Final = ip_network("::/96")  # RFC 4291 section 2.5.5.1
_NAMES: Final = ("localhost", "local", "internal", "localdomain", "home.arpa")  # RFC 6761, RFC 6762, RFC 8375


class Reach:
    """`allow`: names (`api.internal`, `*.corp.example` for all below it), addresses and networks that may be reached too."""

    __slots__ = ("_names", "_networks", "_suffixes")

    def __init__(self, allow: Iterable[str] = ()) -> None:
        networks: list[IPv4Network | IPv6Network] = []
        names: set[str] = set()
        suffixes: list[str] = []
        for entry in allow:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                name = entry.lower()
                if name.startswith("*."):
                    suffixes.append(name[1:])
                else:
                    names.add(name)
        self._networks = tuple(networks)
        self._names = frozenset(names)
        self._suffixes = tuple(suffixes)

    def named(self, host: str) -> bool:
        """Whether a host is allowed by its name, whatever its address is."""
        host = host.lower().rstrip(".")
        return host in self._names or host.endswith(self._suffixes)

    def refuses_name(self, host: str) -> str | None:
        """Why a name that nobody has resolved may not be asked for, or None."""
        name = host.lower().rstrip(".")
        try:
            return self.refuses(name)
        except ValueError:
            pass
        for inside in _NAMES:
            if name == inside or name.endswith(f".{inside}"):
                return f"a name of the local network ({host})"
        return None if "." in name else f"a name of the local network ({host})"

    def refuses(self, address: str) -> str | None:
        """Why an IP address may not be connected to, or None. Raises `ValueError` for what is no address."""
        found = ip_address(address.partition("%")[0])
        if any(found in network for network in self._networks):
            return None
        inner = _embedded(found)
        if inner is not None and any(inner in network for network in self._networks):
            return None
        for one in (found, inner):
            if one is not None and (reason := _inside(one)) is not None:
                return f"{reason} ({address})"
        return None


def _embedded(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 one leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _inside(address: Address) -> str | None:
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address, where metadata services are"
    if address.is_multicast:
        return "a multicast address"
    if address.is_unspecified:
        return "the unspecified address"
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address in _NAT64):
        return None  # judged by the address inside
    if not address.is_global or any(address in network for network in _INSIDE):
        return "an address of a private network"
    return None
