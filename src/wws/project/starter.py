"""The project `wws init` writes: a commented wws.toml, the variables it needs, and a first function.

The comments are the schema's own. A line that begins with `#` and a key shows what may be written there.
"""

from __future__ import annotations

import re

from wws.project.schema import KEYS, TABLES

__all__ = ["DEV_VARS_EXAMPLE", "HELLO", "IGNORED", "project_name", "wws_toml"]

IGNORED = (".dev.vars", ".wws/")
"""What must not be committed: secrets, and the store with its pepper."""

DEV_VARS_EXAMPLE = """\
# Copy this file to .dev.vars, which is not committed, and fill it in. The environment comes first where both have a value.
SYNTHETIC_API_KEY=
ZAI_API_KEY=
SUPABASE_PUBLISHABLE_KEY=
"""

HELLO = '''\
"""A function: the file's place in this folder is its path, so this one answers /hello."""

from wws import Response

config = {"auth": "none", "limit": "60/min"}


async def fetch(request, env, ctx):
    return Response.json({"hello": request.query.get("name", "world")})
'''

# A line `key = value`, `# key = value` or `[table]` gets the comment of its key or table; others stay as they are.
_TEXT = """\
name = "@NAME@"

[server]
listen = "127.0.0.1:8787"
admin = "127.0.0.1:8788"
workers = 1
trusted_proxies = []
# cert = "fullchain.pem"
# key = "privkey.pem"

[kv]
store = "lmdb:./.wws/state"

[auth]
supabase_url = "https://YOUR-PROJECT.supabase.co"
supabase_key = "${SUPABASE_PUBLISHABLE_KEY}"
session_ttl = "1h"
recheck_after = "5m"

[limits]
"/api/ai/chat" = "60/min"
"/api/ai/generate" = "20/min"
default = "100/min"
address = "600/min"

[cache]
fresh = "60s"
stale = "300s"

[providers.synthetic]
api_key = "${SYNTHETIC_API_KEY}"

[providers.zai]
api_key = "${ZAI_API_KEY}"

#: Any OpenAI-compatible server:
#: [providers.local]
#: kind = "openai"
#: base_url = "http://127.0.0.1:8000/v1"

[timeouts]
connect = "2s"
first_byte = "10s"
first_token = "10s"
idle = "30s"
total = "300s"

[attempts]
max = 3
assemble = true

[models]
code = ["synthetic/hf:deepseek-ai/DeepSeek-V3", "zai/glm-4-flash"]
reasoning = ["synthetic/hf:moonshotai/Kimi-K2-Thinking", "zai/glm-4-plus"]
long_context = ["zai/glm-4-long"]

[[rules]]
when = { context_length_over = 128000 }
use = "long_context"
reason = "Context exceeds 128K, using GLM-4-Long"

[[rules]]
when = { type = ["code", "implementation", "debugging"] }
use = "code"
reason = "Standard code task"

[[rules]]
use = "reasoning"
reason = "Standard reasoning task"

[origin]
url = "http://127.0.0.1:3000"

[[routes]]
path = "/api/ai/*"
to = "ai"
auth = "required"

[[routes]]
path = "/v1/*"
to = "ai"
auth = "required"

[[routes]]
path = "/*"
to = "origin"
auth = "optional"
cache = "obey-origin"

#: Another path for the function of functions/hello.py, which is served at /hello:
#: [[routes]]
#: path = "/api/hello"
#: to = "function:hello"
#: auth = "none"

#: A key-value namespace for functions:
#: [[kv_namespaces]]
#: binding = "VISITS"
"""

_TABLE = re.compile(r"\[+([a-z_.]+)\]+")
_KEY = re.compile(r'(?:# )?"?([a-z0-9_/]+)"? = ')
_COLUMN = 44
_WIDTH = 130


def wws_toml(name: str) -> str:
    """The text of a starter wws.toml. It loads as it stands, and its values are the defaults."""
    about = {key.path: key.about for key in KEYS}
    lines = [
        "# A project of WWS. `wws check` finds every mistake in this file; docs/configuration.md of WWS describes every key."
    ]
    told: set[str] = set()
    table = ""
    for line in _TEXT.replace("@NAME@", name).splitlines():
        if line.startswith("#:"):
            lines.append("#" + line[2:])
        elif found := _TABLE.fullmatch(line):
            table = _general(found[1], line.startswith("[["))
            comment = [] if table in told else [f"# {TABLES[table]}"]
            lines += [*comment, line]
            told.add(table)
        elif found := _KEY.match(line):
            path = f"{table}.{found[1]}".lstrip(".")
            lines.append(_commented(line, about.get(path) if path not in told else None))
            told.add(path)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def project_name(folder: str) -> str:
    """A project's name from that of its folder."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", folder).strip("-_")[:63] or "wws"


def _general(table: str, array: bool) -> str:
    name = re.sub(r"^providers\..*", "providers.*", table)
    return f"{name}[]" if array else name


def _commented(line: str, about: str | None) -> str:
    """The line with its comment behind it, or above it where both do not fit."""
    if about is None:
        return line
    if len(line) < _COLUMN:
        return f"{line:<{_COLUMN}}# {about}"
    return f"# {about}\n{line}"
