from __future__ import annotations

from tests.stores.contract import CounterContract, KVContract


class TestKV(KVContract):
    """On every store."""


class TestCounter(CounterContract):
    """On every store."""
