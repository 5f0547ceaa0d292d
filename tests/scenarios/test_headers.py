"""What an answer tells in its headers, and what passes between client and origin."""

from __future__ import annotations

import re

from tests.e2e.ask import ask, hello
from tests.e2e.neighbours import Neighbours
from tests.scenarios.hosts import Host

CHAT = "/api/ai/chat"


def test_of_an_ai_answer(host: Host, token: str) -> None:
    headers = ask(host.url, CHAT, token=token, body=hello(task="code")).headers
    assert headers["x-request-id"]
    timing = r"auth;dur=[\d.]+, limit;dur=[\d.]+, route;dur=[\d.]+, cache;dur=[\d.]+, upstream;dur=[\d.]+, total;dur=[\d.]+"
    assert re.fullmatch(timing, headers["server-timing"])
    assert headers["cache-status"].startswith("wws; ")
    assert headers["ratelimit-policy"] == '"chat";q=60;w=60'
    assert re.fullmatch(r'"chat";r=59;t=\d+', headers["ratelimit"])
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("60", "59")
    assert re.fullmatch(r"(1m)?\d+s", headers["x-ratelimit-reset-requests"])
    told = [headers[f"x-wws-{name}"] for name in ("provider", "model", "route-reason", "attempts")]
    assert told == ["main", "coder", "Code", "1"]


def test_the_caller_s_request_id_is_kept(host: Host, token: str) -> None:
    answer = ask(host.url, CHAT, token=token, body=hello(), headers={"X-Request-Id": "order-1234.a"})
    assert answer.headers["x-request-id"] == "order-1234.a"


def test_a_request_id_that_is_none_is_replaced(host: Host, token: str) -> None:
    answer = ask(host.url, CHAT, token=token, body=hello(), headers={"X-Request-Id": "no; good"})
    assert re.fullmatch(r"[0-9a-f]{18,}", answer.headers["x-request-id"])


def test_two_requests_have_two_ids(host: Host) -> None:
    ids = {ask(host.url, "/healthz-not").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


def test_what_passes_to_the_origin(host: Host, around: Neighbours) -> None:
    fields = {"Accept-Language": "de", "Cookie": "a=1; b=2", "X-Custom": "yes"}
    ask(host.url, "/open/page?q=%C3%A9&q=2", headers=fields)
    seen = around.origin.requests[-1]
    assert seen.target == "/open/page?q=%C3%A9&q=2"
    assert [seen.headers[name.lower()] for name in fields] == list(fields.values())
    assert "via" in seen.headers


def test_what_passes_back(host: Host, around: Neighbours) -> None:
    around.origin.headers = {"x-powered-by": "tests", "cache-control": "no-store", "etag": '"v1"'}
    headers = ask(host.url, "/open/page").headers
    assert (headers["x-powered-by"], headers["etag"]) == ("tests", '"v1"')


def test_a_body_reaches_the_origin_whole(host: Host, around: Neighbours) -> None:
    body = bytes(range(256)) * 1000
    answer = ask(host.url, "/open/upload", body=body, headers={"Content-Type": "application/octet-stream"})
    assert answer.json["method"] == "POST"
    assert around.origin.requests[-1].body == body
