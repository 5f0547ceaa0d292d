"""The client's address, as far as somebody vouches for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.wire.address import client_address, networks, trusted

PROXIES = networks(["10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48"])
DIRECT = "198.51.100.20"


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        # nobody vouches for it
        (DIRECT, [], DIRECT),
        (DIRECT, ["203.0.113.9"], DIRECT),
        (DIRECT, ["10.0.0.1"], DIRECT),
        ("192.0.2.8", ["203.0.113.9"], "192.0.2.8"),
        # one trusted hop
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("192.0.2.7", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        # what a client wrote before the trusted hop is text
        ("10.0.0.1", ["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["127.0.0.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["evil,203.0.113.9"], "203.0.113.9"),
        # several trusted hops
        ("10.0.0.1", ["203.0.113.9, 10.0.0.3, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9", "10.0.0.3", " 10.0.0.2 "], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # an entry that is none ends the walk
        ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["203.0.113.9:1234"], "10.0.0.1"),
        ("10.0.0.1", ["[2001:db8::1]"], "10.0.0.1"),
        ("10.0.0.1", ["fe80::1%eth0"], "10.0.0.1"),
        ("10.0.0.1", ["fe80::1%a b"], "10.0.0.1"),
        ("10.0.0.1", ["010.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", ["127.1"], "10.0.0.1"),
        # IPv6, and IPv4 in its dress
        ("2001:db8:1::5", ["2001:db8:2::9"], "2001:db8:2::9"),
        ("2001:db8:2::5", ["2001:db8:2::9"], "2001:db8:2::5"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9"),
        # no address at all
        ("", ["203.0.113.9"], ""),
    ],
)
def test_the_walk_from_the_right(peer: str, forwarded: list[str], seen: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == seen


def test_without_proxies_the_header_is_not_looked_at() -> None:
    assert client_address("10.0.0.1", ["203.0.113.9"], ()) == "10.0.0.1"


def test_networks_of_texts() -> None:
    assert trusted("10.255.0.1", PROXIES) and trusted("192.0.2.7", PROXIES) and not trusted("192.0.2.6", PROXIES)
    assert trusted("10.0.0.1", networks(["10.0.0.5/8"]))  # host bits do no harm
    assert not trusted("not an address", PROXIES)
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/33"):
        networks(["10.0.0.0/33"])
    with pytest.raises(ValueError, match="proxy"):
        networks(["proxy.example"])


ADDRESSES = st.ip_addresses().map(str)


@given(st.lists(st.one_of(ADDRESSES, st.text(max_size=12)), max_size=6), ADDRESSES)
def test_a_client_cannot_push_an_address_past_the_trusted_hop(written: list[str], real: str) -> None:
    """Whatever a client writes, the entry that the proxy adds is what counts."""
    if trusted(real, PROXIES):
        return
    assert client_address("10.0.0.1", [", ".join([*written, real])], PROXIES) == real
    assert client_address("10.0.0.1", [*written, real], PROXIES) == real


@given(ADDRESSES, st.lists(st.text(max_size=30), max_size=4))
def test_who_is_no_proxy_is_the_client(peer: str, forwarded: list[str]) -> None:
    if not trusted(peer, PROXIES):
        assert client_address(peer, forwarded, PROXIES) == peer
