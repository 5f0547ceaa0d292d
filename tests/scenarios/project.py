"""The project that every host serves: one wws.toml, but for the tables that are a host's own."""

from __future__ import annotations

from tests.e2e.neighbours import Neighbours
from tests.e2e.projects import SECRETS, dead_port

__all__ = ["ENVIRONMENT", "project"]

ENVIRONMENT = {**SECRETS, "SHOP_TOKEN": "t-1"}
"""What the project takes its secrets from."""

_TOML = """\
name = "scenarios"

{own}
[auth]
supabase_url = "{supabase}"
supabase_key = "${{SUPABASE_PUBLISHABLE_KEY}}"
recheck_after = "1s"

[limits]
default = "1000/min"
address = "100000/min"
"/five/*" = "5/min"
"/burst/*" = "60/min burst 3"

[timeouts]
connect = "1s"
first_byte = "1s"
first_token = "2s"
idle = "2s"
total = "10s"

[attempts]
breaker = false  # the scenarios share one gateway, and none is to see what another's models did
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

[[rules]]
when = {{ context_length_over = 128000 }}
use = "long_context"
reason = "Context exceeds 128K"
[[rules]]
when = {{ type = ["code", "debugging"] }}
use = "code"
reason = "Code"
[[rules]]
use = "reasoning"
reason = "Everything else"

[[kv_namespaces]]
binding = "VISITS"

[vars]
REGION = "eu"
TOKEN = "${{SHOP_TOKEN}}"

[[routes]]
path = "/api/ai/*"
to = "ai"
[[routes]]
path = "/v1/*"
to = "ai"
[[routes]]
path = "/five/v1/*"
to = "ai"
[[routes]]
path = "/five/*"
to = "origin"
auth = "required"
[[routes]]
path = "/burst/*"
to = "origin"
auth = "required"
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
cache = {{ fresh = "60s", stale = "300s", per = "user" }}
[[routes]]
path = "/moment/*"
to = "origin"
auth = "none"
cache = {{ fresh = "1s", stale = "300s", per = "public" }}
[[routes]]
path = "/*"
to = "origin"
cache = "obey-origin"
"""


def project(around: Neighbours, own: str) -> str:
    """Its wws.toml; `own` are the host's own tables."""
    return _TOML.format(
        own=own,
        supabase=around.supabase.url,
        main=around.main.url,
        main_anthropic=around.main.anthropic_url,
        backup=around.backup.url,
        origin=around.origin.url,
        dead=dead_port(),
    )
