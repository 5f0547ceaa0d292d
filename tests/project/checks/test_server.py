from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import files
from tests.project.files import ENVIRON, READY, problems, project

OFF = "sessions are off, only API keys are accepted"
NOT_SET = "SUPABASE_PUBLISHABLE_KEY is not set in the environment or .dev.vars"
NO_SESSIONS = f"None: auth.supabase_url: is not set: {OFF}"


def warnings(text: str, *, dev: bool = False, environ: dict[str, str] = ENVIRON) -> list[str]:
    """Those of this part: READY has no provider for one of the default models."""
    return [found for found in files.warnings(text, dev=dev, environ=environ) if ": providers: " not in found]


@pytest.mark.parametrize(
    "lines",
    [
        'admin = "127.0.0.1:8787"',
        'listen = "127.0.0.1:8788"',
        'listen = "0.0.0.0:1"\nadmin = "127.0.0.1:1"',
        'listen = "127.0.0.1:1"\nadmin = "[::]:1"',
        'listen = "unix:/a"\nadmin = "unix:/a"',
    ],
)
def test_the_admin_listener_is_never_the_public_one(lines: str) -> None:
    [found] = problems(READY + "[server]\n" + lines)
    assert "server.admin: found " in found
    assert 'where the public listener is; allowed: another port, or "off"' in found


def test_an_admin_listener_that_others_can_reach_is_a_warning() -> None:
    found = warnings(READY + '[server]\nadmin = "0.0.0.0:8788"')
    assert found[-1] == "6: server.admin: 0.0.0.0:8788 is reachable from other machines: the admin API belongs on 127.0.0.1"
    assert warnings(READY + '[server]\nlisten = "0.0.0.0:8787"\nadmin = "[::1]:8788"') == [NO_SESSIONS]


def test_tls_needs_both_files(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").touch()
    (tmp_path / "key.pem").touch()
    path = tmp_path / "wws.toml"
    assert problems(READY + '[server]\ncert = "cert.pem"', path=path) == ["6: server.cert: `key` is missing: TLS needs both"]
    assert problems(READY + '[server]\nkey = "key.pem"', path=path) == ["6: server.key: `cert` is missing: TLS needs both"]
    both = project(READY + f'[server]\ncert = "cert.pem"\nkey = "{tmp_path}/key.pem"', path=path)
    assert (both.server.cert, both.server.key) == (tmp_path / "cert.pem", tmp_path / "key.pem")


def test_tls_files_must_be_readable_files(tmp_path: Path) -> None:
    found = problems(READY + '[server]\ncert = "none.pem"\nkey = "."', path=tmp_path / "wws.toml")
    assert found == [
        f"6: server.cert: found {tmp_path}/none.pem, which is not a file that can be read",
        f"7: server.key: found {tmp_path}, which is not a file that can be read",
    ]


def test_a_proxy_network_of_everyone_is_a_warning() -> None:
    found = warnings(READY + '[server]\ntrusted_proxies = ["10.0.0.0/8",\n "::/0"]')
    assert found[-1] == "7: server.trusted_proxies[1]: ::/0 lets every client choose its address by a header"


@pytest.mark.parametrize("workers", ["2", '"auto"'])
def test_a_store_that_cannot_count_for_all_workers_is_refused(workers: str) -> None:
    found = problems(READY + f'[kv]\nstore = "memory:"\n[server]\nworkers = {workers}')
    message = 'found "memory:" with several workers, of which each would count alone; allowed: "lmdb:PATH", or workers = 1'
    assert found == [f"6: kv.store: {message}"]


def test_several_workers_are_taken() -> None:
    assert warnings(READY + '[server]\nworkers = "auto"') == [NO_SESSIONS]
    assert project(READY + "[server]\nworkers = 3").server.workers == 3


def test_memory_with_one_worker_is_fine() -> None:
    assert project(READY + '[kv]\nstore = "memory:"').store_url == "memory:"


def test_no_supabase_means_keys_only() -> None:
    assert warnings(READY) == [NO_SESSIONS]
    assert project(READY).policy.auth.supabase_url is None


@pytest.mark.parametrize("environ", [ENVIRON, {"SYNTHETIC_API_KEY": "k"}])
def test_the_placeholder_means_keys_only_whether_there_is_a_key_or_not(environ: dict[str, str]) -> None:
    text = READY + '[auth]\nsupabase_url = "https://YOUR-PROJECT.supabase.co"\nsupabase_key = "${SUPABASE_PUBLISHABLE_KEY}"\n'
    assert warnings(text, environ=environ) == [f"6: auth.supabase_url: still says YOUR-PROJECT: {OFF}"]
    auth = project(text, environ=environ).policy.auth
    assert (auth.supabase_url, auth.supabase_key) == (None, None)


def test_a_missing_key_stops_serve_and_turns_sessions_off_in_dev() -> None:
    text = READY + '[auth]\nsupabase_url = "https://x.supabase.co"\nsupabase_key = "${SUPABASE_PUBLISHABLE_KEY}"\n'
    environ = {"SYNTHETIC_API_KEY": "k"}
    assert problems(text, environ=environ) == [f"7: auth.supabase_key: {NOT_SET}"]
    assert warnings(text, environ=environ, dev=True) == [f"7: auth.supabase_key: {NOT_SET}: {OFF}"]
    assert project(text, environ=environ, dev=True).policy.auth.supabase_url is None


def test_a_key_that_was_forgotten_is_told_with_what_to_write() -> None:
    text = READY + '[auth]\nsupabase_url = "https://x.supabase.co"\n'
    message = '6: auth.supabase_url: `supabase_key` is missing: write supabase_key = "${SUPABASE_PUBLISHABLE_KEY}"'
    assert problems(text) == [message]
    assert warnings(text, dev=True) == [f"{message}: {OFF}"]


def test_a_secret_key_of_supabase_is_refused_unseen() -> None:
    text = READY + '[auth]\nsupabase_url = "https://x.supabase.co"\nsupabase_key = "${KEY}"\n'
    [found] = problems(text, environ={**ENVIRON, "KEY": "sb_secret_planted"})
    assert found == "7: auth.supabase_key: found a secret key (sb_secret_...); allowed: the publishable one"


def at(url: str) -> str:
    return READY + f'[auth]\nsupabase_url = "{url}"\nsupabase_key = "${{SUPABASE_PUBLISHABLE_KEY}}"\n'


def test_sessions_do_not_pass_in_the_clear() -> None:
    [found] = problems(at("http://x.supabase.co"))
    assert found.startswith("6: auth.supabase_url: found http://x.supabase.co; allowed: https, or http on this machine")
    for local in ("http://127.0.0.1:54321", "http://localhost:54321", "http://[::1]:54321"):
        assert project(at(local)).policy.auth.supabase_url == local


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("defualt", 'does not begin with /; did you mean "default"?'),
        ("/a/*/b", "can only be last"),
        ("/a//b", "an empty segment"),
        ("/a b", "percent-encode"),
    ],
)
def test_limits_are_for_path_patterns(name: str, message: str) -> None:
    [found] = problems(READY + f'[limits]\n"{name}" = "1/s"')
    assert found.startswith("6: limits.")
    assert message in found
    assert found.endswith('allowed: "/exact", "/with/:name" or "/all/*", default, address')


def test_two_limits_for_the_same_paths_are_refused() -> None:
    found = problems(READY + '[limits]\n"/a/:x" = "1/s"\n"/a/:y" = "2/s"')
    assert found == ['7: limits."/a/:y": takes the same paths as "/a/:x"']


def test_off_is_for_the_address_and_for_routes() -> None:
    assert project(READY + '[limits]\naddress = "off"').policy.address_limit is None
    [found] = problems(READY + '[limits]\ndefault = "off"')
    assert '"off" is for `address` and for the `limit` of a route' in found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('fresh = "60s"\nstale = "60s"', []),
        ('fresh = "301s"', ['5: cache.stale: found "5m", less than `fresh`; allowed: an age of at least "5m1s"']),
        ('stale = "59s"', ['6: cache.stale: found "59s", less than `fresh`; allowed: an age of at least "1m"']),
    ],
)
def test_stale_is_an_age_not_below_fresh(lines: str, expected: list[str]) -> None:
    assert problems(READY + "[cache]\n" + lines) == expected


@pytest.mark.parametrize(
    ("cache", "found", "least"),
    [('{ fresh = "5m" }', None, None), ('{ fresh = "6m" }', "5m", "6m"), ('{ stale = "1s" }', "1s", "1m")],
)
def test_the_ages_of_a_route_too_with_the_defaults(cache: str, found: str | None, least: str | None) -> None:
    told = problems(READY + f'[[routes]]\npath = "/x"\nto = "origin"\ncache = {cache}\n')
    message = f'8: routes[0].cache.stale: found "{found}", less than `fresh`; allowed: an age of at least "{least}"'
    assert told == ([] if found is None else [message])
