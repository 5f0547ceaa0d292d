"""Where a listener listens: `host:port`, `[::1]:port` or `unix:/path`."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

__all__ = ["ALLOWED", "Address", "address"]

ALLOWED = '"host:port", "[::1]:port" or "unix:/path/to.sock"'
MAX_UNIX = 104
"""Bytes of a socket's path: 108 with the final NUL on Linux (unix(7)), 104 on macOS and the BSDs."""

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on


class Address(NamedTuple):
    """A parsed address. `unix` is a socket's path, and host and port mean nothing then. Port 0 lets the system choose."""

    host: str
    port: int
    unix: str | None = None

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def everywhere(self) -> bool:
        """Whether it is a wildcard: every address of the machine."""
        return self.unix is None and self.host in _ANYWHERE

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.unix is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def collides(self, other: Address) -> bool:
        """Whether the two cannot both be listened on."""
        if self.unix is not None or other.unix is not None:
            return self.unix == other.unix
        same_host = self.host == other.host or self.everywhere or other.everywhere
        return same_host and self.port == other.port != 0


def address(text: str) -> Address:
    """Parses an address. Raises `ValueError` for what is none."""
    if text.startswith("unix:"):
        path = text[5:]
        if not path or "\0" in path or path.endswith("/"):
            raise ValueError("names no socket: write unix:/path/to.sock")
        if len(path.encode()) >= MAX_UNIX:
            raise ValueError(f"the socket's path is longer than {MAX_UNIX - 1} bytes, which the system does not take")
        return Address("", 0, path)
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError("has no port from 0 to 65535 at its end")
    return Address(_host(host), int(port))


def _host(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        return str(ipaddress.IPv6Address(text[1:-1]))
    if ":" in text:
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:8787")
    if not text:
        raise ValueError("has no host: 127.0.0.1 for this machine only, 0.0.0.0 or [::] for everyone")
    if not _HOST.fullmatch(text):
        raise ValueError("the host is not a name or an address")
    if re.fullmatch(r"[0-9.]+", text):
        return str(ipaddress.IPv4Address(text))
    return text
