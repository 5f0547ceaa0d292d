"""The functions folder of the scenarios' project."""

from __future__ import annotations

__all__ = ["FILES"]

FILES = {
    "fn/hello.py": """
        from lib.words import greeting
        from wws import Response

        config = {"auth": "none", "limit": "1000/min"}

        async def fetch(request, env, ctx):
            visits = int(await env.VISITS.get("all") or 0) + 1
            await env.VISITS.put("all", str(visits))
            return Response.json({"hello": greeting(request), "visits": visits, "at": env.REGION, "token": env.TOKEN})
    """,
    "lib/words.py": "def greeting(request):\n    return request.query.get('name', 'world')\n",
    "fn/me.py": """
        from wws import Response

        config = {"auth": "required"}

        async def fetch(request, env, ctx):
            return Response.json({"user": ctx.user.id, "request": ctx.request_id})
    """,
    "fn/later.py": """
        from wws import Response

        async def fetch(request, env, ctx):
            key = request.query["key"]
            ctx.wait_until(env.VISITS.put(key, "put behind the answer"))
            return Response.text(await env.VISITS.get(key) or "nothing yet")
    """,
    "fn/api/_middleware.py": """
        async def fetch(request, env, ctx):
            response = await ctx.next()
            response.headers.set("x-middleware", "was here")
            return response
    """,
    "fn/api/[id].py": """
        import asyncio
        from ._suffix import SUFFIX
        from wws import Response

        async def get(request, env, ctx):
            async with asyncio.timeout(5):
                await asyncio.sleep(0)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(0, ctx.params["id"]))
            return Response.text(task.result() + SUFFIX)
    """,
    "fn/api/_suffix.py": "SUFFIX = '!'\n",
    "fn/files/[...rest].py": """
        from wws import Response

        async def fetch(request, env, ctx):
            return Response.json(ctx.params)
    """,
    "fn/counting.py": """
        from wws import Response

        async def fetch(request, env, ctx):
            async def numbers():
                for number in range(3):
                    yield {"n": number}
            return Response.sse(numbers())
    """,
    "fn/chance.py": """
        import secrets
        from wws import Response

        NUMBER = secrets.token_hex(4)

        async def fetch(request, env, ctx):
            return Response.text(NUMBER)
    """,
    "fn/raises.py": "async def fetch(request, env, ctx):\n    return {}['secret key']\n",
    "fn/imports.py": "raise ValueError('at import')\nasync def fetch(request, env, ctx):\n    return None\n",
    "fn/echo.py": """
        from wws import Response

        async def post(request, env, ctx):
            return Response.json({"got": await request.json()})
    """,
}
