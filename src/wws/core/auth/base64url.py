"""Canonical base64url: RFC 4648 section 5 without padding, as RFC 7515 section 2 asks for."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

__all__ = ["decode", "encode"]


def encode(data: bytes) -> bytes:
    """`data` without padding."""
    return urlsafe_b64encode(data).rstrip(b"=")


def decode(text: bytes) -> bytes:
    """The bytes `text` stands for. Raises `ValueError` unless `text` is the one way to write them.

    RFC 4648 section 3.5: a decoder may reject pad bits that are not zero; with them, with padding or with characters
    outside the alphabet (which the standard library skips) one signature could be written in many ways.
    """
    data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
