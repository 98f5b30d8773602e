"""Mutants run and counted: does a test file notice when its target changes?"""

from __future__ import annotations

import ast
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from testing_crew.mutation.operators import Mutant, mutants, sample
from testing_crew.mutation.text import OTHER
from testing_crew.project.syntax import first_line, parse
from testing_crew.runner.plan import Plan, Variation
from testing_crew.runner.run import Execution, Runner
from trace_logger.records import Mutants, PytestRun

Fate = Literal["killed", "raised", "timed_out", "survived", "unreached", "equivalent"]
LEAST_MUTANTS = 5
MOST_OTHERS = 60
_LEAST_SECONDS = 2.0
_SLOWER = 10  # a mutant may take this many times as long as the target itself


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
    ends = _ends(plan.code.source)
    found = mutants(plan.code.source, plan.range, every=every)
    if lines is not None:
        found = [each for each in found if not lines.isdisjoint(range(each.line, ends.get(each.line, each.line) + 1))]
    chosen = sample(found, len(found) if limit is None else limit, seed)
    seconds = max(_LEAST_SECONDS, _SLOWER * baseline.run.duration)
    done = 0

    def fate(number: int, mutant: Mutant) -> tuple[Mutant, Fate | None]:
        nonlocal done
        if until is not None and number >= LEAST_MUTANTS and time.monotonic() > until:
            return mutant, None
        if number == LEAST_MUTANTS:  # by now it is known how long a run takes
            runner.prepare(plan, runs=len(chosen) - number)
        named = _fate(
            runner, plan, baseline, mutant, range(mutant.line, ends.get(mutant.line, mutant.line) + 1), seconds
        )
        done += 1
        if tell is not None:
            tell(done, len(chosen))
        return mutant, named

    with runner.side_by_side() as pool:
        outcomes = list(pool.map(fate, range(len(chosen)), chosen))
    return Fates(found, tuple((mutant, known) for mutant, known in outcomes if known is not None))


def kills_another(
    runner: Runner, plan: Plan, baseline: Execution, tried: Fates, until: float | None = None
) -> Mutant | None:
    """A mutant that was not ``tried`` and is killed, of those on lines that a case runs; at most ``MOST_OTHERS`` are.

    A sample of a large module may well miss all of what a small test file is about.
    """
    ends = _ends(plan.code.source)
    known = {mutant for mutant, _ in tried.of}
    seconds = max(_LEAST_SECONDS, _SLOWER * baseline.run.duration)
    others = [
        (mutant, lines)
        for mutant in tried.found
        if mutant not in known
        and _reaching(baseline.reached, lines := range(mutant.line, ends.get(mutant.line, mutant.line) + 1))
    ]
    for mutant, lines in random.Random(0).sample(others, min(len(others), MOST_OTHERS)):
        if until is not None and time.monotonic() > until:
            return None
        if _fate(runner, plan, baseline, mutant, lines, seconds) == "killed":
            return mutant
    return None


def _fate(
    runner: Runner, plan: Plan, baseline: Execution, mutant: Mutant, lines: Sequence[int], seconds: float
) -> Fate:
    only = _reaching(baseline.reached, lines)
    if only is not None and not only:
        return "unreached"
    least = Variation(
        measure=False,
        source=mutant.source,
        only=only,
        stop_first=True,
        wall_seconds=min(seconds, runner.limits.wall_seconds),
    )
    tried = runner.execute(plan, least)
    if only is not None and read_fate(tried.run) == "survived":
        # A cache, a fixture of the module or its state may carry what one case ran to a later one.
        tried = runner.execute(plan, replace(least, only=None))
    return read_fate(tried.run, changed=tried.mutant is None or tried.mutant.changed > 0 or OTHER not in mutant.source)


def read_fate(run: PytestRun, *, changed: bool = True) -> Fate:
    """What a run against a mutant says of it; ``changed`` is whether the mutant could make any difference."""
    if run.verdict in ("passed", "skipped", "no_tests"):
        return "survived" if changed else "equivalent"
    if run.verdict == "timeout":
        return "timed_out"
    return "killed" if any(case.claim for case in run.cases) else "raised"


def _reaching(reached: Mapping[int, frozenset[str]], lines: Sequence[int]) -> frozenset[str] | None:
    """The cases that run one of ``lines``; None for all of them, where an import runs it or nothing was measured."""
    if not reached:
        return None
    names = frozenset[str]().union(*(reached.get(line, ()) for line in lines))
    return None if "" in names else names


def _ends(source: str) -> dict[int, int]:
    """First line of each statement → the last line of its own text, what stands under it left out."""
    ends: dict[int, int] = {}
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.stmt):
            first = first_line(node)
            body = getattr(node, "body", None)
            ends[first] = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
    return ends
