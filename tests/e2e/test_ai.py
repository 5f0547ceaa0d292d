"""The gateway's own AI endpoints, /api/ai/chat and /api/ai/generate, as a web app calls them."""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.e2e.ask import Answer, ask, hello
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until
from tests.support.provider import ECHO, silent

CHAT, GENERATE = "/api/ai/chat", "/api/ai/generate"


def content(answer: Answer) -> str:
    """What the model said."""
    assert answer.status == 200, answer.body
    text: str = answer.json["choices"][0]["message"]["content"]
    return text


def test_chat(gateway: Gateway, token: str) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello())
    assert content(answer) == ECHO + "Hello"
    assert answer.json["object"] == "chat.completion"
    assert answer.headers["content-type"].startswith("application/json")


def test_every_header_of_an_ai_answer(gateway: Gateway, token: str) -> None:
    headers = ask(gateway.url, CHAT, token=token, body=hello(task="code")).headers
    assert headers["x-request-id"]
    timing = r"auth;dur=[\d.]+, limit;dur=[\d.]+, route;dur=[\d.]+, cache;dur=[\d.]+, upstream;dur=[\d.]+, total;dur=[\d.]+"
    assert re.fullmatch(timing, headers["server-timing"])
    assert headers["cache-status"].startswith("wws; ")
    assert headers["ratelimit-policy"] == '"chat";q=60;w=60'
    assert re.fullmatch(r'"chat";r=59;t=\d+', headers["ratelimit"])
    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "59"
    assert re.fullmatch(r"(1m)?\d+s", headers["x-ratelimit-reset-requests"])
    assert headers["x-wws-provider"] == "main"
    assert headers["x-wws-model"] == "coder"
    assert headers["x-wws-route-reason"] == "Standard code task"
    assert headers["x-wws-attempts"] == "1"


@pytest.mark.parametrize(
    ("task", "model", "reason"),
    [
        ("code", "coder", "Standard code task"),
        ("implementation", "coder", "Standard code task"),
        ({"type": "debugging"}, "coder", "Standard code task"),
        ("poetry", "thinker", "Standard reasoning task"),
        (None, "thinker", "Standard reasoning task"),
        ({"type": "code", "context_length": 128_000}, "coder", "Standard code task"),
        ({"type": "code", "context_length": 128_001}, "reader", "Context exceeds 128K, using GLM-4-Long"),
    ],
)
def test_a_task_in_the_body(gateway: Gateway, token: str, task: object, model: str, reason: str) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(task=task))
    assert (answer.headers["x-wws-model"], answer.headers["x-wws-route-reason"]) == (model, reason)


def test_a_task_in_the_header(gateway: Gateway, token: str, around: Neighbours) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(), headers={"X-Task-Type": "Code"})
    assert answer.headers["x-wws-model"] == "coder"
    assert "x-task-type" not in around.main.requests[-1].headers


def test_the_body_overrules_the_header(gateway: Gateway, token: str) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(task="poetry"), headers={"X-Task-Type": "code"})
    assert answer.headers["x-wws-model"] == "thinker"


def test_a_long_body_is_long_by_itself(gateway: Gateway, token: str) -> None:
    """Nobody has said how long the context is, so its length is estimated from the body."""
    answer = ask(gateway.url, CHAT, token=token, body=hello("word " * 200_000, task="code"))
    assert answer.headers["x-wws-route-reason"] == "Context exceeds 128K, using GLM-4-Long"


def test_context_goes_before_the_messages(gateway: Gateway, token: str, around: Neighbours) -> None:
    ask(gateway.url, CHAT, token=token, body=hello(context="The user is called Ada.", task="code"))
    sent = around.main.requests[-1].json
    assert sent["messages"] == [
        {"role": "system", "content": "The user is called Ada."},
        {"role": "user", "content": "Hello"},
    ]
    assert not {"context", "task"} & set(sent)


def test_a_list_of_context(gateway: Gateway, token: str, around: Neighbours) -> None:
    given = ["One.", "Two.", {"role": "assistant", "content": "Hi, I am here."}]
    ask(gateway.url, CHAT, token=token, body=hello(context=given, task="code"))
    roles = [message["role"] for message in around.main.requests[-1].json["messages"]]
    assert roles == ["system", "assistant", "user"]


def test_unknown_fields_pass(gateway: Gateway, token: str, around: Neighbours) -> None:
    option = '"vendor_option": {"deep" : [1, 2.50, 1e400, "é"]}'
    body = f'{{"messages": [{{"role": "user", "content": "Hello"}}], "task": "code", "seed": 7, {option}}}'
    assert ask(gateway.url, CHAT, token=token, body=body.encode()).status == 200
    sent = around.main.requests[-1]
    assert sent.json["seed"] == 7
    assert '{"deep" : [1, 2.50, 1e400, "é"]}' in sent.body.decode()  # passed on as written, not read and written anew


def test_generate(gateway: Gateway, token: str, around: Neighbours) -> None:
    answer = ask(gateway.url, GENERATE, token=token, body={"prompt": "Write a haiku", "task": "code", "context": "Short."})
    assert content(answer) == ECHO + "Write a haiku"
    sent = around.main.requests[-1].json
    assert sent["messages"] == [
        {"role": "system", "content": "Short."},
        {"role": "user", "content": "Write a haiku"},
    ]
    assert "prompt" not in sent


def test_a_stream(gateway: Gateway, token: str) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-wws-attempts"] == "1"
    events = answer.body.decode().strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    deltas = [json.loads(event.removeprefix("data: "))["choices"][0]["delta"] for event in events[:-1]]
    assert "".join(delta.get("content") or "" for delta in deltas).strip() == ECHO + "Hello"


def test_the_caller_s_request_id_is_kept(gateway: Gateway, token: str) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(), headers={"X-Request-Id": "order-1234.a"})
    assert answer.headers["x-request-id"] == "order-1234.a"
    line = gateway.logged("order-1234.a")
    assert (line["route"], line["status"], line["provider"]) == ("/api/ai/*", 200, "main")


def test_a_request_id_that_is_none_is_replaced(gateway: Gateway, token: str) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(), headers={"X-Request-Id": "no; good"})
    assert re.fullmatch(r"[0-9a-f]{18,}", answer.headers["x-request-id"])


# fallback: the second model of the alias answers


@pytest.mark.parametrize(
    ("alias", "attempts", "failure"),
    [
        ("unreachable", 3, "provider_connection_failed"),  # tried twice, then elsewhere
        ("silent", 2, "provider_timeout"),  # silence is not worth a second try at the same place
        ("busy", 2, "provider_rate_limited"),  # it said to stay away for long
        ("failing", 3, "provider_server_error"),
        ("overloaded", 3, "provider_overloaded"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_next_model_answers(
    gateway: Gateway, token: str, around: Neighbours, alias: str, attempts: int, failure: str, stream: bool
) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(model=alias, stream=stream))
    assert answer.status == 200, answer.body
    assert ECHO.split()[0].encode() in answer.body
    assert answer.headers["x-wws-provider"] == "backup"
    assert answer.headers["x-wws-model"] == "instead"
    assert answer.headers["x-wws-route-reason"] == f"alias {alias}"
    assert answer.headers["x-wws-attempts"] == str(attempts)
    assert around.backup.seen("instead") == 1
    told = gateway.logged(answer.headers["x-request-id"])["attempts"]
    assert [outcome for _, _, outcome, _ in told] == [failure] * (attempts - 1) + ["ok"]


def test_no_more_than_three_attempts(gateway: Gateway, token: str, around: Neighbours) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(model="hopeless"))
    assert answer.status == 502
    assert answer.headers["x-wws-attempts"] == "3"
    assert len(around.main.requests) + len(around.backup.requests) == 3
    assert answer.json["error"]["code"] == "provider_error"
    assert b"upstream text" not in answer.body


def test_a_bad_request_is_nobody_else_s_to_answer(gateway: Gateway, token: str, around: Neighbours) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(model="main/status-400"))
    assert answer.status == 400
    assert len(around.main.requests) == 1
    assert not around.backup.requests


def test_once_is_tried_again_at_the_same_place(gateway: Gateway, token: str, around: Neighbours) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(model="main/fail-500-once"))
    assert content(answer) == ECHO + "Hello"
    assert answer.headers["x-wws-attempts"] == "2"
    assert around.main.seen("fail-500-once") == 2


@pytest.mark.parametrize(
    ("model", "code"), [("html", "provider_error"), ("empty-object", "provider_error"), ("not-http", "provider_error")]
)
def test_an_answer_that_is_none(gateway: Gateway, token: str, model: str, code: str) -> None:
    answer = ask(gateway.url, CHAT, token=token, body=hello(model=f"main/{model}"))
    assert (answer.status, answer.json["error"]["code"]) == (502, code)
    assert "x-wws-attempts" in answer.headers


def test_a_caller_who_leaves_ends_the_provider_s_work(gateway: Gateway, token: str, around: Neighbours) -> None:
    body = json.dumps(hello(model="main/hanging")).encode()
    around.main.script("hanging", silent)
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: wws\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}X-Request-Id: who-left\r\n\r\n".encode() + body)
        until(lambda: around.main.seen("hanging"), "the question")
        open_before = around.main.open
    until(lambda: around.main.open < open_before, "the end of the upstream connection", 0.9)  # before any timer of ours
    line = gateway.logged("who-left")
    assert (line["status"], line["outcome"], line["error_type"]) == (499, "client_closed", "caller_cancelled")


def test_a_connection_that_the_provider_has_closed_costs_nobody_an_answer(
    gateway: Gateway, token: str, around: Neighbours
) -> None:
    statuses = [ask(gateway.url, CHAT, token=token, body=hello(model="main/close-after")).status for _ in range(10)]
    assert statuses == [200] * 10


# what a route allows


def test_a_route_for_few_models(gateway: Gateway, token: str, around: Neighbours) -> None:
    target = "/few/v1/chat/completions"
    assert ask(gateway.url, target, token=token, body=hello(model="auto", task="poetry")).headers["x-wws-model"] == "coder"
    assert ask(gateway.url, target, token=token, body=hello(model="main/coder")).status == 200
    for model in ("reasoning", "main/thinker", "backup/anything"):
        answer = ask(gateway.url, target, token=token, body=hello(model=model))
        assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
    listed = [model["id"] for model in ask(gateway.url, "/few/v1/models", token=token).json["data"]]
    assert listed == ["auto", "code", "main/coder", "backup/coder"]


def test_a_route_for_few_methods(gateway: Gateway, around: Neighbours) -> None:
    assert ask(gateway.url, "/read/7").json["method"] == "GET"
    refused = ask(gateway.url, "/read/7", "DELETE")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
