"""What is kept, for whom, and what is served while it is refreshed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.ask import Answer, ask
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import until
from tests.scenarios.hosts import Host


def number(answer: Answer) -> int:
    """Which of the origin's answers this is."""
    assert answer.status == 200, answer.body
    value: int = answer.json["number"]
    return value


@pytest.fixture
def path(token: str, request: pytest.FixtureRequest) -> str:
    """A path that no other scenario has asked for."""
    return f"{request.node.name.split('[')[0]}-{token[-8:]}"


def test_two_users_never_see_each_other_s_answer(host: Host, around: Neighbours, path: str) -> None:
    ada, bob = around.supabase.mint(sub="ada"), around.supabase.mint(sub="bob")
    answers = [ask(host.url, f"/mine/{path}", token=token) for token in (ada, bob, ada, bob, bob, ada)]
    assert [answer.json["user"] for answer in answers] == ["ada", "bob", "ada", "bob", "bob", "ada"]
    assert [answer.headers["x-wws-cache"] for answer in answers] == ["MISS", "MISS", "HIT", "HIT", "HIT", "HIT"]
    assert answers[0].headers["cache-status"] == "wws; fwd=uri-miss; stored"
    assert answers[2].headers["cache-status"].startswith("wws; hit; ttl=")
    assert around.origin.numbers[f"/mine/{path}"] == 2


def test_what_an_origin_allows_is_kept_for_all_who_are_nobody(host: Host, around: Neighbours, path: str) -> None:
    around.origin.headers = {"cache-control": "public, max-age=60"}
    first, second = ask(host.url, f"/obey/{path}"), ask(host.url, f"/obey/{path}")
    assert (number(first), number(second)) == (1, 1)
    assert int(second.headers["age"]) <= 5
    assert number(ask(host.url, f"/obey/{path}?page=2")) == 2


@pytest.mark.parametrize("control", ["no-store", "private", "max-age=0"])
def test_what_an_origin_does_not_allow_is_not_kept(host: Host, around: Neighbours, path: str, control: str) -> None:
    around.origin.headers = {"cache-control": control}
    assert [number(ask(host.url, f"/obey/{path}")) for _ in range(3)] == [1, 2, 3]


def test_what_varies_is_kept_apart(host: Host, around: Neighbours, path: str) -> None:
    around.origin.headers = {"cache-control": "max-age=60", "vary": "accept-language"}
    german, french = {"Accept-Language": "de"}, {"Accept-Language": "fr"}
    numbers = [number(ask(host.url, f"/obey/{path}", headers=fields)) for fields in (german, french, german, french)]
    assert numbers == [1, 2, 1, 2]


def test_a_change_is_seen_at_once(host: Host, around: Neighbours, path: str) -> None:
    assert number(ask(host.url, f"/moment/{path}")) == 1
    assert ask(host.url, f"/moment/{path}", "PUT", body={"new": True}).json["method"] == "PUT"
    assert number(ask(host.url, f"/moment/{path}")) == 3


def test_a_stale_answer_is_served_while_it_is_refreshed(host: Host, around: Neighbours, path: str) -> None:
    path = f"/moment/{path}"
    assert number(ask(host.url, path)) == 1
    around.origin.held = True  # the refresh takes as long as this scenario wants

    def stale() -> Answer | None:
        answer = ask(host.url, path)
        return answer if answer.headers["x-wws-cache"] == "STALE" else None

    answer = until(stale, "the end of freshness")
    assert number(answer) == 1
    assert int(answer.headers["age"]) >= 1
    with ThreadPoolExecutor(10) as pool:
        assert {number(one) for one in pool.map(lambda _: ask(host.url, path), range(10))} == {1}
    until(lambda: around.origin.numbers[path] == 2, "the refresh")  # one for all of them
    around.call(around.origin.release)
    until(lambda: number(ask(host.url, path)) == 2, "the new answer")


def test_head_is_answered_from_what_get_left(host: Host, token: str, path: str) -> None:
    body = ask(host.url, f"/mine/{path}", token=token).body
    answer = ask(host.url, f"/mine/{path}", "HEAD", token=token)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-wws-cache"] == "HIT"
    assert int(answer.headers["content-length"]) == len(body)


def test_a_large_answer_is_kept_whole(host: Host, around: Neighbours, token: str, path: str) -> None:
    """Larger than the values that a platform's store may take in one piece."""
    around.origin.padding = 150_000
    first, second = (ask(host.url, f"/mine/{path}", token=token) for _ in range(2))
    assert (number(first), number(second)) == (1, 1)
    assert first.body == second.body
    assert len(first.body) > 150_000
