"""GET /hello?name=you"""

from wws import Response

config = {"auth": "none", "limit": "60/min"}


async def fetch(request, env, ctx):
    name = request.query.get("name", "world")[:100]
    visits = int(await env.VISITS.get(name) or 0) + 1
    ctx.wait_until(env.VISITS.put(name, str(visits)))
    return Response.json({"hello": name, "visits": visits})
