"""A stand-in for the auth server: one ES256 key, its JWKS, and a session token that it signs.

The claims are those that Supabase's documentation lists as required (guides/auth/jwt-fields).
"""

from __future__ import annotations

import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

__all__ = ["JWKS_PATH", "SUBJECT", "USER", "USER_PATH", "Signer"]

JWKS_PATH = "/auth/v1/.well-known/jwks.json"
USER_PATH = "/auth/v1/user"
SUBJECT = "7b3a2f6e-5c1d-4d9a-9b7e-2f4f0c6a1b2d"
_SESSION = "0e7f4c1a-93b5-4b8e-8a55-6d1f2c3b4a59"

USER: dict[str, Any] = {"id": SUBJECT, "aud": "authenticated", "role": "authenticated", "email": "bench@example.com"}
"""What `GET /auth/v1/user` answers when a session is checked again in the background."""


class Signer:
    """A fresh key pair with its published form."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public: dict[str, Any] = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.jwks: dict[str, Any] = {"keys": [{**public, "kid": "bench", "alg": "ES256", "use": "sig", "key_ops": ["verify"]}]}

    def token(self, base_url: str, lifetime: int = 7200) -> str:
        """An access token of the project at `base_url`, valid from now for `lifetime` seconds."""
        now = int(time.time())
        claims = {
            "iss": f"{base_url}/auth/v1",
            "aud": "authenticated",
            "sub": SUBJECT,
            "role": "authenticated",
            "iat": now,
            "exp": now + lifetime,
            "aal": "aal1",
            "session_id": _SESSION,
            "email": USER["email"],
            "phone": "",
            "is_anonymous": False,
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {},
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": "bench"})
