import json
from pathlib import Path

from wws.testing import App

KEYS = {"SYNTHETIC_API_KEY": "unused-in-tests", "ZAI_API_KEY": "unused-in-tests"}


async def test_the_answer_comes_in_pieces():
    async with App(Path(__file__).parent, KEYS) as app:
        answer = await app.fetch("/api/chat", json={"messages": [{"role": "user", "content": "Hello there"}]})
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        events = [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n") if event]
        assert len(events) > 1
        assert "Hello there" in "".join(event["text"] for event in events)


async def test_what_is_no_conversation_is_refused():
    async with App(Path(__file__).parent, KEYS) as app:
        for body in ({}, [], {"messages": []}, {"messages": [{"role": "system", "content": "x"}]}):
            assert (await app.fetch("/api/chat", json=body)).status == 422


async def test_the_page_and_the_limit():
    async with App(Path(__file__).parent, KEYS) as app:
        page = await app.fetch("/")
        assert page.headers["content-type"].startswith("text/html") and "/api/chat" in page.text
        body = {"messages": [{"role": "user", "content": "x"}]}
        statuses = [(await app.fetch("/api/chat", json=body)).status for _ in range(21)]
        assert statuses == [200] * 20 + [429]
