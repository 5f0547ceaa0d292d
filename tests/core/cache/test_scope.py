"""For whom an answer may be kept: the whole table, and what passes the cache by (rules C2 and C7)."""

from __future__ import annotations

import pytest

from wws.core.cache.key import PUBLIC
from wws.core.cache.scope import ANYONE, SPECIAL, Scope, scope
from wws.core.policy import CachePolicy

USER = "sub:abc"
GUARDED = Scope(PUBLIC, guarded=True, collapsible=False)
ALONE = Scope(PUBLIC, collapsible=False)
OWN = Scope(USER)


def bypass(reason: str) -> Scope:
    return Scope(bypass=reason)


@pytest.mark.parametrize(
    ("mode", "per", "subject", "field", "expected"),
    [
        ("fixed", None, None, None, ANYONE),
        ("fixed", None, USER, None, bypass("authorization")),
        ("fixed", None, USER, b"authorization", bypass("authorization")),
        ("fixed", None, USER, b"cookie", bypass("authorization")),
        ("fixed", None, None, b"authorization", bypass("authorization")),
        ("fixed", None, None, b"x-api-key", bypass("x-api-key")),
        ("fixed", None, None, b"cookie", bypass("cookie")),
        ("fixed", "public", None, None, ANYONE),
        ("fixed", "public", USER, b"authorization", ANYONE),
        ("fixed", "public", None, b"cookie", ANYONE),
        ("fixed", "user", USER, b"authorization", OWN),
        ("fixed", "user", USER, b"cookie", OWN),
        ("fixed", "user", None, None, ANYONE),
        ("fixed", "user", None, b"authorization", bypass("authorization")),
        ("fixed", "user", None, b"cookie", bypass("cookie")),
        ("obey-origin", None, None, None, ANYONE),
        ("obey-origin", None, USER, None, GUARDED),
        ("obey-origin", None, None, b"authorization", GUARDED),
        ("obey-origin", None, None, b"x-api-key", GUARDED),
        ("obey-origin", None, None, b"cookie", ALONE),
        ("obey-origin", None, USER, b"cookie", GUARDED),
        ("obey-origin", "public", USER, b"authorization", GUARDED),
        ("obey-origin", "public", None, None, ANYONE),
        ("obey-origin", "user", USER, b"authorization", OWN),
        ("obey-origin", "user", None, b"authorization", GUARDED),
        ("obey-origin", "user", None, None, ANYONE),
    ],
)
def test_the_table(mode: str, per: str | None, subject: str | None, field: bytes | None, expected: Scope) -> None:
    policy = CachePolicy(mode, per=per)  # type: ignore[arg-type]
    first = {b"accept": b"*/*"} if field is None else {b"accept": b"*/*", field: b"x"}
    assert scope(policy, first, subject) == expected


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (b"range", "range"),
        (b"if-range", "range"),
        (b"if-match", "precondition"),
        (b"if-unmodified-since", "precondition"),
        (b"upgrade", "upgrade"),
    ],
)
@pytest.mark.parametrize(
    "policy", [CachePolicy("fixed", per="public"), CachePolicy("fixed", per="user"), CachePolicy("obey-origin")]
)
def test_what_asks_for_something_else_passes_by(field: bytes, reason: str, policy: CachePolicy) -> None:
    assert scope(policy, {field: b"x"}, USER) == bypass(reason)
    assert scope(policy, {field: b"x"}, None) == bypass(reason)
    assert field in SPECIAL


def test_without_special_fields_and_user_the_short_cut_is_the_same() -> None:
    for mode in ("fixed", "obey-origin"):
        for per in (None, "public", "user"):
            policy = CachePolicy(mode, per=per)
            assert scope(policy, {b"accept": b"*/*", b"if-none-match": b'"a"'}, None) == ANYONE


def test_what_is_one_users_own_is_never_in_the_public_partition_unguarded() -> None:
    for mode in ("fixed", "obey-origin"):
        for field in (b"authorization", b"cookie", b"x-api-key"):
            found = scope(CachePolicy(mode), {field: b"x"}, USER)
            assert found.bypass is not None or found.guarded
            assert found.bypass is not None or not found.collapsible
