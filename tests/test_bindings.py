"""What a function gets as `env` and `ctx`, and addresses of upstreams."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.services import make_env
from wws.bindings import Context, Endpoint, Env, Secrets, SystemClock
from wws.core.trail import Trail

# Env and Context


def test_bindings_are_attributes_and_a_missing_one_is_named() -> None:
    env = Env(make_env().wws, {"VISITS": 1, "COLOUR": "blue"})
    assert (env.VISITS, env.COLOUR) == (1, "blue")
    with pytest.raises(AttributeError, match="no binding 'NOTHING' in wws.toml; there are: COLOUR, VISITS"):
        _ = env.NOTHING
    with pytest.raises(AttributeError, match="there are: none"):
        _ = Env(env.wws).ANY
    assert "blue" not in repr(env)


def test_secrets_are_in_no_repr() -> None:
    assert "planted" not in repr(Secrets(b"planted"))


async def test_work_behind_the_answer_is_handed_to_the_host() -> None:
    handed: list[Any] = []
    ctx = Context("r", 10.0, Trail(0.0), handed.append)

    async def work() -> str:
        return "done"

    ctx.wait_until(work())
    assert await handed[0] == "done"
    assert (ctx.user, ctx.counted) == (None, None)


async def test_the_machine_s_clock() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.time() > 1_700_000_000


# Endpoint


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "authority", "base"),
    [
        ("https://api.example.com/v1", "https", "api.example.com", 443, "api.example.com", "/v1"),
        ("https://api.example.com/v1/", "https", "api.example.com", 443, "api.example.com", "/v1"),
        ("http://127.0.0.1:3000", "http", "127.0.0.1", 3000, "127.0.0.1:3000", ""),
        ("http://localhost:80/", "http", "localhost", 80, "localhost", ""),
        ("https://x:8443", "https", "x", 8443, "x:8443", ""),
        ("http://[::1]:3000/a/b", "http", "::1", 3000, "[::1]:3000", "/a/b"),
        ("https://[2001:db8::1]", "https", "2001:db8::1", 443, "[2001:db8::1]", ""),
        ("HTTPS://API.Example.com", "https", "api.example.com", 443, "api.example.com", ""),
    ],
)
def test_addresses(url: str, scheme: str, host: str, port: int, authority: str, base: str) -> None:
    found = Endpoint(url)
    assert (found.scheme, found.host, found.port, found.authority, found.base) == (scheme, host, port, authority, base)
    assert found.unix is None
    assert found.origin == f"{scheme}://{authority}"
    assert found.url == url


@pytest.mark.parametrize(
    ("url", "path", "base"),
    [("http+unix:///run/app.sock", "/run/app.sock", ""), ("http+unix:///run/app.sock:/base/", "/run/app.sock", "/base")],
)
def test_addresses_of_sockets(url: str, path: str, base: str) -> None:
    found = Endpoint(url)
    assert (found.unix, found.base, found.scheme, found.authority) == (path, base, "http", "localhost")
    assert path in found.origin  # two sockets are two origins


@pytest.mark.parametrize(
    "url",
    [
        "", "/path", "example.com", "localhost:3000", "ftp://x", "http://", "https:///v1", "http://user@x", "http://user:pw@x",
        "http://x?a=1", "http://x/#f", "http+unix://relative.sock", "http+unix:", "http://x:99999", "http://x:port", "http://[::1",
    ],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Endpoint(url)


@given(
    st.sampled_from(["http", "https"]),
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,4})?", fullmatch=True),
    st.none() | st.integers(1, 65535),
    st.lists(st.text("abc123-_.~%", min_size=1, max_size=5), max_size=3),
)
def test_an_address_is_taken_apart_without_loss(scheme: str, host: str, port: int | None, segments: list[str]) -> None:
    base = "".join(f"/{segment}" for segment in segments)
    url = f"{scheme}://{host}" + ("" if port is None else f":{port}") + base
    assume(urlsplit(url).hostname == host)
    found = Endpoint(url)
    assert (found.scheme, found.host, found.base) == (scheme, host, base)
    assert found.port == (port or {"http": 80, "https": 443}[scheme])
    again = Endpoint(f"{found.origin}{found.base}")
    assert (again.scheme, again.host, again.port, again.base, again.authority) == (
        found.scheme, found.host, found.port, found.base, found.authority,
    )  # fmt: skip


@given(st.text(max_size=30))
def test_nothing_but_value_error_comes_of_a_bad_address(text: str) -> None:
    try:
        found = Endpoint(text)
    except ValueError:
        return
    assert found.scheme in ("http", "https")
    assert found.host
    assert 0 < found.port < 65536
