"""One test file tried against mutants of its target: each in a run of its own, or many in forks of one run.

A fork costs a tenth of a run, since the target is imported and the tests are collected already. It is as good where the mutant
lies in functions that importing has not called; what was found so is tried again by runs of their own for a sample of the
mutants, and where one of these differs, for all.
"""

from __future__ import annotations

import ast
import random
import time
from collections.abc import Callable, Sequence
from typing import Literal

from testing_crew.mutation.operators import Mutant
from testing_crew.mutation.text import OTHER
from testing_crew.project.syntax import first_line, parse
from testing_crew.runner.plan import Change, Plan, Variation
from testing_crew.runner.run import Execution, Runner
from trace_logger.records import PytestRun

Fate = Literal["killed", "raised", "timed_out", "survived", "unreached", "equivalent"]
_LEAST_SECONDS = 2.0
_LEAST_FORK_SECONDS = 1.0  # what is over then is tried again
_SLOWER = 10  # a mutant may take this many times as long as the target itself
_LEAST_FORKS = 6  # below, one more run that collects the tests is not worth it
_FORKS = 48  # of one run: what a mutant may spoil for the next ones ends with it
_LEAST_CHECKED = 1
_CHECKED_OF = 40  # one of so many is tried again


class Trial:
    """``baseline`` is the measured run of ``plan``, which passed."""

    def __init__(self, runner: Runner, plan: Plan, baseline: Execution) -> None:
        self.runner, self.plan, self._baseline, self._reached = runner, plan, baseline, baseline.reached
        self._ends = _ends(plan.code.source)
        self._seconds = min(max(_LEAST_SECONDS, _SLOWER * baseline.run.duration), runner.limits.wall_seconds)

    def lines(self, mutant: Mutant) -> range:
        """The lines of the changed statement, what stands under it left out."""
        return range(mutant.line, self._ends.get(mutant.line, mutant.line) + 1)

    def cases(self, mutant: Mutant) -> frozenset[str] | None:
        """The cases that run the changed statement; None for all, where an import runs it or nothing was measured."""
        if not self._reached:
            return None
        names = frozenset[str]().union(*(self._reached.get(line, ()) for line in self.lines(mutant)))
        return None if "" in names else names

    def alone(self, mutant: Mutant) -> Fate:
        """The fate of one mutant, by runs of its own: of the cases that run its line, then of all where these notice nothing."""
        only = self.cases(mutant)
        if only is not None and not only:
            return "unreached"
        fate = self.against(mutant, only)
        if only is not None and fate in ("survived", "equivalent"):
            # A cache, a fixture of the module or its state may carry what one case ran to a later one.
            fate = self.against(mutant, None)
        return fate

    def against(self, mutant: Mutant, cases: frozenset[str] | None) -> Fate:
        """What a run of ``cases`` (None: all) of its own says of a mutant."""
        source, seconds = mutant.source, self._seconds
        tried = Variation(measure=False, source=source, only=cases, stop_first=True, wall_seconds=seconds)
        return _named(mutant, self.runner.execute(self.plan, tried))

    def together(
        self, chosen: Sequence[Mutant], until: float | None, told: Callable[[int], None]
    ) -> dict[Mutant, Fate]:
        """The fates of those of ``chosen`` that forks can tell; the others are left out.

        ``told`` hears how many more are known. None is begun after ``until`` (of ``time.monotonic``).
        """
        cases = {mutant: self.cases(mutant) for mutant in chosen}
        known: dict[Mutant, Fate] = {mutant: "unreached" for mutant in chosen if cases[mutant] == frozenset()}
        told(len(known))
        wanted = [mutant for mutant in chosen if cases[mutant]]
        if len(wanted) < _LEAST_FORKS:
            return known

        durations = {case.node: case.duration for case in self._baseline.run.cases}

        def change(mutant: Mutant) -> Change:
            usual = sum(durations.get(case, 0.0) for case in cases[mutant] or ())
            seconds = min(self._seconds, max(_LEAST_FORK_SECONDS, _SLOWER * usual))
            return Change(mutant.edit.start, mutant.edit.end, mutant.edit.new, cases[mutant], seconds)

        forked: dict[Mutant, Fate] = {}

        def part(mutants: Sequence[Mutant]) -> bool:
            if until is not None and time.monotonic() > until:
                return True
            made = self.runner.execute_changes(self.plan, mutants[0].original, [change(each) for each in mutants])
            ran = zip(mutants, made.runs, strict=True)
            found = {mutant: _named(mutant, run) for mutant, run in ran if run and _is_certain(run.run)}
            forked.update(found)
            told(len(found))
            return made.side_by_side

        parts = _parts(wanted)
        while parts and part(parts.pop()):
            pass
        with self.runner.side_by_side(self.plan, len(parts)) as pool:
            list(pool.map(part, parts))
        chance = random.SystemRandom()  # tests that know a fork must not know which mutants are tried again
        checked = chance.sample(
            [mutant for mutant in wanted if mutant in forked],
            min(len(forked), _LEAST_CHECKED + len(forked) // _CHECKED_OF),
        )
        killed = [mutant for mutant in wanted if forked.get(mutant) == "killed"]
        checked += chance.sample(killed, min(len(killed), 1))  # a file is accepted for one that is: that one is certain
        with self.runner.side_by_side(self.plan, len(checked)) as pool:
            again = list(pool.map(self.alone, checked))
        if any(fate != forked[mutant] for mutant, fate in zip(checked, again, strict=True)):
            told(-len(forked))
            return known
        return known | forked


def read_fate(run: PytestRun, *, changed: bool = True) -> Fate:
    """What a run against a mutant says of it; ``changed`` is whether the mutant could make any difference."""
    if run.verdict in ("passed", "skipped", "no_tests"):
        return "survived" if changed else "equivalent"
    if run.verdict == "timeout":
        return "timed_out"
    return "killed" if any(case.claim for case in run.cases) else "raised"


def _named(mutant: Mutant, tried: Execution) -> Fate:
    changed = tried.mutant is None or tried.mutant.changed > 0 or OTHER not in mutant.edit.new
    return read_fate(tried.run, changed=changed)


def _is_certain(run: PytestRun) -> bool:
    """Whether a fork ended as a run of its own would have: one that broke down, or was slow, may be so for another reason."""
    return run.verdict not in ("timeout", "crashed", "out_of_memory") and bool(run.cases)


def _parts(wanted: Sequence[Mutant]) -> list[Sequence[Mutant]]:
    count = -(-len(wanted) // _FORKS)
    return [wanted[len(wanted) * n // count : len(wanted) * (n + 1) // count] for n in range(count)]


def _ends(source: str) -> dict[int, int]:
    """First line of each statement → the last line of its own text, what stands under it left out."""
    ends: dict[int, int] = {}
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.stmt):
            first = first_line(node)
            body = getattr(node, "body", None)
            ends[first] = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
    return ends
