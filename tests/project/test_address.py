from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.project.address import MAX_UNIX, Address, address


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:8787", Address("127.0.0.1", 8787)),
        ("0.0.0.0:80", Address("0.0.0.0", 80)),
        ("localhost:0", Address("localhost", 0)),
        ("gateway.internal:65535", Address("gateway.internal", 65535)),
        ("[::1]:8787", Address("::1", 8787)),
        ("[::]:80", Address("::", 80)),
        ("[2001:DB8:0:0::1]:443", Address("2001:db8::1", 443)),
        ("unix:/run/wws.sock", Address("", 0, "/run/wws.sock")),
        ("unix:./wws.sock", Address("", 0, "./wws.sock")),
    ],
)
def test_the_forms_of_an_address(text: str, parsed: Address) -> None:
    assert address(text) == parsed
    assert address(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no port"),
        ("8787", "no port"),
        ("localhost", "no port"),
        ("localhost:", "no port"),
        ("localhost:http", "no port"),
        ("localhost:65536", "no port"),
        ("localhost:-1", "no port"),
        ("localhost:\u0661", "no port"),
        (":8787", "no host"),
        ("::1:8787", "in brackets"),
        ("[::1", "in brackets"),
        ("[::g]:80", "Expected|not permitted|Only hex digits"),
        ("[127.0.0.1]:80", "At least 3 parts|Expected"),
        ("256.0.0.1:80", "not permitted|exceed|octet"),
        ("127.1:80", "Expected 4 octets"),
        ("a b:80", "not a name"),
        ("-a:80", "not a name"),
        ("http://localhost:80", "in brackets"),
        ("unix:", "names no socket"),
        ("unix:/run/", "names no socket"),
        ("unix:/a\0b", "names no socket"),
        ("unix:/" + "x" * MAX_UNIX, "longer than"),
    ],
)
def test_what_is_none_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        address(text)


@pytest.mark.parametrize(
    ("text", "local", "everywhere"),
    [
        ("127.0.0.1:1", True, False),
        ("127.9.9.9:1", True, False),
        ("[::1]:1", True, False),
        ("localhost:1", True, False),
        ("unix:/run/x", True, False),
        ("0.0.0.0:1", False, True),
        ("[::]:1", False, True),
        ("10.0.0.1:1", False, False),
        ("example.com:1", False, False),
    ],
)
def test_who_can_reach_it(text: str, local: bool, everywhere: bool) -> None:
    assert address(text).local is local
    assert address(text).everywhere is everywhere


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:1", "10.0.0.1:1", False),
        ("0.0.0.0:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "[::]:1", True),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("unix:/a", "unix:/a", True),
        ("unix:/a", "unix:/b", False),
        ("unix:/a", "127.0.0.1:1", False),
    ],
)
def test_which_two_collide(one: str, other: str, collide: bool) -> None:
    assert address(one).collides(address(other)) is collide
    assert address(other).collides(address(one)) is collide


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_ip_address_is_one(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    text = f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"
    assert address(text) == Address(str(ip), port)
    assert address(text).local == ip.is_loopback


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        found = address(text)
    except ValueError as error:
        assert str(error)
    else:
        assert address(str(found)) == found
