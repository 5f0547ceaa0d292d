"""From the values of a file to the policy and the settings. What is left out takes the schema's default: nothing fails here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from wws.core.policy import (
    BEHIND,
    DEFAULT_MODELS,
    DEFAULT_ROUTES,
    DEFAULT_RULES,
    Attempts,
    AuthPolicy,
    CachePolicy,
    Condition,
    FetchPolicy,
    Limit,
    ModelRef,
    Policy,
    Price,
    ProviderConfig,
    Route,
    Rule,
    Timeouts,
)
from wws.core.queue.delivery import Terms
from wws.project.crons import Cron
from wws.project.functions.folder import Folder
from wws.project.kinds import OFF, shape
from wws.project.schema import default
from wws.project.secret import Secret
from wws.project.settings import AdminSettings, FunctionLimits, QueueSettings, ServerSettings, StoreSettings

__all__ = [
    "FUNCTION",
    "KEYED",
    "PLACEHOLDER",
    "admin",
    "crons",
    "destination",
    "kv",
    "limits",
    "policy",
    "queues",
    "route",
    "server",
    "value",
    "version",
]

FUNCTION = "function:"

PLACEHOLDER = "YOUR-PROJECT"
"""What stands in the starter file in the place of a Supabase project's name."""
KEYED = ("synthetic", "zai")
"""Kinds of provider that never answer without a key."""

Values = Mapping[str, Any]


def value(values: Values, path: str) -> Any:
    """The value of a key by its dotted path, or its default."""
    table: Any = values
    for step in path.split("."):
        table = table.get(step)
        if table is None:
            return default(path)
    return table


def server(values: Values, folder: Path) -> ServerSettings:
    """`[server]`, its files relative to `folder`."""

    def file(name: str) -> Path | None:
        found = value(values, f"server.{name}")
        return None if found is None else folder / found

    names = ("listen", "admin", "workers", "trusted_proxies", "log", "max_connections", "header_timeout")
    settings = {name: value(values, f"server.{name}") for name in (*names, "keep_alive", "drain_delay", "grace")}
    if settings["admin"] == OFF:
        settings["admin"] = None
    return ServerSettings(**settings, cert=file("cert"), key=file("key"))


def kv(values: Values) -> StoreSettings:
    """`[kv]`, but for the address."""
    return StoreSettings(**{name: value(values, f"kv.{name}") for name in ("timeout", "near", "grace", "instances")})


def admin(values: Values) -> AdminSettings:
    """`[admin]`."""
    table = values.get("admin", {})
    tokens = {"admin": table["token"], **table.get("tokens", {})} if "token" in table else dict(table.get("tokens", {}))
    return AdminSettings(tokens, value(values, "admin.keep"), value(values, "admin.bundle_limit"))


def policy(values: Values, functions: Folder | None = None, public: bool = False) -> Policy:
    """The policy, with the routes of the functions folder among its own. `public`: there are files to be served."""
    timeouts = _timeouts(values.get("timeouts", {}), Timeouts(**{name: value(values, f"timeouts.{name}") for name in _TIMERS}))
    providers = _providers(values.get("providers", {}), timeouts)
    models = _models(values, providers)
    return Policy(
        name=value(values, "name"),
        auth=_auth(values),
        limits=_limits(values),
        address_limit=_named(value(values, "limits.address"), "address"),
        cache=CachePolicy("fixed", value(values, "cache.fresh"), value(values, "cache.stale")),
        providers=providers,
        timeouts=timeouts,
        model_timeouts=_model_timeouts(values.get("providers", {}), providers),
        attempts=_attempts(values),
        models=models,
        rules=_rules(values, models),
        origins=_origins(values),
        origin_timeouts=_origin_timeouts(values),
        routes=_routes(values, functions or Folder(Path()), public),
        json_limit=value(values, "server.json_limit"),
        json_depth=value(values, "server.json_depth"),
        function_timeout=value(values, "functions.timeout"),
        function_limit=value(values, "server.function_limit"),
        fetch=FetchPolicy(value(values, "fetch.allow"), value(values, "fetch.limit"), value(values, "fetch.timeout")),
        max_in_flight=value(values, "server.max_in_flight"),
    )


def crons(values: Values) -> tuple[Cron, ...]:
    """`[triggers]`, each with its time zone."""
    zone = value(values, "triggers.timezone")
    return tuple([row._replace(timezone=row.timezone or zone) for row in value(values, "triggers.crons")])


def limits(values: Values) -> FunctionLimits:
    """The limits of `[functions]`."""
    names = ("timeout", "block_after", "block_limit", "isolates", "isolate_queue")
    return FunctionLimits(**{name: value(values, f"functions.{name}") for name in names})


_TERMS = ("max_batch", "max_wait", "max_retries", "retry_delay", "visibility", "max_messages")


def queues(values: Values) -> tuple[QueueSettings, ...]:
    """`[[queues]]`."""
    return tuple(
        [
            QueueSettings(
                table["binding"],
                table.get("function"),
                Terms(**{name: table.get(name, default(f"queues[].{name}")) for name in _TERMS}),
                table.get("dead_letter"),
            )
            for table in values.get("queues", ())
            if "binding" in table
        ]
    )


_SECRET_FIELDS = frozenset({"api_key", "supabase_key"})


def version(parts: Mapping[str, Any]) -> str:
    """12 hexadecimal digits that change with the effective configuration. No secret goes into them."""

    def open_fields(items: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: item for name, item in items if name not in _SECRET_FIELDS}

    def plain(part: Any) -> Any:
        return asdict(part, dict_factory=open_fields) if is_dataclass(part) and not isinstance(part, type) else part

    text = json.dumps({name: plain(part) for name, part in parts.items()}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


_TIMERS = ("connect", "first_byte", "first_token", "idle", "total")


def _timeouts(table: Values, base: Timeouts) -> Timeouts:
    return replace(base, **{name: table[name] for name in _TIMERS if name in table})


def _attempts(values: Values) -> Attempts:
    names = ("max", "assemble", "breaker", "retry_percent", "retry_floor")
    settings: dict[str, Any] = {name: value(values, f"attempts.{name}") for name in names}
    for name in ("commit_after", "hedge_after"):
        wait = value(values, f"attempts.{name}")
        settings[name] = None if wait == OFF else wait
    return Attempts(**settings)


def _origin_timeouts(values: Values) -> Timeouts:
    names = ("connect", "first_byte", "idle", "total")
    return Timeouts(**{name: value(values, f"origin.timeouts.{name}") for name in names})


def _reveal(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def _auth(values: Values) -> AuthPolicy:
    url = value(values, "auth.supabase_url")
    key = value(values, "auth.supabase_key")
    usable = url is not None and PLACEHOLDER not in url and key is not None
    return AuthPolicy(
        supabase_url=url if usable else None,
        supabase_key=_reveal(key) if usable else None,
        session_ttl=value(values, "auth.session_ttl"),
        recheck_after=value(values, "auth.recheck_after"),
        issuer=value(values, "auth.issuer"),
        audience=value(values, "auth.audience"),
        leeway=value(values, "auth.leeway"),
    )


def _named(limit: Limit | str, endpoint: str) -> Limit | None:
    """A limit with what its count is kept for, and its name on the wire: the last literal part of the path. None for "off"."""
    if isinstance(limit, str):
        return None
    literal = [part for part in endpoint.split("/") if part and part[0] not in "*:"]
    name = "".join([c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in (literal or ["all"])[-1]])
    return replace(limit, name=name, endpoint=endpoint)


def _limits(values: Values) -> dict[str, Limit]:
    given = values.get("limits", {})
    names = dict.fromkeys(["/api/ai/chat", "/api/ai/generate", "default", *given])
    limits = {name: _named(given.get(name) or default(f"limits.{name}"), name) for name in names if name != "address"}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _providers(tables: Values, timeouts: Timeouts) -> dict[str, ProviderConfig]:
    return {
        name: ProviderConfig(
            name=name,
            kind=table.get("kind", name),
            base_url=table.get("base_url"),
            anthropic_url=table.get("anthropic_url"),
            api_key=_reveal(table.get("api_key")),
            timeouts=_timeouts(table.get("timeouts", {}), timeouts),
            prices=_prices(table.get("models", {})),
            **{key: table[key] for key in ("concurrency", "packs", "queue") if key in table},
        )
        for name, table in tables.items()
    }


def _prices(models: Values) -> dict[str, Price]:
    return {
        model: Price(table["price_in"], table["price_out"], table.get("price_cached"))
        for model, table in models.items()
        if "price_in" in table and "price_out" in table
    }


def _model_timeouts(tables: Values, providers: Mapping[str, ProviderConfig]) -> dict[str, Timeouts]:
    return {
        str(ModelRef(name, model)): _timeouts(settings.get("timeouts", {}), providers[name].timeouts)
        for name, table in tables.items()
        for model, settings in table.get("models", {}).items()
    }


def _models(values: Values, providers: Mapping[str, ProviderConfig]) -> dict[str, tuple[ModelRef, ...]]:
    """The list of the file; else the default one, without what no configured provider serves."""
    if "models" in values:
        return dict(values["models"])
    if not providers:
        return dict(DEFAULT_MODELS)
    served = {alias: tuple([ref for ref in refs if ref.provider in providers]) for alias, refs in DEFAULT_MODELS.items()}
    return {alias: refs for alias, refs in served.items() if refs}


def _rules(values: Values, models: Mapping[str, Any]) -> tuple[Rule, ...]:
    if "rules" not in values:
        return tuple([rule for rule in DEFAULT_RULES if rule.use in models])
    return tuple(
        [
            Rule(table["use"], table.get("reason", f"Rule {number}: {table['use']}"), Condition(**table.get("when", {})))
            for number, table in enumerate(values["rules"], 1)
            if "use" in table
        ]
    )


def _origins(values: Values) -> dict[str, str]:
    origins = {name: table["url"] for name, table in values.get("origins", {}).items() if "url" in table}
    url = value(values, "origin.url")
    return {"default": url, **origins} if url is not None else origins


def _routes(values: Values, functions: Folder, public: bool) -> tuple[Route, ...]:
    pages = tuple(value(values, "cors.origins"))
    own = tuple([one if one.to == "origin" else replace(one, cors=pages) for one in _defaults(values, functions, public)])
    if "routes" in values:
        own = tuple([_route(table, values, functions) for table in values["routes"] if "path" in table and "to" in table])
    return (*own, *_placed(values, functions, own))


def _defaults(values: Values, functions: Folder, public: bool) -> tuple[Route, ...]:
    """The default routes. Those of a project that has functions or files lead only to what it has beside them, and a file goes
    before the origin."""
    if not functions.functions and not public:
        return DEFAULT_ROUTES
    there = {"ai": bool(values.get("providers")), "origin": bool(_origins(values))}
    routes = tuple([route for route in DEFAULT_ROUTES if there[route.to]])
    if not public:
        return routes
    files = Route("/*", "static", auth="none", unlimited=True, fallback="origin" if BEHIND in routes else None)
    return (*[route for route in routes if route is not BEHIND], files)


def _route(table: Values, values: Values, functions: Folder) -> Route:
    """A route of the file. One that names a function has what the function says itself, where the route says nothing."""
    kind, target = destination(table["to"])
    found = functions.functions.get(target or "") if kind == "function" else None
    return route({**(found.settings if found is not None else {}), **table}, values)


_AUTH: dict[str, Literal["required", "optional", "none"]] = {"ai": "required", "static": "none"}


def route(table: Values, values: Values, aliases: tuple[str, ...] = ()) -> Route:
    """The route that `table` describes."""
    kind, target = destination(table["to"])
    limit = table.get("limit")
    optional = {
        name: table[name]
        for name in ("methods", "timeout", "mode", "scopes", "models", "fresh_auth", "max_in_flight")
        if name in table
    }
    pages = value(values, "cors.origins") if kind != "origin" else ()
    if kind == "static":
        optional.setdefault("scopes", ("origin",))  # what a key needs for files is what it needs for pages
    return Route(
        path=table["path"],
        to=kind,
        target=target,
        auth=table.get("auth", _AUTH.get(kind, "optional")),
        limit=None if limit is None else _named(limit, table["path"]),
        unlimited=limit == OFF or (kind == "static" and limit is None),
        cache=_route_cache(table.get("cache", "off"), values),
        aliases=aliases,
        cors=tuple(table.get("cors", pages)),
        **optional,
    )


def _placed(values: Values, functions: Folder, own: tuple[Route, ...]) -> Iterator[Route]:
    """The routes of the folder. One of the file's own takes a path, or some of its methods, from the function there."""
    taken: dict[str, list[Route]] = {}
    for one in own:
        taken.setdefault(shape(one.path), []).append(one)
    for found in functions.functions.values():
        if found.place is None:
            continue
        paths = [path for path in (found.place.pattern, *found.place.aliases) if not _overridden(taken.get(shape(path), []))]
        methods = found.settings.get("methods")
        if methods is not None:
            others = {method for one in taken.get(shape(found.place.pattern), []) for method in one.methods or ()}
            methods = tuple([method for method in methods if method not in others])
        if paths and methods != ():
            table = {**found.settings, "path": paths[0], "to": f"{FUNCTION}{found.name}"}
            yield route(table if methods is None else {**table, "methods": methods}, values, tuple(paths[1:]))


def _overridden(own: list[Route]) -> bool:
    return any(one.methods is None for one in own)


def destination(to: str) -> tuple[Literal["ai", "origin", "function", "static"], str | None]:
    """The kind and the name of a route's `to`: any other word than these names one of `[origins]`."""
    if to == "ai":
        return "ai", None
    if to == "origin":
        return "origin", None
    if to == "static":
        return "static", None
    if to.startswith(FUNCTION):
        return "function", to.removeprefix(FUNCTION)
    return "origin", to


def _route_cache(cache: str | Values, values: Values) -> CachePolicy:
    if cache == OFF:
        return CachePolicy()
    if cache == "obey-origin":
        return CachePolicy("obey-origin")
    ages = cast(Values, cache)
    fresh, stale = ages.get("fresh", value(values, "cache.fresh")), ages.get("stale", value(values, "cache.stale"))
    return CachePolicy("fixed", fresh, stale, ages.get("per"))
