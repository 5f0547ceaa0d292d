"""What is done with an event, behind the answer. A message may come twice, so the event's id decides."""


async def queue(batch, env, ctx):
    for message in batch.messages:
        event = message.body
        if await env.EVENTS.get(event["id"]) is None:
            await env.EVENTS.put(event["id"], f"order {event.get('order', '?')} {event.get('state', 'changed')}", 30 * 86400)
