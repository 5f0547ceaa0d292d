from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wws.core.limit.subject import UNKNOWN, address, user


def test_a_user() -> None:
    assert user("0190f1b2-0000-7000-8000-000000000000") == "u.0190f1b2-0000-7000-8000-000000000000"
    assert user("key:n8n") == "u.key%3An8n"


@given(st.text(), st.text(), st.sampled_from(["default", "/a", "/:x"]), st.sampled_from(["default", "/a", "/:x"]))
def test_two_users_never_share_a_key(one: str, other: str, here: str, there: str) -> None:
    """Whatever is in an id: the subject ends at the first colon."""
    assert (f"{user(one)}:{here}" == f"{user(other)}:{there}") == ((one, here) == (other, there))


def test_no_user_is_an_address() -> None:
    assert user("10.1.2.3") != address("10.1.2.3")
    assert user("unknown") != UNKNOWN


def test_addresses() -> None:
    assert address("192.0.2.7") == "a.192.0.2.7"
    assert address("::ffff:192.0.2.7") == address("192.0.2.7")
    assert address("2001:db8:0:1::1") == "a.20010db800000001"


def test_an_ipv6_client_cannot_move_within_its_64() -> None:
    mine = {address(f"2001:db8:0:1:{n:x}::{n:x}") for n in range(100)}
    assert len(mine) == 1
    assert address("2001:db8:0:2::1") not in mine
    assert address("2001:DB8:0:1:0:0:0:1") in mine
    assert address("fe80::1%eth0") == address("fe80::2%eth1")


def test_what_is_no_address_shares_one_bucket() -> None:
    for text in ("", "unix", "localhost", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4:80", "[::1]", "::g", "1.2.3.4:x"):
        assert address(text) == UNKNOWN, text


@given(st.text(max_size=40))
def test_a_subject_holds_no_colon(text: str) -> None:
    assert ":" not in address(text)
    assert ":" not in user(text)
