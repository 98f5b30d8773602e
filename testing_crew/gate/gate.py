"""The gate: whether a test file is worth keeping. pytest's word, and proof that the file is about its target.

Beside the reasons of `gate_text` and `gate_repair`, for machines: ``passes_without_target`` (also when every function of the
target only raises), ``notices_mutation``, ``flaky:PASSED/RUNS``, ``fails_cold`` (in a plain ``python -m pytest``),
``no_mutant_killed``.

What only was not found in the text (`gate_text.DOUBTS`) is settled by the mutants, unless the project's own code looks at the
target's file or bytecode: its claims may then be about those.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, fields, replace
from typing import Any

from testing_crew.gate.examples import contradictions
from testing_crew.gate.repair import dropped
from testing_crew.gate.text import DOUBTS, blinded, forgives, judge
from testing_crew.mutation.fates import Fates, kills_another, try_mutants
from testing_crew.mutation.operators import Mutant, disabled
from testing_crew.mutation.trial import Trial
from testing_crew.project.code import source_lines
from testing_crew.project.syntax import parse
from testing_crew.runner.failures import failure_log
from testing_crew.runner.plan import Plan, Variation
from testing_crew.runner.run import Execution, Runner
from trace_logger.records import CodeUnderTest, Mutants, PytestRun, Stability

OTHER_HASH_SEED = 4242
OTHER_ORDER = 1  # by which, of files of up to ten tests, another comes first
LEAST_RUNS = 5
_MOST_HINTS = 5
_MOST_PROOFS = 20
_NOT_EXECUTED = "target_not_executed"
_BLIND = "always_equal"

Progress = Callable[[str, int, int], None]  # what is being done, how much of it is, of how much


@dataclass(frozen=True)
class Judgement:
    """What the gate found. ``mutants``, ``fates`` and ``stability`` are None where a file did not come that far."""

    run: PytestRun
    accepted: bool
    reasons: tuple[str, ...]
    mutants: Mutants | None = None
    stability: Stability | None = None
    suspects: tuple[str, ...] = ()
    fates: Fates | None = field(default=None, repr=False)

    def fields(self) -> dict[str, Any]:
        """The fields of an ``Attempt`` that hold it, by the same names."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "fates"}


@dataclass(frozen=True)
class Gate:
    """Judges test files with the runs that it needs.

    ``repeats`` is how many runs in all must agree, ``mutants`` how many are tried (None: all). A file so slow that this takes
    longer than ``seconds`` gets fewer of both, at least ``LEAST_RUNS`` runs and `LEAST_MUTANTS`, and the figures say how many.
    ``cold`` is whether one of the runs is a plain, cold pytest: what comes to be accepted without it is not proven.
    ``brief`` ends with the first reason against a file, says nothing of the code, and has one run prove two things.
    """

    runner: Runner
    repeats: int = 20
    mutants: int | None = 30
    seconds: float | None = 60
    seed: int = 0
    cold: bool = True
    brief: bool = False

    def judge(self, plan: Plan, failed: str | None = None, tell: Progress | None = None) -> Judgement:
        """Run ``plan`` and judge it; ``failed`` is the test file that it is a repair of.

        Raises `SandboxError` when nothing could be run.
        """
        with self.runner.side_by_side() as beside:
            cold = self._begin(plan, beside)
            first = self.runner.execute(plan)
            return self._judge(plan, failed, tell, first, beside, cold)

    def _begin(self, plan: Plan, beside: Executor) -> Future[PytestRun] | None:
        """Where the first run has to wait for its process to start, have the cold run and the other start made beside it."""
        if not self.cold or self.runner.workers == 1 or self.runner.starts_at_once(plan):
            return None
        cold = beside.submit(self._cold, plan)
        if self.brief or self.repeats > 2:
            cold.add_done_callback(lambda _: self.runner.prepare(plan, OTHER_HASH_SEED))
        return cold

    def _judge(
        self,
        plan: Plan,
        failed: str | None,
        tell: Progress | None,
        first: Execution,
        beside: Executor,
        cold: Future[PytestRun] | None,
    ) -> Judgement:
        _, reasons = judge(plan.code, plan.tests, first.run)
        if failed is not None:
            reasons = tuple(dict.fromkeys([*reasons, *dropped(failed, plan.tests)]))
        examples = None if self.brief else beside.submit(contradictions, self.runner, plan)
        if not first.run.passed or not {"too_large", "unreadable"}.isdisjoint(reasons):
            return Judgement(first.run, False, reasons, suspects=examples.result() if examples else ())
        # Of a whole file, the constants alone may be tested.
        settled = DOUBTS if plan.code.unit else DOUBTS | {_NOT_EXECUTED}
        doubts = tuple(reason for reason in reasons if reason in settled)
        reasons = tuple(reason for reason in reasons if reason not in settled)
        blind = _BLIND in reasons and not self.brief
        if blind:
            reasons = tuple(reason for reason in reasons if reason != _BLIND)
        if self.brief and reasons:
            return Judgement(first.run, False, (*doubts, *reasons))
        until = None if self.seconds is None else time.monotonic() + self.seconds
        raising = disabled(plan.code.source, plan.range)
        hollow = None if _NOT_EXECUTED in doubts else raising
        tricks = None if reasons else beside.submit(self._tricks, plan, hollow)
        if self.brief and tricks is not None and tricks.result()[0]:
            return Judgement(first.run, False, (*doubts, *tricks.result()[0]))
        steady = self._repeat(plan, until, tell, beside, cold)
        if not first.run.warm:
            steady()  # each run is a whole pytest of its own: no more of them at once
        fates = self._mutants(plan, first, until, tell)
        stability = steady()
        looked = frozenset[str]()
        if tricks is not None:
            reasons, looked = tricks.result()
        if stability.passed < stability.runs:
            only_cold = stability.passed == stability.runs - 1 and not stability.cold_passed
            reasons = (*reasons, "fails_cold" if only_cold else f"flaky:{stability.passed}/{stability.runs}")
        mutants = fates.count()
        # A unit without a function (an enum, a bare record) runs when it is imported: there a crash is all that can be seen.
        noticed = mutants.killed or (raising is None and mutants.raised)
        killed = [mutant for mutant, fate in fates.of if fate == "killed"]
        if mutants.counted and not noticed:
            another = None if reasons else kills_another(self.runner, plan, first, fates, until)
            if another is None:
                reasons = (*reasons, "no_mutant_killed")
            else:
                killed.append(another)
        if _NOT_EXECUTED in doubts:
            killed = [mutant for mutant in killed if mutant.line not in _in_functions(plan.code.source)]
        if blind:
            trial, cases = Trial(self.runner, plan, first), _others(first, blinded(plan.tests))
            if not cases or not any(trial.against(mutant, cases) == "killed" for mutant in killed[:_MOST_PROOFS]):
                reasons = (_BLIND, *reasons)
        if reasons:
            reasons = (*doubts, *reasons)
        elif doubts or forgives(plan.tests):
            cases = self._not_looking(plan, frozenset(case.node for case in first.run.cases), looked)
            if not cases or not self._proved(plan, killed, cases):
                reasons = tuple(doubts or DOUBTS)
        suspicious = examples.result() if examples else ()
        return Judgement(first.run, not reasons, reasons, mutants, stability, suspicious, fates)

    def _tricks(self, plan: Plan, raising: str | None) -> tuple[tuple[str, ...], frozenset[str]]:
        """A reason, and in which cases the project's code looks at the target's file (in the empty one: outside of any).

        A file that passes against functions that only raise does not use them, or lies about its tests. One that does not pass
        against a text that does the same as the target's own, loaded as a mutant is, looks at how it is run: ``brief``, that
        run is also the one that must agree with the first, and whether it fails by its order alone is asked where it fails.
        """
        hollow = Variation(measure=False, source=raising, stop_first=True)
        if raising is not None and self.runner.execute(plan, hollow).run.passed:
            return ("passes_without_target",), frozenset()
        other = Variation(measure=False, shuffle=self.seed + OTHER_ORDER, hash_seed=OTHER_HASH_SEED)
        again = other if self.brief else Variation(measure=False)
        same = self.runner.execute(plan, replace(again, source=plan.code.source, form="restated"))
        if not same.run.passed:
            flaky = self.brief and not self.runner.execute(plan, other).run.passed
            return ("flaky:1/2" if flaky else "notices_mutation",), frozenset()
        if same.mutant is not None and same.mutant.dissected:
            return ("reads_bytecode",), frozenset()
        return (), same.mutant.looked if same.mutant is not None else frozenset()

    def _not_looking(self, plan: Plan, cases: frozenset[str], looked: frozenset[str]) -> frozenset[str]:
        """Those of ``cases`` that do not look at the target's file when they run without those that do (``looked``)."""
        while looked and cases:
            cases = frozenset() if "" in looked else cases - looked
            same = Variation(measure=False, source=plan.code.source, form="restated", only=cases)
            seen = self.runner.execute(plan, same) if cases else None
            looked = seen.mutant.looked if seen and seen.run.passed and seen.mutant else frozenset([""])
        return cases

    def _proved(self, plan: Plan, killed: Sequence[Mutant], cases: frozenset[str]) -> bool:
        """Whether a claim of ``cases`` fails of what a mutant gives: not of an exception that it raises and the tests catch."""

        def guarded(source: str) -> tuple[PytestRun, Mapping[str, int]]:
            made = self.runner.execute(plan, Variation(measure=False, source=source, form="guarded", only=cases))
            return made.run, made.mutant.left_in if made.mutant else {}

        told = [mutant for mutant in killed if not mutant.operator.startswith("decorator")]
        _, expected = guarded(plan.code.source) if told else (None, {})
        return any(
            case.claim and left[case.node] <= expected.get(case.node, 0)
            for run, left in (guarded(mutant.source) for mutant in told[:_MOST_PROOFS])
            for case in run.cases
            if case.node in left
        )

    def _repeat(
        self, plan: Plan, until: float | None, tell: Progress | None, beside: Executor, cold: Future[PytestRun] | None
    ) -> Callable[[], Stability]:
        """Begin the runs that must agree; what is returned waits for them.

        The first run counts as one; the others are shuffled, under two hash seeds, and one is plain and cold.
        """
        again = max(self.repeats - 2, 0)
        done = 0

        def once(number: int) -> PytestRun | None:
            nonlocal done
            if until is not None and number >= LEAST_RUNS - 2 and time.monotonic() > until:
                return None
            seed = OTHER_HASH_SEED if number % 3 == 0 else 0
            run = self.runner.execute(plan, Variation(measure=False, shuffle=self.seed + number, hash_seed=seed)).run
            done += 1
            if tell is not None:
                tell("runs again", done, again)
            return run

        cold = cold or (beside.submit(self._cold, plan) if self.cold else None)
        # Last those whose process may be starting still.
        order = sorted(range(again), key=lambda number: number % 3 == 0)
        waiting = {number: beside.submit(once, number) for number in order}

        def outcome() -> Stability:
            runs = [run for run in (waiting[number].result() for number in range(again)) if run is not None]
            plain = [cold.result()] if cold is not None else []
            said = [failure_log(run).splitlines() for run in runs if not run.passed]
            good = all(run.exit_code == 0 for run in plain)
            if not good:
                said.append([line for line in plain[0].log.splitlines() if line.startswith(("FAILED ", "ERROR "))])
            return Stability(
                runs=1 + len(runs) + len(plain),
                passed=1 + sum(run.passed for run in runs) + (len(plain) if good else 0),
                cold_passed=good,
                failures=tuple(said[0]) if said else (),
            )

        return outcome

    def _cold(self, plan: Plan) -> PytestRun:
        return self.runner.execute_cold(plan, Variation(measure=False, hash_seed=OTHER_HASH_SEED + 1), plain=True).run

    def _mutants(self, plan: Plan, first: Execution, until: float | None, tell: Progress | None) -> Fates:
        def told(done: int, of: int) -> None:
            if tell is not None:
                tell("mutants", done, of)

        return try_mutants(self.runner, plan, first, limit=self.mutants, seed=self.seed, until=until, tell=told)


def _others(run: Execution, names: frozenset[str] | None) -> frozenset[str]:
    """The cases of ``run`` whose function or class has none of ``names``; none at all where that is None."""
    found = frozenset(case.node for case in run.run.cases)
    return frozenset() if names is None else frozenset(n for n in found if re.split(r"::|\[", n)[0] not in names)


def _in_functions(source: str) -> set[int]:
    """The lines of the functions in ``source``."""
    found = [n for n in ast.walk(parse(source)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {line for function in found for line in range(function.lineno, (function.end_lineno or function.lineno) + 1)}


def hints(code: CodeUnderTest, run: PytestRun, mutants: Mutants | None) -> list[str]:
    """Where the next test should aim: branches not taken, and changes that no test noticed."""
    lines = source_lines(code.source)
    branches = [
        f"line {start}: `{lines[start - 1].strip()}` never went on to "
        + (f"line {end}: `{lines[end - 1].strip()}`" if end > 0 else "the end of the function")
        for start, end in run.coverage.missed_branches
        if 0 < start <= len(lines) and end <= len(lines)
    ]
    survivors = [f"no test noticed {text}" for text in (mutants.survivors if mutants else ())]
    return [*branches[:_MOST_HINTS], *survivors[:_MOST_HINTS]]
