from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.auth.digest import Pepper


@given(st.binary(min_size=16, max_size=200), st.binary(max_size=2000))
def test_the_digest_is_hmac_sha256(key: bytes, secret: bytes) -> None:
    assert Pepper(key).hex(secret) == hmac.new(key, secret, "sha256").hexdigest()


def test_a_pepper_can_be_used_again() -> None:
    pepper = Pepper(b"k" * 32)
    assert pepper.hex(b"one") == pepper.hex(b"one") != pepper.hex(b"two")


def test_another_pepper_gives_another_digest() -> None:
    assert Pepper(b"k" * 32).hex(b"token") != Pepper(b"l" * 32).hex(b"token")


@pytest.mark.parametrize("key", [b"", b"x" * 15])
def test_a_short_pepper_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Pepper(key)


def test_its_repr_hides_it() -> None:
    assert repr(Pepper(b"secret-pepper-of-16b")) == "Pepper(***)"
