"""Many who ask at one moment."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import Barrier
from urllib.parse import urlsplit

__all__ = ["CROWD", "crowd"]

CROWD = 100


def crowd(urls: list[str], target: str, tokens: list[str]) -> list[Counter[int]]:
    """The statuses that each of `tokens` gets for CROWD requests of its own, everything sent at one moment."""
    places = [(token, urls[number % len(urls)]) for number in range(CROWD) for token in tokens]
    together = Barrier(len(places))

    def one(place: tuple[str, str]) -> tuple[str, int]:
        token, url = place
        connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
        try:
            connection.connect()
            together.wait()
            connection.request("GET", target, headers={"Authorization": f"Bearer {token}"})
            return token, connection.getresponse().status
        finally:
            connection.close()

    found = {token: Counter[int]() for token in tokens}
    with ThreadPoolExecutor(len(places)) as pool:
        for token, status in pool.map(one, places):
            found[token][status] += 1
    return list(found.values())
