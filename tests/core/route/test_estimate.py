"""Estimates: sizes in tokens, and how hard a prompt looks."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.route.estimate import HEAD, IMAGE_BYTES, TAIL, WEIGHTS, complexity, context_length, largest_within, text_bytes


@pytest.mark.parametrize(
    ("size", "answer", "tokens"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (4, 0, 2),
        (40, 0, 11),
        (1_000, 0, 275),
        (1_000, 500, 775),
        (465_454, 0, 128_000),
        (465_455, 0, 128_001),
    ],
)
def test_a_context_is_a_quarter_of_the_bytes_a_tenth_more_and_the_answer(size: int, answer: int, tokens: int) -> None:
    assert context_length(size, answer) == tokens


@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_context_is_never_less_than_a_quarter_of_the_bytes_and_grows_with_them(size: int, answer: int) -> None:
    tokens = context_length(size, answer)
    assert tokens * 4 >= size + answer * 4
    assert context_length(size + 1, answer) >= tokens
    assert context_length(size, answer + 1) == tokens + 1


def image(size: int) -> bytes:
    return b'{"type":"image_url","image_url":{"url":"data:image/png;base64,' + base64.b64encode(b"\x00" * size) + b'"}}'


def test_text_counts_as_it_is() -> None:
    assert text_bytes(b"") == 0
    assert text_bytes(b"x" * 1_000_000) == 1_000_000
    assert text_bytes(b'{"content":"what does ;base64, mean?"}') == len(b'{"content":"what does ;base64, mean?"}')


def test_an_embedded_file_counts_as_one_image_however_large() -> None:
    small, large = text_bytes(b"[" + image(30_000) + b"]"), text_bytes(b"[" + image(3_000_000) + b"]")
    assert small == large
    assert IMAGE_BYTES < large < IMAGE_BYTES + 100
    two = text_bytes(b"[" + image(30_000) + b"," + image(60_000) + b"]")
    assert 2 * IMAGE_BYTES < two < 2 * IMAGE_BYTES + 200


def test_a_small_embedded_file_counts_by_its_bytes() -> None:
    assert text_bytes(image(30)) == len(image(30))


def test_an_embedded_file_without_an_end_does_not_matter() -> None:
    assert text_bytes(b'"data:image/png;base64,AAAA') == len(b'"data:image/png;base64,AAAA')


@given(st.lists(st.sampled_from([b";base64,", b'"', b"A" * 5000, b"text", b"{"]), max_size=12))
def test_a_discount_is_never_more_than_what_there_is(parts: list[bytes]) -> None:
    body = b"".join(parts)
    assert 0 <= text_bytes(body) <= len(body)


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " ",
        "hi",
        "Hello!",
        "Thanks, that works.",
        "What is the capital of France?",
        "Translate 'good morning' to Italian.",
        "Write a short poem about the sea.",
        "Who is the author of Faust?",
        "\u4f60\u597d\uff0c\u4eca\u5929\u5929\u6c14\u600e\u4e48\u6837\uff1f",
    ],
)
def test_small_talk_and_look_ups_are_low(prompt: str) -> None:
    assert complexity(prompt) == "low"


@pytest.mark.parametrize(
    "prompt",
    [
        "Write a Python function that reverses a list.",
        "Fix this bug:\n```\nfor i in range(10) print(i)\n```",
        "Design the database schema and the cache for a shop.",
        "Summarise this text. " + "The quick brown fox jumps over the lazy dog. " * 60 + "Please justify the summary.",
    ],
)
def test_ordinary_work_is_medium(prompt: str) -> None:
    assert complexity(prompt) == "medium"


@pytest.mark.parametrize(
    "prompt",
    [
        "Prove that there are infinitely many primes, step by step.",
        "Analyze the root cause of this outage.",
        "Think through the trade-offs: derive the bound.",
        "Refactor this Rust code so that the distributed cache has no deadlock under concurrency:\n```\nfn main() {\n}\n```",
        "Debug the Python code: the database transaction in this pipeline deadlocks at high throughput.\n1. reproduce\n2. fix",
    ],
)
def test_reasoning_and_hard_engineering_are_high(prompt: str) -> None:
    assert complexity(prompt) == "high"


def test_two_reasoning_markers_are_enough_and_one_is_not() -> None:
    assert complexity("Say why: infer it.") == "low"
    assert complexity("Say why: infer it and derive it.") == "high"


def test_what_a_coding_tool_slips_in_does_not_count() -> None:
    reminder = "<system-reminder>Think carefully, step by step, and analyze the code.\n```\ndef f(): ...\n```</system-reminder>"
    assert complexity(reminder + "hi") == "low"
    assert complexity(f"hi {reminder} there {reminder}") == "low"
    assert complexity(f"{reminder}Prove that 2 is prime, step by step.{reminder}") == "high"


def test_a_reminder_that_never_ends_is_text_like_any_other() -> None:
    assert complexity("<system-reminder>Prove that it holds, step by step.") == "high"
    assert complexity("<system-reminder>hi</system-reminder>lorem<system-reminder>Prove that it holds, step by step.") == "high"


def test_the_task_is_found_at_the_start_and_at_the_end_of_a_long_prompt() -> None:
    filler = "lorem ipsum dolor sit amet " * 4000
    task = "Prove that it holds, step by step."
    assert complexity(filler) == "low"
    assert complexity(task + filler) == "high"
    assert complexity(filler + task) == "high"


def test_what_is_in_the_middle_of_a_long_prompt_is_not_looked_at() -> None:
    task = "Prove that it holds, step by step."
    assert complexity("lorem " * HEAD + task + "lorem " * TAIL) == "low"


def test_length_alone_makes_nothing_hard() -> None:
    assert complexity("lorem " * 100_000) == "low"


def test_the_weights_are_those_documented() -> None:
    named = {signal.__name__.strip("_"): weight for signal, weight in WEIGHTS}
    assert named == {
        "length": 0.10,
        "code": 0.30,
        "reasoning": 0.25,
        "technical": 0.25,
        "simple": -0.05,
        "multi_step": 0.03,
        "questions": 0.02,
    }
    assert sum(map(abs, named.values())) == pytest.approx(1.0)


RANK = {"low": 0, "medium": 1, "high": 2}


@given(st.text(max_size=300))
def test_any_text_has_a_tier_and_two_markers_make_it_high(text: str) -> None:
    assert complexity(text) in RANK
    assert complexity(text + "\nProve that this is so, step by step.") == "high"


@given(st.lists(st.sampled_from(["the ", "and ", "python ", "deadlock ", "? ", "1.\n", "() { "]), max_size=30))
def test_technical_words_never_lower_a_tier(parts: list[str]) -> None:
    prompt = "".join(parts)
    assert RANK[complexity(prompt + "kubernetes sharding consensus")] >= RANK[complexity(prompt)]


@given(st.integers(-5, 10**7))
def test_the_largest_size_within_a_length(tokens: int) -> None:
    size = largest_within(tokens)
    assert context_length(size) <= tokens < context_length(size + 1)
