"""Secrets of `wws secrets`: encrypted at rest in `.wws/secrets.json`, read when a project is loaded.

    {"format": 1, "secrets": {NAME: {"nonce": ..., "data": ..., "updated": seconds}}}

Each value is sealed by AES-256-GCM (NIST SP 800-38D) with a nonce of its own and its name as associated data, so that a value
cannot be passed off under another name. The key is derived from `WWS_SECRETS_KEY` (HKDF, RFC 5869), or is the file
`.wws/secrets.key`, which is made at the first use and readable to its owner only.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from wws.errors import ConfigError, Problem

__all__ = ["FILE", "KEY_FILE", "VARIABLE", "Stored", "Vault", "read_secrets"]

FILE = Path(".wws") / "secrets.json"
KEY_FILE = Path(".wws") / "secrets.key"
VARIABLE = "WWS_SECRETS_KEY"
LARGEST = 64 * 1024
"""Bytes of a value: a certificate chain is a tenth of it."""
SHORTEST = 16
"""Characters of a key that is given: anything shorter is guessed rather than found."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_NONCE = 12  # bytes: what SP 800-38D section 5.2.1.1 recommends


class Stored(NamedTuple):
    """A secret as it is listed; `updated` is in seconds since 1970."""

    name: str
    updated: float


def read_secrets(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Every secret of the project in `home`; none without the file. Raises `ConfigError`."""
    vault = Vault(home, environ)
    return vault.reveal() if vault.exists() else {}


class Vault:
    """The secrets of the project in `home`. Raises `ConfigError` when the file or the key cannot be used."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self._file = home / FILE
        self._key_file = home / KEY_FILE
        self._environ = environ

    def exists(self) -> bool:
        """Whether there is a file of secrets."""
        return self._file.exists()

    def names(self) -> list[Stored]:
        """The names, in order; no key is needed for them."""
        return [Stored(name, float(sealed["updated"])) for name, sealed in sorted(self._read().items())]

    def reveal(self) -> dict[str, str]:
        """All names with their values."""
        sealed = self._read()
        if not sealed:
            return {}
        box = self._box(make=False)
        return {name: self._open(box, name, value) for name, value in sealed.items()}

    def put(self, name: str, value: str, now: float) -> bool:
        """Adds or replaces a secret; whether it was there. `ValueError` for a name or value that cannot be one."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name; allowed: letters, digits and _, as in ${{NAME}}")
        data = value.encode()
        if not value or len(data) > LARGEST or "\0" in value:
            raise ValueError(f"a value has 1 to {LARGEST} bytes and no NUL")
        with self._changing() as sealed:
            if sealed:
                self.reveal()  # one key for all: with another one the file could never be read again
            nonce = secrets.token_bytes(_NONCE)
            there = name in sealed
            box = self._box(make=not sealed)
            sealed[name] = {"nonce": _text(nonce), "data": _text(box.encrypt(nonce, data, name.encode())), "updated": now}
        return there

    def delete(self, name: str) -> bool:
        """Removes a secret; whether it was there."""
        with self._changing() as sealed:
            return sealed.pop(name, None) is not None

    def _box(self, make: bool) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 30 ms, which only a project with secrets pays

        return AESGCM(self._key(make))

    def _key(self, make: bool) -> bytes:
        given = self._environ.get(VARIABLE, "")
        if given:
            if len(given) < SHORTEST:
                raise _refuse(VARIABLE, f"shorter than {SHORTEST} characters; make one with: openssl rand -hex 32")
            return _derived(given.encode())
        try:
            if not self._key_file.exists() and make:
                _create(self._key_file, b64encode(secrets.token_bytes(32)) + b"\n")
            if self._key_file.stat().st_mode & 0o077:
                raise _refuse(str(self._key_file), "others may read it; say: chmod 600")
            key = b64decode(self._key_file.read_bytes().strip(), validate=True)
        except FileNotFoundError:
            raise _refuse(
                str(self._key_file), f"is missing: restore it or set {VARIABLE}; the secrets cannot be read without"
            ) from None
        except (OSError, ValueError) as error:
            raise _refuse(str(self._key_file), f"cannot be used: {error}") from None
        if len(key) != 32:
            raise _refuse(str(self._key_file), "is not 32 bytes in base64: restore it")
        return key

    def _open(self, box: Any, name: str, sealed: dict[str, Any]) -> str:
        from cryptography.exceptions import InvalidTag

        try:
            return str(box.decrypt(b64decode(sealed["nonce"]), b64decode(sealed["data"]), name.encode()).decode())
        except (InvalidTag, KeyError, ValueError, TypeError):
            where = VARIABLE if self._environ.get(VARIABLE) else str(self._key_file)
            raise _refuse(
                str(self._file), f"{name} cannot be decrypted: {where} is another key, or the file was changed"
            ) from None

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self._file.read_bytes())
            sealed: dict[str, dict[str, Any]] = found["secrets"]
            if found["format"] != 1 or any(not {"nonce", "data", "updated"} <= one.keys() for one in sealed.values()):
                raise ValueError("not of format 1")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _refuse(
                str(self._file), f"cannot be read ({error}): restore it, or remove it and put the secrets anew"
            ) from None
        return sealed

    @contextmanager
    def _changing(self) -> Iterator[dict[str, dict[str, Any]]]:
        """What the file holds, to be changed, alone; written as a whole at the end of the block."""
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _refuse(str(self._file), f"cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            sealed = self._read()
            yield sealed
            _replace(self._file, json.dumps({"format": 1, "secrets": sealed}, indent=2).encode())
        finally:
            os.close(lock)


def _derived(given: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, None, b"wws secrets").derive(given)


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _create(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, data: bytes) -> None:
    handle, draft = tempfile.mkstemp(prefix=".secrets-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        os.unlink(draft)
        raise _refuse(str(path), f"cannot be written: {error.strerror}") from None


def _refuse(where: str, message: str) -> ConfigError:
    return ConfigError([Problem(where, None, "", message)])
