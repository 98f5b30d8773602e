"""Two runs on the same tasks: is the one better than the other, or may it be chance?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from benchmarks.metrics import Score, Z, rate
from benchmarks.task import ROUNDS, Outcome

ALPHA = 0.05
_Z_ALPHA, _Z_POWER = 1.6449, 0.8416  # one-sided 5 %, and 80 % power

Side = Literal["greater", "two-sided"]


class Paired(BaseModel):
    """One metric of two runs on their common ``n`` tasks: ``wins`` only the second has, ``losses`` only the first.

    ``delta`` with ``low`` and ``high`` is the rise and its 95 % interval, ``p`` the exact test's, two-sided. ``could_see`` is the
    least rise that this n would have shown in four of five times; the comparison is ``underpowered`` where no difference was
    shown that is smaller than that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    n: int
    wins: int
    losses: int
    before: Score
    after: Score
    delta: float
    low: float
    high: float
    p: float
    could_see: float

    @property
    def differs(self) -> bool:
        """Whether the two are told apart."""
        return self.p < ALPHA

    @property
    def says(self) -> str:
        """The finding in a sentence."""
        if self.differs:
            return "better" if self.delta > 0 else "worse"
        if abs(self.delta) < self.could_see:
            return f"no difference shown; underpowered: {self.n} tasks show a rise of {self.could_see:.0%} or more"
        return "no difference shown"


def exact(wins: int, losses: int, alternative: Side = "two-sided") -> float:
    """The p-value of McNemar's test in its exact form (McNemar 1947): half of the tasks that differ are wins by chance."""
    n = wins + losses
    if alternative == "greater":
        return float(sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n)
    tail = float(sum(math.comb(n, k) for k in range(max(wins, losses), n + 1)) / 2**n)
    return min(1.0, 2 * tail)


def interval(wins: int, losses: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a difference of paired rates: Wald's, with one of each kind added (Bonett and Price 2012)."""
    up, down = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
    half = Z * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return max(-1.0, up - down - half), min(1.0, up - down + half)


def tasks_needed(wins: int, losses: int, n: int) -> int | None:
    """How many tasks would show the difference that was seen, with 80 % power at one-sided 5 % (Connor 1987); None for none."""
    if wins <= losses or not n:
        return None
    discordant, difference = (wins + losses) / n, (wins - losses) / n
    return max(n + 1, math.ceil(_tasks(discordant, difference, _Z_ALPHA)))


def could_see(wins: int, losses: int, n: int) -> float:
    """The least difference that ``n`` tasks show with 80 % power at two-sided 5 %, where as many tasks differ as here.

    Where hardly any differ, as many are taken to as the difference itself needs: all of them in one direction.
    """
    if not n:
        return 1.0
    discordant = (wins + losses) / n
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _tasks(max(discordant, middle), middle, Z) <= n else (middle, high)
    return high


def _tasks(discordant: float, difference: float, z_alpha: float) -> float:
    spread = z_alpha * math.sqrt(discordant) + _Z_POWER * math.sqrt(max(0.0, discordant - difference**2))
    return (spread / difference) ** 2 if difference else math.inf


def paired(metric: str, before: Sequence[bool], after: Sequence[bool]) -> Paired:
    """Compare the same tasks' successes, in the same order."""
    n = len(before)
    wins = sum(b and not a for a, b in zip(before, after, strict=True))
    losses = sum(a and not b for a, b in zip(before, after, strict=True))
    low, high = interval(wins, losses, n)
    return Paired(
        metric=metric,
        n=n,
        wins=wins,
        losses=losses,
        before=rate(sum(before), n),
        after=rate(sum(after), n),
        delta=(wins - losses) / n if n else 0.0,
        low=low,
        high=high,
        p=exact(wins, losses),
        could_see=could_see(wins, losses, n),
    )


def compare(before: Sequence[Outcome], after: Sequence[Outcome]) -> list[Paired]:
    """Passed and accepted, within one round and within all, on the tasks that neither run's infrastructure failed at."""
    theirs = {outcome.id: outcome for outcome in after if outcome.error is None}
    pairs = [(mine, theirs[mine.id]) for mine in before if mine.error is None and mine.id in theirs]
    return [
        paired(
            f"{what}@{rounds}", [a.within(what, rounds) for a, _ in pairs], [b.within(what, rounds) for _, b in pairs]
        )
        for what in ("passed", "accepted")
        for rounds in (1, ROUNDS)
    ]
