from pathlib import Path
from urllib.parse import urlsplit

from wws.testing import App


async def drop(app, text, minutes):
    answer = await app.fetch("/drops", json={"text": text, "minutes": minutes})
    assert answer.status == 201
    return urlsplit(answer.json()["url"]).path


async def test_what_has_ended_is_removed_and_nothing_else():
    async with App(Path(__file__).parent) as app:
        short, long = await drop(app, "short", 1), await drop(app, "long", 600)
        await app.scheduled("_tidy")
        assert (await app.fetch(short)).text == "short"
        # As if the minute were over: the end stands in the key.
        page = await app.env.DROPS.list("end:")
        await app.env.DROPS.delete(page.keys[0])
        await app.env.DROPS.put(f"end:000000000001:{short.rpartition('/')[2]}", "")
        await app.scheduled("_tidy")
        assert (await app.fetch(short)).status == 404
        assert (await app.fetch(long)).text == "long"
        assert len((await app.env.DROPS.list("")).keys) == 2


async def test_more_than_a_page_of_them():
    async with App(Path(__file__).parent) as app:
        for number in range(1100):
            await app.env.DROPS.put(f"end:000000000001:{number}", "")
        await app.scheduled("_tidy")
        assert (await app.env.DROPS.list("")).keys == []


async def test_what_cannot_be_left():
    async with App(Path(__file__).parent) as app:
        for body in ({}, {"text": 1}, {"text": "x", "minutes": 0}, {"text": "x", "minutes": 100_000}, []):
            assert (await app.fetch("/drops", json=body)).status == 422
