"""/visits/NAME: GET tells how often, DELETE forgets."""

from wws import Response

config = {"auth": "none"}


async def get(request, env, ctx):
    visits = await env.VISITS.get(ctx.params["name"])
    if visits is None:
        return Response.json({"error": "nobody of this name was here"}, 404)
    return Response.json({"name": ctx.params["name"], "visits": int(visits)})


async def delete(request, env, ctx):
    await env.VISITS.delete(ctx.params["name"])
    return Response(status=204)
