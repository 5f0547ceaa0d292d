"""A host whose worker also tells how large Python's heap is: for the figures alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

from tests.scenarios.hosts.workerd import WorkerdHost

__all__ = ["HeapHost", "heap_host"]

_PATH = "/.figures/heap"
_ENTRY = f"""
_plain = Default.fetch
async def _fetch(self, request):
    if request.url.endswith({_PATH!r}):
        from js import Response
        from pyodide_js._module import HEAP8
        return Response.new(str(HEAP8.length))
    return await _plain(self, request)
Default.fetch = _fetch
"""


class HeapHost:
    """`process` is the runtime's id."""

    def __init__(self, host: WorkerdHost) -> None:
        self.url = host.url
        self.process = host.process

    def heap(self) -> float:
        """MiB of Python's memory, which only ever grows."""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        connection.request("GET", _PATH)
        size = int(connection.getresponse().read())
        connection.close()
        return size / 2**20


@contextmanager
def heap_host(host: WorkerdHost) -> Iterator[HeapHost]:
    """`host`, started with its entry module made longer."""
    host.entry = _ENTRY
    with host:
        yield HeapHost(host)
