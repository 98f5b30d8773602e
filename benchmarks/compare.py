"""Two runs on the same tasks: is the one better than the other, or may it be chance?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from benchmarks.metrics import Score, Z, mean, rate
from benchmarks.task import ROUNDS, Outcome

ALPHA = 0.05
DECIDES = (f"accepted@{ROUNDS}", "exact_match", "function")
_Z_ALPHA, _Z_POWER = 1.6449, 0.8416  # one-sided 5 %, and 80 % power
_POWER = 0.8
_NEGLIGIBLE = 1e-9
_STEPS = 100  # a difference is told in whole hundredths

Side = Literal["greater", "two-sided"]


class Paired(BaseModel):
    """One metric of two runs on their common ``n`` tasks: ``wins`` only the second has, ``losses`` only the first.

    ``delta`` with ``low`` and ``high`` is the rise and its 95 % interval, ``p`` the exact test's, two-sided. ``could_see`` is the
    least rise that this n would have shown in four of five times, more than 1 where there is none; the comparison is
    ``underpowered`` where no difference was shown that is smaller than that.
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
        if self.could_see > 1:
            return f"no difference shown; underpowered: {self.n} tasks show none"
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
    """The least difference that ``n`` tasks show in four of five times, by the exact test, where as many tasks differ as here.

    Where hardly any differ, as many are taken to as the difference itself needs: all of them in one direction. More than 1 where
    not even a difference of all tasks would be shown.
    """
    differing = (wins + losses) / n if n else 0.0
    low, high = 0, _STEPS + 1  # what is not shown, and what is
    while high - low > 1:
        middle = (low + high) // 2
        shown = _power(max(differing, middle / _STEPS), middle / _STEPS, n) >= _POWER
        low, high = (low, middle) if shown else (middle, high)
    return high / _STEPS


def _power(discordant: float, difference: float, n: int) -> float:
    """How often the exact two-sided test shows a rise of ``difference`` where the share ``discordant`` of ``n`` tasks differs."""
    chance = (discordant + difference) / (2 * discordant)  # that a task that differs is a win
    return math.fsum(
        share * _binomial(differing, wins, chance)
        for differing in range(n + 1)
        if (share := _binomial(n, differing, discordant)) > _NEGLIGIBLE
        for wins in range(_least_wins(differing), differing + 1)
    )


@cache
def _least_wins(differing: int) -> int:
    """The fewest wins of so many tasks that differ with which the exact test shows a rise; one more than all where none do."""
    return next(
        (wins for wins in range(differing // 2 + 1, differing + 1) if exact(wins, differing - wins) < ALPHA),
        differing + 1,
    )


def _binomial(n: int, k: int, p: float) -> float:
    if p >= 1.0:
        return float(k == n)
    return math.exp(
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    )


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


def shares(metric: str, pairs: Sequence[tuple[Outcome, Outcome]]) -> Paired:
    """Compare a figure that is a share, on the tasks of which both runs know it.

    ``wins`` and ``losses`` are tasks on which it rose and fell; ``p`` is the sign test's, ``low`` to ``high`` a bootstrap
    interval of the mean difference (Efron 1979), and ``could_see`` what 80 % power sees at 5 % with the spread of these.
    """
    known = [(a.figures[metric], b.figures[metric]) for a, b in pairs if metric in a.figures and metric in b.figures]
    risen = [b - a for a, b in known]
    n, rise = len(risen), mean(risen) or rate(0, 0)
    before, after = mean([a for a, _ in known]) or rate(0, 0), mean([b for _, b in known]) or rate(0, 0)
    wins, losses = sum(each > 0 for each in risen), sum(each < 0 for each in risen)
    spread = math.sqrt(sum((each - rise.value) ** 2 for each in risen) / (n - 1) / n) if n > 1 else math.inf
    return Paired(
        metric=metric,
        n=n,
        wins=wins,
        losses=losses,
        before=before,
        after=after,
        delta=rise.value,
        low=rise.low,
        high=rise.high,
        p=exact(wins, losses),
        could_see=min((Z + _Z_POWER) * spread, 2.0),
    )


def compare(before: Sequence[Outcome], after: Sequence[Outcome]) -> list[Paired]:
    """Passed and accepted, within one round and within all, on the tasks that neither run's infrastructure failed at.

    Of questions, the answers that are right, or each of their figures. A task that is not the same in both, whatever its name, is
    none that both have. `DECIDES` names the one that is asked whether there is a difference: of several, one would seem to differ
    by chance more often than is said.
    """
    theirs = {outcome.id: outcome for outcome in after if outcome.error is None}
    both = [(mine, theirs[mine.id]) for mine in before if mine.error is None and mine.id in theirs]
    pairs = [(mine, other) for mine, other in both if mine.task == other.task]
    if pairs and all(outcome.answer for pair in pairs for outcome in pair):
        if any(outcome.figures for pair in pairs for outcome in pair):
            names = dict.fromkeys(name for pair in pairs for outcome in pair for name in outcome.figures)
            return [shares(name, pairs) for name in names]
        pairs = [(mine, other) for mine, other in pairs if mine.answer and mine.answer.expected is not None]
        return [paired("exact_match", [a.good for a, _ in pairs], [b.good for _, b in pairs])]
    return [
        paired(
            f"{what}@{rounds}", [a.within(what, rounds) for a, _ in pairs], [b.within(what, rounds) for _, b in pairs]
        )
        for what in ("passed", "accepted")
        for rounds in (1, ROUNDS)
    ]
