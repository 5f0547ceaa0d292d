"""Cookies in and out."""

from __future__ import annotations

from typing import Any

import pytest

from wws.http import Request, Response


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ('a="1"; a=2;;c', {"a": "1"}),
        ("a=x=y", {"a": "x=y"}),
        ('a="', {"a": '"'}),
        ("", {}),
        ("=1", {}),
    ],
)
def test_what_a_request_brings(header: str, found: dict[str, str]) -> None:
    assert Request("GET", "/", {"cookie": header}).cookies == found


def test_what_an_answer_sets() -> None:
    response = Response.text("x")
    response.set_cookie("sid", "abc", max_age=60, domain="shop.test")
    response.set_cookie("theme", "dark", secure=False, http_only=False, same_site="Strict", path="/a")
    response.delete_cookie("old")
    assert response.headers.getall("set-cookie") == [
        "sid=abc; Path=/; Max-Age=60; Domain=shop.test; Secure; HttpOnly; SameSite=Lax",
        "theme=dark; Path=/a; SameSite=Strict",
        "old=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
    ]
    assert response.ok and response.headers.has("Set-Cookie")


@pytest.mark.parametrize(
    "given",
    [
        {"name": "a b"}, {"value": "a;b"}, {"value": "a\r\nx: y"}, {"path": "/;x"}, {"domain": "a\nb"}, {"same_site": "none"},
        {"same_site": "None", "secure": False},
    ],
)  # fmt: skip
def test_what_no_cookie_can_hold(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Response.text("x").set_cookie(**{"name": "a", "value": "b", **given})
