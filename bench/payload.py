"""The bytes of every shape: chat bodies of a given size, the mock's answers, events of a stream."""

from __future__ import annotations

import json

__all__ = [
    "CHAT_ANSWER",
    "EVENT",
    "LAST",
    "REFUSAL",
    "chat_body",
    "chunked",
    "generate_body",
    "paced_model",
    "read_model",
    "stream_answer",
]

_WORDS = "The quick brown fox jumps over the lazy dog while the gateway counts what it costs. "


def chat_body(model: str, size: int = 1024, stream: bool = False) -> bytes:
    """A chat completion request of exactly `size` bytes: a system message and a user message filled up with text."""

    def encode(text: str) -> bytes:
        messages = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": text}]
        fields = {"model": model, "messages": messages, "temperature": 0.7, "max_tokens": 512, "stream": stream}
        return json.dumps(fields, separators=(",", ":")).encode()

    room = size - len(encode(""))
    if room < 0:
        raise ValueError(f"a chat body has at least {size - room} bytes, not {size}")
    return encode((_WORDS * (room // len(_WORDS) + 1))[:room])


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def generate_body(size: int = 1024) -> bytes:
    """A request of `/api/ai/generate` of exactly `size` bytes."""
    return _dump({"prompt": "x" * (size - len(_dump({"prompt": ""})))})


def _answer_text(size: int) -> str:
    return (_WORDS * (size // len(_WORDS) + 1))[:size]


CHAT_ANSWER: bytes = _dump(
    {
        "id": "chatcmpl-bench0000000000000000000001",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _answer_text(700)},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 230, "completion_tokens": 170, "total_tokens": 400},
    }
)
"""What the mock answers to a chat without a stream: about 1 KB."""

REFUSAL: bytes = _dump(
    {"error": {"message": "The credential is not valid.", "type": "authentication_error", "param": None, "code": "x"}}
)
"""What nginx `return` answers where WWS refuses: a body of the same kind and size."""


def _chunk(delta: dict[str, str], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    fields: dict[str, object] = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": "bench",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    if usage is not None:
        fields["usage"] = usage
    return b"data: " + _dump(fields) + b"\n\n"


EVENT: bytes = _chunk({"content": " token"})
"""One event as a chat stream sends it, about 170 bytes."""

_USAGE = {"prompt_tokens": 230, "completion_tokens": 60, "total_tokens": 290}
LAST: bytes = _chunk({}, "stop", _USAGE) + b"data: [DONE]\n\n"


def stream_answer(events: int) -> bytes:
    """A whole event stream of `events` tokens with its end, as one piece."""
    return _chunk({"role": "assistant", "content": ""}) + EVENT * events + LAST


def chunked(data: bytes) -> bytes:
    """`data` as one chunk (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def paced_model(events: int, every_ms: int) -> str:
    """The model name that asks the mock for a stream of so many events at this interval."""
    return f"paced-{events}-{every_ms}"


def read_model(model: str) -> tuple[int, int] | None:
    """(events, interval in ms) of a name made by `paced_model`; None for every other."""
    match model.split("-"):
        case ["paced", events, every] if events.isdigit() and every.isdigit():
            return int(events), int(every)
    return None
