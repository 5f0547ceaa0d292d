"""What cannot be served: the right status, a message that names what to do, and the next request works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.e2e.ask import ask, hello
from tests.e2e.conftest import Start
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until
from tests.e2e.projects import SERVER, dead_port, project

CHAT = "/api/ai/chat"


@pytest.fixture
def next_works(gateway: Gateway, token: str) -> Iterator[None]:
    """After whatever the test did, the gateway answers."""
    yield
    assert ask(gateway.url, CHAT, token=token, body=hello()).status == 200


@pytest.mark.usefixtures("next_works")
@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"", "invalid_json", "not valid JSON"),
        (b"{", "invalid_json", "not valid JSON"),
        (b"messages=hello", "invalid_json", "not valid JSON"),
        (b'{"messages": [1,]}', "invalid_json", "not valid JSON"),
        (b'"text"', "invalid_json", "Send a JSON object"),
        (b"[]", "invalid_json", "Send a JSON object"),
        (b"\xff\xfe{\x00}\x00", "invalid_json", "UTF-8"),
        (b'{"messages": "hello"}', "invalid_request", "`messages` must be a list"),
        (b'{"message": []}', "invalid_request", "`messages` is missing"),
        (b'{"messages": [{}], "stream": "yes"}', "invalid_request", "`stream` must be true or false"),
        (b'{"messages": [{}], "model": 7}', "invalid_request", "`model` must be a string"),
        (b'{"messages": [{}], "task": 7}', "invalid_request", "`task` must be a word or an object"),
        (b'{"messages": [{}], "context": 7}', "invalid_request", "`context` must be a text"),
        (b'{"messages": ' + b"[" * 200 + b"]" * 200 + b"}", "body_too_deep", "more than 64 levels deep"),
        (b'{"messages": ' + b'[{"a":' * 100_000, "invalid_json", "not valid JSON"),
    ],
)
def test_a_body_that_is_wrong(gateway: Gateway, token: str, around: Neighbours, body: bytes, code: str, says: str) -> None:
    answer = ask(gateway.url, CHAT, "POST", token=token, body=body)
    assert answer.status == 400
    error = answer.json["error"]
    assert (error["code"], error["type"]) == (code, "invalid_request_error")
    assert says in error["message"]
    assert not around.main.requests


def test_a_body_that_is_too_large(start: Start, around: Neighbours, token: str) -> None:
    gateway = start(project(around, server=SERVER + 'json_limit = "4KiB"\n'))
    answer = ask(gateway.url, CHAT, token=token, body=hello("a" * 5000))
    assert (answer.status, answer.json["error"]["code"]) == (413, "body_too_large")
    assert "4096 bytes" in answer.json["error"]["message"]
    assert ask(gateway.url, CHAT, token=token, body=hello("a" * 3000)).status == 200
    assert ask(gateway.url, "/private/upload", token=token, body=b"a" * 100_000).status == 200  # only JSON is held in memory


def test_after_an_error_the_connection_goes_on(gateway: Gateway, token: str) -> None:
    """One connection, a mistake in the middle."""
    connection = HTTPConnection(urlsplit(gateway.url).netloc, timeout=20)
    fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    good = json.dumps(hello()).encode()
    statuses = []
    for body in (good, b"{", good, b"[]", good):
        connection.request("POST", CHAT, body, fields)
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
        assert connection.sock is not None
    connection.close()
    assert statuses == [200, 400, 200, 400, 200]


@pytest.mark.usefixtures("next_works")
@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/api/ai/chat", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/v1/no-such-endpoint", 404, "not_found"),
        ("POST", "/api/ai/", 404, "not_found"),
    ],
)
def test_an_endpoint_that_is_not_there(gateway: Gateway, token: str, method: str, target: str, status: int, code: str) -> None:
    answer = ask(gateway.url, target, method, token=token, body=hello())
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.usefixtures("next_works")
@pytest.mark.parametrize(
    "target", ["/open/../private/page", "/open/%2e%2e/private/page", "/private%2fpage", "//private/page", "/a\\b"]
)
def test_a_path_that_servers_read_in_different_ways(gateway: Gateway, around: Neighbours, target: str) -> None:
    answer = ask(gateway.url, target)
    assert answer.status == 400
    assert not around.origin.requests


@pytest.mark.usefixtures("next_works")
def test_a_provider_that_is_not_there(gateway: Gateway, token: str) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(model="gone/model"))
    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_unreachable")
    assert "127.0.0.1" not in answer.json["error"]["message"]  # nobody outside needs to know where it was sought


def test_an_origin_that_is_not_there(start: Start, around: Neighbours, token: str) -> None:
    gateway = start(project(around, origin=f"http://127.0.0.1:{dead_port()}"))
    answer = ask(gateway.url, "/private/page", token=token)
    assert (answer.status, answer.json["code"]) == (502, "origin_unreachable")
    assert answer.json["detail"] == "The origin server cannot be reached. Is it running at the address of [origin] url?"
    assert ask(gateway.url, CHAT, token=token, body=hello()).status == 200
    assert ask(gateway.url, "/readyz").status == 200


def test_a_supabase_that_is_not_there(start: Start, around: Neighbours) -> None:
    url = f"http://127.0.0.1:{dead_port()}"
    gateway = start(project(around, supabase=url))
    for alg in ("ES256", "HS256"):
        token = around.supabase.mint(alg, iss=f"{url}/auth/v1")
        answer = ask(gateway.url, CHAT, token=token, body=hello())
        assert (answer.status, answer.json["error"]["code"]) == (503, "auth_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    key = gateway.create_key("--scope", "*")["key"]
    assert ask(gateway.url, CHAT, token=key, body=hello()).status == 200
    assert ask(gateway.url, "/open").status == 200


def test_a_supabase_key_that_is_wrong_is_our_fault_and_not_the_caller_s(start: Start, around: Neighbours) -> None:
    gateway = start(project(around), {"SUPABASE_PUBLISHABLE_KEY": "sb_publishable_of_another_project"})
    answer = ask(gateway.url, CHAT, token=around.supabase.mint("HS256"), body=hello())
    assert (answer.status, answer.json["error"]["code"]) == (500, "auth_misconfigured")
    assert b"sb_publishable" not in answer.body


def test_an_origin_that_is_silent(gateway: Gateway, around: Neighbours) -> None:
    around.origin.held = True
    answer = ask(gateway.url, "/hurried/page")
    assert (answer.status, answer.json["code"]) == (504, "origin_timeout")
    around.call(around.origin.release)
    assert ask(gateway.url, "/hurried/page").status == 200


def test_more_at_once_than_there_is_room_for(start: Start, around: Neighbours, token: str) -> None:
    gateway = start(project(around, server=SERVER + "max_in_flight = 2\n"))
    around.origin.held = True
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(ask, gateway.url, "/private/page", token=token) for _ in range(2)]
        until(lambda: around.origin.numbers["/private/page"] == 2, "both questions")
        refused = ask(gateway.url, "/private/page", token=token)
        assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
        assert ask(gateway.url, "/healthz").status == 200  # it lives, and says so
        around.call(around.origin.release)
        assert [future.result().status for future in waiting] == [200, 200]
    assert ask(gateway.url, "/private/page", token=token).status == 200
