"""The cache over HTTP, in front of an origin whose every answer is another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.ask import Answer, ask
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway, until


def number(answer: Answer) -> int:
    """Which of the origin's answers this is."""
    assert answer.status == 200, answer.body
    value: int = answer.json["number"]
    return value


def test_two_users_never_see_each_other_s_answer(gateway: Gateway, around: Neighbours) -> None:
    ada, bob = around.supabase.mint(sub="ada"), around.supabase.mint(sub="bob")
    order = [ada, bob, ada, bob, bob, ada]
    answers = [ask(gateway.url, "/mine/two-users", token=token) for token in order]
    assert [answer.json["user"] for answer in answers] == ["ada", "bob", "ada", "bob", "bob", "ada"]
    assert around.origin.numbers["/mine/two-users"] == 2  # one for each: the rest came from the cache
    assert [answer.headers["x-wws-cache"] for answer in answers] == ["MISS", "MISS", "HIT", "HIT", "HIT", "HIT"]
    assert answers[0].headers["cache-status"] == "wws; fwd=uri-miss; stored"
    assert answers[2].headers["cache-status"].startswith("wws; hit; ttl=")


def test_two_users_at_once_never_see_each_other_s_answer(gateway: Gateway, around: Neighbours) -> None:
    users = {f"user-{at}": around.supabase.mint(sub=f"user-{at}") for at in range(8)}
    asked = [name for _ in range(6) for name in users]
    with ThreadPoolExecutor(len(asked)) as pool:
        told = list(pool.map(lambda name: ask(gateway.url, "/mine/at-once", token=users[name]).json["user"], asked))
    assert told == asked
    assert around.origin.numbers["/mine/at-once"] == len(users)


@pytest.mark.parametrize("control", ["max-age=60", "private, max-age=60", "max-age=60, stale-while-revalidate=60"])
def test_an_origin_that_does_not_say_for_whom(gateway: Gateway, around: Neighbours, control: str) -> None:
    """RFC 9111 section 3.5: what was asked with a credential is kept for others only where the origin says so in words."""
    around.origin.headers = {"cache-control": control}
    path = f"/obey/for-whom-{len(control)}"
    ada, bob = around.supabase.mint(sub="ada"), around.supabase.mint(sub="bob")
    told = [ask(gateway.url, path, token=token).json["user"] for token in (ada, bob, ada)]
    assert told == ["ada", "bob", "ada"]
    assert ask(gateway.url, path).json["user"] is None
    assert ask(gateway.url, path, token=bob).json["user"] == "bob"  # nor is nobody's answer taken for his


def test_an_origin_that_says_for_everybody(gateway: Gateway, around: Neighbours) -> None:
    around.origin.headers = {"cache-control": "public, max-age=60"}
    ada, bob = around.supabase.mint(sub="ada"), around.supabase.mint(sub="bob")
    assert [number(ask(gateway.url, "/obey/public", token=token)) for token in (ada, bob, None)] == [1, 1, 1]


def test_what_an_origin_allows_is_kept_for_all_who_are_nobody(gateway: Gateway, around: Neighbours) -> None:
    around.origin.headers = {"cache-control": "public, max-age=60"}
    first, second = ask(gateway.url, "/obey/all"), ask(gateway.url, "/obey/all")
    assert (number(first), number(second)) == (1, 1)
    assert int(second.headers["age"]) <= 5
    assert number(ask(gateway.url, "/obey/all?page=2")) == 2  # another query is another answer


@pytest.mark.parametrize("control", ["no-store", "private", "max-age=0", ""])
def test_what_an_origin_does_not_allow_is_not_kept(gateway: Gateway, around: Neighbours, control: str) -> None:
    around.origin.headers = {"cache-control": control} if control else {}
    path = f"/obey/not-{control or 'silent'}"
    assert [number(ask(gateway.url, path)) for _ in range(3)] == [1, 2, 3]


def test_what_varies_is_kept_apart(gateway: Gateway, around: Neighbours) -> None:
    around.origin.headers = {"cache-control": "max-age=60", "vary": "accept-language"}
    german, french = {"Accept-Language": "de"}, {"Accept-Language": "fr"}
    numbers = [number(ask(gateway.url, "/obey/vary", headers=fields)) for fields in (german, french, german, french)]
    assert numbers == [1, 2, 1, 2]


def test_a_change_is_seen_at_once(gateway: Gateway, around: Neighbours) -> None:
    assert [number(ask(gateway.url, "/moment/changed")) for _ in range(2)][-1] == 1
    assert ask(gateway.url, "/moment/changed", "PUT", body={"new": True}).json["method"] == "PUT"
    assert number(ask(gateway.url, "/moment/changed")) == 3


def test_many_who_ask_at_once_are_one_question(gateway: Gateway, around: Neighbours) -> None:
    around.origin.held = True
    with ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(ask, gateway.url, "/moment/many") for _ in range(30)]
        until(lambda: around.origin.numbers["/moment/many"], "the question")
        around.call(around.origin.release)
        answers = [future.result() for future in asked]
    assert {number(answer) for answer in answers} == {1}
    assert around.origin.numbers["/moment/many"] == 1


def test_a_stale_answer_is_served_while_it_is_refreshed(gateway: Gateway, around: Neighbours) -> None:
    assert number(ask(gateway.url, "/moment/stale")) == 1
    around.origin.held = True  # the refresh takes as long as this test wants

    def stale() -> Answer | None:
        answer = ask(gateway.url, "/moment/stale")
        return answer if answer.headers["x-wws-cache"] == "STALE" else None

    answer = until(stale, "the end of freshness")
    assert number(answer) == 1
    assert int(answer.headers["age"]) >= 1
    with ThreadPoolExecutor(20) as pool:
        assert {number(one) for one in pool.map(lambda _: ask(gateway.url, "/moment/stale"), range(20))} == {1}
    until(lambda: around.origin.numbers["/moment/stale"] == 2, "the refresh")  # one for all of them
    around.call(around.origin.release)
    until(lambda: number(ask(gateway.url, "/moment/stale")) == 2, "the new answer")


def test_an_origin_that_is_gone_leaves_what_it_said(gateway: Gateway, around: Neighbours) -> None:
    """Stale answers are served while the refresh fails."""
    assert number(ask(gateway.url, "/moment/gone")) == 1
    around.origin.held = True

    def stale() -> bool:
        return ask(gateway.url, "/moment/gone").headers["x-wws-cache"] == "STALE"

    until(stale, "the end of freshness")
    around.run(around.origin.stop())
    try:
        assert number(ask(gateway.url, "/moment/gone")) == 1
        refused = ask(gateway.url, "/moment/never-asked")
        assert (refused.status, refused.json["code"]) == (502, "origin_unreachable")
    finally:
        around.call(around.origin.release)
        around.run(around.origin.start(around.origin.port))
    assert number(ask(gateway.url, "/moment/asked-now")) == 1


def test_head_is_answered_from_what_get_left(gateway: Gateway, around: Neighbours, token: str) -> None:
    body = ask(gateway.url, "/mine/head", token=token).body
    answer = ask(gateway.url, "/mine/head", "HEAD", token=token)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-wws-cache"] == "HIT"
    assert int(answer.headers["content-length"]) == len(body)
