"""The bodies of the AI endpoints: from the members a caller sent to the members a provider is sent, and what routing needs.

    /api/ai/chat             {messages, context?, task?, ...}   `context` goes before the messages, `task` is for the router
    /api/ai/generate         {prompt, context?, task?, ...}     the prompt becomes the one user message
    /v1/chat/completions     OpenAI's own body, as it is
    /v1/messages             Anthropic's own body, as it is
    /v1/embeddings           OpenAI's own body, as it is

Members are those of `codec.split`. A value that is not changed keeps its bytes and is not decoded; the dictionary that came
in is never changed. Members not named here pass through to the provider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from wws import codec
from wws.core.fault import Fault
from wws.core.route.choose import NOTHING_KNOWN, Task

__all__ = ["ENDPOINTS", "Chat", "Kind", "Members", "max_tokens", "read", "task_of"]

Members: TypeAlias = dict[str, codec.Piece]
Kind: TypeAlias = Literal["chat", "generate", "completions", "messages", "embeddings"]

ENDPOINTS: Final[dict[str, Kind]] = {
    "/api/ai/chat": "chat",
    "/api/ai/generate": "generate",
    "/v1/chat/completions": "completions",
    "/v1/messages": "messages",
    "/v1/embeddings": "embeddings",
}


class Chat:
    """One call as the caller meant it. `operation` is that of `bindings.Call`; `model` is what was asked for, None: nothing."""

    __slots__ = ("members", "model", "operation", "stream", "task")

    def __init__(self, operation: str, members: Members, model: str | None, stream: bool, task: Task) -> None:
        self.operation = operation
        self.members = members
        self.model = model
        self.stream = stream
        self.task = task


_STREAM: Final = {b"true": True, b"false": False, b"null": False}
_WHITESPACE: Final = b" \t\n\r"
_OPEN: Final = 0x5B  # [
_CLOSE: Final = 0x5D  # ]
_OBJECT: Final = 0x7B  # {
_QUOTE: Final = 0x22  # "


def read(members: Members, kind: Kind, task_type: bytes | None = None) -> Chat | Fault:
    """Reads a body of an endpoint of `kind`; `task_type` is the value of `X-Task-Type`, which a `task` in the body overrules.

    The `Fault` names the field that is missing or of the wrong type, and says what to send.
    """
    task = NOTHING_KNOWN if task_type is None else _task_of_header(task_type)
    operation, shape = _SHAPES[kind]
    shaped = shape(members, task)
    if isinstance(shaped, Fault):
        return shaped
    members, task = shaped
    stream = False
    if (piece := members.get("stream")) is not None:
        known = _STREAM.get(bytes(piece))
        if known is None:
            return Fault("invalid_request", "`stream` must be true or false.", "stream")
        stream = known
    model: Any = None
    if (piece := members.get("model")) is not None:
        try:
            model = codec.value(piece)
        except ValueError:
            return Fault("invalid_json")
        if model is not None and not isinstance(model, str):
            return Fault("invalid_request", "`model` must be a string: 'auto', an alias, or provider/model.", "model")
    return Chat(operation, members, model, stream, task)


def max_tokens(members: Members) -> int:
    """The greatest number of tokens the answer may have, in the caller's words; 0 where there is none or it is no number."""
    return _tokens(members.get("max_completion_tokens")) or _tokens(members.get("max_tokens"))


def _tokens(piece: codec.Piece | None) -> int:
    if piece is None:
        return 0
    try:
        value = codec.value(piece)
    except ValueError:
        return 0
    return value if type(value) is int and value > 0 else 0


def task_of(value: Any, known: Task = NOTHING_KNOWN) -> Task | Fault:
    """The task a caller describes, as a word for its type or as an object; what it leaves out is taken from `known`."""
    if value is None:
        return known
    if isinstance(value, str):
        return known._replace(type=_word(value) or known.type)
    if not isinstance(value, Mapping):
        return Fault("invalid_request", "`task` must be a word or an object {type, complexity, context_length}.", "task")
    words: dict[str, str] = {}
    for name in ("type", "complexity"):
        word = value.get(name)
        if word is not None and not isinstance(word, str):
            return Fault("invalid_request", f"`task.{name}` must be a string.", f"task.{name}")
        if word and (word := _word(word)):
            words[name] = word
    length = value.get("context_length")
    if isinstance(length, float) and length.is_integer():
        length = int(length)  # RFC 8259 section 6 has one kind of number: 2e5 is 200000
    if length is not None and (type(length) is not int or length < 0):
        return Fault("invalid_request", "`task.context_length` must be a number of tokens, 0 or more.", "task.context_length")
    return Task(
        words.get("type", known.type),
        words.get("complexity", known.complexity),
        known.context_length if length is None else length,
    )


def _word(text: str) -> str | None:
    return text.strip().lower() or None


def _task_of_header(value: bytes) -> Task:
    return Task(_word(value.decode("latin-1")))


_Shaped: TypeAlias = tuple[Members, Task] | Fault


def _chat(members: Members, task: Task) -> _Shaped:
    fault = _no_array(members, "messages")
    if fault is not None:
        return fault
    if "task" in members or "context" in members:
        return _extras(dict(members), task)
    return members, task


def _generate(members: Members, task: Task) -> _Shaped:
    piece = members.get("prompt")
    if piece is None:
        return Fault("invalid_request", "`prompt` is missing: send a text. For messages use /api/ai/chat.", "prompt")
    if "messages" in members:
        return Fault("invalid_request", "Send `prompt` here, or `messages` to /api/ai/chat, not both.", "messages")
    text = _text(piece)
    if text is None:
        return Fault("invalid_request", "`prompt` must be a text that is not empty, or a list of such texts.", "prompt")
    changed = dict(members)
    del changed["prompt"]
    changed["messages"] = codec.raw(b'[{"role":"user","content":' + text + b"}]")
    return _extras(changed, task)


def _text(piece: codec.Piece) -> bytes | None:
    """The JSON text of a prompt: itself, or a list's texts joined by empty lines. None when it is neither, or empty."""
    raw = bytes(piece)
    if raw[0] == _QUOTE:
        return raw if len(raw) > 2 else None
    try:
        value = codec.decode(raw)
        if not isinstance(value, list) or not value or not all(isinstance(text, str) and text for text in value):
            return None
        return codec.encode("\n\n".join(value))
    except ValueError:
        return None


def _extras(members: Members, task: Task) -> _Shaped:
    """Takes `task` and `context`, which are ours, out of `members`; the context goes before the messages."""
    piece = members.pop("task", None)
    if piece is not None:
        try:
            described = task_of(codec.value(piece), task)
        except ValueError:
            return Fault("invalid_json")
        if isinstance(described, Fault):
            return described
        task = described
    piece = members.pop("context", None)
    if piece is not None:
        before = _context(bytes(piece))
        if isinstance(before, Fault):
            return before
        if before:
            members["messages"] = codec.raw(b"[" + before + b"," + bytes(members["messages"])[1:])
    return members, task


def _context(raw: bytes) -> bytes | Fault:
    """The messages a `context` stands for, as JSON joined by commas; empty for none.

    A text is one system message and keeps its bytes. Texts that follow one another in a list are joined into one; an object
    with a `role` is a message already.
    """
    if raw[0] == _QUOTE:
        return _system(raw) if len(raw) > 2 else b""
    wrong = Fault("invalid_request", "`context` must be a text, or a list of texts and messages {role, content}.", "context")
    try:
        value = codec.decode(raw)
        if value is None:
            return b""
        messages: list[bytes] = []
        texts: list[str] = []
        for item in [value] if isinstance(value, dict) else value if isinstance(value, list) else [0]:
            if isinstance(item, str):
                if item:
                    texts.append(item)
            elif isinstance(item, dict) and isinstance(item.get("role"), str):
                messages += _joined(texts)
                texts = []
                messages.append(codec.encode(item))
            else:
                return wrong
        return b",".join(messages + _joined(texts))
    except ValueError:
        return wrong


def _joined(texts: list[str]) -> list[bytes]:
    return [_system(codec.encode("\n\n".join(texts)))] if texts else []


def _system(text: bytes) -> bytes:
    return b'{"role":"system","content":' + text + b"}"


def _messages(members: Members, task: Task) -> _Shaped:
    return _no_array(members, "messages") or (members, task)


def _embeddings(members: Members, task: Task) -> _Shaped:
    if "input" not in members:
        return Fault("invalid_request", "`input` is missing: send a text or a list of texts.", "input")
    return members, task


def _no_array(members: Members, name: str) -> Fault | None:
    """None when the member is an array with something in it, which two of its bytes tell."""
    piece = members.get(name)
    if piece is None:
        return Fault("invalid_request", f"`{name}` is missing: send a list of messages.", name)
    start = piece if isinstance(piece, bytes) else bytes(memoryview(piece)[:2])
    if start[0] != _OPEN:
        return Fault("invalid_request", f"`{name}` must be a list of messages.", name)
    second = start[1]
    if second == _CLOSE or (second != _OBJECT and bytes(memoryview(piece)[1:]).lstrip(_WHITESPACE)[:1] == b"]"):
        return Fault("invalid_request", f"`{name}` must not be empty.", name)
    return None


_SHAPES: Final[dict[Kind, tuple[str, Callable[[Members, Task], _Shaped]]]] = {
    "chat": ("chat", _chat),
    "generate": ("chat", _generate),
    "completions": ("chat", _messages),
    "messages": ("messages", _messages),
    "embeddings": ("embeddings", _embeddings),
}
