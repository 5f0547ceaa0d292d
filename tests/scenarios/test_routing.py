"""Which model answers, which answers when that one does not, and what a provider is sent."""

from __future__ import annotations

import pytest

from tests.e2e.ask import Answer, ask, hello
from tests.e2e.neighbours import Neighbours
from tests.scenarios.hosts import Host
from tests.support.provider import ECHO

CHAT, GENERATE = "/api/ai/chat", "/api/ai/generate"


def content(answer: Answer) -> str:
    """What the model said."""
    assert answer.status == 200, answer.body
    text: str = answer.json["choices"][0]["message"]["content"]
    return text


@pytest.mark.parametrize(
    ("task", "model", "reason"),
    [
        ("code", "coder", "Code"),
        ({"type": "debugging"}, "coder", "Code"),
        ("poetry", "thinker", "Everything else"),
        (None, "thinker", "Everything else"),
        ({"type": "code", "context_length": 128_000}, "coder", "Code"),
        ({"type": "code", "context_length": 128_001}, "reader", "Context exceeds 128K"),
    ],
)
def test_a_task_chooses_the_model(host: Host, token: str, task: object, model: str, reason: str) -> None:
    answer = ask(host.url, CHAT, token=token, body=hello(task=task))
    assert content(answer) == ECHO + "Hello"
    assert (answer.headers["x-wws-model"], answer.headers["x-wws-route-reason"]) == (model, reason)


def test_a_task_in_the_header(host: Host, token: str, around: Neighbours) -> None:
    answer = ask(host.url, CHAT, token=token, body=hello(), headers={"X-Task-Type": "Code"})
    assert answer.headers["x-wws-model"] == "coder"
    assert "x-task-type" not in around.main.requests[-1].headers


def test_a_long_body_is_long_by_itself(host: Host, token: str) -> None:
    answer = ask(host.url, CHAT, token=token, body=hello("word " * 200_000, task="code"))
    assert answer.headers["x-wws-route-reason"] == "Context exceeds 128K"


def test_context_goes_before_the_messages(host: Host, token: str, around: Neighbours) -> None:
    ask(host.url, CHAT, token=token, body=hello(context="The user is called Ada.", task="code"))
    sent = around.main.requests[-1]
    assert [message["role"] for message in sent.json["messages"]] == ["system", "user"]
    assert not {"context", "task"} & set(sent.json)
    assert sent.headers["authorization"] == "Bearer sk-planted-key-of-main-5f1c"


def test_unknown_fields_pass_as_written(host: Host, token: str, around: Neighbours) -> None:
    option = '"vendor_option": {"deep" : [1, 2.50, 1e400, "é"]}'
    body = f'{{"messages": [{{"role": "user", "content": "Hello"}}], "task": "code", "seed": 7, {option}}}'
    assert ask(host.url, CHAT, token=token, body=body.encode()).status == 200
    assert '{"deep" : [1, 2.50, 1e400, "é"]}' in around.main.requests[-1].body.decode()


def test_generate(host: Host, token: str, around: Neighbours) -> None:
    answer = ask(host.url, GENERATE, token=token, body={"prompt": "Write a haiku", "task": "code"})
    assert content(answer) == ECHO + "Write a haiku"
    assert around.main.requests[-1].json["messages"] == [{"role": "user", "content": "Write a haiku"}]


@pytest.mark.parametrize("model", ["main/coder", "code", "backup/whatever"])
def test_the_openai_endpoint(host: Host, token: str, model: str) -> None:
    answer = ask(host.url, "/v1/chat/completions", token=token, body=hello(model=model))
    assert content(answer) == ECHO + "Hello"


def test_the_list_of_models(host: Host, token: str) -> None:
    listed = [model["id"] for model in ask(host.url, "/v1/models", token=token).json["data"]]
    assert {"auto", "code", "reasoning", "main/coder", "backup/reader"} <= set(listed)


def test_embeddings(host: Host, token: str) -> None:
    answer = ask(host.url, "/v1/embeddings", token=token, body={"model": "main/embedder", "input": ["a", "b"]})
    assert len(answer.json["data"]) == 2


def test_the_anthropic_endpoint(host: Host, token: str) -> None:
    answer = ask(host.url, "/v1/messages", token=token, body=hello(model="main/claude", max_tokens=10))
    assert answer.json["content"][0]["text"] == ECHO + "Hello"


@pytest.mark.parametrize(
    ("alias", "attempts"),
    [("unreachable", 3), ("silent", 2), ("busy", 2), ("failing", 3), ("overloaded", 3)],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_next_model_answers(host: Host, token: str, around: Neighbours, alias: str, attempts: int, stream: bool) -> None:
    answer = ask(host.url, CHAT, token=token, body=hello(model=alias, stream=stream))
    assert answer.status == 200, answer.body
    assert ECHO.split()[0].encode() in answer.body
    assert (answer.headers["x-wws-provider"], answer.headers["x-wws-model"]) == ("backup", "instead")
    assert answer.headers["x-wws-attempts"] == str(attempts)
    assert around.backup.seen("instead") == 1


def test_no_more_than_three_attempts(host: Host, token: str, around: Neighbours) -> None:
    answer = ask(host.url, CHAT, token=token, body=hello(model="hopeless"))
    assert (answer.status, answer.headers["x-wws-attempts"]) == (502, "3")
    assert len(around.main.requests) + len(around.backup.requests) == 3
    assert answer.json["error"]["code"] == "provider_error"
    assert b"upstream text" not in answer.body


def test_once_is_tried_again_at_the_same_place(host: Host, token: str, around: Neighbours) -> None:
    around.main.requests.clear()
    answer = ask(host.url, CHAT, token=token, body=hello(model="main/fail-500-once"))
    assert content(answer) == ECHO + "Hello"
    assert answer.headers["x-wws-attempts"] == "2"
