"""Another order of the tests of a file, classes kept together as their fixtures expect.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import random
from itertools import groupby

import pytest


def shuffle(items: list[pytest.Item], seed: int) -> None:
    """Put ``items`` in an order of chance, the same for the same ``seed``: blocks (a class or a function), and within them."""
    chance = random.Random(seed)
    blocks = [list(block) for _, block in groupby(items, key=lambda item: item.parent)]
    chance.shuffle(blocks)
    for block in blocks:
        chance.shuffle(block)
    items[:] = [item for block in blocks for item in block]
