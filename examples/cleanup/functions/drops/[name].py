"""GET /drops/NAME"""

from wws import Refusal, Response

config = {"auth": "none"}


async def get(request, env, ctx):
    text = await env.DROPS.get(f"text:{ctx.params['name']}")
    if text is None:
        raise Refusal("not_found", "It is gone, or never was.")
    return Response.text(text, headers={"cache-control": "no-store"})
