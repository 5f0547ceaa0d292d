"""Signatures as most senders make them: HMAC-SHA-256 over the time and the body, both of which a header names."""

import hashlib
import hmac
import time

TOLERANCE = 300  # seconds that a request may be old: an old one that somebody recorded is worth nothing


def sign(secret, at, body):
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def valid(secret, header, body, now=None):
    """Whether `t=TIME,v1=SIGNATURE` is good for these bytes."""
    parts = dict(part.split("=", 1) for part in (header or "").split(",") if "=" in part)
    at, given = parts.get("t", ""), parts.get("v1", "")
    if not at.isascii() or not at.isdigit() or abs((now or time.time()) - int(at)) > TOLERANCE:
        return False
    return hmac.compare_digest(sign(secret, int(at), body), given)
