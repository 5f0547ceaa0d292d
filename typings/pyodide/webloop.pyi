import asyncio
from typing import Any

class PyodideFuture(asyncio.Future[Any]): ...
