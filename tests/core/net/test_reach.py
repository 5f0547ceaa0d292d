"""Where functions may fetch from."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.net.reach import Reach

INSIDE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "0.0.0.0",
    "100.64.0.1",
    "100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::10.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
]  # fmt: skip
OUTSIDE = ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "203.0.114.1"]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_refused(address: str) -> None:
    reason = Reach().refuses(address)
    assert reason is not None and address in reason


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_public_internet_may_be_reached(address: str) -> None:
    assert Reach().refuses(address) is None


def test_what_is_allowed_and_nothing_beside_it() -> None:
    reach = Reach(["10.1.0.0/16", "127.0.0.1", "api.internal", "*.corp.example"])
    assert reach.refuses("10.1.2.3") is None and reach.refuses("::ffff:10.1.2.3") is None
    assert reach.refuses("10.2.0.1") is not None and reach.refuses("127.0.0.2") is not None
    assert [reach.named(name) for name in ("api.internal", "API.Internal.", "x.corp.example", "a.b.corp.example")] == [True] * 4
    assert [reach.named(name) for name in ("corp.example", "xapi.internal", "corp.example.evil", "evilcorp.example")] == [
        False
    ] * 4


@pytest.mark.parametrize(
    "name", ["localhost", "a.localhost", "printer.local", "metadata.google.internal", "intranet", "127.0.0.1", "::1"]
)
def test_names_of_the_local_network_where_nobody_resolves(name: str) -> None:
    assert Reach().refuses_name(name) is not None


def test_public_names_where_nobody_resolves() -> None:
    assert Reach().refuses_name("api.example.com") is None
    assert Reach().refuses_name("8.8.8.8") is None


@given(st.ip_addresses(v=4))
def test_no_way_of_writing_an_address_makes_it_public(address: IPv4Address) -> None:
    reach = Reach()
    if reach.refuses(str(address)) is not None:
        number = int(address)
        for wrapped in (0xFFFF << 32 | number, int(IPv6Address("64:ff9b::")) | number, 0x2002 << 112 | number << 80):
            assert reach.refuses(str(IPv6Address(wrapped))) is not None


@given(st.ip_addresses(v=6))
def test_any_address_is_judged(address: IPv6Address) -> None:
    reason = Reach().refuses(str(address))
    assert reason is not None or address.is_global
