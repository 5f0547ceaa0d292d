"""The wall: one gateway with its neighbours, a caller with OpenAI's SDK, and what came of each fault."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import openai as sdk
from openai import OpenAI

from tests.e2e.ask import ask
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until
from tests.e2e.projects import SERVER
from tests.faults.scripts import scripts

__all__ = ["HELLO", "LIMITED", "Result", "Wall", "project"]

HELLO: Any = [{"role": "user", "content": "Say sixty words"}]
LIMITED = "limited"
"""The provider that takes one request at a time."""

_TOML = """\
name = "faults"
{server}
[kv]
store = "lmdb:./state"

[auth]
supabase_url = "{supabase}"
supabase_key = "${{SUPABASE_PUBLISHABLE_KEY}}"

[limits]
default = "100000/min"
address = "off"

[timeouts]
connect = "500ms"
first_byte = "1s"
first_token = "1500ms"
idle = "2s"
total = "30s"

[attempts]
retry_floor = 1000

[providers.main]
kind = "openai"
base_url = "{main}"
api_key = "${{MAIN_API_KEY}}"

[providers.backup]
kind = "openai"
base_url = "{backup}"
api_key = "${{BACKUP_API_KEY}}"

[providers.limited]
kind = "openai"
base_url = "{main}"
api_key = "${{MAIN_API_KEY}}"
concurrency = 1
queue = 2

[models]
{aliases}
places = ["limited/slow", "backup/f01"]
line = ["limited/slow"]

[[routes]]
path = "/v1/*"
to = "ai"
[[routes]]
path = "/whole/v1/*"
to = "ai"
mode = "buffer"
"""


def project(around: Neighbours) -> str:
    """Its wws.toml: an alias for each fault, the primary that has it first and a good fallback."""
    names = [f"{kind}{number:02}" for number in range(1, 17) for kind in ("f", "s", "m")]
    aliases = "\n".join([f'{name} = ["main/{name}", "backup/f{name[1:]}"]' for name in names])
    return _TOML.format(
        server=SERVER, supabase=around.supabase.url, main=around.main.url, backup=around.backup.url, aliases=aliases
    )


class Result(NamedTuple):
    """What a caller saw: the text, or the error with its code; who answered; the calls that were made, the seconds it took."""

    text: str
    finish: str | None
    error: str | None
    provider: str | None
    model: str | None
    usage: Any
    attempts: int
    seconds: float
    should_retry: str | None = None
    retry_after: str | None = None
    message: str = ""


class Wall:
    """`ask(model, stream)` is one request of a caller. A stream's model is `sNN`, so that no fault is met half over; `mNN` is for
    tests that ask so often that its breaker opens."""

    def __init__(self, gateway: Gateway, around: Neighbours) -> None:
        self.gateway = gateway
        self.around = around
        self.token = around.supabase.mint()
        self.client = OpenAI(base_url=f"{gateway.url}/v1", api_key=self.token, timeout=40)
        self.buffered = OpenAI(base_url=f"{gateway.url}/whole/v1", api_key=self.token, timeout=40)
        main, backup = scripts()
        for model, behaviour in main.items():
            around.main.script(model, behaviour)
            around.main.script("s" + model[1:], behaviour)
            around.main.script("m" + model[1:], behaviour)
        for model, behaviour in backup.items():
            around.backup.script(model, behaviour)
        self.tasks = self.gauge("wws_tasks")

    def ask(self, model: str, stream: bool, client: OpenAI | None = None) -> Result:
        """One request with the SDK as its users have it, its own retries included."""
        client = client or self.client
        before = len(self.around.main.requests) + len(self.around.backup.requests)
        started = time.monotonic()
        text, finish, usage, served, error, message = "", None, None, None, None, ""
        headers: Any = {}
        options: Any = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        try:
            raw = client.chat.completions.with_raw_response.create(model=model, messages=HELLO, **options)
            headers = raw.headers
            answer: Any = raw.parse()
            for part in answer if stream else [answer]:
                served, usage = part.model, part.usage or usage
                for choice in part.choices:
                    text += (choice.delta if stream else choice.message).content or ""
                    finish = choice.finish_reason or finish
        except sdk.APIStatusError as caught:
            headers, error, message = caught.response.headers, str(caught.code), caught.message
        except sdk.APIError as caught:
            error, message = str(caught.code), caught.message
        seconds = time.monotonic() - started
        made = len(self.around.main.requests) + len(self.around.backup.requests) - before
        again, later = headers.get("x-should-retry"), headers.get("retry-after")
        provider = headers.get("x-wws-provider")
        return Result(text, finish, error, provider, served, usage, made, seconds, again, later, message)

    def metrics(self) -> str:
        """What the admin listener shows."""
        return ask(self.gateway.admin_url, "/metrics").body.decode()

    def gauge(self, name: str) -> float:
        """The sum of all series of a gauge."""
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self.metrics(), re.MULTILINE))

    def rss(self) -> int:
        """Bytes of memory the gateway has."""
        assert self.gateway.process is not None
        text = Path(f"/proc/{self.gateway.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) * 1024

    def is_well(self) -> None:
        """The next ordinary request succeeds, and nothing is left of the last one: no request, place, task or connection."""
        for stream in (False, True):
            result = self.ask("main/fine", stream)
            assert (result.error, result.finish, result.attempts) == (None, "stop", 1)
            assert result.seconds < 1.0, "an ordinary request takes its time"
        for name in ("wws_requests_active", "wws_upstream_places_in_use", "wws_queue_depth"):
            until(lambda name=name: self.gauge(name) == 0, f"{name} 0")  # type: ignore[misc]
        until(lambda: self.gauge("wws_tasks") <= self.tasks, f"at most {self.tasks:g} tasks")
        around = self.around
        until(
            lambda: self.gauge("wws_upstream_connections_open") == around.main.open + around.backup.open <= 8,
            "upstream connections that both sides know of, and few",
        )
