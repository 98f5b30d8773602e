"""Fates of mutants both ways: many in forks of one run (``Trial.together``), and each in a run of its own (``Trial.alone``)."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.metrics import rate
from testing_crew.check import plan_of
from testing_crew.mutation.operators import Mutant, mutants
from testing_crew.mutation.trial import Fate, Trial
from testing_crew.project.code import read_source
from testing_crew.runner.run import Runner

_LEAST_AT_ONCE = 12  # of one round: forks are begun for several at once


@dataclass(frozen=True)
class Difference:
    """A mutant that met another fate in a fork than in a run of its own; ``again`` is a second run of its own."""

    text: str
    forked: Fate
    alone: Fate
    again: Fate

    def __str__(self) -> str:
        again = "" if self.again == self.alone else f", {self.again} the second time"
        return f"{self.forked} in a fork, {self.alone} alone{again}: {self.text}"


@dataclass(frozen=True)
class BothWays:
    """One module. ``fates`` are those of ``compared`` mutants in forks; ``left`` were left to runs of their own, since a fork
    could not tell, or since one of those that ``together`` tries again itself had another fate: then all of a round are.

    ``unreached`` of the ``found`` mutants are on lines that no test runs; they are not tried either way. Seconds are of wall
    time, and of the compared mutants alone where they were run alone.
    """

    name: str
    found: int
    unreached: int
    compared: int
    fates: dict[Fate, int]
    left: Sequence[str]
    differences: Sequence[Difference]
    forked_seconds: float
    alone_seconds: float

    @property
    def equal(self) -> int:
        return self.compared - len(self.differences)

    def __str__(self) -> str:
        fates = ", ".join(f"{count} {fate}" for fate, count in self.fates.items())
        return (
            f"{self.equal} of {self.compared} with the same fate ({fates}), {len(self.left)} left to runs of their own; "
            f"of {self.found} mutants {self.unreached} unreached; "
            f"{self.forked_seconds:.1f} s in forks, {self.alone_seconds:.1f} s alone"
        )


def both_ways(
    files: Sequence[tuple[Path, Path]], least: int, tell: Callable[[str], None]
) -> tuple[dict[str, float], dict[str, Any]]:
    """The figure and the details for at least ``least`` mutants in all, of pairs of a module and its test file.

    Each module gives its share; where a small one has fewer, the larger ones give more. ``tell`` hears of each module.
    """
    of_size = sorted(files, key=lambda pair: len(mutants(read_source(pair[0]))))
    done: list[BothWays] = []
    for number, (target, tests) in enumerate(of_size):
        wanted = -(-(least - sum(each.compared for each in done)) // (len(of_size) - number))
        done.append(measure(target, tests, max(wanted, 0)))
        tell(f"{done[-1].name}: {done[-1]}")
    compared, equal = sum(each.compared for each in done), sum(each.equal for each in done)
    bounds = rate(equal, compared).bounds if compared else (0.0, 1.0)
    details: dict[str, Any] = {each.name: str(each) for each in done}
    details["n"] = f"{compared} mutants" if compared >= least else f"{compared} mutants, not {least}: there are no more"
    details["same fate"] = f"{equal} of {compared} ({bounds[0]:.2%} to {bounds[1]:.2%})"
    details["left to runs of their own"] = sum(len(each.left) for each in done)
    details["differences"] = [f"{each.name}, {found}" for each in done for found in each.differences] or "none"
    details["left"] = [f"{each.name}, {text}" for each in done for text in each.left] or "none"
    return {"fork_agreement": equal / compared if compared else 0.0}, details


def measure(target: Path, tests: Path, wanted: int) -> BothWays:
    """One module, where it stands: random mutants on lines that a test runs, until ``wanted`` have a fate from a fork."""
    plan, _ = plan_of(tests, target, sys.executable)
    found = mutants(plan.code.source)
    forked: dict[Mutant, Fate] = {}
    left: list[Mutant] = []
    with Runner() as runner, runner.side_by_side() as pool:
        baseline = runner.execute(plan)
        assert baseline.run.passed, baseline.run.log
        trial = Trial(runner, plan, baseline)
        reached = [mutant for mutant in found if trial.cases(mutant) != frozenset()]
        waiting = random.Random(0).sample(reached, len(reached))
        began = time.perf_counter()
        while waiting and len(forked) < wanted:
            size = max(wanted - len(forked), _LEAST_AT_ONCE)
            now, waiting = waiting[:size], waiting[size:]
            known = trial.together(now, None, lambda more: None)
            forked |= known
            left += [mutant for mutant in now if mutant not in known]
        forked_seconds, began = time.perf_counter() - began, time.perf_counter()
        alone = dict(zip(forked, pool.map(trial.alone, forked), strict=True))
        alone_seconds = time.perf_counter() - began
        differences = [
            Difference(mutant.text, fate, alone[mutant], trial.alone(mutant))
            for mutant, fate in forked.items()
            if fate != alone[mutant]
        ]
    fates = dict(Counter(forked.values()).most_common())
    texts = [mutant.text for mutant in left]
    return BothWays(
        f"{target.parent.name}/{target.name}",
        len(found),
        len(found) - len(reached),
        len(forked),
        fates,
        texts,
        differences,
        forked_seconds,
        alone_seconds,
    )
