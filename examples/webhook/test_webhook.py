import json
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from wws.testing import App

HERE = Path(__file__).parent
SECRET = "a-secret-for-tests-only"
spec = spec_from_file_location("signature", HERE / "functions" / "_signature.py")
signature = module_from_spec(spec)
sys.modules.setdefault("signature", signature)
spec.loader.exec_module(signature)


def app():
    return App(HERE, {"WEBHOOK_SECRET": SECRET})


async def send(running, event, secret=SECRET, at=None):
    body = json.dumps(event).encode()
    at = int(time.time()) if at is None else at
    headers = {"x-signature": f"t={at},v1={signature.sign(secret, at, body)}", "content-type": "application/json"}
    return await running.fetch("/hooks/orders", "POST", body=body, headers=headers)


async def test_an_event_is_taken_and_done_once():
    async with app() as running:
        event = {"id": "evt_1", "order": 7, "state": "paid"}
        for _ in range(2):  # senders repeat what they are not sure of
            answer = await send(running, event)
            assert (answer.status, answer.json()) == (202, {"accepted": "evt_1"})
        assert (await running.fetch("/events/evt_1", user="ops")).status == 404
        assert await running.deliver("INCOMING") == 2
        assert (await running.fetch("/events/evt_1", user="ops")).json() == {"event": "order 7 paid"}


async def test_what_is_not_signed_is_refused():
    async with app() as running:
        event = {"id": "evt_2"}
        assert (await send(running, event, secret="another")).status == 401
        assert (await send(running, event, at=int(time.time()) - 3600)).status == 401
        assert (await running.fetch("/hooks/orders", json=event)).status == 401
        assert (await running.fetch("/hooks/orders", json=event, headers={"x-signature": "t=x,v1="})).status == 401
        assert await running.deliver("INCOMING") == 0


async def test_who_may_look():
    async with app() as running:
        assert (await running.fetch("/events/evt_1")).status == 401
