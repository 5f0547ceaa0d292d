"""Bodies of the AI endpoints: what is taken out, what is put in, what is refused, and that everything else keeps its bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws import codec
from wws.core.fault import Fault
from wws.core.route.choose import Task
from wws.core.wire.chat import ENDPOINTS, Chat, Kind, max_tokens, read, task_of
from wws.errors import TABLE

KINDS: tuple[Kind, ...] = get_args(Kind)
HELLO = '"messages":[{"role":"user","content":"hi"}]'


def good(body: str | bytes, kind: Kind = "chat", task_type: bytes | None = None) -> Chat:
    answer = read(codec.split(body.encode() if isinstance(body, str) else body), kind, task_type)
    assert isinstance(answer, Chat), answer
    return answer


def bad(body: str | bytes, kind: Kind = "chat") -> Fault:
    answer = read(codec.split(body.encode() if isinstance(body, str) else body), kind)
    assert isinstance(answer, Fault), answer
    assert answer.code in TABLE
    return answer


def sent(chat: Chat) -> Any:
    return json.loads(codec.join(chat.members))


def pieces(members: dict[str, codec.Piece]) -> dict[str, bytes]:
    return {name: bytes(piece) for name, piece in members.items()}


def test_every_endpoint_has_a_kind() -> None:
    assert ENDPOINTS == {
        "/api/ai/chat": "chat",
        "/api/ai/generate": "generate",
        "/v1/chat/completions": "completions",
        "/v1/messages": "messages",
        "/v1/embeddings": "embeddings",
    }
    assert set(ENDPOINTS.values()) == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "body", "operation"),
    [
        ("chat", "{" + HELLO + "}", "chat"),
        ("generate", '{"prompt":"hi"}', "chat"),
        ("completions", "{" + HELLO + "}", "chat"),
        ("messages", "{" + HELLO + "}", "messages"),
        ("embeddings", '{"input":"hi"}', "embeddings"),
    ],
)
def test_each_kind_is_one_operation_of_a_provider(kind: Kind, body: str, operation: str) -> None:
    call = good(body, kind)
    assert (call.operation, call.model, call.stream, call.task) == (operation, None, False, Task())


# -- model and stream


@pytest.mark.parametrize("kind", KINDS)
def test_model_and_stream_are_read(kind: Kind) -> None:
    first = {"generate": '"prompt":"hi"', "embeddings": '"input":"hi"'}.get(kind, HELLO)
    chat = good("{" + first + ',"model":"zai/glm-4.7","stream":true}', kind)
    assert (chat.model, chat.stream) == ("zai/glm-4.7", True)
    chat = good("{" + first + ',"model":null,"stream":false}', kind)
    assert (chat.model, chat.stream) == (None, False)
    assert good("{" + first + ',"stream":null}', kind).stream is False


@pytest.mark.parametrize("value", ["1", "0", '"true"', "[]", "{}", '"yes"', "1e0"])
def test_stream_is_a_boolean(value: str) -> None:
    fault = bad("{" + HELLO + ',"stream":' + value + "}")
    assert (fault.code, fault.param, fault.message) == ("invalid_request", "stream", "`stream` must be true or false.")


@pytest.mark.parametrize("value", ["1", "true", "[]", '["auto"]', "{}", '{"id":"auto"}', "123456789012345678901234567890"])
def test_model_is_a_string(value: str) -> None:
    fault = bad("{" + HELLO + ',"model":' + value + "}", "completions")
    assert (fault.code, fault.param) == ("invalid_request", "model")


def test_a_model_written_with_escapes_is_the_same_model() -> None:
    assert good('{"mod\\u0065l":"\\u0061uto",' + HELLO + "}").model == "auto"


def test_of_two_members_with_one_name_the_last_counts_and_only_it_is_sent() -> None:
    chat = good('{"model":"a",' + HELLO + ',"model":"b","stream":true,"stream":false}', "completions")
    assert (chat.model, chat.stream) == ("b", False)
    assert codec.join(chat.members).count(b'"model"') == 1


# -- messages


@pytest.mark.parametrize("kind", ["chat", "completions", "messages"])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "`messages` is missing: send a list of messages."),
        ('{"prompt":"hi"}', "`messages` is missing: send a list of messages."),
        ('{"messages":null}', "`messages` must be a list of messages."),
        ('{"messages":"hi"}', "`messages` must be a list of messages."),
        ('{"messages":{"role":"user"}}', "`messages` must be a list of messages."),
        ('{"messages":7}', "`messages` must be a list of messages."),
        ('{"messages":[]}', "`messages` must not be empty."),
        ('{"messages":[ ]}', "`messages` must not be empty."),
        ('{"messages": \n[\t\r\n  ] }', "`messages` must not be empty."),
        ('{"messages":[' + " " * 500 + "]}", "`messages` must not be empty."),
    ],
)
def test_messages_are_a_list_with_something_in_it(kind: Kind, body: str, message: str) -> None:
    assert bad(body, kind) == Fault("invalid_request", message, "messages")


@pytest.mark.parametrize("array", ["[{}]", '[ {"role":"user"} ]', "[\n\n{}]", "[[]]", "[1]", '["]"]', "[ []]"])
def test_what_is_in_the_list_is_for_the_provider_to_judge(array: str) -> None:
    chat = good('{"messages":' + array + "}", "completions")
    assert bytes(chat.members["messages"]) == array.encode()


@pytest.mark.parametrize("kind", ["completions", "messages"])
def test_the_v1_endpoints_pass_everything_as_it_is(kind: Kind) -> None:
    members = codec.split(('{"task":{"type":7},"context":7,"prompt":7,' + HELLO + ',"x":{"y":[1e400]}}').encode())
    before = pieces(members)
    chat = read(members, kind)
    assert isinstance(chat, Chat)
    assert chat.members is members
    assert pieces(chat.members) == before
    assert chat.task == Task()


def test_embeddings_need_an_input_and_keep_it() -> None:
    fault = bad('{"model":"x"}', "embeddings")
    assert (fault.code, fault.param) == ("invalid_request", "input")
    for value in ('"hi"', '["a","b"]', "[1,2,3]", "[[1],[2]]"):
        chat = good('{"input":' + value + ',"task":"retrieval"}', "embeddings")
        assert pieces(chat.members) == {"input": value.encode(), "task": b'"retrieval"'}


# -- task


@pytest.mark.parametrize(
    ("value", "task"),
    [
        ('"code"', Task("code")),
        ('" Code\\n"', Task("code")),
        ('""', Task()),
        ("null", Task()),
        ("{}", Task()),
        ('{"type":"debugging"}', Task("debugging")),
        ('{"type":"Debugging","complexity":"HIGH","context_length":200000}', Task("debugging", "high", 200_000)),
        ('{"type":null,"complexity":null,"context_length":null}', Task()),
        ('{"type":" ","complexity":""}', Task()),
        ('{"context_length":0}', Task(None, None, 0)),
        ('{"context_length":2e5}', Task(None, None, 200_000)),
        ('{"context_length":123456789012345678901234567890}', Task(None, None, 123456789012345678901234567890)),
        ('{"type":"code","other":[1,2],"priority":"high"}', Task("code")),
        ('{"type":"\\u00fcbersetzung"}', Task("\u00fcbersetzung")),
    ],
)
@pytest.mark.parametrize("kind", ["chat", "generate"])
def test_a_task_is_a_word_or_an_object_and_is_not_sent_on(kind: Kind, value: str, task: Task) -> None:
    chat = good("{" + (HELLO if kind == "chat" else '"prompt":"hi"') + ',"task":' + value + ',"seed":1}', kind)
    assert chat.task == task
    assert sent(chat) == {"messages": [{"role": "user", "content": "hi"}], "seed": 1}


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ("7", "task"),
        ("true", "task"),
        ('["code"]', "task"),
        ('{"type":7}', "task.type"),
        ('{"type":["code"]}', "task.type"),
        ('{"complexity":0.8}', "task.complexity"),
        ('{"context_length":"200000"}', "task.context_length"),
        ('{"context_length":-1}', "task.context_length"),
        ('{"context_length":1.5}', "task.context_length"),
        ('{"context_length":true}', "task.context_length"),
        ('{"context_length":[1]}', "task.context_length"),
    ],
)
def test_a_task_of_the_wrong_shape_is_refused_by_its_field(value: str, param: str) -> None:
    for kind, first in (("chat", HELLO), ("generate", '"prompt":"hi"')):
        fault = bad("{" + first + ',"task":' + value + "}", "chat" if kind == "chat" else "generate")
        assert (fault.code, fault.param) == ("invalid_request", param)
        assert fault.message is not None
        assert f"`{param}`" in fault.message


@pytest.mark.parametrize("kind", ["chat", "completions", "messages"])
def test_the_header_gives_the_type(kind: Kind) -> None:
    assert good("{" + HELLO + "}", kind, b"code").task == Task("code")
    assert good("{" + HELLO + "}", kind, b" Debugging ").task == Task("debugging")
    assert good("{" + HELLO + "}", kind, b"").task == Task()
    assert good("{" + HELLO + "}", kind, b"\xfc").task == Task("\u00fc")


@pytest.mark.parametrize(
    ("value", "task"),
    [
        ('"code"', Task("code")),
        ('{"type":"code"}', Task("code")),
        ('{"complexity":"low"}', Task("poem", "low")),
        ('{"context_length":5}', Task("poem", None, 5)),
        ('""', Task("poem")),
        ("null", Task("poem")),
    ],
)
def test_the_body_overrules_the_header_where_it_says_something(value: str, task: Task) -> None:
    assert good("{" + HELLO + ',"task":' + value + "}", "chat", b"poem").task == task


def test_a_task_given_as_a_value_fills_what_was_known() -> None:
    assert task_of({"type": "code"}, Task("x", "low", 5)) == Task("code", "low", 5)
    assert task_of(None, Task("x")) == Task("x")
    assert isinstance(task_of(7), Fault)
    assert isinstance(task_of([]), Fault)


# -- context


SYSTEM = {"role": "system"}
HI = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("value", "before"),
    [
        ('"You are terse."', [{**SYSTEM, "content": "You are terse."}]),
        ('""', []),
        ("null", []),
        ("[]", []),
        ('[""]', []),
        ('["a"]', [{**SYSTEM, "content": "a"}]),
        ('["a","","b"]', [{**SYSTEM, "content": "a\n\nb"}]),
        ('[{"role":"assistant","content":"x"}]', [{"role": "assistant", "content": "x"}]),
        ('{"role":"developer","content":"x","name":"n"}', [{"role": "developer", "content": "x", "name": "n"}]),
        (
            '["a","b",{"role":"user","content":[{"type":"text","text":"q"}]},"c"]',
            [
                {**SYSTEM, "content": "a\n\nb"},
                {"role": "user", "content": [{"type": "text", "text": "q"}]},
                {**SYSTEM, "content": "c"},
            ],
        ),
        ('["\\u00fc \\"quoted\\" \\ud83d\\ude00"]', [{**SYSTEM, "content": '\u00fc "quoted" \U0001f600'}]),
    ],
)
def test_the_context_goes_before_the_messages(value: str, before: list[dict[str, Any]]) -> None:
    assert sent(good("{" + HELLO + ',"context":' + value + "}")) == {"messages": [*before, HI]}
    assert sent(good('{"context":' + value + ',"prompt":"hi"}', "generate")) == {"messages": [*before, HI]}


@pytest.mark.parametrize("value", ["7", "true", "[7]", '["a",null]', "{}", '{"content":"x"}', '[{"role":7}]', '[["a"]]'])
def test_a_context_of_the_wrong_shape_is_refused(value: str) -> None:
    assert bad("{" + HELLO + ',"context":' + value + "}") == Fault(
        "invalid_request", "`context` must be a text, or a list of texts and messages {role, content}.", "context"
    )


def test_a_text_of_context_and_the_messages_keep_their_bytes() -> None:
    array = rb'[ {"role" : "user",  "content":"\u00fc \/ 1.0"} , {"n":1e2,"big":123456789012345678901234567890} ]'
    body = b'{"context":"\\u00e4 \\/ b","messages":' + array + b"}"
    assert codec.join(good(body).members) == b'{"messages":[{"role":"system","content":"\\u00e4 \\/ b"},' + array[1:] + b"}"


# -- generate


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ('"hi"', "hi"),
        ('" "', " "),
        ('["a","b"]', "a\n\nb"),
        ('["only"]', "only"),
        ('"\\u00fc\\n\\"x\\""', '\u00fc\n"x"'),
        ('["\\u00fc","\\""]', '\u00fc\n\n"'),
    ],
)
def test_a_prompt_is_the_one_user_message(value: str, content: str) -> None:
    chat = good('{"prompt":' + value + ',"max_tokens":5,"system":"kept"}', "generate")
    assert sent(chat) == {"messages": [{"role": "user", "content": content}], "max_tokens": 5, "system": "kept"}


def test_the_text_of_a_prompt_keeps_its_bytes() -> None:
    chat = good(b'{"prompt" : "\\u00fc \\/ 1"}', "generate")
    assert codec.join(chat.members) == b'{"messages":[{"role":"user","content":"\\u00fc \\/ 1"}]}'


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ("{}", "prompt"),
        ('{"prompt":null}', "prompt"),
        ('{"prompt":""}', "prompt"),
        ('{"prompt":7}', "prompt"),
        ('{"prompt":[]}', "prompt"),
        ('{"prompt":[""]}', "prompt"),
        ('{"prompt":["a",7]}', "prompt"),
        ('{"prompt":{"text":"a"}}', "prompt"),
        ("{" + HELLO + "}", "prompt"),
        ('{"prompt":"hi",' + HELLO + "}", "messages"),
    ],
)
def test_a_prompt_that_is_none_is_refused(body: str, param: str) -> None:
    fault = bad(body, "generate")
    assert (fault.code, fault.param) == ("invalid_request", param)
    assert fault.message


# -- everything else


def test_the_members_that_came_in_are_never_changed() -> None:
    for kind, body in (
        ("chat", "{" + HELLO + ',"task":"code","context":"x"}'),
        ("generate", '{"prompt":"hi","task":"code","context":"x"}'),
    ):
        members = codec.split(body.encode())
        before = pieces(members)
        assert isinstance(read(members, "chat" if kind == "chat" else "generate"), Chat)
        assert pieces(members) == before


def test_without_task_and_context_nothing_is_copied() -> None:
    members = codec.split(("{" + HELLO + ',"temperature":0.20}').encode())
    chat = read(members, "chat")
    assert isinstance(chat, Chat)
    assert chat.members is members


WEIRD = (
    '"tools":[{"type":"function","function":{"name":"f","parameters":{"a":{"b":{"c":[[[[1]]]]}}}}}]',
    '"temperature":0.20',
    '"seed":123456789012345678901234567890123456789',
    '"top_p":1E-3',
    '"metadata":{ "k" : "\\u0000\\ud83d\\ude00 \\/" , "k" : 2 }',
    '"user":"\u9577\u3044"',
    '"reasoning_content":"kept"',
    '"x":-0.0',
)


def test_members_nobody_knows_pass_with_the_bytes_they_had() -> None:
    for kind, first in (("chat", HELLO), ("generate", '"prompt":"hi"'), ("completions", HELLO)):
        body = "{" + ",".join([first, *WEIRD, '"task":"code"']) + "}"
        chat = good(body, "chat" if kind == "chat" else "generate" if kind == "generate" else "completions")
        left = pieces(chat.members)
        for member in WEIRD:
            name, _, text = member.partition(":")
            assert left[json.loads(name)] == text.encode()


def test_a_deep_member_is_carried_and_a_deep_task_does_no_harm() -> None:
    deep = "[" * 900 + "]" * 900
    chat = good("{" + HELLO + ',"x":' + deep + "}")
    assert bytes(chat.members["x"]) == deep.encode()
    assert bad("{" + HELLO + ',"task":' + deep + "}").param == "task"
    assert bad("{" + HELLO + ',"context":' + deep + "}").param == "context"
    assert bad("{" + HELLO + ',"model":' + deep + "}").param == "model"


HALVES = ('"\\ud800"', '["\\ud800"]', '{"type":"\\ud800","role":"\\ud800"}')


@pytest.mark.parametrize("member", ["task", "context", "model", "prompt", "stream", "max_tokens"])
@pytest.mark.parametrize("value", HALVES)
def test_half_a_character_is_refused_or_carried_but_never_a_crash(member: str, value: str) -> None:
    """`split` refuses it where msgspec is installed; the standard library lets it through, so a value may hold one."""
    members = codec.split(b"{" + (b"" if member == "prompt" else HELLO.encode()) + b"}") | {member: codec.raw(value.encode())}
    assert max_tokens(members) == 0
    answer = read(members, "generate" if member == "prompt" else "chat")
    if isinstance(answer, Chat):
        codec.join(answer.members)
    else:
        assert answer.code in ("invalid_request", "invalid_json")


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ("{}", 0),
        ('{"max_tokens":100}', 100),
        ('{"max_completion_tokens":7,"max_tokens":100}', 7),
        ('{"max_completion_tokens":null,"max_tokens":100}', 100),
        ('{"max_tokens":-5}', 0),
        ('{"max_tokens":true}', 0),
        ('{"max_tokens":"100"}', 0),
        ('{"max_tokens":1.5}', 0),
        ('{"max_tokens":[]}', 0),
        ('{"max_tokens":123456789012345678901}', 123456789012345678901),
    ],
)
def test_the_longest_answer_a_caller_asks_for(body: str, tokens: int) -> None:
    assert max_tokens(codec.split(body.encode())) == tokens


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["messages", "prompt", "context", "task", "model", "stream", "input", "max_tokens", "n", "\u00fc"]
bodies = st.dictionaries(st.sampled_from(NAMES), json_values | st.just([HI]) | st.just("text"), max_size=7)
OURS = {"messages", "prompt", "context", "task"}


@given(bodies, st.sampled_from(KINDS), st.none() | st.binary(max_size=10))
def test_any_object_is_read_or_refused_and_what_is_not_ours_keeps_its_bytes(
    body: dict[str, Any], kind: Kind, hint: bytes | None
) -> None:
    members = codec.split(json.dumps(body, indent=1).encode())
    before = pieces(members)
    answer = read(members, kind, hint)
    assert pieces(members) == before
    if isinstance(answer, Fault):
        assert answer.code in TABLE
        return
    assert isinstance(json.loads(codec.join(answer.members)), dict)
    after = pieces(answer.members)
    kept = OURS if kind in ("chat", "generate") else set()
    assert {name: text for name, text in before.items() if name not in kept} == {n: t for n, t in after.items() if n not in kept}
    if kept:
        assert not after.keys() & {"task", "context", "prompt"} - ({"prompt"} if kind == "chat" else set())
        assert after["messages"].startswith(b"[")


@given(st.lists(st.text(min_size=1, max_size=10), min_size=1, max_size=4), st.lists(st.text(max_size=10), min_size=1, max_size=4))
def test_the_messages_follow_the_context_whatever_the_texts(contents: list[str], context: list[str]) -> None:
    messages = [{"role": "user", "content": text} for text in contents]
    chat = good(json.dumps({"messages": messages, "context": context}))
    texts = [text for text in context if text]
    system = [{"role": "system", "content": "\n\n".join(texts)}] if texts else []
    assert sent(chat) == {"messages": [*system, *messages]}


# -- the edge has the standard library only

EDGE = """
import json, sys
from wws import codec
from wws.core.wire.chat import Chat, read
from wws.core.wire.prompt import prompt_text
assert "msgspec" not in sys.modules
for kind, body in json.load(sys.stdin):
    try:
        answer = read(codec.split(body.encode()), kind, b"hint")
    except ValueError:
        answer = ["invalid_json"]
    if isinstance(answer, Chat):
        answer = [answer.operation, codec.join(answer.members).decode(), answer.model, answer.stream, answer.task]
    print(json.dumps(answer))
"""


def at_the_edge(cases: list[tuple[Kind, str]]) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-S", "-c", EDGE],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(codec.__file__).parent.parent)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_with_the_standard_library_alone_every_answer_is_the_same() -> None:
    """`-S` leaves out the installed packages, as Pyodide on an edge host does."""
    cases: list[tuple[Kind, str]] = [
        (
            "chat",
            "{" + HELLO + ',"task":{"type":"code","context_length":2e5},"context":["a",{"role":"user","content":"\u00fc"}]}',
        ),
        ("chat", "{" + HELLO + ',"context":"\\u00e4 \\/","x": 1.50 }'),
        ("chat", '{"messages":[ ]}'),
        ("chat", "{" + HELLO + ',"task":7}'),
        ("generate", '{"prompt":["\u00fc","b"],"model":"auto","stream":true}'),
        ("generate", '{"prompt":" x ","seed":123456789012345678901234567890}'),
        ("completions", "{" + HELLO + ',"stream":1}'),
        ("messages", "{" + HELLO + ',"model":"code"}'),
        ("embeddings", '{"input":["a"],"model":null}'),
    ]
    lines = at_the_edge(cases)
    expected = []
    for kind, body in cases:
        call = read(codec.split(body.encode()), kind, b"hint")
        answer: object = call
        if isinstance(call, Chat):
            answer = [call.operation, codec.join(call.members).decode(), call.model, call.stream, call.task]
        expected.append(json.loads(json.dumps(answer)))
    assert lines == expected


def test_half_a_character_is_no_crash_at_the_edge_either() -> None:
    cases: list[tuple[Kind, str]] = [
        ("generate" if name == "prompt" else "chat", "{" + ("" if name == "prompt" else HELLO + ",") + f'"{name}":{value}' + "}")
        for name in ("task", "context", "model", "prompt", "x")
        for value in HALVES
    ]
    answers = at_the_edge(cases)
    assert len(answers) == len(cases)
    for answer in answers:
        assert answer[0] in ("chat", "invalid_request", "invalid_json")
