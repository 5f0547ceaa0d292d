from pathlib import Path

from wws import Response
from wws.testing import App

SOURCE = "https://upload.wikimedia.org/wikipedia/commons"


async def test_a_picture_is_fetched_once():
    async with App(Path(__file__).parent) as app:
        app.outside[f"{SOURCE}/a/b.png"] = Response(b"\x89PNG", headers={"content-type": "image/png", "set-cookie": "track=1"})
        first, second = await app.fetch("/images/a/b.png"), await app.fetch("/images/a/b.png")
        assert first.body == second.body == b"\x89PNG"
        assert "hit" in second.headers["cache-status"] and "set-cookie" not in second.headers
        assert len(app.outside.requests) == 1


async def test_what_is_no_picture_does_not_come_through():
    async with App(Path(__file__).parent) as app:
        app.outside[f"{SOURCE}/page"] = Response.html("<script>")
        app.outside[f"{SOURCE}/x.svg"] = Response("<svg/>", headers={"content-type": "image/svg+xml"})
        app.outside[f"{SOURCE}/gone.png"] = Response(status=404)
        assert [(await app.fetch(f"/images/{name}")).status for name in ("page", "x.svg", "gone.png")] == [502, 502, 404]


async def test_the_path_stays_below_the_source():
    async with App(Path(__file__).parent) as app:
        assert (await app.fetch("/images/../secret")).status == 400
        assert (await app.fetch("/images/%2e%2e/secret")).status == 400
        assert app.outside.requests == []
