from pathlib import Path

from wws.testing import App


async def test_visits_are_counted_and_forgotten():
    async with App(Path(__file__).parent) as app:
        assert (await app.fetch("/visits/ada")).status == 404
        for visits in (1, 2):
            answer = await app.fetch("/hello?name=ada")
            assert answer.json() == {"hello": "ada", "visits": visits}
            await app.drain()
        assert (await app.fetch("/visits/ada")).json() == {"name": "ada", "visits": 2}
        assert (await app.fetch("/visits/ada", "DELETE")).status == 204
        assert (await app.fetch("/visits/ada")).status == 404


async def test_other_methods_are_refused():
    async with App(Path(__file__).parent) as app:
        answer = await app.fetch("/visits/ada", "PUT")
        assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, OPTIONS")
