"""What the built-in functions know and a new configuration does not make untrue: a reload keeps it.

Everything else they remember belongs to the configuration it was learned under, and is learned anew.
"""

from __future__ import annotations

from wws.bindings import Env
from wws.functions.auth_guard import STATE as AUTH
from wws.functions.auth_guard import guard_of
from wws.functions.upstreams import upstreams_of

__all__ = ["inherit"]

_LIMITER = "rate_limiter"  # its memory finds out by itself that the limits are others


def inherit(env: Env, before: Env) -> None:
    """`env` goes on with what `before` knew. To be called in the moment in which it takes over."""
    new, old = env.wws, before.wws
    upstreams_of(env).inherit(upstreams_of(before))
    if _LIMITER in old.state:
        new.state[_LIMITER] = old.state[_LIMITER]
    if AUTH in old.state and new.policy.auth == old.policy.auth:
        guard_of(new).inherit(guard_of(old))  # the auth server's keys, which it may not be there to give again
