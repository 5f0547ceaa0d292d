from __future__ import annotations

import pytest

from wws.admin.access import Access, on_loopback
from wws.admin.answers import NotDone
from wws.http import Request
from wws.project.secret import Secret

TOKENS = {"admin": Secret("a-long-enough-token"), "ci": Secret("another-long-token")}


def request(authorization: str | None) -> Request:
    return Request("POST", "/api/rollback", None if authorization is None else {"authorization": authorization})


def test_whose_token_it_is() -> None:
    access = Access(lambda: TOKENS)
    one, two = access.who(request("Bearer a-long-enough-token")), access.who(request("bearer another-long-token"))
    assert (one.name, two.name) == ("admin", "ci")
    assert one.id != two.id and "token" not in str(one)


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic a-long-enough-token", "a-long-enough-token"]
)
def test_a_missing_or_wrong_one(given: str | None) -> None:
    with pytest.raises(NotDone) as refused:
        Access(lambda: TOKENS).who(request(given))
    assert refused.value.code == "admin_token"
    assert refused.value.fields == {"www-authenticate": 'Bearer realm="wws-admin"'}


def test_no_tokens_no_changes() -> None:
    with pytest.raises(NotDone) as refused:
        Access(dict).who(request("Bearer a-long-enough-token"))
    assert refused.value.code == "admin_off"


def test_a_reload_brings_another_token() -> None:
    tokens = dict(TOKENS)
    access = Access(lambda: tokens)
    tokens["admin"] = Secret("a-renewed-admin-token")
    assert access.who(request("Bearer a-renewed-admin-token")).name == "admin"
    with pytest.raises(NotDone):
        access.who(request("Bearer a-long-enough-token"))


@pytest.mark.parametrize("listen", ["127.0.0.1:8788", "localhost:8788", "[::1]:8788", "127.8.8.8:1"])
def test_a_listener_on_loopback(listen: str) -> None:
    assert on_loopback(listen)


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8788", "[::]:8788", "10.0.0.5:8788", "unix:/run/admin.sock", "admin.internal:80", ""]
)
def test_a_listener_elsewhere(listen: str) -> None:
    assert not on_loopback(listen)
