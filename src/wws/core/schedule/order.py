"""A run that somebody asks for by hand: a message of a queue of the gateway's own, so that one process takes it."""

from __future__ import annotations

from typing import Final, NamedTuple

from wws.core.queue.message import Message, packed, unpacked

__all__ = ["QUEUE", "Order", "order", "ordered", "result"]

QUEUE: Final = ":orders"
"""No binding is named so."""
RESULT_TTL: Final = 3600.0
"""Seconds for which the outcome of a run can be asked for."""


class Order(NamedTuple):
    """The function to run, and the expression its event is to name."""

    function: str
    cron: str = ""


def order(one: Order) -> bytes:
    """As a message's body."""
    return packed(one._asdict())


def ordered(message: Message) -> Order | None:
    """The order in a message, None where there is none that can be read."""
    try:
        fields = unpacked(message.body)
        return Order(str(fields["function"]), str(fields["cron"]))
    except (KeyError, TypeError, ValueError):
        return None


def result(message_id: str) -> str:
    """The key under which the outcome of an order is kept."""
    return f"cron:ran:{message_id}"
