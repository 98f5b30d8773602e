"""Figures over outcomes, each with its n and its 95 % interval; what the infrastructure failed at is never among the n."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from pydantic import BaseModel, ConfigDict

from benchmarks.task import ROUNDS, Outcome, covered, noticed

Z = 1.959964  # of a 95 % interval
COSTS = ("seconds", "tokens")  # the figures that are no shares
_RESAMPLES = 2000
_DRAWN = (1, 3, 5, 10)  # samples for which a chance is told, where there are so many


class Score(BaseModel):
    """A rate or a mean over ``n`` tasks with its 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float
    n: int = 0

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval."""
        return self.low, self.high


def rate(hits: int, n: int) -> Score:
    """A rate with its Wilson score interval (Wilson 1927); of nothing, 0 with the interval 0 to 1."""
    if n == 0:
        return Score(value=0.0, low=0.0, high=1.0)
    p, z = hits / n, Z
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Score(value=p, low=0.0 if hits == 0 else low, high=1.0 if hits == n else high, n=n)


def mean(values: Sequence[float | None]) -> Score | None:
    """A mean of the values that are there, with its bootstrap percentile interval (Efron 1979); None of none."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    chance, n = random.Random(0), len(there)
    means = sorted(sum(chance.choices(there, k=n)) / n for _ in range(_RESAMPLES))
    low, high = means[round(0.025 * _RESAMPLES)], means[round(0.975 * _RESAMPLES) - 1]
    return Score(value=sum(there) / n, low=low, high=high, n=n)


def figure(values: Sequence[float | None]) -> Score | None:
    """A rate where each value that is there is 0 or 1, else a mean."""
    there = [value for value in values if value is not None]
    return rate(round(sum(there)), len(there)) if there and set(there) <= {0.0, 1.0} else mean(there)


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that one of ``k`` samples is good, where ``c`` of ``n`` were: 1 - C(n-c, k) / C(n, k), unbiased (Chen 2021)."""
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"{c} of {n} good, {k} drawn")
    return 1.0 - math.prod((n - c - i) / (n - i) for i in range(k))


def scores(outcomes: Sequence[Outcome], most: int = ROUNDS) -> dict[str, Score]:
    """All figures that the outcomes have something for.

    ``passed@R``, ``accepted@R``: within R rounds, of which there were at most ``most``. ``repaired``: of those whose first file
    was not accepted, the share that had one accepted in a later round. ``resampled_passed@K``, ``resampled_accepted@K``: with K
    fresh first files and no repair; ``resampled_cheats``: the share of those that pass and test nothing, or lie,
    ``resampled_coverage`` and ``resampled_mutants`` what the accepted ones of them reach and notice. ``coverage`` and
    ``mutants``: the same of what the rounds came to. ``seconds`` and ``tokens``: for a task.
    """
    counted = [outcome for outcome in outcomes if outcome.error is None]
    n = len(counted)
    found: dict[str, Score | None] = {}
    for what in ("passed", "accepted"):
        for rounds in range(1, most + 1):
            found[f"{what}@{rounds}"] = rate(sum(outcome.within(what, rounds) for outcome in counted), n)
    failed = [outcome for outcome in counted if not outcome.within("accepted", 1)]
    if failed and most > 1:
        found["repaired"] = rate(sum(outcome.within("accepted", most) for outcome in failed), len(failed))
    sampled = [outcome for outcome in counted if outcome.samples]
    least = min((len(outcome.samples) for outcome in sampled), default=1)
    for what in ("passed", "accepted"):
        for k in sorted({k for k in _DRAWN if k <= least} | {1, least}):
            good = [pass_at_k(len(o.samples), o.drawn(what), k) if k <= len(o.samples) else None for o in sampled]
            found[f"resampled_{what}@{k}"] = figure(good)
    found["resampled_cheats"] = mean([outcome.cheating for outcome in sampled])
    found["resampled_coverage"] = mean([covered(chain.from_iterable(outcome.samples)) for outcome in sampled])
    found["resampled_mutants"] = mean([noticed(chain.from_iterable(outcome.samples)) for outcome in sampled])
    found["coverage"] = mean([outcome.coverage for outcome in counted])
    found["mutants"] = mean([outcome.mutants for outcome in counted])
    found["seconds"] = mean([outcome.seconds for outcome in counted])
    found["tokens"] = mean([outcome.tokens for outcome in counted])
    for name in sorted({name for outcome in counted for name in outcome.figures}):
        found[name] = figure([outcome.figures.get(name) for outcome in counted])
    return {name: score for name, score in found.items() if score is not None}


def reasons(outcomes: Sequence[Outcome], most: int = 10) -> dict[str, int]:
    """The commonest reasons for which a task was not accepted, in the gate's codes and verdicts, with how often each was."""
    return dict(Counter(outcome.why for outcome in outcomes if outcome.error is None and outcome.why).most_common(most))
