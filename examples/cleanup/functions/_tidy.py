"""Every ten minutes: what is past its end goes."""

import time


async def scheduled(event, env, ctx):
    now, gone = time.time(), 0
    page = await env.DROPS.list("end:")
    while True:
        for key in page.keys:
            _, end, name = key.split(":", 2)
            if int(end) > now:  # and so are all after it
                print(f"{gone} drops removed")
                return
            await env.DROPS.delete(f"text:{name}")
            await env.DROPS.delete(key)
            gone += 1
        if page.cursor is None:
            print(f"{gone} drops removed")
            return
        page = await env.DROPS.list("end:", cursor=page.cursor)
