"""Talking to the admin listener of a running gateway, here or on another machine."""

from __future__ import annotations

import json
import os
import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

import typer

from wws.cli.launch import locate_file
from wws.errors import ConfigError, Problem, WwsError
from wws.project.address import Address
from wws.project.environment import read_environment
from wws.project.load import examine

__all__ = ["AdminUrl", "Remote", "RemoteError"]

TOKEN = "WWS_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
_PATIENCE = 120.0  # seconds: a deployment loads the code of every function

AdminUrl = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="WWS_ADMIN_URL",
        metavar="URL",
        help="The gateway's admin listener; server.admin of wws.toml when not given.",
        show_default=False,
    ),
]


class RemoteError(WwsError):
    """The gateway could not be asked, or did not do it. `problems` are its reasons."""

    def __init__(self, message: str, problems: list[dict[str, Any]] | None = None) -> None:
        self.problems = problems or []
        lines = [message, *[_line(one) for one in self.problems]]
        super().__init__("\n  ".join(lines))


def _line(problem: dict[str, Any]) -> str:
    return str(Problem(str(problem["file"]), problem["line"], str(problem["key"]), str(problem["message"])))


class Remote:
    """The admin API at `url`, or that of the project's own gateway.

    The token is that of `WWS_ADMIN_TOKEN`, else the one of [admin] in wws.toml. Raises `ConfigError` without one.
    """

    def __init__(self, url: str | None, config: Path | None) -> None:
        path, _ = locate_file(config, os.environ)
        found = examine(path, environ=os.environ, allow_missing=True).project if path.exists() else None
        problems: list[Problem] = []
        token = read_environment(path.parent, os.environ, problems).get(TOKEN)
        if token is None and found is not None and found.admin.tokens:
            token = next(iter(found.admin.tokens.values())).reveal()
        if token is None:
            raise ConfigError(
                [Problem(TOKEN, None, "", "not set in the environment or .dev.vars: the gateway wants its [admin] token")]
            )
        self._token = token
        unix: str | None = None
        if url is None:
            if found is None or found.server.admin is None:
                raise ConfigError([Problem(str(path), None, "server.admin", "tells no address; give one with --url")])
            url, unix = _own(found.server.admin), found.server.admin.unix
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError([Problem("--url", None, "", f"found {url}; allowed: https://..., or http://... on this machine")])
        if parts.scheme == "http" and not (unix or Address(parts.hostname, 0).local):
            raise ConfigError(
                [
                    Problem(
                        "--url",
                        None,
                        "",
                        f"found {url}; allowed: https, or http on this machine: the token would pass in the clear",
                    )
                ]
            )
        self._secure, self._host, self._base = parts.scheme == "https", parts.netloc, parts.path.rstrip("/")
        self._unix = unix
        self.url = url

    def ask(self, method: str, path: str, body: bytes | dict[str, Any] | None = None, **query: object) -> Any:
        """The answer's JSON. Raises `RemoteError` with the gateway's own words when it is not done."""
        response = self.open(method, path, body, **query)
        try:
            return json.loads(response.read())
        except (ValueError, OSError, HTTPException):
            raise RemoteError(f"{self.url} does not answer as a gateway's admin listener does") from None
        finally:
            response.close()

    def open(self, method: str, path: str, body: bytes | dict[str, Any] | None = None, **query: object) -> HTTPResponse:
        """The answer while it arrives, which is a good one. Raises `RemoteError`."""
        given = {name: value for name, value in query.items() if value is not None}
        target = f"{self._base}{path}" + (f"?{urlencode(given, doseq=True)}" if given else "")
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection = self._connection()
        try:
            connection.request(method, target, data, {"Authorization": f"Bearer {self._token}", "Connection": "close"})
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            connection.close()
            raise RemoteError(f"{self.url} cannot be asked: {str(error) or type(error).__name__}") from None
        if response.status >= 300:
            raise _refused(self.url, response)
        return response

    def _connection(self) -> HTTPConnection:
        if self._secure:
            return HTTPSConnection(self._host, timeout=_PATIENCE, context=ssl.create_default_context())
        return HTTPConnection(self._host, timeout=_PATIENCE) if self._unix is None else _Unix(self._unix)


def _own(address: Address) -> str:
    """The URL of a listener on this machine."""
    host = "127.0.0.1" if address.everywhere else address.host
    return "http://localhost" if address.unix else f"http://{address._replace(host=host)}"


class _Unix(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(self._path)


def _refused(url: str, response: HTTPResponse) -> RemoteError:
    try:
        told = json.loads(response.read(1 << 20))
        return RemoteError(str(told["detail"]), told.get("problems"))
    except (ValueError, KeyError, TypeError, OSError, HTTPException):
        return RemoteError(f"{url} answers {response.status} {response.reason}: this is no admin listener of a gateway")
    finally:
        response.close()
