"""Puts Anthropic's plain message together from the events of a stream."""

from __future__ import annotations

from typing import Any

from wws import codec
from wws.core.trail import Usage
from wws.core.wire import usage
from wws.core.wire.assemble import Assembler
from wws.core.wire.merge import Text, merge, whole

__all__ = ["MessageAssembler"]


class MessageAssembler(Assembler):
    """A message from Anthropic's events (docs.anthropic.com, streaming messages)."""

    __slots__ = ("_blocks", "_inputs", "_message")

    def __init__(self) -> None:
        super().__init__()
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, list[str]] = {}

    @property
    def usage(self) -> Usage | None:
        """See `Assembler.usage`."""
        return usage.read(self._message.get("usage"))

    @property
    def model(self) -> str | None:
        """See `Assembler.model`."""
        return usage.clean_model(self._message.get("model"))

    def _see(self, event: dict[str, Any], data: bytes) -> None:
        kind = event.get("type")
        if kind == "content_block_delta":
            self.visible = True
            self._add(event)
        elif kind == "content_block_start":
            self.visible = True
            block = event.get("content_block")
            if type(block) is dict:
                self._blocks[_index(event)] = {k: Text([v]) if k in _GROWING else v for k, v in block.items()}
        elif kind == "message_start":
            message = event.get("message")
            if type(message) is dict:
                self._message = message
        elif kind == "message_delta":
            self._turn(event)
        elif kind == "message_stop":
            self.done = True
        # ping, content_block_stop, and "unknown event types should be handled gracefully"

    def _add(self, event: dict[str, Any]) -> None:
        delta, index = event.get("delta"), _index(event)
        if type(delta) is not dict:
            return
        block = self._blocks.setdefault(index, {"type": "text"})
        for name, value in delta.items():
            if name == "type":
                continue
            if name == "partial_json":
                self._inputs.setdefault(index, []).append(str(value))
            elif name == "citation":
                block["citations"] = [*(block.get("citations") or []), value]
            else:
                merge(block, name, value)

    def _turn(self, event: dict[str, Any]) -> None:
        """message_delta: "top-level changes to the final Message object"; its token counts are cumulative."""
        delta, counted = event.get("delta"), event.get("usage")
        if type(delta) is dict:
            self._message.update(delta)
            reason = delta.get("stop_reason")
            if type(reason) is str:
                self.finish_reason = reason
        if type(counted) is dict:
            before = self._message.get("usage")
            now = {name: value for name, value in counted.items() if value is not None}
            self._message["usage"] = {**(before if type(before) is dict else {}), **now}

    def result(self) -> bytes:
        """See `Assembler.result`."""
        for index, pieces in self._inputs.items():
            text = "".join(pieces)
            try:
                self._blocks[index]["input"] = codec.decode(text) if text else {}
            except ValueError:
                self._blocks[index]["input"] = text
        content = [whole(self._blocks[index]) for index in sorted(self._blocks)]
        return codec.encode({"type": "message", "role": "assistant", **self._message, "content": content})


_GROWING = frozenset({"text", "thinking", "signature"})
"""Members of a content block whose text comes in deltas."""


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    return index if type(index) is int else 0
