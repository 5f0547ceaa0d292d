"""Whole files: the documented one, none at all, a bad one in every way, and what cannot even be read."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.project.files import ENVIRON, READY, examined, lines, problems, project
from wws.core.policy import Attempts, Limit, ModelRef, Policy, ProviderConfig, Route, Timeouts
from wws.errors import ConfigError
from wws.project.address import Address
from wws.project.environment import DEV_VARS
from wws.project.load import MAX_BYTES, load
from wws.project.schema import Node, tree
from wws.project.settings import Project, ServerSettings

DOCUMENTED = (Path(__file__).parent / "documented.toml").read_text()
"""The documented wws.toml, word for word."""


def test_the_documented_file_is_nothing_but_defaults() -> None:
    found = project(DOCUMENTED)
    assert found.policy == replace(
        Policy(),
        name="mylder-wws",
        version=found.policy.version,
        providers={
            "synthetic": ProviderConfig("synthetic", "synthetic", api_key="syn_planted"),
            "zai": ProviderConfig("zai", "zai", api_key="zai-planted"),
        },
        origins={"default": "http://127.0.0.1:3000"},
    )
    assert found.server == ServerSettings()
    assert found.store_url == "lmdb:./.wws/state"
    assert found.kv_namespaces == ("VISITS",)
    assert found.vars == {}
    assert [problem.key for problem in found.warnings] == ["auth.supabase_url"]


def test_an_empty_file_is_the_defaults_too() -> None:
    found = project("", dev=True)
    assert found.policy == replace(Policy(), version=found.policy.version)
    assert (found.server, found.store_url, found.kv_namespaces, found.vars) == (ServerSettings(), "lmdb:./.wws/state", (), {})
    assert [problem.key for problem in found.warnings] == ["auth.supabase_url", "providers", "origin"]


def test_an_empty_file_cannot_be_served() -> None:
    assert problems("") == [
        "None: providers: no provider is configured, and AI routes need one: write [providers.synthetic] with its `api_key`"
    ]


def test_everything_that_can_be_set() -> None:
    text = """
        name = "all"
        [server]
        listen = "[::]:443"
        admin = "unix:/run/wws-admin.sock"
        workers = "auto"
        trusted_proxies = ["10.0.0.0/8", "fd00::/8"]
        log = "errors"
        max_in_flight = 10
        max_connections = 20
        json_limit = "1MiB"
        json_depth = 8
        function_limit = 65536
        header_timeout = "5s"
        keep_alive = "1m"
        [kv]
        store = "lmdb:/var/lib/wws?map_size=1GiB"
        [auth]
        supabase_url = "https://abc.supabase.co/"
        supabase_key = "${SUPABASE_PUBLISHABLE_KEY}"
        session_ttl = "30m"
        recheck_after = "1m"
        issuer = "https://id.example.com/auth/v1"
        audience = "mine"
        leeway = "5s"
        [limits]
        default = "10/s"
        address = "off"
        "/v1/*" = "60/min burst 10"
        [cache]
        fresh = "5s"
        stale = "10s"
        [providers.local]
        kind = "openai"
        base_url = "http://127.0.0.1:8000/v1"
        anthropic_url = "http://127.0.0.1:8000/anthropic"
        concurrency = 4
        packs = 2
        queue = 0
        [providers.local.timeouts]
        first_token = "20s"
        [providers.local.models."org/big".timeouts]
        total = "10m"
        [timeouts]
        connect = "1s"
        [attempts]
        max = 2
        assemble = false
        breaker = false
        retry_percent = 20
        retry_floor = 0
        [models]
        only = "local/org/big"
        [[rules]]
        use = "only"
        when = { type = "code", complexity = ["high"], context_length_over = 5, context_length_under = 10 }
        [[rules]]
        use = "only"
        [origins.web]
        url = "http+unix:///run/web.sock"
        [origins.api]
        url = "https://api.example.com/base/"
        [origin.timeouts]
        first_byte = "1s"
        [[routes]]
        path = "/v1/*"
        to = "ai"
        mode = "buffer"
        [[routes]]
        path = "/api/:id"
        to = "api"
        methods = ["GET", "POST"]
        auth = "required"
        limit = "5/min"
        cache = { stale = "1m", per = "user" }
        timeout = "3s"
        scopes = ["orders"]
        fresh_auth = "60s"
        [[routes]]
        path = "/*"
        to = "web"
        limit = "off"
        cache = "obey-origin"
        [[kv_namespaces]]
        binding = "VISITS"
        [vars]
        COLOUR = "blue"
    """
    found = project(text)
    policy = found.policy
    assert found.server == ServerSettings(
        listen=Address("::", 443),
        admin=Address("", 0, "/run/wws-admin.sock"),
        workers="auto",
        trusted_proxies=found.server.trusted_proxies,
        log="errors",
        max_connections=20,
        header_timeout=5.0,
        keep_alive=60.0,
    )
    assert [str(network) for network in found.server.trusted_proxies] == ["10.0.0.0/8", "fd00::/8"]
    assert (policy.max_in_flight, policy.json_limit, policy.json_depth) == (10, 2**20, 8)
    assert found.store_url == "lmdb:/var/lib/wws?map_size=1GiB"
    assert (policy.auth.supabase_url, policy.auth.supabase_key) == ("https://abc.supabase.co", "sb_publishable_planted")
    assert (policy.auth.session_ttl, policy.auth.recheck_after, policy.auth.leeway) == (1800.0, 60.0, 5.0)
    assert (policy.auth.issuer, policy.auth.audience) == ("https://id.example.com/auth/v1", "mine")
    assert policy.limits == {
        "/api/ai/chat": Limit(60, 60.0, name="chat", endpoint="/api/ai/chat"),
        "/api/ai/generate": Limit(20, 60.0, name="generate", endpoint="/api/ai/generate"),
        "default": Limit(10, 1.0),
        "/v1/*": Limit(60, 60.0, 10, "v1", "/v1/*"),
    }
    assert policy.address_limit is None
    local = Timeouts(connect=1.0, first_token=20.0)
    assert policy.timeouts == Timeouts(connect=1.0)
    base = ProviderConfig("local", "openai", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/anthropic", timeouts=local)
    assert policy.providers == {"local": replace(base, concurrency=4, packs=2, queue=0)}
    assert policy.attempts == Attempts(2, False, False, 20, 0)
    assert policy.model_timeouts == {"local/org/big": replace(local, total=600.0)}
    assert policy.models == {"only": (ModelRef("local", "org/big"),)}
    assert [(rule.use, rule.reason) for rule in policy.rules] == [("only", "Rule 1: only"), ("only", "Rule 2: only")]
    assert policy.rules[0].when.type == ("code",)
    assert policy.rules[0].when.complexity == ("high",)
    assert policy.origins == {"web": "http+unix:///run/web.sock", "api": "https://api.example.com/base"}
    assert policy.origin_timeouts == Timeouts(first_byte=1.0, idle=60.0)
    ai, api, rest = policy.routes
    assert ai == Route("/v1/*", "ai", auth="required", mode="buffer")
    assert api.to == "origin"
    assert (api.target, api.methods, api.scopes, api.timeout, api.fresh_auth) == ("api", ("GET", "POST"), ("orders",), 3.0, 60.0)
    assert api.limit == Limit(5, 60.0, name="api", endpoint="/api/:id")
    assert (api.cache.mode, api.cache.fresh, api.cache.stale, api.cache.per) == ("fixed", 5.0, 60.0, "user")
    assert (rest.target, rest.unlimited, rest.limit, rest.cache.mode, rest.auth) == ("web", True, None, "obey-origin", "optional")
    assert policy.function_limit == 65_536
    assert found.vars == {"COLOUR": "blue"}
    assert [warning.key for warning in found.warnings] == []


def test_admin_may_be_off() -> None:
    assert project(READY + '[server]\nadmin = "off"').server.admin is None


BAD = """\
naem = "bad"
[server]
listen = "0.0.0.0:8788"
workers = 0
trusted_proxies = ["10.0.0.1/8"]
cert = "missing.pem"
[kv]
store = "redis://local host"
[auth]
supabase_url = "http://abc.supabase.co"
leeway = "1m"
[limits]
"api" = "60/min"
default = "sixty"
[cache]
fresh = "60s"
stale = "30s"
[providers.synthetic]
api_key = "${NOT_SET}"
[providers.mine]
base_url = "http://127.0.0.1:1/v1"
[providers.local]
kind = "openai"
[models]
code = ["synthetix/x"]
[[rules]]
use = "coed"
[[routes]]
path = "/a"
to = "origins"
[[routes]]
path = "/a"
to = "function:helo"
[[routes]]
to = "ai"
[[kv_namespaces]]
binding = "ai"
[vars]
not-python = 1
"""


def test_every_problem_at_once_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "hello.py").write_text("async def fetch(request, env, ctx): ...\n")
    (tmp_path / "wws.toml").write_text(BAD)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "wws.toml", environ={})
    found = caught.value.problems
    assert {problem.file for problem in found} == {str(tmp_path / "wws.toml")}
    assert lines(found) == [
        (1, "naem"),
        (2, "server.admin"),
        (4, "server.workers"),
        (5, "server.trusted_proxies"),
        (6, "server.cert"),
        (6, "server.cert"),
        (8, "kv.store"),
        (10, "auth.supabase_url"),
        (10, "auth.supabase_url"),
        (11, "auth.leeway"),
        (13, "limits.api"),
        (14, "limits.default"),
        (17, "cache.stale"),
        (19, "providers.synthetic.api_key"),
        (20, "providers.mine"),
        (22, "providers.local"),
        (25, "models.code[0]"),
        (27, "rules[0].use"),
        (30, "routes[0].to"),
        (32, "routes[1].path"),
        (33, "routes[1].to"),
        (34, "routes[2]"),
        (37, "kv_namespaces[0].binding"),
        (39, "vars.not-python"),
    ]
    text = str(caught.value)
    for hint in (
        'did you mean "name"?',
        'did you mean "synthetic"?',
        'did you mean "code"?',
        'did you mean "hello"?',
        "allowed: ",
    ):
        assert hint in text


def test_problems_of_dev_vars_come_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_text("x = 1\n" + READY)
    (tmp_path / DEV_VARS).write_text("SYNTHETIC_API_KEY=k\noops\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "wws.toml", environ={})
    assert [(Path(problem.file).name, problem.line) for problem in caught.value.problems] == [("wws.toml", 1), (DEV_VARS, 2)]


def test_a_secret_of_dev_vars_is_used_and_the_environment_comes_first(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_text(READY)
    (tmp_path / DEV_VARS).write_text("SYNTHETIC_API_KEY=of-the-file\n")
    assert load(tmp_path / "wws.toml", environ={}).policy.providers["synthetic"].api_key == "of-the-file"
    assert load(tmp_path / "wws.toml", environ=ENVIRON).policy.providers["synthetic"].api_key == "syn_planted"


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ=ENVIRON)
    [problem] = caught.value.problems
    assert problem.file == str(path)
    return f"{problem.line}: {problem.message}"


def test_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "wws.toml") == "None: there is no such file; `wws init` writes one to start from"


def test_what_is_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path) == "None: cannot be read: Is a directory"


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_bytes(b'name = "x"\n# \xff\n')
    assert refused(tmp_path / "wws.toml") == "2: not UTF-8"


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_bytes(b"#" * (MAX_BYTES + 1))
    assert refused(tmp_path / "wws.toml") == "None: longer than 1048576 bytes: this is no wws.toml"


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_text('name = "x"\n[server\n')
    assert refused(tmp_path / "wws.toml") == "2: not TOML: Expected ']' at the end of a table declaration (column 8)"


def test_a_file_nested_without_end(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_text("x = " + "[" * 100_000)
    assert refused(tmp_path / "wws.toml") == "None: not TOML: nested too deeply"


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "wws.toml").write_bytes(b"\xef\xbb\xbf" + READY.encode())
    assert load(tmp_path / "wws.toml", environ=ENVIRON).policy.name == "wws"


def test_the_version_changes_with_what_is_configured_and_not_with_secrets() -> None:
    def version(text: str, environ: dict[str, str] = ENVIRON) -> str:
        return project(READY + text, environ=environ).policy.version

    same = version("")
    assert len(same) == 12
    assert version("# a comment\n") == same
    assert version('[cache]\nfresh = "60s"') == version('[cache]\nfresh = "1m"') == same
    assert version("", {**ENVIRON, "SYNTHETIC_API_KEY": "another"}) == same
    changes = [
        '[cache]\nfresh = "61s"',
        '[limits]\n"/x" = "1/s"',
        "[server]\nworkers = 2",
        '[kv]\nstore = "memory:"',
        '[kv]\nstore = "redis://:planted@a"',
        '[kv]\nstore = "redis://:planted@b"',
        "[kv]\ninstances = 2",
        '[[kv_namespaces]]\nbinding = "A"',
        "[vars]\nA = 1",
        "[vars]\nA = 2",
        '[server]\nlisten = "127.0.0.1:9"',
    ]
    assert len({same, *map(version, changes)}) == len(changes) + 1
    assert version('[kv]\nstore = "redis://:planted@a"') == version('[kv]\nstore = "redis://:other@a"'), "no secret goes into it"


def test_a_project_is_plain_data() -> None:
    found = project(READY)
    assert {field.name for field in fields(Project)} == {
        "path",
        "policy",
        "crons",
        "queues",
        "limits",
        "server",
        "admin",
        "base",
        "release",
        "rollout",
        "store_url",
        "kv_namespaces",
        "vars",
        "warnings",
        "services",
        "public",
        "functions",
        "kv",
    }
    assert found.folder == Path("nowhere")


# Documents of the schema's shape with anything in them: whatever they hold, every problem is told with its line.

WORDS = [
    "ai",
    "origin",
    "code",
    "off",
    "obey-origin",
    "1m",
    "60/min",
    "/a",
    "/a/*",
    "zai/glm-4-plus",
    "${NOPE}",
    "${",
    "http://h",
    "function:x",
    "memory:",
    "openai",
    "zai",
    "required",
    "user",
    "sb_secret_x",
    "127.0.0.1:8787",
    "0.0.0.0:8788",
    "unix:/x",
    "https://x.supabase.co",
    "low",
    "GET",
]

leaves = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=6),
    st.integers(-5, 5),
    st.booleans(),
    st.lists(st.sampled_from(WORDS) | st.text(max_size=4) | st.integers(0, 3), max_size=2),
)


def documents(node: Node, depth: int = 0) -> st.SearchStrategy[Any]:
    """Any value where the schema has a leaf; mostly tables where it has those."""
    if not node.children:
        return leaves
    if "[]" in node.children:
        return st.lists(documents(node.children["[]"], depth + 1), max_size=3) | leaves
    known = {name: documents(child, depth + 1) for name, child in node.children.items() if name != "*"}
    tables = st.fixed_dictionaries({}, optional={**known, "unknown": leaves} if depth or not known else known)
    if "*" in node.children:
        free = st.dictionaries(
            st.sampled_from(["code", "zai", "a b", "/x", ""]), documents(node.children["*"], depth + 1), max_size=2
        )
        tables = st.tuples(tables, free).map(lambda pair: {**pair[0], **pair[1]})
    return tables | leaves if depth else tables


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join([f"{toml(name)} = {toml(child)}" for name, child in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@settings(max_examples=300)
@given(documents(tree()), st.booleans())
@example({"server": {"cert": "\0", "listen": "unix:\0"}, "static": {"folder": "a\0"}}, False)
def test_any_document_is_loaded_or_refused_with_lines(document: dict[str, Any], dev: bool) -> None:
    names = list(document)
    text = "".join([f"{toml(name)} = {toml(value)}\n" for name, value in document.items()])
    found = examined(text, dev=dev)
    assert (found.project is None) == bool(found.problems)
    for problem in [*found.problems, *found.warnings]:
        top = problem.key.split(".")[0].split("[")[0].strip('"')
        assert problem.line == (names.index(top) + 1 if top in names else None)
