"""POST /drops: leaves a text for as many minutes as it says, and tells where."""

import secrets
import time

from wws import Refusal, Response

config = {"auth": "none", "limit": "30/min"}
MOST = 24 * 60


async def post(request, env, ctx):
    body = await request.json()
    text, minutes = (body.get("text"), body.get("minutes", 60)) if isinstance(body, dict) else (None, 0)
    if not isinstance(text, str) or not isinstance(minutes, int) or not 1 <= minutes <= MOST:
        raise Refusal("unprocessable", f'Send {{"text": "...", "minutes": 1 to {MOST}}}.')
    name = secrets.token_urlsafe(12)
    # Zeros in front, so that names are in the order in which they end.
    await env.DROPS.put(f"text:{name}", text)
    await env.DROPS.put(f"end:{int(time.time()) + minutes * 60:012d}:{name}", "")
    return Response.json({"url": f"{request.url.origin}/drops/{name}"}, 201)
