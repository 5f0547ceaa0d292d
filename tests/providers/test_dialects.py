"""What each provider's dialect changes in a request, row by row, and what it says about it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.calls import HELLO, call
from tests.providers.test_compat import provider, sent
from wws.providers.rewrite import SCALE, nearest_effort
from wws.providers.synthetic import EFFORTS
from wws.providers.zai import version

TOOLS = [{"type": "function", "function": {"name": "f"}}]


async def translated(kind: str, model: str, stream: bool = False, **members: Any) -> tuple[dict[str, Any], list[str]]:
    """The body as it is sent without model, messages and stream members, and the warnings."""
    outgoing = call(model=model, stream=stream, **members)
    body = json.loads((await sent(provider(kind), outgoing)).body)
    for name in ("model", "stream", "stream_options"):
        body.pop(name, None)
    if "messages" not in members:
        assert body.pop("messages") == HELLO
    return body, outgoing.warnings


ROWS: list[tuple[str, str, dict[str, Any], dict[str, Any], list[str]]] = [
    # z.ai: tool_choice
    ("zai", "glm-4.6", {"tool_choice": "auto", "tools": TOOLS}, {"tool_choice": "auto", "tools": TOOLS}, []),
    ("zai", "glm-4.6", {"tool_choice": "required", "tools": TOOLS}, {"tools": TOOLS}, ["tool_choice:dropped"]),
    ("zai", "glm-4.6", {"tool_choice": {"type": "function"}, "tools": TOOLS}, {"tools": TOOLS}, ["tool_choice:dropped"]),
    ("zai", "glm-4.6", {"tool_choice": "none", "tools": TOOLS}, {}, ["tool_choice:dropped", "tools:dropped"]),
    # z.ai: limits and names
    ("zai", "glm-4.6", {"max_tokens": 100}, {"max_tokens": 100}, []),
    ("zai", "glm-4.6", {"max_tokens": 131_073}, {"max_tokens": 131_072}, ["max_tokens:clamped"]),
    ("zai", "glm-4.5", {"max_completion_tokens": 200_000}, {"max_tokens": 98_304}, ["max_tokens:clamped"]),
    ("zai", "glm-4.6", {"max_completion_tokens": 9}, {"max_tokens": 9}, []),
    ("zai", "glm-4.6", {"max_completion_tokens": 9, "max_tokens": 8}, {"max_tokens": 8}, ["max_completion_tokens:dropped"]),
    ("zai", "glm-unheard-of", {"max_tokens": 10**9}, {"max_tokens": 10**9}, []),
    ("zai", "glm-4.6", {"max_tokens": "many"}, {"max_tokens": "many"}, []),
    ("zai", "glm-4.6", {"request_id": "r1"}, {}, ["request_id:dropped"]),
    # z.ai: reasoning
    ("zai", "glm-4.6", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, ["reasoning_effort:thinking"]),
    ("zai", "glm-4.6", {"reasoning_effort": "minimal"}, {"thinking": {"type": "disabled"}}, ["reasoning_effort:thinking"]),
    ("zai", "glm-5.1", {"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}, ["reasoning_effort:thinking"]),
    (
        "zai",
        "glm-4.6",
        {"reasoning_effort": "low", "thinking": {"type": "disabled"}},
        {"thinking": {"type": "disabled"}},
        ["reasoning_effort:thinking"],
    ),
    ("zai", "glm-4.6", {"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}, []),
    ("zai", "glm-5.2", {"reasoning_effort": "none"}, {"reasoning_effort": "none"}, []),
    ("zai", "glm-5.3", {"reasoning_effort": "medium"}, {"reasoning_effort": "medium"}, []),
    ("zai", "glm-5.3-flash", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, ["reasoning_effort:thinking"]),
    ("zai", "glm-5.3-flash", {"reasoning_effort": "medium"}, {"reasoning_effort": "high"}, ["reasoning_effort:clamped"]),
    ("zai", "glm-5.3-flash", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}, []),
    ("zai", "glm-4.6", {"reasoning_effort": "extreme"}, {"reasoning_effort": "extreme"}, []),
    # what passes
    (
        "zai",
        "glm-4.6",
        {"n": 2, "seed": 1, "user": "u", "response_format": {"type": "json_object"}, "x": None},
        {"n": 2, "seed": 1, "user": "u", "response_format": {"type": "json_object"}, "x": None},
        [],
    ),
    # synthetic.new
    (
        "synthetic",
        "hf:moonshotai/Kimi-K3",
        {"reasoning_effort": "medium"},
        {"reasoning_effort": "high"},
        ["reasoning_effort:clamped"],
    ),
    (
        "synthetic",
        "hf:moonshotai/Kimi-K3",
        {"reasoning_effort": "none"},
        {"reasoning_effort": "low"},
        ["reasoning_effort:clamped"],
    ),
    ("synthetic", "syn:large:vision", {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}, ["reasoning_effort:clamped"]),
    ("synthetic", "hf:zai-org/GLM-5.2", {"reasoning_effort": "low"}, {"reasoning_effort": "high"}, ["reasoning_effort:clamped"]),
    ("synthetic", "hf:zai-org/GLM-5.2", {"reasoning_effort": "none"}, {"reasoning_effort": "none"}, []),
    (
        "synthetic",
        "hf:Qwen/Qwen3.8-27B",
        {"reasoning_effort": "high"},
        {"reasoning_effort": "xhigh"},
        ["reasoning_effort:clamped"],
    ),
    ("synthetic", "hf:unknown/model", {"reasoning_effort": "medium"}, {"reasoning_effort": "medium"}, []),
    (
        "synthetic",
        "hf:zai-org/GLM-4.7-Flash",
        {"thinking": {"type": "disabled"}},
        {"reasoning_effort": "none"},
        ["thinking:reasoning_effort"],
    ),
    ("synthetic", "hf:zai-org/GLM-4.7-Flash", {"thinking": {"type": "enabled"}}, {}, ["thinking:reasoning_effort"]),
    (
        "synthetic",
        "hf:zai-org/GLM-4.7-Flash",
        {"thinking": {"type": "disabled"}, "reasoning_effort": "high"},
        {"reasoning_effort": "high"},
        ["thinking:reasoning_effort"],
    ),
    (
        "synthetic",
        "hf:moonshotai/Kimi-K3",
        {"tool_stream": True, "clear_thinking": False},
        {},
        ["tool_stream:dropped", "clear_thinking:dropped"],
    ),
    ("synthetic", "hf:moonshotai/Kimi-K3", {"max_tokens": 70_000}, {"max_tokens": 65_536}, ["max_tokens:clamped"]),
    (
        "synthetic",
        "hf:moonshotai/Kimi-K3",
        {"max_completion_tokens": 70_000},
        {"max_completion_tokens": 65_536},
        ["max_completion_tokens:clamped"],
    ),
    ("synthetic", "hf:MiniMaxAI/MiniMax-M3", {"max_tokens": 5}, {"max_completion_tokens": 5}, []),
    (
        "synthetic",
        "hf:moonshotai/Kimi-K3",
        {"tool_choice": "required", "tools": TOOLS},
        {"tool_choice": "required", "tools": TOOLS},
        [],
    ),
    # any other provider: nothing
    (
        "openai",
        "glm-4.6",
        {
            "thinking": {"type": "x"},
            "tool_choice": "none",
            "tools": TOOLS,
            "max_completion_tokens": 10**9,
            "reasoning_effort": "none",
        },
        {
            "thinking": {"type": "x"},
            "tool_choice": "none",
            "tools": TOOLS,
            "max_completion_tokens": 10**9,
            "reasoning_effort": "none",
        },
        [],
    ),
]


@pytest.mark.parametrize(("kind", "model", "members", "expected", "warnings"), ROWS)
async def test_members(kind: str, model: str, members: dict[str, Any], expected: dict[str, Any], warnings: list[str]) -> None:
    assert await translated(kind, model, **members) == (expected, warnings)


@pytest.mark.parametrize(
    ("model", "stream", "given", "expected"),
    [
        ("glm-4.6", True, None, True), ("glm-5", True, None, True), ("glm-4.7-flash", True, None, True),
        ("glm-4.5", True, None, None), ("glm-4.6", False, None, None), ("glm-4.6", True, False, False),
    ],
)  # fmt: skip
async def test_zai_streams_tool_arguments_where_it_can(
    model: str, stream: bool, given: bool | None, expected: bool | None
) -> None:
    members = {} if given is None else {"tool_stream": given}
    body, _ = await translated("zai", model, stream, tools=TOOLS, **members)
    assert body.get("tool_stream") is expected


PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
MIXED = [{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": "b"}, None]


@pytest.mark.parametrize(
    ("kind", "model", "before", "after", "warnings"),
    [
        ("zai", "glm-4.6", {"role": "developer", "content": "x"}, {"role": "system", "content": "x"}, []),
        ("synthetic", "any", {"role": "developer", "content": "x"}, {"role": "system", "content": "x"}, []),
        ("openai", "any", {"role": "developer", "content": "x"}, {"role": "developer", "content": "x"}, []),
        ("zai", "glm-4.6", {"role": "tool", "content": PARTS}, {"role": "tool", "content": "a\nb"}, []),
        ("zai", "glm-4.6", {"role": "assistant", "content": PARTS}, {"role": "assistant", "content": "a\nb"}, []),
        (
            "zai",
            "glm-4.6",
            {"role": "tool", "content": MIXED},
            {"role": "tool", "content": "b"},
            ["messages.content:parts-dropped"],
        ),
        ("zai", "glm-4.6", {"role": "user", "content": PARTS}, {"role": "user", "content": PARTS}, []),
        ("synthetic", "hf:zai-org/GLM-4.7", {"role": "tool", "content": PARTS}, {"role": "tool", "content": "a\nb"}, []),
        ("synthetic", "syn:small:text", {"role": "tool", "content": PARTS}, {"role": "tool", "content": "a\nb"}, []),
        ("synthetic", "hf:moonshotai/Kimi-K3", {"role": "tool", "content": PARTS}, {"role": "tool", "content": PARTS}, []),
        ("synthetic", "any", {"role": "assistant", "content": ""}, {"role": "assistant", "content": " "}, []),
        ("synthetic", "any", {"role": "user", "content": ""}, {"role": "user", "content": ""}, []),
        ("synthetic", "any", {"role": "assistant", "content": None}, {"role": "assistant", "content": None}, []),
        (
            "zai",
            "glm-4.6",
            {"role": "assistant", "content": "x", "reasoning_content": "why"},
            {"role": "assistant", "content": "x", "reasoning_content": "why"},
            [],
        ),
    ],
)
async def test_messages(kind: str, model: str, before: Any, after: Any, warnings: list[str]) -> None:
    body, said = await translated(kind, model, messages=[*HELLO, before])
    assert body["messages"] == [*HELLO, after]
    assert said == warnings


async def test_messages_that_only_speak_of_developers_keep_their_bytes() -> None:
    text = b'[ {"role": "user", "content": ["\\"developer\\""]} , {"content":"developer"} ]'
    assert text in (await sent(provider("zai"), call(raw={"messages": text}))).body


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("glm-4.6", (4, 6)),
        ("glm-5", (5, 0)),
        ("glm-4.5-air", (4, 5)),
        ("glm-4.6v", (4, 6)),
        ("hf:zai-org/glm-5.3-flash", (5, 3)),
        ("kimi", (0, 0)),
    ],
)
def test_versions(name: str, expected: tuple[int, int]) -> None:
    assert version(name) == expected


@given(st.sampled_from(SCALE), st.sampled_from([known for _, known in EFFORTS]))
def test_the_nearest_effort_is_one_the_model_knows_and_thinks_if_asked_to(asked: str, known: tuple[str, ...]) -> None:
    found = nearest_effort(asked, known)
    assert found in known
    assert found == asked or asked not in known
    if asked != "none":
        assert found != "none"


contents = (
    st.none()
    | st.sampled_from(["", "x", '"developer"', '"content":[', "["])
    | st.lists(st.sampled_from([*PARTS, *MIXED]), max_size=2)
)
conversations = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]), "content": contents}),
    max_size=4,
)


@given(
    kind=st.sampled_from(["zai", "synthetic"]),
    messages=conversations,
    layout=st.sampled_from([{"separators": (",", ":")}, {}, {"indent": 2}]),
)
async def test_no_message_that_needs_it_is_overlooked(kind: str, messages: list[dict[str, Any]], layout: dict[str, Any]) -> None:
    outgoing = call(model="glm-4.6", raw={"messages": json.dumps(messages, **layout).encode()})
    for message in json.loads((await sent(provider(kind), outgoing)).body)["messages"]:
        assert message["role"] != "developer"
        if message["role"] in ("tool", "assistant"):
            assert not isinstance(message["content"], list)
        if kind == "synthetic" and message["role"] == "assistant":
            assert message["content"] != ""
