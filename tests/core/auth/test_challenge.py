from __future__ import annotations

import pytest

from wws.core.auth.challenge import challenge_for
from wws.errors import TABLE


@pytest.mark.parametrize(
    ("code", "scopes", "challenge"),
    [
        ("missing_credential", (), 'Bearer realm="wws"'),
        ("invalid_api_key", (), 'Bearer realm="wws", error="invalid_token"'),
        ("malformed_credential", (), 'Bearer realm="wws", error="invalid_request"'),
        ("insufficient_scope", ("ai",), 'Bearer realm="wws", error="insufficient_scope", scope="ai"'),
        ("insufficient_scope", ("ai", "x:read"), 'Bearer realm="wws", error="insufficient_scope", scope="ai x:read"'),
        ("auth_unavailable", (), None),
        ("auth_misconfigured", (), None),
        ("user_banned", (), None),
    ],
)
def test_each_case_has_its_challenge(code: str, scopes: tuple[str, ...], challenge: str | None) -> None:
    assert code in TABLE
    assert challenge_for(code, scopes) == challenge


def test_every_401_has_a_challenge() -> None:
    # RFC 9110 section 15.5.2: "The server generating a 401 response MUST send a WWW-Authenticate header field"
    assert all(challenge_for(code) for code, row in TABLE.items() if row.status == 401)
