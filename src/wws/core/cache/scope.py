"""For whom an answer may be kept, told from the route's policy and the request alone, before anything is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from wws.core.cache.key import PUBLIC
from wws.core.policy import CachePolicy

__all__ = ["ANYONE", "SPECIAL", "Scope", "scope"]

# What may make an answer one caller's own. A cookie is one too: a page behind a session cookie says so seldom enough.
_CREDENTIALS: Final = (b"authorization", b"x-api-key", b"cookie")
# What asks for something else than the stored whole (RFC 9111 section 3.3; RFC 9110 sections 13.1 and 7.8).
_ASIDE: Final[dict[bytes, str]] = {
    b"range": "range",
    b"if-range": "range",
    b"if-match": "precondition",
    b"if-unmodified-since": "precondition",
    b"upgrade": "upgrade",
}
SPECIAL: Final = frozenset({*_CREDENTIALS, *_ASIDE})
"""Request fields without which, and without a user, the scope is `ANYONE`."""


class Scope(NamedTuple):
    """`bypass` is why the cache is not used, or None. `guarded`: only answers that say they may be shared are kept or used
    (RFC 9111 section 3.5). `collapsible`: simultaneous requests may share one answer, since it is nobody's own."""

    partition: str = PUBLIC
    guarded: bool = False
    collapsible: bool = True
    bypass: str | None = None


ANYONE: Final = Scope()
_GUARDED: Final = Scope(guarded=True, collapsible=False)
_ALONE: Final = Scope(collapsible=False)


def scope(policy: CachePolicy, first: Mapping[bytes, bytes], subject: str | None) -> Scope:
    """The scope of a GET or HEAD. `first` maps the request's field names to values; `subject` is the partition of the
    verified user, None where there is none.

    | per    | mode        | verified user   | only a credential we did not verify | neither |
    |--------|-------------|-----------------|-------------------------------------|---------|
    | user   | any         | the user's own  | as for None                         | public  |
    | public | fixed       | public          | public                              | public  |
    | public | obey-origin | as for None     | as for None                         | public  |
    | None   | fixed       | bypass          | bypass                              | public  |
    | None   | obey-origin | public, guarded | public, guarded                     | public  |

    Under `obey-origin` a cookie alone does not guard, as RFC 9111 has it; its requests are not collapsed.
    """
    for name, reason in _ASIDE.items():
        if name in first:
            return Scope(bypass=reason)
    if subject is not None and policy.per == "user":
        return Scope(subject)
    fixed = policy.mode == "fixed"
    if fixed and policy.per == "public":
        return ANYONE
    held = next((name for name in _CREDENTIALS if name in first), None)
    if subject is None and held is None:
        return ANYONE
    if fixed:
        return Scope(bypass="authorization" if held is None or subject is not None else held.decode())
    return _GUARDED if subject is not None or held != b"cookie" else _ALONE
