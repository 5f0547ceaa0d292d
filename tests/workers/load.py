"""Callers that go on asking, each on its own: what they got is what a deployment's users would have got."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any, Self
from urllib.parse import urlsplit

from tests.e2e.ask import ask, hello
from tests.e2e.program import Gateway, until

__all__ = ["BusyLine", "Load", "chat", "pids", "status", "streamed", "workers"]

PATIENCE = 20.0


class Load:
    """`with Load(8, once) as load: ...`: so many callers, each calling `once(n)` again and again, which gives a status or raises.

    `results` counts statuses, and the names of errors.
    """

    def __init__(self, callers: int, once: Callable[[int], int]) -> None:
        self.results: Counter[int | str] = Counter()
        self._once = once
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._go, args=(number,), daemon=True) for number in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        until(lambda: self.done > len(self._threads), "the first answers")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Lets every caller finish."""
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a caller waits for an answer that does not come"
        if isinstance(self._once, BusyLine):
            self._once.close()

    def _go(self, number: int) -> None:
        while not self._over.is_set():
            try:
                result: int | str = self._once(number)
            except Exception as error:  # what it is, the test says
                result = f"{type(error).__name__}: {error}"
            with self._lock:
                self.results[result] += 1

    @property
    def done(self) -> int:
        """Requests that have ended in one way or another."""
        return self.results.total()

    def go_on(self, more: int) -> None:
        """Waits for so many more."""
        aim = self.done + more
        until(lambda: self.done >= aim, f"{more} more answers", PATIENCE)

    @property
    def failures(self) -> dict[int | str, int]:
        """Everything but 200."""
        return {result: count for result, count in self.results.items() if result != 200}


def chat(url: str, key: str, **members: Any) -> Callable[[int], int]:
    """A caller with a new connection for each question."""
    body = hello(**members)
    return lambda _: ask(url, "/api/ai/chat", token=key, body=body).status


class BusyLine:
    """Callers that keep their connections as long as the gateway lets them, as pools do: an answer says when one is over."""

    def __init__(self, url: str, key: str, **members: Any) -> None:
        self._netloc = urlsplit(url).netloc
        self._body = json.dumps(hello(**members)).encode()
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._kept: dict[int, HTTPConnection] = {}

    def __call__(self, number: int) -> int:
        connection = self._kept.pop(number, None) or HTTPConnection(self._netloc, timeout=PATIENCE)
        kept = False
        try:
            connection.request("POST", "/api/ai/chat", self._body, self._headers)
            response = connection.getresponse()
            response.read()
            kept = not response.will_close
        finally:
            if kept:
                self._kept[number] = connection
            else:
                connection.close()
        return response.status

    def close(self) -> None:
        """Ends every connection."""
        for connection in self._kept.values():
            connection.close()


def streamed(url: str, key: str, model: str) -> Callable[[int], int]:
    """A caller of streams; one that does not end as it should is an error."""

    def once(_: int) -> int:
        answer = ask(url, "/api/ai/chat", token=key, body=hello(stream=True, model=model))
        if answer.status == 200:
            assert answer.body.endswith(b"data: [DONE]\n\n"), answer.body[-300:]
            assert b'"error"' not in answer.body, answer.body[-300:]
        return answer.status

    return once


def status(gateway: Gateway) -> dict[str, Any]:
    """What /status answers."""
    answer = ask(gateway.admin_url, "/status")
    assert answer.status == 200, answer.body
    fields: dict[str, Any] = answer.json
    return fields


def workers(gateway: Gateway) -> list[dict[str, Any]]:
    """The workers that serve."""
    return [worker for worker in status(gateway)["workers"] if worker["state"] == "ready"]


def pids(gateway: Gateway) -> list[int]:
    """Their process ids."""
    return [worker["pid"] for worker in workers(gateway)]
