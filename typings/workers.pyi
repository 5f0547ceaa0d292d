"""Of Cloudflare's Python SDK (workers-runtime-sdk) what the host uses."""

from typing import Any

class WorkerEntrypoint:
    ctx: Any
    env: Any
    def __init__(self, ctx: Any, env: Any) -> None: ...

class DurableObject:
    ctx: Any
    env: Any
    def __init__(self, ctx: Any, env: Any) -> None: ...

def import_from_javascript(module_name: str) -> Any: ...
def wait_until(awaitable: Any) -> None: ...
