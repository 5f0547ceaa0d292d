"""GET /events/ID: what became of an event. For those who have a key: `wws keys create --name ops`."""

from wws import Response

config = {"auth": "required"}


async def get(request, env, ctx):
    text = await env.EVENTS.get(ctx.params["id"])
    return Response.json({"error": "not there (yet)"}, 404) if text is None else Response.json({"event": text})
