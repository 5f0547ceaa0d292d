"""Putting plain answers together from streams: everything that came is in them, however it was cut."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.trail import Usage
from wws.core.wire.assemble import Assembler, ChatAssembler
from wws.core.wire.sse import MAX_EVENT

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "served-1"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 4}}
DONE = b"data: [DONE]\n\n"


def data(value: object, *, spaced: bool = False) -> bytes:
    text = json.dumps(value, ensure_ascii=False) if spaced else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return b"data: " + text.encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **members: Any) -> bytes:
    return data({**HEAD, "choices": [{"index": index, "delta": delta or {}, "finish_reason": finish}], **members})


ROLE = chunk({"role": "assistant", "content": ""})
FINISH = chunk(finish="stop")
COUNTED = data({**HEAD, "choices": [], "usage": USAGE})


def put_together(*chunks: bytes, shape: type[Assembler] = ChatAssembler) -> tuple[Assembler, dict[str, Any]]:
    assembler = shape()
    for sent in chunks:
        assembler.feed(sent)
    assembler.end()
    answer: dict[str, Any] = json.loads(assembler.result())
    return assembler, answer


def message(*chunks: bytes) -> dict[str, Any]:
    found: dict[str, Any] = put_together(*chunks)[1]["choices"][0]["message"]
    return found


def words(*texts: str, name: str = "content", **members: Any) -> list[bytes]:
    return [chunk({name: text}, **members) for text in texts]


def test_a_plain_answer() -> None:
    assembler, answer = put_together(ROLE, *words("Hel", "lo ", "there", usage=None), FINISH, COUNTED, DONE)
    assert answer == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "served-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello there"},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": USAGE,
    }
    assert (assembler.done, assembler.complete, assembler.error, assembler.malformed) == (True, True, None, 0)
    assert (assembler.finish_reason, assembler.model, assembler.usage) == ("stop", "served-1", Usage(9, 3, 4))
    assert assembler.events == 7


TRICKY = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["content", '"', "\\", '","x":"', "\n\n", "data: ", '"}}]}', "\\u0041", "€", "\x1f", '"finish_reason":"stop"', "[DONE]"]
)


@given(st.lists(TRICKY, max_size=30), st.lists(st.integers(0, 9000), max_size=40), st.sampled_from([b"\n", b"\r\n"]))
def test_any_cut_gives_the_whole_text(texts: list[str], cuts: list[int], newline: bytes) -> None:
    stream = b"".join([ROLE, *words(*texts), FINISH, COUNTED, DONE]).replace(b"\n", newline)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assembler, answer = put_together(*[stream[a:b] for a, b in zip(edges, edges[1:], strict=False)])
    assert answer["choices"][0]["message"]["content"] == "".join(texts)
    assert (answer["choices"][0]["finish_reason"], answer["usage"], assembler.complete) == ("stop", USAGE, True)
    assert assembler.malformed == 0


@given(st.lists(st.tuples(st.sampled_from(["content", "reasoning_content", "x_thought"]), TRICKY), max_size=40), st.booleans())
def test_texts_of_several_members_keep_their_order(parts: list[tuple[str, str]], spaced: bool) -> None:
    events = [
        data({**HEAD, "choices": [{"index": 0, "delta": {name: text}, "finish_reason": None}]}, spaced=spaced)
        for name, text in parts
    ]
    found = message(ROLE, *events, FINISH)
    for name in ("content", "reasoning_content", "x_thought"):
        assert (found.get(name) or "") == "".join([text for member, text in parts if member == name])


@given(st.lists(st.tuples(st.integers(0, 2), st.text('ab"\\', max_size=3)), max_size=40))
def test_choices_do_not_mix(parts: list[tuple[int, str]]) -> None:
    events = [chunk({"content": text}, index=index) for index, text in parts]
    _, answer = put_together(*events)
    seen = sorted({index for index, _ in parts})
    assert [choice["index"] for choice in answer["choices"]] == seen
    for choice in answer["choices"]:
        assert choice["message"]["content"] == "".join([text for index, text in parts if index == choice["index"]])


def test_an_answer_is_complete_when_every_choice_has_finished() -> None:
    assembler = ChatAssembler()
    for event in (chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk(finish="stop")):
        assembler.feed(event)
    assert not assembler.complete
    assembler.feed(chunk(finish="length", index=1))
    assert assembler.complete
    assert [choice["finish_reason"] for choice in json.loads(assembler.result())["choices"]] == ["stop", "length"]


def test_what_changes_beside_the_text_is_never_lost() -> None:
    """Surroundings are learned from the first word; the others have something more."""
    logprobs = {"content": [{"token": "b", "logprob": -0.5, "bytes": [98], "top_logprobs": []}]}
    events = [
        chunk({"content": "a"}),
        data({**HEAD, "choices": [{"index": 0, "delta": {"content": "b"}, "logprobs": logprobs, "finish_reason": None}]}),
        chunk({"content": "c", "refusal": "no"}),
        chunk({"content": "d"}, "length"),
        chunk({"content": "e"}, usage=USAGE),
    ]
    assembler, answer = put_together(*events)
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "abcde", "refusal": "no"}
    assert choice["logprobs"] == logprobs
    assert (choice["finish_reason"], answer["usage"]) == ("length", USAGE)
    assert assembler.events == 5


def test_probabilities_add_up() -> None:
    def probable(token: str) -> bytes:
        logprobs = {"content": [{"token": token, "logprob": -1.0}], "refusal": None}
        return data({**HEAD, "choices": [{"index": 0, "delta": {"content": token}, "logprobs": logprobs, "finish_reason": None}]})

    _, answer = put_together(probable("a"), probable("b"), probable("c"))
    assert [entry["token"] for entry in answer["choices"][0]["logprobs"]["content"]] == ["a", "b", "c"]
    assert answer["choices"][0]["message"]["content"] == "abc"


def call(index: int | None = None, **members: Any) -> dict[str, Any]:
    return members if index is None else {"index": index, **members}


def function(name: str | None = None, arguments: str | None = None) -> dict[str, Any]:
    return {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}


@pytest.mark.parametrize("index", [0, None])
def test_a_tool_call(index: int | None) -> None:
    """synthetic.new leaves the index out at times: then it is the first."""
    deltas = [
        call(index, id="call_1", type="function", function=function("weather", "")),
        call(index, function=function(arguments='{"city":')),
        call(index, function=function(arguments='"Bern"}')),
    ]
    found = message(ROLE, *[chunk({"tool_calls": [delta]}) for delta in deltas], chunk(finish="tool_calls"))
    wanted = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
    assert found == {"role": "assistant", "content": None, "tool_calls": [wanted]}


def test_two_calls_at_once() -> None:
    deltas = [
        [call(0, id="a", type="function", function=function("one", ""))],
        [call(1, id="b", type="function", function=function("two", ""))],
        [call(1, function=function(arguments="2")), call(0, function=function(arguments="1"))],
        [call(0, function=function(arguments="1"))],
    ]
    found = message(*[chunk({"tool_calls": delta}) for delta in deltas])["tool_calls"]
    assert [(entry["id"], entry["function"]["name"], entry["function"]["arguments"]) for entry in found] == [
        ("a", "one", "11"),
        ("b", "two", "2"),
    ]


def test_two_calls_that_only_their_ids_tell_apart() -> None:
    deltas = [call(id="a", function=function("one", "1")), call(id="a", function=function(arguments="1"))]
    deltas += [call(id="b", function=function("two", "2")), call(function=function(arguments="2"))]
    found = message(*[chunk({"tool_calls": [delta]}) for delta in deltas])["tool_calls"]
    assert [(entry["id"], entry["function"]["arguments"]) for entry in found] == [("a", "11"), ("b", "22")]


def test_a_name_that_is_repeated_is_said_once() -> None:
    repeated = {"id": "a", "type": "function", "function": function("weather", "x")}
    found = message(*[chunk({"tool_calls": [{"index": 0, **repeated}]}) for _ in range(3)])["tool_calls"]
    assert found == [{"id": "a", "type": "function", "function": {"name": "weather", "arguments": "xxx"}}]


def test_text_beside_a_tool_call_stays() -> None:
    found = message(*words("Let me see."), chunk({"tool_calls": [call(0, id="a", function=function("f", "{}"))]}))
    assert found["content"] == "Let me see."


def test_unknown_members_come_through_everywhere() -> None:
    events = [
        chunk({"role": "assistant", "content": "", "x_list": [1], "x_object": {"a": "b"}}, system_fingerprint="fp_1"),
        chunk({"x_list": [2], "x_object": {"a": "c", "n": 1}, "x_number": 7, "x_null": None}),
        data({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": 106, "x_none": None}]}),
        data({**HEAD, "choices": [], "service_tier": "default", "usage": {**USAGE, "cost": 0.25}}),
    ]
    _, answer = put_together(*events)
    assert answer["system_fingerprint"] == "fp_1"
    assert answer["service_tier"] == "default"
    assert answer["usage"]["cost"] == 0.25
    assert answer["choices"][0]["stop_reason"] == 106
    wanted = {
        "role": "assistant",
        "content": "",
        "x_list": [1, 2],
        "x_object": {"a": "bc", "n": 1},
        "x_number": 7,
        "x_null": None,
    }
    assert answer["choices"][0]["message"] == wanted


def test_reasoning_details_grow_in_their_places() -> None:
    details = [{"index": 0, "type": "reasoning.text", "text": "a"}, {"index": 0, "type": "reasoning.text", "text": "b"}]
    found = message(*[chunk({"reasoning_details": [detail]}) for detail in details])
    assert found["reasoning_details"] == [{"index": 0, "type": "reasoning.text", "text": "ab"}]


def test_the_first_id_and_model_stand_for_all() -> None:
    _, answer = put_together(chunk({"content": "a"}), data({**HEAD, "id": "other", "model": "m2", "choices": []}))
    assert (answer["id"], answer["model"]) == ("chatcmpl-1", "served-1")


@pytest.mark.parametrize("name", ["content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call"])
def test_visible_is_the_first_token_of_any_kind(name: str) -> None:
    assembler = ChatAssembler()
    assembler.feed(b": waiting\n\n" + ROLE)
    assert not assembler.visible
    assembler.feed(chunk({name: [{"index": 0}] if name == "tool_calls" else {"name": "f"} if name == "function_call" else "x"}))
    assert assembler.visible


@pytest.mark.parametrize(
    "bad", [b'data: {"choices":[{"delta":{"content":"hal\n\n', b"data: 7\n\n", b"data: [1]\n\n", b"data: \xff\n\n"]
)
def test_a_malformed_event_is_left_out(bad: bytes) -> None:
    assembler, answer = put_together(ROLE, *words("a", "b"), bad, *words("c"), FINISH, DONE)
    assert answer["choices"][0]["message"]["content"] == "abc"
    assert (assembler.malformed, assembler.complete) == (1, True)


def test_an_event_that_begins_and_ends_like_the_others_but_is_broken() -> None:
    good = words("abc")[0]
    broken = good.replace(b'"abc"', b'"x" oops "y"')
    other = good.replace(b'"abc"', b'"x","refusal":"y"')
    assembler, answer = put_together(good, broken, good, other, FINISH)
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "abcabcx", "refusal": "y"}
    assert assembler.malformed == 1


@pytest.mark.parametrize(
    "event",
    [
        '{"content":"a","choices":[{"index":0,"delta":{"content":"%s"}}]}',
        '{"choices":[{"index":0,"delta":{"content":"%s"},"note":{"content":"a"}}]}',
        '{"x":"content","choices":[{"index":0,"delta":{"\\u0063ontent":"%s"}}]}',
        '{"choices":[{"index":0,"delta":{"x":"%s"}},{"index":1,"delta":{"x":"%s"}}]}',
        '{"choices":[{"index":0,"delta":{"role":"%s"}}]}',
        '{"choices":[{"index":0,"delta":{"content":"%s"}}],"usage":{"total_tokens":%d}}',
        '{"choices":[{"index":0,"delta":{"content":"%s"},"logprobs":{"content":[{"token":"%s"}]}}]}',
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_surroundings_that_seem_to_be_those_of_a_text(event: str, together: bool) -> None:
    """Read as a run, or each by itself as a text's surroundings are never learned from it: the answer is the same."""
    events = [
        b"data: " + (event % tuple([text if kind == "s" else len(text) for kind in re.findall("%(.)", event)])).encode() + b"\n\n"
        for text in ("a", "b", "content", "x" * 9, "a")
    ]
    found, answer = put_together(*([b"".join(events)] if together else events))
    slow = ChatAssembler()
    for sent in events:  # an event that comes in two parts is decoded, always
        slow.feed(sent[:20])
        slow.feed(sent[20:])
    assert answer == json.loads(slow.result())
    assert (found.visible, found.events, found.usage) == (slow.visible, 5, slow.usage)


def test_a_text_that_was_one_is_something_else_for_once() -> None:
    odd = data({"choices": [{"index": 0, "delta": {"content": {"x": "seen"}}}]})
    _, answer = put_together(*words("a"), odd, odd.replace(b'"x"', b'"y"'), *words("b"), FINISH)
    assert answer["choices"][0]["message"]["content"] == "ab"


def test_an_error_ends_it() -> None:
    error = data({"error": {"code": "1305", "message": "overloaded"}})
    assembler, answer = put_together(ROLE, *words("a", "b"), error, *words("c"), FINISH, DONE)
    assert assembler.error is not None
    assert json.loads(assembler.error)["error"]["code"] == "1305"
    assert not assembler.complete
    assert answer["choices"][0]["message"]["content"] == "ab"


@given(
    st.lists(st.tuples(st.sampled_from(["content", "reasoning_content", "call", "odd"]), TRICKY), max_size=30),
    st.lists(st.integers(0, 6000), max_size=6),
)
def test_events_of_all_kinds_in_one_read(parts: list[tuple[str, str]], cuts: list[int]) -> None:
    """However many come together, and whatever stands between two that are alike."""
    made: dict[str, Callable[[str], bytes]] = {
        "call": lambda text: chunk({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}),
        "odd": lambda text: b": " + text.encode().replace(b"\n", b"") + b"\n\n",
    }
    events = [made[name](text) if name in made else chunk({name: text}) for name, text in parts]
    stream = b"".join([ROLE, *events, FINISH, DONE])
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assembler, answer = put_together(*[stream[a:b] for a, b in zip(edges, edges[1:], strict=False)])
    found = answer["choices"][0]["message"]
    for name in ("content", "reasoning_content"):
        assert (found.get(name) or "") == "".join([text for member, text in parts if member == name])
    calls = "".join([call["function"]["arguments"] for call in found.get("tool_calls", [])])
    assert calls == "".join([text for member, text in parts if member == "call"])
    assert (assembler.complete, assembler.malformed) == (True, 0)


def test_an_error_among_the_events_of_one_read() -> None:
    error = data({"error": {"message": "no"}})
    assembler, _ = put_together(b"".join([ROLE, *words("a"), error, *words("b"), FINISH]))
    assert (assembler.error is not None, assembler.finish_reason) == (True, None)


def test_an_event_without_an_end_is_an_error() -> None:
    assembler, _ = put_together(ROLE, b"data: " + b"x" * (MAX_EVENT + 1))
    assert assembler.error == b"event_too_large"


def test_the_last_event_may_lack_its_blank_line() -> None:
    assembler, _ = put_together(ROLE, *words("a"), FINISH, b"data: [DONE]")
    assert assembler.done


def test_a_long_answer() -> None:
    texts = [f"word {number} " for number in range(2000)] + ["é\n", '"quoted"'] * 50
    assembler, answer = put_together(ROLE, *words(*texts), FINISH, COUNTED, DONE)
    assert answer["choices"][0]["message"]["content"] == "".join(texts)
    assert assembler.events == len(texts) + 4


def test_nothing_at_all() -> None:
    assembler, answer = put_together()
    assert answer == {"object": "chat.completion", "choices": []}
    assert (assembler.complete, assembler.visible, assembler.usage, assembler.model) == (False, False, None, None)


@pytest.mark.parametrize(
    "event",
    [
        {"choices": None},
        {"choices": ["x", None, {"delta": "x"}, {"index": "1", "delta": None}]},
        {"choices": [{"delta": {"tool_calls": "x"}}]},
        {"choices": [{"delta": {"tool_calls": [None, 3]}}]},
        {"choices": [{"delta": {"content": {"a": 1}}}]},
        {"usage": "x", "model": 7},
    ],
)
def test_odd_events_do_no_harm(event: dict[str, Any]) -> None:
    _, answer = put_together(*words("a"), data(event), *words("b"), FINISH)
    assert json.dumps(answer["choices"][0]["message"]).count("b") >= 1
