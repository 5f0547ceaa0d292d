from __future__ import annotations

import pytest

from wws.stores.redis_address import RedisAddress, parse_redis, without_login


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", RedisAddress("single", (("localhost", 6379),))),
        ("redis://:p%40ss@h:1/2", RedisAddress("single", (("h", 1),), password="p@ss", database=2)),
        ("rediss://u:p@[::1]/0?prefix=shop", RedisAddress("single", (("::1", 6379),), True, "u", "p", prefix="shop")),
        ("redis+cluster://a,b:7001", RedisAddress("cluster", (("a", 6379), ("b", 7001)))),
        ("redis+sentinel://a,b:1/main/3", RedisAddress("sentinel", (("a", 26379), ("b", 1)), database=3, master="main")),
        (
            "rediss+sentinel://a/main?ca=c.pem&cert=d.pem&key=k.pem",
            RedisAddress("sentinel", (("a", 26379),), True, master="main", ca="c.pem", cert="d.pem", key="k.pem"),
        ),
    ],
)
def test_addresses(url: str, address: RedisAddress) -> None:
    assert parse_redis(url) == address


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("redis://u:planted@h:1/2", "redis://h:1/2"),
        ("rediss+cluster://:planted@a,[::1]:7001", "rediss+cluster://a:6379,[::1]:7001"),
        ("redis+sentinel://:planted@a/main", "redis+sentinel://a:26379/main/0"),
    ],
)
def test_what_is_printed_has_no_password(url: str, printed: str) -> None:
    address = parse_redis(url)
    assert str(address) == printed
    assert "planted" not in repr(address)
    assert "planted" not in without_login(url)


def test_other_stores_are_printed_as_they_are() -> None:
    assert without_login("lmdb:./a@b") == "lmdb:./a@b"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis:localhost", "no address of Redis"),
        ("http://localhost", "no address of Redis"),
        ("redis://", "a host that is none"),
        ("redis://a:0", "a host that is none"),
        ("redis://a:99999", "a host that is none"),
        ("redis://a,", "a host that is none"),
        ("redis://planted@a", "no password"),
        ("redis://planted:@a", "no password"),
        ("redis://a/1/2", "a database's number"),
        ("redis://a/-1", "a database's number"),
        ("redis+cluster://a/1", "nothing in a cluster"),
        ("redis+sentinel://a", "no name of a master"),
        ("redis://a?timeout=1", "the unknown option 'timeout'"),
        ("redis://a?ca=x", "write rediss://"),
        ("rediss://a?cert=x", "come together"),
        ("redis://a?prefix=a%20b", "no proper value"),
    ],
)
def test_what_is_wrong_is_told_without_the_password(url: str, says: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_redis(url)
    assert says in str(error.value)
    assert "planted" not in str(error.value)
