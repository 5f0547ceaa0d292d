"""GET /checkout: sends a visitor to /checkout/a or /checkout/b, and always to the same."""

import re
import secrets

from wws import Response

from ._variant import variant

config = {"auth": "none", "limit": "300/min"}
COOKIE = "visitor"
KNOWN = re.compile(r"[A-Za-z0-9_-]{22}")


async def get(request, env, ctx):
    visitor = request.cookies.get(COOKIE, "")
    new = KNOWN.fullmatch(visitor) is None
    if new:
        visitor = secrets.token_urlsafe(16)
    chosen = variant(visitor, env.EXPERIMENT, env.SHARE_B)
    target = f"/checkout/{chosen}" + (f"?{request.query_string}" if request.query_string else "")
    response = Response.redirect(target, 302)
    response.headers.set("cache-control", "no-store")
    if new:
        response.set_cookie(COOKIE, visitor, max_age=90 * 86400)
        ctx.wait_until(env.SEEN.put(f"{env.EXPERIMENT}:{chosen}:{visitor}", "1", 90 * 86400))
    return response
