"""The wws.toml of the tests."""

from __future__ import annotations

import socket

from tests.e2e.neighbours import Neighbours
from tests.support.supabase import Supabase

__all__ = ["SECRETS", "SERVER", "dead_port", "project"]

SECRETS = {
    "SUPABASE_PUBLISHABLE_KEY": Supabase.publishable_key,
    "MAIN_API_KEY": "sk-planted-key-of-main-5f1c",
    "BACKUP_API_KEY": "sk-planted-key-of-backup-9d2e",
}
"""The environment that the project takes its secrets from."""

SERVER = """\
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
"""

_AROUND = """\
[kv]
store = "lmdb:./state"

[auth]
supabase_url = "{supabase}"
supabase_key = "${{SUPABASE_PUBLISHABLE_KEY}}"
recheck_after = "1s"

[timeouts]
connect = "1s"
first_byte = "1s"
idle = "1s"
total = "10s"

[attempts]
breaker = false  # the tests share one gateway, and none is to see what another's models did
retry_floor = 1000

[providers.main]
kind = "openai"
base_url = "{main}"
anthropic_url = "{main_anthropic}"
api_key = "${{MAIN_API_KEY}}"

[providers.backup]
kind = "openai"
base_url = "{backup}"
api_key = "${{BACKUP_API_KEY}}"

[providers.gone]
kind = "openai"
base_url = "http://127.0.0.1:{dead}/v1"

[origin]
url = "{origin}"
"""

_MODELS = """
[models]
code = ["main/coder", "backup/coder"]
reasoning = ["main/thinker", "backup/thinker"]
long_context = ["backup/reader"]
unreachable = ["gone/model", "backup/instead"]
silent = ["main/silent", "backup/instead"]
busy = ["main/status-429-long", "backup/instead"]
failing = ["main/status-500", "backup/instead"]
overloaded = ["main/status-503", "backup/instead"]
hopeless = ["main/status-502", "backup/status-502"]
limited = ["main/status-429-long", "backup/status-429"]
"""

_LIMITS = """
[limits]
default = "1000/min"
address = "100000/min"
"/short/*" = "1/s"
"/five/*" = "5/min"
"""

_ROUTES = """
[[routes]]
path = "/api/ai/*"
to = "ai"
[[routes]]
path = "/v1/*"
to = "ai"
[[routes]]
path = "/short/v1/*"
to = "ai"
[[routes]]
path = "/five/v1/*"
to = "ai"
[[routes]]
path = "/five/*"
to = "origin"
auth = "required"
[[routes]]
path = "/few/v1/*"
to = "ai"
models = ["code"]
[[routes]]
path = "/careful/*"
to = "origin"
auth = "required"
fresh_auth = "0s"
[[routes]]
path = "/hurried/*"
to = "origin"
timeout = "300ms"
[[routes]]
path = "/read/:id"
to = "origin"
methods = ["GET"]
[[routes]]
path = "/private/*"
to = "origin"
auth = "required"
[[routes]]
path = "/mine/*"
to = "origin"
auth = "required"
cache = { fresh = "60s", stale = "300s", per = "user" }
[[routes]]
path = "/moment/*"
to = "origin"
auth = "none"
cache = { fresh = "1s", stale = "300s", per = "public" }
[[routes]]
path = "/*"
to = "origin"
cache = "obey-origin"
"""


def dead_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def project(
    around: Neighbours,
    extra: str = "",
    *,
    supabase: str | None = None,
    origin: str | None = None,
    limits: str = _LIMITS,
    models: str = _MODELS,
    routes: str = _ROUTES,
    server: str = SERVER,
) -> str:
    """A project with all its neighbours; `extra` is put at its end, the rest replaces what has its name."""
    base = _AROUND.format(
        supabase=supabase or around.supabase.url,
        main=around.main.url,
        main_anthropic=around.main.anthropic_url,
        backup=around.backup.url,
        origin=origin or around.origin.url,
        dead=dead_port(),
    )
    return f'name = "e2e"\n{server}\n{base}{limits}{models}{routes}{extra}'
