from pathlib import Path

from wws.testing import App


async def visit(app, cookie=None):
    answer = await app.fetch("/checkout?ref=mail", headers={"cookie": cookie} if cookie else {})
    assert answer.status == 302
    return answer


async def test_a_visitor_always_sees_the_same():
    async with App(Path(__file__).parent) as app:
        first = await visit(app)
        cookie = first.headers["set-cookie"].partition(";")[0]
        again = [await visit(app, cookie) for _ in range(5)]
        assert {answer.headers["location"] for answer in again} == {first.headers["location"]}
        assert first.headers["location"].endswith("?ref=mail")
        assert all("set-cookie" not in answer.headers for answer in again)


async def test_the_share_is_about_what_it_says():
    async with App(Path(__file__).parent) as app:
        chosen = [(await visit(app)).headers["location"] for _ in range(250)]
        assert 40 < sum("/b?" in target for target in chosen) < 115  # of 250 visitors 75, give or take
        await app.drain()
        assert len((await app.env.SEEN.list("checkout-2026:b:")).keys) == sum("/b?" in target for target in chosen)


async def test_a_cookie_of_somebodys_own_making_is_replaced():
    async with App(Path(__file__).parent) as app:
        assert "set-cookie" in (await visit(app, "visitor=../../etc")).headers


async def test_the_pages_are_kept():
    async with App(Path(__file__).parent) as app:
        assert "Checkout" in (await app.fetch("/checkout/b")).text
        assert "hit" in (await app.fetch("/checkout/b")).headers["cache-status"]
        assert (await app.fetch("/checkout/c")).status == 404
