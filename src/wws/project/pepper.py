"""The pepper: the deployment's secret, which keys every digest in the store. A new one ends all sessions and API keys."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from wws.errors import ConfigError, Problem

__all__ = ["FILE", "LENGTH", "VARIABLE", "pepper"]

VARIABLE = "WWS_PEPPER"
FILE = "pepper"
LENGTH = 32
"""Bytes of one made here: a key of HMAC-SHA-256 as long as its output (RFC 2104 section 3)."""
SHORTEST = 16
"""Bytes of one that is given: anything shorter is guessed rather than found."""


def pepper(store_url: str, folder: Path, environ: Mapping[str, str]) -> bytes:
    """The pepper of the project in `folder`.

    `WWS_PEPPER` where it is set; else the file `pepper` in the store's own folder, made at the first start with mode 0600; for
    `memory:`, which keeps nothing, a new one each time. Raises `ConfigError` when it is too short or cannot be read or written.
    """
    given = environ.get(VARIABLE, "").encode()
    if given:
        if len(given) < SHORTEST:
            raise _refuse(VARIABLE, f"shorter than {SHORTEST} bytes; make one with: openssl rand -hex 32")
        return given
    scheme, _, rest = store_url.partition(":")
    if scheme == "memory":
        return secrets.token_bytes(LENGTH)
    if scheme != "lmdb":
        raise _refuse(VARIABLE, "not set: a store shared by several machines needs the same one on each")
    file = folder / rest.partition("?")[0] / FILE
    try:
        return _kept(file)
    except OSError as error:
        raise _refuse(str(file), f"cannot be read or written: {error.strerror}") from None


def _kept(file: Path) -> bytes:
    """The file's pepper, made when there is none. Of several processes that start at once, all get the one of the first."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(file)
    value = file.read_bytes()
    if len(value) != LENGTH:
        raise _refuse(str(file), f"{len(value)} bytes long instead of {LENGTH}: restore it, or remove it and make new API keys")
    return value


def _create(file: Path) -> None:
    """Writes a whole file and then gives it its name, which `link` refuses when the name is taken."""
    handle, draft = tempfile.mkstemp(prefix=".pepper-", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(secrets.token_bytes(LENGTH))
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)


def _refuse(where: str, message: str) -> ConfigError:
    return ConfigError([Problem(where, None, "", message)])
