"""Demo parts: a small origin, the sandbox in place of providers without a key, and an API key to try things with.

They exist so that `wws dev` works with nothing configured, and say what they are. `wws serve` has them only when asked.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace

from wws.bindings import Env, Provider
from wws.core.policy import Policy
from wws.functions.auth_admin import create_key
from wws.hosts.server.server import Server
from wws.http import Request, Response

KEY_LIFETIME = 24 * 3600.0
"""Seconds. A key that was printed on a terminal should not outlive the day."""

_PAGE = """<!doctype html>
<title>WWS demo origin</title>
<h1>The demo origin</h1>
<p>This page comes from the small server behind the gateway, because no <code>[origin]</code> is configured.</p>
<p>Try <a href="/api/whoami">/api/whoami</a> with and without an API key.</p>
"""


async def origin(request: Request) -> Response:
    """A web app in miniature: a page, and what it was told about the caller."""
    if request.path == "/":
        return Response.html(_PAGE, headers={"cache-control": "public, max-age=60"})
    if request.path == "/api/whoami":
        who = request.headers.get("x-user-id")
        return Response.json(
            {"user": who, "request_id": request.headers.get("x-request-id")}, headers={"cache-control": "no-store"}
        )
    return Response.json({"error": "not found", "path": request.path, "from": "demo origin"}, 404)


async def start_origin(loop: asyncio.AbstractEventLoop) -> tuple[Server, str]:
    """Starts the demo origin on a free loopback port; gives its address."""
    server = Server(origin, loop)
    return server, f"http://{await server.listen('127.0.0.1:0')}"


def stand_in(policy: Policy, providers: Mapping[str, Provider], sandbox: Provider) -> dict[str, Provider]:
    """`providers` with the sandbox for every name that the models use and that has no provider, or none with a key."""
    named = {ref.provider for refs in policy.models.values() for ref in refs} | set(policy.providers)
    chosen: dict[str, Provider] = {}
    for name in sorted(named):
        config = policy.providers.get(name)
        usable = config is not None and name in providers and (config.api_key is not None or config.kind in ("openai", "sandbox"))
        chosen[name] = providers[name] if usable else sandbox
    return {**chosen, "sandbox": sandbox}


def with_origin(policy: Policy, url: str) -> Policy:
    """`policy` with the demo origin where none is configured."""
    return replace(policy, origins={**policy.origins, "default": url})


async def make_key(env: Env) -> str:
    """A new API key that is valid for a day."""
    _, key, _ = await create_key(env, "demo", expires_in=KEY_LIFETIME, random=os.urandom)
    return key


def welcome(base: str, key: str, sandboxed: list[str], demo_origin: bool) -> str:
    """What `wws dev` prints: what is a stand-in, and a line that works when it is pasted."""
    lines = []
    if sandboxed:
        lines.append(f"No key for {', '.join(sandboxed)}: the sandbox answers in their place, without calling anyone.")
    if demo_origin:
        lines.append("No [origin]: a small demo origin stands behind the gateway.")
    lines += [
        "A demo API key, valid for a day. Try:",
        "",
        f"  curl -i {base}/api/ai/chat -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json'"
        """ -d '{"messages": [{"role": "user", "content": "Hello"}], "task": "code"}'""",
        "",
    ]
    return "\n".join(lines) + "\n"
