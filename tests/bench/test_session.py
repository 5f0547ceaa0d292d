"""The stand-in session: what it signs verifies against what it publishes."""

from __future__ import annotations

import time

import jwt
import pytest

from bench.session import SUBJECT, Signer
from wws.core.auth.claims import Claims, check_claims


def test_a_token_verifies_against_the_published_key() -> None:
    signer = Signer()
    token = signer.token("http://127.0.0.1:1", lifetime=60)
    key = jwt.PyJWKSet.from_dict(signer.jwks)["bench"]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="authenticated", issuer="http://127.0.0.1:1/auth/v1")
    assert claims["sub"] == SUBJECT
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "bench", "typ": "JWT"}


def test_the_published_key_holds_nothing_private() -> None:
    (jwk,) = Signer().jwks["keys"]
    assert set(jwk) == {"kty", "crv", "x", "y", "kid", "alg", "use", "key_ops"}


def test_another_signer_does_not_verify_it() -> None:
    token = Signer().token("http://127.0.0.1:1")
    other = jwt.PyJWKSet.from_dict(Signer().jwks)["bench"]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, other, algorithms=["ES256"], audience="authenticated")


def test_the_claims_name_a_user_to_wws() -> None:
    token = Signer().token("http://127.0.0.1:1")
    claims = jwt.decode(token, options={"verify_signature": False})
    checked = check_claims(claims, time.time(), "http://127.0.0.1:1/auth/v1", "authenticated")
    assert isinstance(checked, Claims)
    assert checked.sub == SUBJECT
