"""Accuracy estimated from a judge model, corrected by what people said of some of the answers."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

_RESAMPLES = 2000


class Estimate(BaseModel):
    """The share of right answers among ``n``, with a 95 % interval; not calibrated, it is None, and the interval 0 to 1.

    ``sensitivity`` and ``specificity`` are the judge model's on the ``n_calibrated`` answers that people judged: how often it
    says right of a right one, and wrong of a wrong one; None without such. ``says``: all of it, or why not, in a sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None = None
    low: float = 0.0
    high: float = 1.0
    n: int
    n_calibrated: int
    sensitivity: float | None
    specificity: float | None
    calibrated: bool = False
    says: str


def calibrated(judge_says: Sequence[bool], on_humans: Sequence[tuple[bool, bool]]) -> Estimate:
    """The share of right answers, from what a judge model says of all of them and how often people say the same.

    ``judge_says``: of each answer, whether it is right; ``on_humans``: of each answer that people judged, (what the judge model
    says, what people say). With the apparent rate q, sensitivity se and specificity sp, the share is
    (q + sp - 1) / (se + sp - 1), clipped to 0 and 1 (Rogan & Gladen 1978). The interval is a bootstrap's of 2000 draws of both
    parts, each by itself; a draw in which the judge model is no better than chance says nothing, and reaches from 0 to 1.
    """
    n, m = len(judge_says), len(on_humans)
    se, sp = _rates(on_humans)
    q = sum(judge_says) / n if n else 0.0
    value = _corrected(q, se, sp)
    if not n:
        why = "the judge model has judged no answer"
    elif not m:
        why = "people have judged no answer"
    elif se is None or sp is None:
        why = f"people have judged none of the answers {'right' if se is None else 'wrong'}"
    else:
        why = f"on the {m} answers that people judged, the judge model is no better than chance"
    none = Estimate(n=n, n_calibrated=m, sensitivity=se, specificity=sp, says=f"not calibrated: {why}")
    if value is None or not n:
        return none
    chance = random.Random(0)
    lows, highs = [], []
    for _ in range(_RESAMPLES):
        drawn = _corrected(sum(chance.choices(judge_says, k=n)) / n, *_rates(chance.choices(on_humans, k=m)))
        lows.append(0.0 if drawn is None else drawn)
        highs.append(1.0 if drawn is None else drawn)
    low, high = sorted(lows)[round(0.025 * _RESAMPLES)], sorted(highs)[round(0.975 * _RESAMPLES) - 1]
    says = (
        f"about {value:.1%} of {n} answers are right ({low:.1%} to {high:.1%}): a judge model says so of {q:.1%}, "
        f"corrected by people's verdicts on {m}"
    )
    return none.model_copy(update={"value": value, "low": low, "high": high, "calibrated": True, "says": says})


def _rates(pairs: Sequence[tuple[bool, bool]]) -> tuple[float | None, float | None]:
    """Sensitivity and specificity on pairs (judge model, people)."""
    of_right = [says for says, right in pairs if right]
    of_wrong = [says for says, right in pairs if not right]
    se = sum(of_right) / len(of_right) if of_right else None
    return se, 1 - sum(of_wrong) / len(of_wrong) if of_wrong else None


def _corrected(q: float, se: float | None, sp: float | None) -> float | None:
    if se is None or sp is None or se + sp - 1 <= 1e-12:
        return None
    return min(1.0, max(0.0, (q + sp - 1) / (se + sp - 1)))
