"""What a stored answer is found by (RFC 9111 sections 2 and 4.1), and whose it is.

A key is `v1|site|scheme|authority|method|path|query|partition|vary values`, every part with its length in front so that no
two lists of parts give one key, hashed because stores bound their keys (Cloudflare KV: 512 bytes, Deno KV: 2 KiB).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

__all__ = ["PUBLIC", "STORED_PREFIX", "digest", "recipe", "subject", "tenant"]

PUBLIC: Final = "public"
STORED_PREFIX: Final = "v1:cache:"
"""What the names of cached answers begin with in a store, which may drop any of them when it has no room."""


def tenant(id: str) -> str:
    """The partition that the users of one tenant share."""
    return f"tenant:{id}"


def subject(id: str, pepper: bytes) -> str:
    """The partition of one verified user. Keyed, so that a stored key does not tell whose it is."""
    return "sub:" + hashlib.blake2b(id.encode(), key=pepper[:64], digest_size=16).hexdigest()


def recipe(
    site: str,
    scheme: str,
    authority: str,
    method: str,
    path: str,
    query: str,
    vary: Sequence[tuple[bytes, bytes | None]] = (),
    partition: str = PUBLIC,
) -> str:
    """The parts as one text; different parts never give the same one.

    `site` is the address that the route leads to. `scheme` and `authority` are those the client asked for: an origin is told
    them in `X-Forwarded-Proto` and `X-Forwarded-Host`, so its answer may depend on them, and only what is in the key may
    change an answer. `path` and `query` are raw: nothing is sorted, decoded or dropped. `vary` holds the selecting
    fields with their values, None for one that the request lacks.
    """
    host = authority.lower()
    text = (
        f"v1|{len(site)}:{site}|{len(scheme)}:{scheme}|{len(host)}:{host}|{len(method)}:{method}|{len(path)}:{path}"
        f"|{len(query)}:{query}|{len(vary)}|{len(partition)}:{partition}"
    )
    for name, value in vary:
        text += f"|{len(name)}:{name.decode('latin-1')}"
        text += "|-" if value is None else f"|{len(value)}:{value.decode('latin-1')}"
    return text


def digest(text: str) -> str:
    """SHA-256 of a recipe, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
