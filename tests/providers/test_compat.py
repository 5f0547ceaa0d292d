"""What is sent to an OpenAI-compatible provider: target, headers, body; and the field it may refuse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.calls import call, ok
from tests.support.clock import FakeClock
from tests.support.dial import ScriptedDial, Sent
from wws import codec
from wws._version import __version__
from wws.bindings import Call, Provider
from wws.core.policy import Policy, ProviderConfig
from wws.errors import Refusal
from wws.http import Parts, Response, Stream
from wws.providers import KINDS, make_providers
from wws.providers.compat import LARGE, MAX_MODELS, OPENAI, CompatProvider
from wws.providers.sandbox import SandboxProvider
from wws.providers.synthetic import SYNTHETIC
from wws.providers.zai import ZAI

KEY = "syn_secret"


def provider(kind: str = "openai", **fields: Any) -> CompatProvider:
    config = {"base_url": "http://127.0.0.1:9/v1", "api_key": KEY, **fields}
    dialect = {"openai": OPENAI, "zai": ZAI, "synthetic": SYNTHETIC}[kind]
    return CompatProvider(ProviderConfig("p", kind, **config), FakeClock(), dialect)


async def sent(target: CompatProvider, outgoing: Call) -> Sent:
    """What the provider sends for this call."""
    dial = ScriptedDial()
    for method, path in (("POST", "chat/completions"), ("POST", "embeddings"), ("GET", "models"), ("POST", "messages")):
        for base in ("/v1/", "/api/paas/v4/", "/openai/v1/", "/anthropic/v1/", "/api/anthropic/v1/"):
            dial.on(method, base + path, ok())
    await target.send(outgoing, dial)
    return dial.calls[-1]


@pytest.mark.parametrize(
    ("operation", "method", "target"),
    [("chat", "POST", "/v1/chat/completions"), ("embeddings", "POST", "/v1/embeddings"), ("models", "GET", "/v1/models")],
)
async def test_targets(operation: str, method: str, target: str) -> None:
    got = await sent(provider(), call(operation, input="x"))
    assert (got.method, got.target) == (method, target)
    assert got.endpoint.url == "http://127.0.0.1:9/v1"


async def test_headers_of_a_chat() -> None:
    got = await sent(provider(), call())
    assert dict(got.headers) == {
        b"authorization": b"Bearer syn_secret",
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"accept-encoding": b"identity",
        b"user-agent": b"wws/" + __version__.encode(),
    }


async def test_a_stream_accepts_events_and_a_list_of_models_has_no_body() -> None:
    assert (await sent(provider(), call(stream=True))).header("accept") == "text/event-stream"
    models = await sent(provider(), call("models"))
    assert models.body == b"" and models.header("content-type") is None and models.header("authorization") == "Bearer syn_secret"


async def test_without_a_key_there_is_no_authorization() -> None:
    assert (await sent(provider(api_key=None), call())).header("authorization") is None


FORBIDDEN = {
    "Authorization": "Bearer wws_live_caller",
    "X-Api-Key": "caller",
    "Cookie": "session=1",
    "X-Forwarded-For": "10.0.0.1",
    "Forwarded": "for=10.0.0.1",
    "X-User-ID": "someone",
    "Accept-Encoding": "br",
    "Connection": "authorization",
    "Host": "evil.example",
    "X-Stainless-Lang": "python",
    "Traceparent": "00-1-2-3",
    "Proxy-Authorization": "Basic x",
    "Content-Length": "3",
    "Transfer-Encoding": "chunked",
}


@pytest.mark.parametrize("operation", ["chat", "embeddings", "messages", "models"])
async def test_nothing_of_the_caller_passes_but_what_is_listed(operation: str) -> None:
    target = provider(anthropic_url="http://127.0.0.1:9/anthropic")
    got = await sent(
        target, call(operation, headers={**FORBIDDEN, "anthropic-version": "2024-01-01", "anthropic-beta": "tools-2024"})
    )
    plain = await sent(target, call(operation))
    extra = [pair for pair in got.headers if pair not in plain.headers]
    allowed = [(b"anthropic-version", b"2024-01-01"), (b"anthropic-beta", b"tools-2024")]
    assert extra == (allowed if operation == "messages" else [])
    names = [name for name, _ in got.headers]
    assert len(names) == len(set(names))


async def test_headers_of_one_call_do_not_leak_into_the_next() -> None:
    target = provider(anthropic_url="http://127.0.0.1:9/anthropic")
    await sent(target, call("messages", headers={"anthropic-beta": "x"}))
    assert (await sent(target, call("messages"))).header("anthropic-beta") is None


@pytest.mark.parametrize(("kind", "header"), [("openai", "x-api-key"), ("zai", "authorization"), ("synthetic", "authorization")])
async def test_the_key_at_an_anthropic_endpoint(kind: str, header: str) -> None:
    got = await sent(provider(kind, anthropic_url="http://127.0.0.1:9/anthropic"), call("messages"))
    assert KEY in (got.header(header) or "")
    assert ("authorization" if header == "x-api-key" else "x-api-key").encode() not in dict(got.headers)
    assert got.header("anthropic-version") == "2023-06-01"


@pytest.mark.parametrize(
    ("kind", "base_url", "anthropic_url", "expected"),
    [
        ("openai", "http://a.example/v1", None, None),
        ("openai", "http://a.example/v1", "https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        ("openai", "http://a.example/v1", "https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages"),
        ("zai", None, None, "https://api.z.ai/api/anthropic/v1/messages"),
        ("zai", "https://api.z.ai/api/coding/paas/v4", None, "https://api.z.ai/api/anthropic/v1/messages"),
        ("zai", "https://open.bigmodel.cn/api/paas/v4", None, "https://open.bigmodel.cn/api/anthropic/v1/messages"),
        ("zai", "http://127.0.0.1:99/v1", None, "http://127.0.0.1:99/api/anthropic/v1/messages"),
        ("synthetic", None, None, "https://api.synthetic.new/anthropic/v1/messages"),
        ("synthetic", "http+unix:///run/s.sock:/v1", None, "http+unix:///run/s.sock:/anthropic/v1/messages"),
    ],
)
async def test_where_messages_go(kind: str, base_url: str | None, anthropic_url: str | None, expected: str | None) -> None:
    target = provider(kind, base_url=base_url, anthropic_url=anthropic_url)
    assert ("messages" in target.operations) is (expected is not None)
    if expected is not None:
        dial = ScriptedDial()
        path = expected.rpartition(":")[2] if "unix" in expected else "/" + expected.split("/", 3)[3]
        dial.on("POST", path, ok())
        await target.send(call("messages"), dial)
        [got] = dial.calls
        scheme = f"http+unix://{got.endpoint.unix}:" if got.endpoint.unix else f"{got.endpoint.scheme}://{got.endpoint.authority}"
        assert scheme + got.target == expected


@pytest.mark.parametrize(
    ("kind", "base", "operations"),
    [
        ("zai", "https://api.z.ai/api/paas/v4", {"chat", "models", "messages"}),
        ("synthetic", "https://api.synthetic.new/openai/v1", {"chat", "models", "embeddings", "messages"}),
    ],
)
def test_the_vendors_own_addresses(kind: str, base: str, operations: set[str]) -> None:
    target = provider(kind, base_url=None)
    assert target.base_url == base
    assert target.operations == frozenset(operations)


async def test_untouched_members_keep_their_bytes() -> None:
    raw = {"messages": b'[ {"role":"user", "content":"\\u00e9 1.0"} ]', "temperature": b"0.70", "seed": b"12345678901234567890"}
    got = await sent(provider(), call(model="real-model", raw=raw, unknown={"x": 1}))
    for text in raw.values():
        assert text in got.body
    body = json.loads(got.body)
    assert body["model"] == "real-model" and body["unknown"] == {"x": 1}


async def test_the_callers_members_are_not_changed() -> None:
    outgoing = call(stream=True, max_completion_tokens=5, tool_choice="none")
    before = dict(outgoing.body)
    await sent(provider("zai"), outgoing)
    assert outgoing.body == before


@pytest.mark.parametrize(
    ("given", "stream", "expected"), [(None, False, None), (True, False, False), (None, True, True), (False, True, True)]
)
async def test_stream_is_what_the_call_says(given: bool | None, stream: bool, expected: bool | None) -> None:
    raw = {} if given is None else {"stream": codec.encode(given)}
    assert json.loads((await sent(provider(), call(stream=stream, raw=raw))).body).get("stream") is expected


@pytest.mark.parametrize(
    ("options", "expected", "hidden"),
    [
        (None, {"include_usage": True}, True),
        ({"include_usage": True}, {"include_usage": True}, False),
        ({"include_usage": False}, {"include_usage": True}, True),
        ({"other": 1}, {"other": 1, "include_usage": True}, True),
    ],
)
async def test_usage_is_always_asked_for_in_a_stream(options: Any, expected: Any, hidden: bool) -> None:
    outgoing = call(stream=True, **({} if options is None else {"stream_options": options}))
    assert json.loads((await sent(provider(), outgoing)).body)["stream_options"] == expected
    assert outgoing.hide_usage is hidden


async def test_stream_options_of_another_type_are_the_providers_to_refuse() -> None:
    outgoing = call(stream=True, stream_options=3)
    assert json.loads((await sent(provider(), outgoing)).body)["stream_options"] == 3
    assert not outgoing.hide_usage


async def test_stream_options_go_only_with_a_stream() -> None:
    assert "stream_options" not in json.loads((await sent(provider(), call(stream_options={"include_usage": True}))).body)


async def test_a_message_call_is_changed_in_nothing_but_the_model() -> None:
    got = await sent(provider("zai"), call("messages", "glm-4.6", stream=True, max_tokens=10**9, thinking={"type": "enabled"}))
    assert json.loads(got.body) == {
        "model": "glm-4.6", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10**9,
        "thinking": {"type": "enabled"}, "stream": True,
    }  # fmt: skip


REFUSES = {"error": {"message": "Unknown parameter: 'stream_options'.", "type": "invalid_request_error"}}


@pytest.mark.parametrize("whole", [True, False])
async def test_a_provider_that_refuses_the_field_is_asked_once_without_it_and_never_again_with_it(whole: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield codec.encode(REFUSES)[:20]
        yield codec.encode(REFUSES)[20:]

    refused = Response.json(REFUSES, 400) if whole else Response(Stream(pieces()), 400)
    dial = ScriptedDial()
    dial.on("POST", "/v1/chat/completions", refused, ok())
    target = provider()
    outgoing = call(stream=True)
    response = await target.send(outgoing, dial)
    assert response.status == 200 and not outgoing.hide_usage
    assert "stream_options" not in json.loads(dial.calls[1].body)
    await target.send(call(stream=True), dial)
    assert len(dial.calls) == 3
    assert "stream_options" not in json.loads(dial.calls[2].body)


async def test_another_400_is_handed_back_with_its_body() -> None:
    dial = ScriptedDial()
    dial.on("POST", "/v1/chat/completions", Response.json({"error": {"message": "bad"}}, 400))
    response = await provider().send(call(stream=True), dial)
    assert response.status == 400 and isinstance(response.body, bytes) and b"bad" in response.body
    assert len(dial.calls) == 1


async def test_a_member_that_is_no_json_is_refused_where_it_must_be_read() -> None:
    with pytest.raises(Refusal) as refusal:
        await sent(provider("zai"), call(raw={"max_tokens": b"1e999"}))
    assert (refusal.value.code, refusal.value.param) == ("invalid_json", "max_tokens")


async def test_models_named_by_callers_do_not_pile_up() -> None:
    target = provider()
    for number in range(MAX_MODELS + 10):
        assert json.loads((await sent(target, call(model=f"m{number}"))).body)["model"] == f"m{number}"
    assert len(target._models) <= MAX_MODELS


def test_a_key_that_cannot_stand_in_a_header_is_an_error_that_does_not_show_it() -> None:
    with pytest.raises(ValueError) as error:
        provider(api_key="secret\r\nx-evil: 1")
    assert "secret" not in str(error.value)
    assert "secret" not in repr(provider())


async def test_white_space_around_a_key_is_no_part_of_it() -> None:
    assert (await sent(provider(api_key=" k\n"), call())).header("authorization") == "Bearer k"


def test_providers_of_a_policy() -> None:
    configs = {
        "synthetic": ProviderConfig("synthetic", "synthetic", api_key="k"),
        "z": ProviderConfig("z", "zai", api_key="k"),
        "local": ProviderConfig("local", "openai", base_url="http://127.0.0.1:8000/v1"),
        "demo": ProviderConfig("demo", "sandbox"),
    }
    made: dict[str, Provider] = make_providers(Policy(providers=configs), FakeClock())
    assert {name: made[name].name for name in made} == {name: name for name in configs}
    assert isinstance(made["demo"], SandboxProvider)
    assert {config.kind for config in configs.values()} == set(KINDS)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ProviderConfig("x", "openai"), ["x", "base_url"]),
        (ProviderConfig("x", "azure"), ["x", "azure", "openai, sandbox, synthetic, zai"]),
        (ProviderConfig("x", "openai", base_url="ftp://a"), ["ftp://a"]),
    ],
)
def test_providers_that_cannot_be_made(config: ProviderConfig, words: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        make_providers(Policy(providers={"x": config}), FakeClock())
    assert all(word in str(error.value) for word in words)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    [
        "max_tokens",
        "max_completion_tokens",
        "tools",
        "tool_choice",
        "reasoning_effort",
        "thinking",
        "stream_options",
        "tool_stream",
        "request_id",
        "messages",
        "temperature",
        "user",
        "clear_thinking",
    ]
)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["developer", "tool", "assistant", "user"]), "content": values}) | values,
    max_size=3,
)


@given(
    kind=st.sampled_from(["openai", "zai", "synthetic"]),
    model=st.sampled_from(
        ["glm-4.6", "glm-5.3-flash", "glm-5.2", "hf:zai-org/GLM-4.7", "hf:moonshotai/Kimi-K3", "syn:large:text", "x"]
    ),
    members=st.dictionaries(names, values),
    said=messages,
    stream=st.booleans(),
)
async def test_whatever_a_caller_sends_is_sent_on_as_json_or_refused(
    kind: str, model: str, members: dict[str, Any], said: Any, stream: bool
) -> None:
    members = {"messages": said, **members}
    got = json.loads((await sent(provider(kind), call(model=model, stream=stream, **members))).body)
    assert got["model"] == model
    for name, value in members.items():
        if name in ("temperature", "user"):
            assert got[name] == value


@pytest.mark.parametrize("rest", [{}, {"temperature": 0.5, "max_tokens": 7}])
async def test_large_messages_are_sent_from_where_they_lie(rest: dict[str, Any]) -> None:
    """As `codec.split` gives them with its part in C: as a view of the body that came."""
    target, text = provider(), b'[{"role":"user","content":"%b"}]' % (b"x" * LARGE)
    outgoing = call(**rest)
    plain = json.loads((await sent(target, outgoing)).body)
    outgoing.body["messages"] = memoryview(b" " + text + b" ")[1:-1]
    dial = ScriptedDial()
    dial.on("POST", "/v1/chat/completions", ok())
    got: list[object] = []

    class Watched(ScriptedDial):
        async def send(self, *arguments: Any, **named: Any) -> Response:
            got.append(arguments[4])
            return await dial.send(*arguments, **named)

    await target.send(outgoing, Watched())
    (body,) = got
    assert isinstance(body, Parts)
    assert body.parts[1] is outgoing.body["messages"]
    assert json.loads(body.ready()) == plain | {"messages": json.loads(text)}
    assert json.loads(dial.calls[-1].body) == json.loads(body.ready())
