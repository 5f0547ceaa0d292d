"""POST /api/chat: {"messages": [...]}; the answer as it comes, as server-sent events {"text": ...}."""

from wws import Refusal, Response, UpstreamError

config = {"auth": "none", "limit": "20/min"}
ROLES = {"user", "assistant"}
MOST = 20  # messages of a conversation that are sent along
SYSTEM = {"role": "system", "content": "You are brief and friendly."}


async def post(request, env, ctx):
    body = await request.json()
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list) or not messages or not all(map(acceptable, messages)):
        raise Refusal("unprocessable", 'Send {"messages": [{"role": "user", "content": "..."}]}.')
    chunks = await env.ai.chat(messages=[SYSTEM, *messages[-MOST:]], stream=True)
    return Response.sse(texts(chunks))


def acceptable(message):
    return isinstance(message, dict) and message.get("role") in ROLES and isinstance(message.get("content"), str)


async def texts(chunks):
    try:
        async for chunk in chunks:
            for choice in chunk.get("choices", ()):
                if text := choice.get("delta", {}).get("content"):
                    yield {"text": text}
    except UpstreamError:
        yield {"text": " [the answer broke off]"}
