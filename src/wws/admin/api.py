"""The admin API: what is deployed, changing it, and live requests. Every call needs a token.

GET  /api/versions            what is deployed
POST /api/versions?percent=N  a bundle, which becomes the version that answers (N of the callers: a roll-out)
POST /api/rollback            {"version"?}: the version before, or that one
POST /api/rollout             {"percent"}: the share of the version that is being rolled out; 100 ends it
GET  /api/tail                live lines, as wws.admin.tail has them
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from wws import codec
from wws.admin.access import Access, Who
from wws.admin.answers import NotDone, because, not_done
from wws.admin.deployments import Deployments, describe
from wws.admin.tail import Tails
from wws.errors import WwsError
from wws.http import Request, Response

__all__ = ["Api"]

_SMALL: Final = 4096  # bytes of a body that is no bundle
_log = logging.getLogger("wws.admin")

Handler = Callable[[Request, Who], Awaitable[Response]]


class Api:
    """An app for what lies below `/api/` on the admin listener.

    `bundle_limit` is in bytes. Without `deployments` nothing can be deployed.
    """

    def __init__(self, access: Access, deployments: Deployments | None, tails: Tails, bundle_limit: Callable[[], int]) -> None:
        self._access = access
        self._given = deployments
        self._tails = tails
        self._limit = bundle_limit
        self.routes: dict[str, dict[str, Handler]] = {
            "/api/versions": {"GET": self._versions, "POST": self._deploy},
            "/api/rollback": {"POST": self._rollback},
            "/api/rollout": {"POST": self._rollout},
            "/api/tail": {"GET": self._tail},
        }

    @property
    def _deployments(self) -> Deployments:
        if self._given is None:
            raise NotDone("release_conflict", "nothing is deployed to `wws dev` or with --demo: it serves the folder")
        return self._given

    async def __call__(self, request: Request) -> Response:
        try:
            who = self._access.who(request)
            methods = self.routes.get(request.path)
            if methods is None:
                raise NotDone("not_found", f"allowed: {', '.join(self.routes)}")
            handler = methods.get(request.method)
            if handler is None:
                raise NotDone("method_not_allowed", f"allowed: {', '.join(methods)}", allow=", ".join(methods))
            return await handler(request, who)
        except WwsError as error:
            return not_done(because(error))
        except OSError as error:
            _log.exception("a change could not be written")
            return not_done(NotDone("not_written", f"the gateway cannot write: {error.strerror}"))

    async def _versions(self, request: Request, who: Who) -> Response:
        return _told(describe(await self._deployments.state()))

    async def _deploy(self, request: Request, who: Who) -> Response:
        percent = _percent(request.query.get("percent", "100"), least=1)
        data = await request.bytes(
            self._limit() + 8 * 1024 * 1024
        )  # the manifest and the archive's own directory beside the files
        return _told(describe(await self._done(self._deployments.deploy(data, percent, who))))

    async def _rollback(self, request: Request, who: Who) -> Response:
        version = (await _fields(request)).get("version")
        if version is not None and not isinstance(version, str):
            raise NotDone("invalid_request", "version is a text")
        return _told(describe(await self._done(self._deployments.rollback(version, who))))

    async def _rollout(self, request: Request, who: Who) -> Response:
        percent = _percent((await _fields(request)).get("percent"), least=0)
        return _told(describe(await self._done(self._deployments.rollout(percent, who))))

    async def _tail(self, request: Request, who: Who) -> Response:
        return await self._tails.stream(request)

    async def _done(self, change: Any) -> Any:
        """A change goes on to its end when the client goes away in its midst."""
        return await asyncio.shield(asyncio.ensure_future(change))


def _told(value: object) -> Response:
    return Response.json(value, headers={"cache-control": "no-store"})


def _percent(given: object, least: float) -> float:
    try:
        percent = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else -1.0
    except ValueError:
        percent = -1.0
    if not least <= percent <= 100:
        raise NotDone("invalid_request", f"percent is a number from {least:g} to 100")
    return percent


async def _fields(request: Request) -> dict[str, Any]:
    data = await request.bytes(_SMALL)
    if not data:
        return {}
    try:
        fields = codec.decode(data)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise NotDone("invalid_request", "the body is no JSON object")
    return fields
