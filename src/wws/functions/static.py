"""Files of the public folder as answers: with validators, ranges, and the encodings that lie beside them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote

from wws.bindings import Context, Env
from wws.core.cache import httpdate
from wws.core.wire import files
from wws.errors import Refusal
from wws.http import Headers, Pair, Request, Response, Stream

__all__ = ["Files", "has_file", "serve_file"]

_log = logging.getLogger("wws.static")
_METHODS: Final = ("GET", "HEAD")
_FRESH: Final = b"public, max-age=0, must-revalidate"


class Files(Protocol):
    """What a host lends for files. An asset is a `wws.project.public.Asset`."""

    @property
    def missing(self) -> Any:
        """The asset of the page for what is not there, or None."""
        ...

    def find(self, path: str) -> Any:
        """The asset of a decoded path, or None."""
        ...

    async def read(self, file: Path, size: int, start: int, end: int) -> bytes | Stream:
        """Bytes `start` to `end` of a file. Raises `OSError` and `ValueError`."""
        ...


def has_file(request: Request, env: Env) -> bool:
    """Whether there is a file for this request."""
    assets: Files | None = env.wws.assets
    return assets is not None and request.method in _METHODS and assets.find(unquote(request.path)) is not None


async def serve_file(request: Request, env: Env, ctx: Context) -> Response:
    """The file of a path, or the project's page for what is not there. Raises `Refusal`."""
    assets: Files | None = env.wws.assets
    if request.method not in _METHODS:
        raise Refusal("method_not_allowed", allow=_METHODS)
    asset = None if assets is None else assets.find(unquote(request.path))
    if assets is None or (asset is None and assets.missing is None):
        raise Refusal("not_found")
    if asset is None:
        return await _sent(request, env, assets, assets.missing, 404)
    if asset.redirect is not None:
        target = quote(asset.redirect) + (f"?{request.query_string}" if request.query_string else "")
        return Response.redirect(target, 308)
    return await _sent(request, env, assets, asset, 200)


async def _sent(request: Request, env: Env, assets: Files, asset: Any, status: int) -> Response:
    first, now = request.headers.first, env.wws.clock.time()
    headers: list[Pair] = [(b"content-type", asset.type), (b"x-content-type-options", b"nosniff"), (b"cache-control", _FRESH)]
    file, size, etag = asset.file, asset.size, asset.etag
    if asset.variants:
        headers.append((b"vary", b"accept-encoding"))
        sizes = {coding: length for coding, (_, length) in asset.variants.items()}
        coding = None if b"range" in first else files.choose(first.get(b"accept-encoding"), sizes)
        if coding is not None:
            file, size = asset.variants[coding]
            etag = etag[:-1] + b"-" + coding.encode() + b'"'  # RFC 9110 section 8.8.3.3: each encoding has its own
            headers.append((b"content-encoding", coding.encode()))
    start, end = 0, size - 1
    if status == 200:
        headers += [(b"etag", etag), (b"last-modified", httpdate.render(asset.modified)), (b"accept-ranges", b"bytes")]
        if files.unchanged(first, etag, asset.modified, now):
            return Response(None, 304, Headers.trusted([pair for pair in headers if pair[0] not in _OF_CONTENT]))
        part = files.part(first, size, etag, asset.modified, now) if request.method == "GET" else None
        if part is not None:
            if part.end < part.start:
                return Response(None, 416, Headers.trusted([(b"content-range", b"bytes */%d" % size)]))
            status, (start, end) = 206, part
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end, size)))
    response = Response(None, status, Headers.trusted(headers))
    response.length = end - start + 1
    if request.method == "GET":
        try:
            response.body = await assets.read(file, size, start, end)
        except (OSError, ValueError) as error:
            _log.error("%s cannot be sent: %s", request.path, error)
            raise Refusal("internal_error") from None
    return response


_OF_CONTENT: Final = frozenset({b"content-type", b"content-encoding", b"accept-ranges"})
