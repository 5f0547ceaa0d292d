"""GET /images/PATH: a picture of SOURCE, fetched once and kept for an hour, then refreshed behind the answers for a day."""

from urllib.parse import quote

from wws import Refusal, Response

config = {
    "auth": "none",
    "methods": ["GET"],
    "limit": "300/min",
    "cache": {"fresh": "1h", "stale": "24h", "per": "public"},
}
KINDS = {"image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"}  # no SVG: it can hold scripts


async def get(request, env, ctx):
    picture = await env.fetch(f"{env.SOURCE}/{quote(ctx.params['path'])}", timeout=10)
    kind = (picture.headers.get("content-type") or "").partition(";")[0].lower()
    if picture.status == 404:
        raise Refusal("not_found", "There is no such picture.")
    if not picture.ok or kind not in KINDS:
        raise Refusal("origin_malformed", "The source sent no picture.")
    headers = {"content-type": kind, "x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'"}
    return Response(await picture.bytes(), headers=headers)
