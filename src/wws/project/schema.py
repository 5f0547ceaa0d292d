"""Every key of wws.toml, once: the validator, the reference page and the comments `wws init` writes all read this table.

In a path `*` stands for any name and `[]` for each element of an array of tables. A default is written as in the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from wws.project import kinds as k
from wws.project.kinds import Kind

__all__ = ["FUNCTION_KEYS", "KEYS", "TABLES", "Key", "Node", "default", "table_of", "tree"]


class Key(NamedTuple):
    """One key: `default` in TOML, None where there is none; `required` keys have none and must be given."""

    path: str
    kind: Kind
    default: str | None
    about: str
    required: bool = False


TABLES: dict[str, str] = {
    "": "At the top of the file.",
    "server": "The self-hosted server.",
    "admin": "The admin API on the admin listener: who may deploy, roll back and look at live logs.",
    "admin.tokens": "Further tokens, by the name of who has each: that name stands in the audit log.",
    "kv": "Where sessions, API keys, counters and KV namespaces are kept.",
    "auth": "Who may ask: sessions of Supabase Auth. API keys of `wws keys create` work without any of this.",
    "limits": "How often: per user and endpoint. A path pattern in quotes, `default` for all others.",
    "cache": "How long answers are kept where a function or a route asks for it without saying so itself.",
    "cors": "Which pages of other origins may call the gateway from a browser (CORS). Preflights are answered first.",
    "providers.*": "An AI provider, by a name of your choice.",
    "timeouts": "How long an AI provider may be silent. Also per provider and per model, which take over what they leave out.",
    "providers.*.timeouts": "Timers of this provider, where they differ from `[timeouts]`.",
    "providers.*.models.*": "What is different about one model: `[providers.zai.models.\"glm-4.7\"]`.",
    'providers.*.models.*.timeouts': "Timers of one model, where they differ from the provider's.",
    "attempts": "How often upstream providers are asked for one request.",
    "models": "Aliases: lists of models, the primary first, then its fallbacks. Given, it replaces the default list.",
    "rules[]": "Which alias serves a request for the model `auto`. The first match wins.",
    "rules[].when": "All that is given must hold; nothing given always holds.",
    "origin": "The web application behind the gateway.",
    "origins.*": "One of several applications, by name: a route's `to` names it.",
    "origin.timeouts": "How long an origin may be silent; for all of `[origins]` too.",
    "routes[]": "What is served where. The most specific path wins. Given, it replaces the default list.",
    "routes[].cache": "A cache of fixed ages for this route.",
    "fetch": "Where functions may go by `env.fetch`: the public internet, and what is written here.",
    "services[]": "A function that other functions see as `env.NAME`, to call it by `env.NAME.fetch(...)`.",
    "static": "Files that are served as they are: `to = \"static\"`, and where no other route takes a path.",
    "functions": "The project's own functions: the files of a folder are routes, docs/functions.md tells how.",
    "kv_namespaces[]": "A key-value namespace that functions see as `env.NAME`.",
    "triggers": "Functions that run by the clock: those with `async def scheduled(event, env, ctx)`.",
    "queues[]": "A queue that functions see as `env.NAME`, and the function it is delivered to.",
    "vars": "Values that functions see as `env.NAME`; one taken from `${NAME}` is kept secret.",
}  # fmt: skip

_AGE = k.duration("0s", "365d")
_TIMER = k.duration("10ms", "1h")
_CACHE_PER = k.choice("public", "user")


_TIMERS = {
    "connect": ("2s", "Until the connection stands, TLS included."),
    "first_byte": ("10s", "Until the head of a streamed answer has come."),
    "first_token": ("10s", "Until the first token of any kind, reasoning included."),
    "idle": ("30s", "Between two events of a stream."),
    "total": ("300s", "For the whole answer."),
}


def _inherited(table: str) -> Iterator[Key]:
    for name, (_, about) in _TIMERS.items():
        yield Key(f"{table}.{name}", _TIMER, None, about)


KEYS: tuple[Key, ...] = (
    Key("name", k.NAME, '"wws"', "The project's name."),
    Key("server.listen", k.LISTEN, '"127.0.0.1:8787"', "The public listener."),
    Key("server.admin", k.ADMIN, '"127.0.0.1:8788"', "Dashboard, metrics, admin API: never on the public listener."),
    Key("server.workers", k.WORKERS, "1", 'Processes that serve; "auto" is one per core.'),
    Key("server.trusted_proxies", k.NETWORKS, "[]", "Networks whose X-Forwarded-For is believed."),
    Key("server.cert", k.PATH, None, "Certificate chain in PEM form for TLS; needs `key`."),
    Key("server.key", k.PATH, None, "The certificate's private key in PEM form."),
    Key("server.log", k.choice("all", "errors", "off"), '"all"', "Which requests are logged on standard error."),
    Key("server.max_in_flight", k.whole(1, 1_000_000), "4096", "Requests in progress in one process; more are answered 503."),
    Key("server.max_connections", k.whole(1, 1_000_000), "16384", "Open client connections of one process; more are closed."),
    Key("server.json_limit", k.size("1KiB", "1GiB"), '"32MiB"', "Largest JSON body on `ai` routes: long prompts, base64 images."),
    Key("server.json_depth", k.whole(4, 512), "64", "How deep a JSON body may be nested."),
    Key("server.function_limit", k.size("1KiB", "1GiB"), '"1MiB"', "Largest body handed to a function."),
    Key(
        "server.header_timeout",
        k.duration("1s", "5m"),
        '"10s"',
        "Until a request's head has come, from the first byte or accept.",
    ),
    Key("server.keep_alive", k.duration("1s", "1h"), '"15s"', "How long an idle client connection is kept."),
    Key(
        "server.drain_delay",
        k.duration("0s", "5m"),
        '"0s"',
        "After SIGTERM: how long `/readyz` says 503 before listening ends, for a load balancer to notice.",
    ),
    Key("server.grace", k.duration("0s", "1h"), '"30s"', "After SIGTERM: how long answers in progress may take."),
    Key(
        "admin.token",
        k.SECRET,
        None,
        "The token that changes need; without one nothing can be changed there. 16 characters or more.",
    ),
    Key("admin.tokens.*", k.SECRET, None, "The token of one who may change things."),
    Key("admin.keep", k.whole(2, 100), "5", "Deployed versions that are kept on disk."),
    Key("admin.bundle_limit", k.size("1KiB", "1GiB"), '"64MiB"', "Largest bundle taken."),
    Key("kv.store", k.STORE, '"lmdb:./.wws/state"', '"memory:" forgets at the end; a relative path begins beside this file.'),
    Key("kv.timeout", k.duration("1ms", "10s"), '"50ms"', "Redis: for one call; then it counts as failed."),
    Key(
        "kv.near",
        k.duration("0s", "1h"),
        '"60s"',
        "Redis: how long sessions and keys are known without asking; changes are heard of.",
    ),
    Key("kv.grace", k.duration("0s", "1h"), '"5m"', "Redis: how long they are served from memory while it does not answer."),
    Key(
        "kv.instances",
        k.whole(1, 10_000),
        "1",
        "Gateways that share the store. While it fails each process counts its share of a limit.",
    ),
    Key("auth.supabase_url", k.WEB_URL, None, "The project's address. Without it only API keys are accepted."),
    Key("auth.supabase_key", k.SECRET, None, "The publishable key (`sb_publishable_...`), never a secret one."),
    Key(
        "auth.session_ttl", k.duration("60s", "24h"), '"1h"', "How long a session is remembered; never past the token's own exp."
    ),
    Key("auth.recheck_after", k.duration("1s", "24h"), '"5m"', "In the background: a logout is seen within about this long."),
    Key("auth.issuer", k.TEXT, None, "The `iss` of tokens, where it is not SUPABASE_URL/auth/v1."),
    Key("auth.audience", k.TEXT, '"authenticated"', "The `aud` of tokens."),
    Key("auth.leeway", k.duration("0s", "30s"), '"30s"', "How far clocks may differ (RFC 8725 asks for little)."),
    Key("limits.default", k.RATE, '"100/min"', "Every path that no other pattern names."),
    Key("limits.address", k.RATE_OR_OFF, '"600/min"', 'Per client address, before anyone is known; or "off".'),
    Key("limits./api/ai/chat", k.RATE, '"60/min"', "The chat endpoint."),
    Key("limits./api/ai/generate", k.RATE, '"20/min"', "The generate endpoint."),
    Key("limits.*", k.RATE, None, "Any other path pattern."),
    Key("cors.origins", k.ORIGINS, "[]", "Their origins, for `ai` routes and functions that do not say so themselves."),
    Key("cache.fresh", _AGE, '"60s"', "Age up to which an answer is served as it is."),
    Key("cache.stale", _AGE, '"300s"', "Age up to which a stale answer may be served while it is refreshed."),
    Key(
        "providers.*.kind",
        k.choice("synthetic", "zai", "openai", "sandbox"),
        None,
        "Whose interface it is; defaults to the name. `openai` is any compatible server.",
    ),
    Key("providers.*.base_url", k.URL, None, "Where its OpenAI-compatible API begins; for `openai` required."),
    Key("providers.*.anthropic_url", k.URL, None, "Where its Anthropic-compatible API begins, if it has one."),
    Key("providers.*.api_key", k.SECRET, None, "The key we send; for `synthetic` and `zai` required."),
    Key(
        "providers.*.concurrency",
        k.whole(1, 10_000),
        None,
        "Requests at a time per model; for `synthetic` its `packs`, else no limit.",
    ),
    Key("providers.*.packs", k.whole(1, 100), "1", "Subscription packs at `synthetic`: each is one request at a time per model."),
    Key("providers.*.queue", k.whole(0, 10_000), "16", "Requests that may wait for such a place, per model."),
    *_inherited("providers.*.timeouts"),
    Key(
        "providers.*.models.*.price_in",
        k.PRICE,
        None,
        "What a million tokens in cost, in USD; with `price_out`. Default: the catalogue's.",
    ),
    Key("providers.*.models.*.price_out", k.PRICE, None, "What a million tokens out cost, in USD."),
    Key(
        "providers.*.models.*.price_cached",
        k.PRICE,
        None,
        "What a million cached tokens cost; else as much as others that go in.",
    ),
    *_inherited("providers.*.models.*.timeouts"),
    *[Key(f"timeouts.{name}", _TIMER, f'"{value}"', about) for name, (value, about) in _TIMERS.items()],
    Key("attempts.max", k.whole(1, 10), "3", "Upstream attempts per request: the primary, one retry, a fallback."),
    Key(
        "attempts.assemble",
        k.FLAG,
        "true",
        "Serve a plain caller by streaming upstream, so that a silent provider is seen early.",
    ),
    Key("attempts.breaker", k.FLAG, "true", "Leave a model alone for a while when its provider keeps failing."),
    Key("attempts.retry_percent", k.whole(0, 100), "10", "How many of a provider's requests may be second tries."),
    Key(
        "attempts.retry_floor", k.whole(0, 10_000), "3", "Second tries at a provider in 10 seconds that there may be in any case."
    ),
    Key(
        "attempts.commit_after",
        k.duration_or_off("100ms", "10m"),
        '"30s"',
        "Without a token for so long, a stream's head is sent and comments keep it open; what fails then is told inside it.",
    ),
    Key(
        "attempts.hedge_after",
        k.duration_or_off("10ms", "10m"),
        '"off"',
        "Without a token for so long, the next model is asked as well and the first to answer serves. Both may bill.",
    ),
    Key("models.*", k.MODELS, None, "The models behind this alias, as `provider/model`."),
    Key("rules[].when.type", k.WORDS, None, "The task's type is one of these."),
    Key("rules[].when.complexity", k.many(k.choice("low", "medium", "high"), one=True), None, "Its complexity is one of these."),
    Key("rules[].when.context_length_over", k.whole(0, 100_000_000), None, "Its context is longer than so many tokens."),
    Key("rules[].when.context_length_under", k.whole(1, 100_000_000), None, "Its context is shorter than so many tokens."),
    Key("rules[].use", k.ALIAS, None, "The alias that serves.", required=True),
    Key("rules[].reason", k.REASON, None, "Told to the caller in `x-wws-route-reason`."),
    Key("origin.url", k.URL, None, "Its address; `http+unix:///path/to.sock` for a socket."),
    Key("origin.timeouts.connect", _TIMER, '"2s"', "Until the connection stands."),
    Key("origin.timeouts.first_byte", _TIMER, '"60s"', "Until the head of the answer has come."),
    Key("origin.timeouts.idle", _TIMER, '"60s"', "Between two pieces of the answer."),
    Key("origin.timeouts.total", _TIMER, '"300s"', "For the whole answer."),
    Key("origins.*.url", k.URL, None, "Its address.", required=True),
    Key("routes[].path", k.PATTERN, None, "Exact, `*` or `:name` segments.", True),
    Key("routes[].to", k.TARGET, None, "Who answers.", required=True),
    Key("routes[].methods", k.METHODS, None, "Methods taken; all where it is left out."),
    Key("routes[].auth", k.choice("required", "optional", "none"), None, '"required" for `ai`, else "optional".'),
    Key("routes[].limit", k.RATE_OR_OFF, None, 'This route\'s own limit, or "off"; else `[limits]` decide.'),
    Key("routes[].cache", k.choice("off", "obey-origin"), '"off"', "Or a table of fixed ages."),
    Key("routes[].cache.fresh", _AGE, None, "Default: that of `[cache]`."),
    Key("routes[].cache.stale", _AGE, None, "Default: that of `[cache]`."),
    Key("routes[].cache.per", _CACHE_PER, None, "For whom: left out, nothing of a known user is kept."),
    Key("routes[].timeout", k.duration("10ms", "1h"), None, "For the whole answer on this route."),
    Key(
        "routes[].mode",
        k.choice("stream", "buffer"),
        '"stream"',
        "Of `ai` routes: `buffer` sends streams when they are whole; until then another model can step in.",
    ),
    Key("routes[].scopes", k.SCOPES, None, "Scopes an API key must hold; left out, the one named like the kind of `to`."),
    Key("routes[].models", k.ALIASES, None, "The aliases allowed here; all where it is left out."),
    Key("routes[].cors", k.ORIGINS, None, "Origins of pages that may read answers of this route; none where it is `[]`."),
    Key(
        "routes[].max_in_flight",
        k.whole(1, 1_000_000),
        None,
        "Requests in progress on this route in one process; more are answered 503.",
    ),
    Key("routes[].fresh_auth", k.duration("0s", "24h"), None, "Greatest age of the last online check of the session."),
    Key("fetch.allow", k.REACHABLE, "[]", "Names, addresses and networks inside that functions may reach."),
    Key("fetch.limit", k.size("1KiB", "1GiB"), '"10MiB"', "Largest answer that is read whole; one in pieces has no limit."),
    Key("fetch.timeout", k.duration("10ms", "1h"), '"30s"', "For an answer, where the call says nothing."),
    Key("services[].binding", k.BINDING, None, "Its name in `env`.", required=True),
    Key(
        "services[].function", k.FUNCTION_NAME, None, "The function: its file's path in the folder, without `.py`.", required=True
    ),
    Key("static.folder", k.PATH, '"public"', "The folder, beside this file."),
    Key("functions.folder", k.PATH, '"functions"', "The folder, beside this file."),
    Key("kv_namespaces[].binding", k.BINDING, None, "Its name in `env`.", required=True),
    Key("triggers.crons", k.CRONS, "[]", "When; a bare expression runs every function that has a `scheduled` handler."),
    Key("triggers.timezone", k.ZONE, '"UTC"', "Whose clock the expressions mean."),
    Key(
        "functions.timeout",
        k.duration("10ms", "1h"),
        '"30s"',
        "How long one run may take; a function's own `timeout` goes before.",
    ),
    Key(
        "functions.block_after",
        k.duration("10ms", "1m"),
        '"250ms"',
        "A function that holds up all others for so long is told in the log.",
    ),
    Key(
        "functions.block_limit",
        k.duration("100ms", "1h"),
        '"2s"',
        "And is stopped after so long. One with `isolate` holds up nobody.",
    ),
    Key("functions.isolates", k.whole(1, 64), "2", "Processes for functions with `isolate`; each runs one request at a time."),
    Key("functions.isolate_queue", k.whole(0, 10_000), "64", "Requests that may wait for such a process; more are answered 503."),
    Key("queues[].binding", k.BINDING, None, "Its name in `env`.", required=True),
    Key(
        "queues[].function",
        k.FUNCTION,
        None,
        "Who gets the messages, by `async def queue(batch, env, ctx)`; left out, nobody here.",
    ),
    Key("queues[].max_batch", k.whole(1, 100), "10", "Messages handed over at once."),
    Key("queues[].max_wait", k.duration("0s", "60s"), '"0s"', "How long fewer than `max_batch` wait for more."),
    Key("queues[].max_retries", k.whole(0, 100), "3", "Deliveries after the first; then a message is a dead letter."),
    Key("queues[].retry_delay", k.duration("0s", "1h"), '"1s"', "Until the second delivery; doubled each time, up to an hour."),
    Key("queues[].visibility", k.duration("1s", "12h"), '"60s"', "Until a message that was never settled is delivered again."),
    Key("queues[].max_messages", k.whole(1, 10_000_000), "100000", "More are refused; dead letters count too."),
    Key(
        "queues[].dead_letter", k.BINDING, None, "The binding of a queue that takes dead letters; else they are kept in this one."
    ),
    Key("vars.*", k.VARIABLE, None, "A text, number or flag."),
)

FUNCTION_KEYS: tuple[Key, ...] = (
    Key("isolate", k.FLAG, "false", "Run in a process of its own kind, which can be ended without harm to others."),
    Key("memory", k.size("64MiB", "64GiB"), '"256MiB"', "Memory that an isolated function may take."),
    Key("cpu", k.duration("100ms", "1h"), None, "Processor time that one run of an isolated function may take."),
)
"""Keys of a function's `config` beside those it shares with `[[routes]]`."""


class Node:
    """One step of the tree the paths make: the key that ends here, if one does, and what may follow."""

    __slots__ = ("children", "key")

    def __init__(self) -> None:
        self.key: Key | None = None
        self.children: dict[str, Node] = {}


def _steps(path: str) -> list[str]:
    if path.startswith("limits."):
        return path.split(".", 1)
    return path.replace("[]", ".[]").split(".")


@cache
def tree() -> Node:
    """The schema as a tree, by steps of the path."""
    root = Node()
    for key in KEYS:
        node = root
        for step in _steps(key.path):
            node = node.children.setdefault(step, Node())
        node.key = key
    return root


@cache
def default(path: str) -> Any:
    """The default of a key, read as its kind reads it; None where there is none."""
    key = next(key for key in KEYS if key.path == path)
    return None if key.default is None else key.kind.read(tomllib.loads(f"value = {key.default}")["value"])


def table_of(key: Key) -> str:
    """The path of the table a key stands in, as in `TABLES`."""
    if key.path.startswith("limits."):
        return "limits"
    return key.path.rpartition(".")[0]
