"""What is soaked: one project with everything in it that may be left behind by a request."""

from __future__ import annotations

import asyncio

from tests.e2e.neighbours import Neighbours
from tests.support.provider import Exchange, sse

__all__ = ["FAULTS", "RELIABLE", "USERS", "script", "toml"]

USERS = 200
"""Different users; what is remembered of each is remembered within the warm-up."""
FAULTS = (
    "status-500", "status-503", "status-429", "status-401", "reset", "silent", "error-in-200", "html", "not-http",
    "short-body", "stream-cut", "stream-stall", "stream-malformed", "stream-error-first", "fine",
)  # fmt: skip
"""What the first model of an alias does, by its name; the second one answers."""
RELIABLE = "reliable"

_TOML = """\
name = "soak"

[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = {workers}
log = "errors"
keep_alive = "3s"

[kv]
store = "lmdb:./state"

[auth]
supabase_url = "{supabase}"
supabase_key = "${{SUPABASE_PUBLISHABLE_KEY}}"
recheck_after = "60s"

[limits]
default = "{rate}/min"
address = "off"

[timeouts]
connect = "500ms"
first_byte = "1s"
first_token = "1s"
idle = "1s"
total = "30s"

[attempts]
retry_floor = 10000
commit_after = "300ms"
hedge_after = "400ms"

[providers.main]
kind = "openai"
base_url = "{main}"
api_key = "${{MAIN_API_KEY}}"

[providers.narrow]
kind = "openai"
base_url = "{main}"
api_key = "${{MAIN_API_KEY}}"
concurrency = 2

[providers.backup]
kind = "openai"
base_url = "{backup}"
api_key = "${{BACKUP_API_KEY}}"
[providers.backup.timeouts]  # it never fails: whatever it is late with is the machine's doing
connect = "10s"
first_byte = "15s"
first_token = "15s"
idle = "15s"

[models]
{aliases}
reliable = ["backup/fine"]
narrow = ["narrow/slow", "backup/fine"]

[origin]
url = "{origin}"

[[routes]]
path = "/v1/*"
to = "ai"
max_in_flight = 2000
[[routes]]
path = "/pages/*"
to = "origin"
auth = "optional"
cache = {{ fresh = "1s", stale = "2s", per = "public" }}
[[routes]]
path = "/*"
to = "origin"
auth = "optional"
"""


def toml(around: Neighbours, workers: int, generation: int) -> str:
    """Its wws.toml; each generation differs in a limit, which nobody reaches."""
    aliases = "\n".join([f'{fault} = ["main/{fault}", "backup/fine"]' for fault in FAULTS])
    return _TOML.format(
        workers=workers,
        rate=10_000_000 + generation % 1000,
        supabase=around.supabase.url,
        main=around.main.url,
        backup=around.backup.url,
        origin=around.origin.url,
        aliases=aliases,
    )


async def _long(exchange: Exchange) -> None:
    """A stream of ten seconds: most of its callers leave before."""
    part = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "long"}
    await exchange.events([sse({**part, "choices": [{"index": 0, "delta": {"content": "word "}}]})] * 100, pause=0.1)


async def _late(exchange: Exchange) -> None:
    await asyncio.sleep(0.5)
    await exchange.answer()


async def _brief(exchange: Exchange) -> None:
    """A short answer whatever the prompt; the usual ones repeat it, word by word."""
    part = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "brief"}
    words = [sse({**part, "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]})] * 5
    end = sse({**part, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    await exchange.events([*words, end, b"data: [DONE]\n\n"])


def script(around: Neighbours) -> None:
    """The behaviours that the stand-ins do not have by themselves."""
    around.backup.script("long", _long)
    around.backup.script("late", _late)
    around.backup.script("brief", _brief)
