"""The gate: is the challenger better than the champion, on the same tasks? Paired, exact, with a minimum effect and floors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from benchmarks.compare import exact, tasks_needed
from benchmarks.metrics import Score, rate
from benchmarks.task import ROUNDS, Outcome, average
from trace_logger.records import Record

Decision = Literal["promoted", "kept", "undecided"]


class Rules(Record):
    """When a challenger is promoted.

    ``alpha`` bounds the exact one-sided p, ``least_effect`` is the least difference of accepted@3 that is worth a swap (a share
    of the tasks), ``mutants_floor`` how far the mean share of mutants noticed may fall, ``worthless_ceiling`` how far the share
    of tasks left with a cheating or empty file may rise.
    """

    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    least_effect: float = Field(default=0.02, ge=0.0, le=1.0)
    mutants_floor: float = Field(default=0.05, ge=0.0, le=1.0)
    worthless_ceiling: float = Field(default=0.05, ge=0.0, le=1.0)


class Side(Record):
    """One model on the tasks that both could be asked; ``mutants`` is a mean over the tasks that both have accepted."""

    model: str
    accepted_at_1: Score
    accepted_at_3: Score
    mutants: float | None
    worthless: Score
    errors: int


class Verdict(Record):
    """What was decided and why. ``wins`` are tasks that only the challenger has, ``losses`` those that only the champion has.

    ``needed`` is how many tasks would settle what is undecided (80 % power at the rates that were seen), None elsewhere.
    """

    decision: Decision
    why: str
    n: int
    wins: int
    losses: int
    effect: float
    p: float
    needed: int | None
    champion: Side
    challenger: Side


def decide(
    champion: Sequence[Outcome], challenger: Sequence[Outcome], models: tuple[str, str], rules: Rules | None = None
) -> Verdict:
    """Compare the outcomes of the same tasks. Tasks with an infrastructure error on either side are left out, and counted.

    The test is McNemar's in its exact form (McNemar 1947; Fay 2010): of the tasks on which the two differ, half would be
    wins by chance, so that the p-value is a binomial tail. One-sided, since only a better model is promoted.
    """
    rules = rules or Rules()
    theirs = {outcome.id: outcome for outcome in challenger}
    pairs = [(a, theirs[a.id]) for a in champion if a.id in theirs and a.error is None and theirs[a.id].error is None]
    wins = sum(b.within("accepted", ROUNDS) and not a.within("accepted", ROUNDS) for a, b in pairs)
    losses = sum(a.within("accepted", ROUNDS) and not b.within("accepted", ROUNDS) for a, b in pairs)
    effect = (wins - losses) / len(pairs) if pairs else 0.0
    p = exact(wins, losses, "greater")
    sides = (
        _side(models[0], [a for a, _ in pairs], [b for _, b in pairs], champion),
        _side(models[1], [b for _, b in pairs], [a for a, _ in pairs], challenger),
    )
    decision, why = _decision(len(pairs), effect, p, *sides, rules)
    needed = tasks_needed(wins, losses, len(pairs)) if decision == "undecided" else None
    return Verdict(
        decision=decision,
        why=why,
        n=len(pairs),
        wins=wins,
        losses=losses,
        effect=effect,
        p=p,
        needed=needed,
        champion=sides[0],
        challenger=sides[1],
    )


def _side(model: str, compared: Sequence[Outcome], others: Sequence[Outcome], every: Sequence[Outcome]) -> Side:
    n = len(compared)
    # on the same tasks: harder ones that only one of them has would look like a fall
    both = [
        mine
        for mine, other in zip(compared, others, strict=True)
        if mine.within("accepted", ROUNDS) and other.within("accepted", ROUNDS)
    ]
    return Side(
        model=model,
        accepted_at_1=rate(sum(outcome.within("accepted", 1) for outcome in compared), n),
        accepted_at_3=rate(sum(outcome.within("accepted", ROUNDS) for outcome in compared), n),
        mutants=average([outcome.mutants for outcome in both]),
        worthless=rate(sum(outcome.worthless for outcome in compared), n),
        errors=sum(outcome.error is not None for outcome in every),
    )


def _decision(n: int, effect: float, p: float, old: Side, new: Side, rules: Rules) -> tuple[Decision, str]:
    if not n:
        return "undecided", "no task could be asked of both"
    if new.worthless.value > old.worthless.value + rules.worthless_ceiling:
        return (
            "kept",
            f"{new.worthless.value:.0%} of its files cheat or are empty, {old.worthless.value:.0%} of the champion's",
        )
    if new.mutants is not None and old.mutants is not None and new.mutants < old.mutants - rules.mutants_floor:
        return "kept", f"its files notice {new.mutants:.0%} of the mutants, the champion's {old.mutants:.0%}"
    if effect <= 0:
        return "kept", "it is not better on these tasks"
    if p < rules.alpha and effect >= rules.least_effect:
        return "promoted", f"accepted@{ROUNDS} rose by {effect:.1%} of the tasks, p = {p:.3f}"
    if p < rules.alpha:
        return "kept", f"the rise by {effect:.1%} is less than what is worth a swap ({rules.least_effect:.0%})"
    return "undecided", f"a rise by {effect:.1%} on {n} tasks may be chance (p = {p:.2f})"
