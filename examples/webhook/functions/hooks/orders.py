"""POST /hooks/orders: checks the signature, puts the event into a queue, and answers at once."""

from wws import Refusal, Response

from .._signature import valid

config = {"auth": "none", "limit": "600/min"}


async def post(request, env, ctx):
    body = await request.bytes()
    if not valid(env.WEBHOOK_SECRET, request.headers.get("x-signature"), body):
        return Response.json({"error": "the signature is not good"}, 401)
    event = await request.json()
    if not isinstance(event, dict) or not isinstance(event.get("id"), str):
        raise Refusal("unprocessable", "An event has an id.")
    await env.INCOMING.send(event)
    return Response.json({"accepted": event["id"]}, 202)
