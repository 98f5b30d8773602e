"""Chance that depends on nothing but a name: the same today and tomorrow, whatever else there is."""

from __future__ import annotations

import hashlib


def drawn(key: str, seed: int | str) -> float:
    """A number from 0 to 1 that depends on nothing but the key and the seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:8], "big") / 2**64
