"""Mutants run and counted: does a test file notice when its target changes?"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from testing_crew.mutation.operators import Mutant, mutants, sample
from testing_crew.mutation.trial import Fate, Trial
from testing_crew.runner.plan import Plan
from testing_crew.runner.run import Execution, Runner
from trace_logger.records import Mutants

__all__ = ["Fate", "Fates", "fates_of", "kills_another", "try_mutants"]

LEAST_MUTANTS = 5
MOST_OTHERS = 60


@dataclass(frozen=True)
class Fates:
    """What became of each mutant that was tried, in order of line; ``found`` are all that there would have been."""

    found: Sequence[Mutant]
    of: tuple[tuple[Mutant, Fate], ...]

    def count(self) -> Mutants:
        """The figures."""
        fates = [fate for _, fate in self.of]
        survivors = [mutant for mutant, fate in self.of if fate in ("survived", "unreached")]
        return Mutants(
            found=len(self.found),
            tried=len(fates),
            killed=fates.count("killed"),
            raised=fates.count("raised"),
            timed_out=fates.count("timed_out"),
            survived=len(survivors),
            unreached=fates.count("unreached"),
            equivalent=fates.count("equivalent"),
            survivors=tuple(mutant.text for mutant in survivors),
        )


def try_mutants(
    runner: Runner,
    plan: Plan,
    baseline: Execution,
    *,
    limit: int | None = None,
    seed: int = 0,
    until: float | None = None,
    every: bool = False,
    lines: frozenset[int] | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Fates:
    """Run the tests of ``plan`` against mutants of its unit; ``baseline`` is its measured run, which passed.

    At most ``limit`` mutants; after the first few, none that would start after ``until`` (of ``time.monotonic``). ``every``
    takes all of cosmic-ray's mutants; ``lines``, where given, only those of statements with one of these lines. ``tell`` hears
    how many are done, of how many. A mutant is run up to the first failure, against the cases that execute its line first, and
    against all of them where those notice nothing.
    """
    trial = Trial(runner, plan, baseline)
    found = mutants(plan.code.source, plan.range, every=every)
    if lines is not None:
        found = [each for each in found if not lines.isdisjoint(trial.lines(each))]
    chosen = sample(found, len(found) if limit is None else limit, seed)
    known = fates_of(trial, chosen, until=until, tell=tell)
    return Fates(found, tuple((mutant, known[mutant]) for mutant in chosen if mutant in known))


def fates_of(
    trial: Trial,
    chosen: Sequence[Mutant],
    *,
    until: float | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> dict[Mutant, Fate]:
    """The fates of ``chosen``, by forks where these can tell; ``until`` and ``tell`` as in `try_mutants`."""
    done = 0

    def told(more: int = 1) -> None:
        nonlocal done
        done += more
        if tell is not None:
            tell(done, len(chosen))

    def alone(number: int, mutant: Mutant) -> Fate | None:
        if until is not None and number >= LEAST_MUTANTS and time.monotonic() > until:
            return None
        if number == LEAST_MUTANTS:  # by now it is known how long a run takes
            trial.runner.prepare(trial.plan, runs=len(left) - number)
        fate = trial.alone(mutant)
        told()
        return fate

    known = trial.together(chosen, until, told)
    left = [mutant for mutant in chosen if mutant not in known]
    with trial.runner.side_by_side(trial.plan, len(left)) as pool:
        for mutant, fate in zip(left, list(pool.map(alone, range(len(left)), left)), strict=True):
            if fate is not None:
                known[mutant] = fate
    return known


def kills_another(
    runner: Runner, plan: Plan, baseline: Execution, tried: Fates, until: float | None = None
) -> Mutant | None:
    """A mutant that was not ``tried`` and is killed, of those on lines that a case runs; at most ``MOST_OTHERS`` are.

    A sample of a large module may well miss all of what a small test file is about.
    """
    trial = Trial(runner, plan, baseline)
    known = {mutant for mutant, _ in tried.of}
    others = [mutant for mutant in tried.found if mutant not in known and trial.cases(mutant) != frozenset()]
    picked = random.Random(0).sample(others, min(len(others), MOST_OTHERS))
    forked = trial.together(picked, until, lambda more: None)
    likely = [mutant for mutant in picked if forked.get(mutant, "killed") == "killed"]
    for mutant in sorted(likely, key=lambda each: each not in forked):
        if until is not None and time.monotonic() > until:
            return None
        if trial.alone(mutant) == "killed":
            return mutant
    return None
