"""What a repaired test file no longer checks that the failed one did: seen in the two texts alone.

The checks of both files are counted, not matched with one another: a repair may rename, merge, split and move tests, mend
their inputs and turn an expected value into an expected exception. What it may not do is check less.

The reasons, for machines: ``drops_tests``, ``drops_assertions``, ``weakens_assertions``; ``unreadable`` (see `gate_text`).
"""

from __future__ import annotations

from collections.abc import Iterator

from testing_crew.gate.claims import File
from testing_crew.gate.text import read
from testing_crew.gate.weight import Tally, real
from testing_crew.project.syntax import UNREADABLE


def dropped(failed: str, repaired: str) -> Iterator[str]:
    """What is wrong with ``repaired`` as a repair of ``failed``, each reason at most once.

    Nothing is wrong where ``failed`` cannot be read.
    """
    try:
        before = File(read(failed))
        was = before.tally(frozenset())
    except UNREADABLE:
        return
    try:
        now = File(read(repaired)).tally(frozenset(before.tests))
    except UNREADABLE:
        yield "unreadable"
        return
    flipped = _flipped(was, now)
    now["strong"] -= flipped
    now["weak"] += flipped
    lost = real(was) - real(now) - max(0, now["match"] - was["match"])
    fewer_cases = now["cases"] < was["cases"]
    if not fewer_cases:  # ``a == 1`` and ``b == 2`` may have become ``f() == (1, 2)``
        lost -= min(max(0, was["part"] - now["part"]), max(0, now["whole"] - was["whole"]))
    if fewer_cases and lost + was["smoke"] - now["smoke"] > 0:
        yield "drops_tests"
    if lost > 0:
        yield "drops_assertions"
    firm = was["strong"] - now["strong"], was["strong"] + was["fair"] - now["strong"] - now["fair"]
    if max(firm) > 0 and now["weak"] + now["empty"] > was["weak"] + was["empty"]:
        yield "weakens_assertions"


def _flipped(was: Tally, now: Tally) -> int:
    """How many comparisons were turned round: ``f(1) == 2`` that became ``f(1) != 2``."""
    turned = [(f"eq:{key[3:]}", key) for key in now if key.startswith("ne:")]
    return sum(max(0, min(was[eq] - now[eq], now[ne] - was[ne])) for eq, ne in turned)
