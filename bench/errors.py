"""What stops a measurement."""

from __future__ import annotations

__all__ = ["BenchError", "Missing"]


class BenchError(Exception):
    """A part did not start, or answered something else than the shape says: its figure would mean nothing."""


class Missing(BenchError):
    """A program that the benchmark needs is not on this machine; the text says how to get it."""
