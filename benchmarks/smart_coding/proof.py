"""Proof that a new test checks what its file did not: a small change of the module that it notices and the others do not."""

from __future__ import annotations

import random
from dataclasses import replace

from testing_crew.mutation.operators import Mutant, mutants
from testing_crew.runner.plan import Plan, Variation
from testing_crew.runner.run import Execution, Runner

MOST = 40  # changes that are tried for one test: a good one is proven by the first few
_LEAST_SECONDS = 2.0
_SLOWER = 10  # a change may take this many times as long as the module itself


def brings_something(plan: Plan, first: Execution, own: frozenset[str], runner: Runner) -> bool:
    """Whether a case of ``own`` fails by its own claim of a change of the module of which all others of ``plan`` say nothing.

    ``first`` is the plan's measured run. The changes are of lines that ``own`` run, at most `MOST`, in an order that is the same
    for every test of a module; first those of lines that no other test runs. A failure by an exception out of the module, be it
    caught, is no claim, and a test that looks at the module's text in place of calling it proves nothing.
    """
    source = plan.code.source
    same = runner.execute(plan, Variation(measure=False, source=source, form="guarded", only=own))
    if not same.run.passed or same.mutant is None:
        return False
    others = frozenset(case.node for case in first.run.cases if case.outcome == "passed") - own
    seconds = min(max(_LEAST_SECONDS, _SLOWER * first.run.duration), runner.limits.wall_seconds)
    for mutant in _order(source, first, own):
        changed = Variation(measure=False, source=mutant.source, form="guarded", only=own, wall_seconds=seconds)
        tried = runner.execute(plan, changed)
        left = tried.mutant.left_in if tried.mutant else {}
        if not any(c.claim and left.get(c.node, 0) <= same.mutant.left_in.get(c.node, 0) for c in tried.run.cases):
            continue
        if not others or runner.execute(plan, replace(changed, only=others, stop_first=True)).run.passed:
            looks = runner.execute(plan, Variation(measure=False, source=source, form="restated", only=own))
            return looks.run.passed and looks.mutant is not None and not (looks.mutant.looked or looks.mutant.dissected)
    return False


def _order(source: str, first: Execution, own: frozenset[str]) -> list[Mutant]:
    """The changes to try: of lines that ``own`` alone run, then of those that others run too, then of what an import runs."""
    found = [mutant for mutant in mutants(source) if not mutant.equivalent]
    random.Random(source).shuffle(found)
    ranked: list[list[Mutant]] = [[], [], []]
    for mutant in found:
        cases = first.reached.get(mutant.line, frozenset())
        if cases & own:
            ranked[0 if cases <= own else 1].append(mutant)
        elif "" in cases:
            ranked[2].append(mutant)
    return [mutant for group in ranked for mutant in group][:MOST]
