"""The two pages. In a real project these would be the web application's: [origin] in wws.toml."""

from wws import Refusal, Response

config = {"auth": "none", "cache": {"fresh": "5m", "stale": "1h", "per": "public"}}
PAGES = {"a": "<h1>Checkout</h1>", "b": "<h1>Checkout, all on one page</h1>"}


async def get(request, env, ctx):
    page = PAGES.get(ctx.params["variant"])
    if page is None:
        raise Refusal("not_found")
    return Response.html(page)
