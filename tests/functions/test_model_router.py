"""model_router as a function of its own, and the forms of it that the relay uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tests.support.services import make_env
from wws import codec
from wws.bindings import Env, Provider
from wws.core.policy import Condition, ModelRef, Policy, Rule
from wws.core.route.choose import Router, Task
from wws.core.wire.chat import Chat, Kind, read
from wws.errors import Refusal
from wws.functions.model_router import RouterResult, Target, estimated, model_router, route_chat, route_model, router_of


@dataclass
class Address:
    """A provider of which only the address matters: the router calls nobody."""

    name: str
    base_url: str


SYNTHETIC = "https://api.synthetic.new/openai/v1"
ZAI = "https://api.z.ai/api/paas/v4"


def env_of(policy: Policy | None = None, *missing: str) -> Env:
    addresses = {"synthetic": Address("synthetic", SYNTHETIC), "zai": Address("zai", ZAI)}
    providers = {name: address for name, address in addresses.items() if name not in missing}
    return make_env(policy, providers=cast("dict[str, Provider]", providers))


def chat_of(body: Mapping[str, Any], kind: Kind = "completions", hint: bytes | None = None) -> tuple[Chat, bytes]:
    data = json.dumps(body).encode()
    chat = read(codec.split(data), kind, hint)
    assert isinstance(chat, Chat), chat
    return chat, data


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


async def test_a_long_context_goes_to_the_long_model() -> None:
    assert await model_router({"type": "code", "context_length": 200_000}, env_of()) == RouterResult(
        "zai", ZAI, "glm-4-long", "Context exceeds 128K, using GLM-4-Long", ()
    )


async def test_the_fallbacks_come_in_order_with_their_addresses() -> None:
    result = await model_router({"type": "code"}, env_of())
    assert result == RouterResult(
        "synthetic", SYNTHETIC, "hf:deepseek-ai/DeepSeek-V3", "Standard code task", (Target("zai", ZAI, "glm-4-flash"),)
    )
    assert (result.provider, result.base_url, result.model, result.reason) == result[:4]
    assert result.fallbacks[0].base_url == ZAI


@pytest.mark.parametrize(
    "task", [None, {}, Task(), "", "reasoning", {"type": "anything", "complexity": "high", "context_length": 5}]
)
async def test_anything_else_is_a_reasoning_task(task: Any) -> None:
    result = await model_router(task, env_of())
    assert (result.model, result.reason) == ("hf:moonshotai/Kimi-K2-Thinking", "Standard reasoning task")


@pytest.mark.parametrize("task", [Task("code"), "code", "Code", {"type": "code"}, Task("CODE", None, 128_000)])
async def test_a_task_in_every_form(task: Any) -> None:
    assert (await model_router(task, env_of())).reason == "Standard code task"


async def test_a_task_of_the_wrong_shape_is_refused_with_its_field() -> None:
    with pytest.raises(Refusal) as refused:
        await model_router({"context_length": "long"}, env_of())
    assert (refused.value.code, refused.value.param, refused.value.row.status) == ("invalid_request", "task.context_length", 400)


async def test_a_provider_that_is_not_there_is_left_out() -> None:
    result = await model_router("code", env_of(None, "synthetic"))
    assert result == RouterResult("zai", ZAI, "glm-4-flash", "Standard code task", ())


async def test_no_provider_at_all_is_our_failure_and_not_worth_a_retry() -> None:
    with pytest.raises(Refusal) as refused:
        await model_router({"context_length": 200_000}, env_of(None, "zai"))
    assert (refused.value.code, refused.value.retry) == ("internal_error", False)
    assert refused.value.message == "No provider of the alias 'long_context' is configured here."
    with pytest.raises(Refusal):
        await model_router(None, env_of(None, "zai", "synthetic"))


def test_a_named_model_and_an_alias_do_not_ask_the_rules() -> None:
    env = env_of()
    assert route_model("code", Task(context_length=10**6), env).alias == "code"
    assert route_model("zai/glm-4.7", Task("code"), env).candidates == (ModelRef("zai", "glm-4.7"),)
    with pytest.raises(Refusal) as refused:
        route_model("gpt-5", Task(), env)
    assert (refused.value.row.status, refused.value.code, refused.value.param) == (404, "model_not_found", "model")
    assert refused.value.retry is False


def test_a_route_may_be_restricted_to_aliases() -> None:
    env = env_of()
    assert route_model(None, Task(), env, ("code",)).alias == "code"
    with pytest.raises(Refusal):
        route_model("reasoning", Task(), env, ("code",))
    assert route_model("reasoning", Task(), env).alias == "reasoning"


def test_the_rules_are_made_ready_once_for_each_restriction() -> None:
    env = env_of()
    assert router_of(env) is router_of(env)
    assert router_of(env, ("code",)) is router_of(env, ("code",))
    assert router_of(env) is not router_of(env, ("code",))
    assert router_of(env_of()) is not router_of(env)


@pytest.mark.parametrize(
    ("body", "hint", "alias"),
    [
        (said("hi"), None, "reasoning"),
        (said("hi", model="auto"), None, "reasoning"),
        (said("hi"), b"code", "code"),
        (said("hi", model="auto"), b"implementation", "code"),
        (said("hi", model="long_context"), b"code", "long_context"),
        (said("x" * 500_000), b"code", "long_context"),
        (said("x" * 400_000), b"code", "code"),
        (said("x" * 400_000, max_tokens=40_000), b"code", "long_context"),
        (said("x" * 500_000, model="code"), None, "code"),
    ],
)
def test_a_body_is_routed_by_what_it_says_and_by_its_size(body: dict[str, Any], hint: bytes | None, alias: str) -> None:
    chat, data = chat_of(body, "completions", hint)
    assert route_chat(chat, data, router_of(env_of())).alias == alias


def test_a_context_length_the_caller_gives_is_believed() -> None:
    env = env_of()
    chat, data = chat_of(said("hi", task={"context_length": 200_000}), "chat")
    assert route_chat(chat, data, router_of(env)).alias == "long_context"
    chat, data = chat_of(said("x" * 600_000, task={"type": "code", "context_length": 10}), "chat")
    assert route_chat(chat, data, router_of(env)).alias == "code"


def test_a_large_image_does_not_make_a_long_context() -> None:
    url = "data:image/png;base64," + "A" * 2_000_000
    content = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    chat, data = chat_of({"messages": [{"role": "user", "content": content}]})
    assert route_chat(chat, data, router_of(env_of())).alias == "reasoning"


HARD = Policy(
    rules=(
        Rule("reasoning", "hard", Condition(complexity=("high",))),
        Rule("code", "middling", Condition(complexity=("medium",))),
        Rule("long_context", "easy"),
    )
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("hi", "easy"), ("Write a Python function that sorts.", "middling"), ("Prove it, step by step.", "hard")],
)
@pytest.mark.parametrize("kind", ["completions", "chat", "generate", "messages"])
def test_complexity_is_judged_from_the_prompt_where_a_rule_asks(kind: Kind, text: str, reason: str) -> None:
    chat, data = chat_of({"prompt": text} if kind == "generate" else said(text), kind)
    assert route_chat(chat, data, router_of(env_of(HARD))).reason == reason


def test_the_context_put_before_the_messages_is_not_the_users_task() -> None:
    chat, data = chat_of(said("hi", context="Prove that it holds, step by step, and analyze the code."), "chat")
    assert route_chat(chat, data, router_of(env_of(HARD))).reason == "easy"


def test_a_complexity_the_caller_gives_is_believed() -> None:
    chat, data = chat_of(said("hi", task={"complexity": "High"}), "chat")
    assert route_chat(chat, data, router_of(env_of(HARD))).reason == "hard"


def test_only_what_a_rule_asks_for_is_estimated() -> None:
    chat, data = chat_of(said("Prove it, step by step.", max_tokens=10))
    assert estimated(chat, data, Router(Policy(rules=(Rule("code", "all"),)))) == Task()
    assert estimated(chat, data, Router(HARD)) == Task(None, "high", None)
    length = estimated(chat, data, Router(Policy())).context_length
    assert length is not None
    assert len(data) / 4 + 10 < length < len(data) / 3 + 10


def test_embeddings_are_never_sent_to_a_chat_model_by_the_rules() -> None:
    chat, data = chat_of({"input": "x" * 600_000}, "embeddings")
    with pytest.raises(Refusal) as refused:
        route_chat(chat, data, router_of(env_of()))
    assert refused.value.code == "model_not_found"
    chat, data = chat_of({"input": "hi", "model": "zai/embedding-3"}, "embeddings")
    assert route_chat(chat, data, router_of(env_of())).candidates == (ModelRef("zai", "embedding-3"),)


def test_messages_in_no_known_shape_are_low_and_do_no_harm() -> None:
    shapes: list[list[Any]] = [[1], [[]], [{"role": "user"}], ["Prove it, step by step"]]
    for messages in shapes:
        chat, data = chat_of({"messages": messages})
        assert route_chat(chat, data, router_of(env_of(HARD))).reason == "easy"
