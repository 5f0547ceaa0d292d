"""A steady load: some callers who ask again and again, and what they got, second by second."""

from __future__ import annotations

import threading
import time
from http.client import HTTPConnection
from typing import NamedTuple, Self
from urllib.parse import urlsplit

__all__ = ["Asked", "Steady"]


class Asked(NamedTuple):
    """One request: when it was sent (monotonic), how long it took, its status (0: no answer), `x-wws-degraded`."""

    at: float
    seconds: float
    status: int
    degraded: str


class Steady:
    """`with Steady(url, target, tokens) as load: ...`: one caller for each token, each with a connection of its own."""

    def __init__(self, url: str, target: str, tokens: list[str], pause: float = 0.005) -> None:
        self.asked: list[Asked] = []
        self._url, self._target, self._pause = url, target, pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(token,)) for token in tokens]

    def since(self, begin: float, end: float = float("inf")) -> list[Asked]:
        """What was asked between two times."""
        return [one for one in self.asked if begin <= one.at < end]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30.0)

    def _ask(self, token: str) -> None:
        connection = HTTPConnection(urlsplit(self._url).netloc, timeout=20.0)
        headers = {"Authorization": f"Bearer {token}"}
        while not self._stop.is_set():
            began = time.monotonic()
            status, degraded = 0, ""
            try:
                connection.request("GET", self._target, headers=headers)
                answer = connection.getresponse()
                answer.read()
                status, degraded = answer.status, answer.headers.get("x-wws-degraded", "")
            except OSError:
                connection.close()
            self.asked.append(Asked(began, time.monotonic() - began, status, degraded))
            self._stop.wait(self._pause)
        connection.close()
