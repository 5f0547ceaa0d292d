"""Who sees what: decided by a hash, so that a visitor always sees the same, and no list of visitors is kept."""

import hashlib


def variant(visitor, experiment, share_b):
    number = int.from_bytes(hashlib.sha256(f"{experiment}\0{visitor}".encode()).digest()[:4], "big")
    return "b" if number % 100 < share_b else "a"
