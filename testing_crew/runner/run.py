"""Run a test file against the code that it is for, contained, and say what pytest said.

A run is warm where that is sound: a fork of a process that has pytest ready. Elsewhere, and where a cold run is asked for, it
is a process of its own from the start. Both are inside the best sandbox of this machine and report through one plugin.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from testing_crew.errors import SandboxError
from testing_crew.runner import sandbox as box
from testing_crew.runner.cold import run_cold
from testing_crew.runner.failures import last_words
from testing_crew.runner.plan import PLAINEST, Change, Limits, Plan, Variation, plan_file, plan_text
from testing_crew.runner.pool import Pool
from testing_crew.runner.verdict import Answer, Ending, MutantReport, decide, read_answers, read_report
from testing_crew.runner.warm import Refused, Zygote, mould, refusal
from trace_logger.records import CodeUnderTest, Coverage, PytestRun

__all__ = ["Execution", "Limits", "Runner"]
_WORTH_A_START = 40  # runs, about


@dataclass(frozen=True)
class Execution:
    """One run, with what only the gate asks of it.

    ``reached`` maps a line of the target to the cases that ran it, the empty name standing for an import. ``mutant`` says
    what became of the text that stood in for the target's. ``touched``, of a survey: each file (its real path) of the surveyed
    folder that was imported, and how many of its lines the cases ran.
    """

    run: PytestRun
    reached: Mapping[int, frozenset[str]]
    mutant: MutantReport | None
    touched: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Forked:
    """What became of changes that were tried in forks, in order; None where one has to be tried in a run of its own.

    ``side_by_side``: several forks of the run were at work at once.
    """

    runs: Sequence[Execution | None]
    side_by_side: bool


class Runner:
    """Runs test files. One object may serve many runs, also from several threads at once.

    ``sandbox`` asks for one of `sandbox.KINDS` in place of the best that works here; ``warm`` may forbid warm runs;
    ``workers`` is how many warm runs may go side by side, by default as many as there are processors. Close it, or use it as
    a context manager, to end its processes early; they end with this one in any case.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        sandbox: box.Kind | None = None,
        warm: bool = True,
        workers: int | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.warm = warm
        self.workers = workers or os.cpu_count() or 1
        self._sandbox = sandbox
        self._stopped = threading.Event()
        self._pool = Pool(self.workers)
        self._end = weakref.finalize(self, self._pool.close)

    def run(self, code: CodeUnderTest, tests: str, *, files: Mapping[str, str] | None = None) -> PytestRun:
        """Run the text ``tests`` against ``code``, with ``files`` beside them, as `plan.plan_text` says.

        `PytestRun.target_origin` is relative to the run's own folder for a target in it. Raises `UserMistake` for an
        interpreter or a root that cannot be used, `SandboxError` when nothing could be run.
        """
        return self.execute(plan_text(code, tests, files)).run

    def check(self, test_path: Path, code: CodeUnderTest) -> PytestRun:
        """Run a person's own test file where it stands, as `plan.plan_file` says; raises as `run` does."""
        return self.execute(plan_file(test_path, code)).run

    @contextmanager
    def side_by_side(self, plan: Plan | None = None, runs: int = 0) -> Iterator[ThreadPoolExecutor]:
        """Threads for as many runs as may go at once. An interrupt ends the runs at work: waiting for them may take minutes.

        For so few ``runs`` of ``plan`` that they do not pay for a start, no more threads than can run it now.
        """
        several = self.workers
        if plan is not None and self.warm and runs < _WORTH_A_START:
            several = min(several, max(1, self._pool.ready(mould(plan, PLAINEST.hash_seed))))
        with ThreadPoolExecutor(several) as threads:
            try:
                yield threads
            except KeyboardInterrupt:
                self._stopped.set()
                self._pool.stop()
                raise

    def execute(self, plan: Plan, variation: Variation = PLAINEST) -> Execution:
        """One run of ``plan``, warm where that is sound. Raises `SandboxError` when nothing could be run."""
        self._unless_stopped()
        why_not = refusal(plan) if self.warm else "-"
        if not why_not:
            try:
                return self._warmly(plan, variation)
            except Refused as refused:
                why_not = str(refused)
        return self.execute_cold(plan, variation, why_not if self.warm else "")

    def execute_cold(
        self,
        plan: Plan,
        variation: Variation = PLAINEST,
        why: str = "",
        *,
        plain: bool = False,
        instead: Sequence[str] = (),
    ) -> Execution:
        """One run of ``plan`` in a process of its own, as `cold.run_cold` says; a ``plain`` one has no cases."""
        kind = self._kind()
        stopped = self._stopped.is_set
        ending, work = run_cold(plan, variation, self.limits, kind, plain=plain, instead=instead, stopped=stopped)
        self._unless_stopped()
        note = f"; run cold: {why}" if why else ""
        return self._execution(plan, variation, ending, work, kind, note)

    def execute_changes(self, plan: Plan, source: str, changes: Sequence[Change]) -> Forked:
        """Try ``changes`` of ``source``, the target's text, each in a fork of one run that has collected the tests.

        As `execute` with the changed ``source`` and ``stop_first``, side by side where the tests write no files. Raises
        `SandboxError` when nothing could be run.
        """
        self._unless_stopped()
        none = Forked([None] * len(changes), False)
        if not self.warm or refusal(plan):
            return none
        whole = Variation(
            measure=False,
            source=source,
            stop_first=True,
            wall_seconds=self.limits.wall_seconds + 2 * sum(each.seconds for each in changes),
            changes=tuple(changes),
            jobs=self.workers,
        )
        try:
            with self._pool.lend(mould(plan, 0), lambda: self._zygote(plan, 0)) as zygote:
                self._unless_stopped()
                if zygote.objection(plan):
                    return none
                ending, work = zygote.run(plan, whole, self.limits)
        except Refused:
            return none
        found = read_answers(ending.report)
        if found is None or ending.exit_code != 0 or found.refusal or len(found.answers) != len(changes) + 1:
            return none

        def execution(answer: Answer | None, seconds: float) -> Execution | None:
            if answer is None or answer.anew:
                return None
            part = Ending(
                exit_code=answer.exit,
                output="",
                cut_bytes=0,
                over=answer.over,
                seconds=answer.seconds,
                started=True,
                report=answer.report,
                cpu_seconds=answer.cpu_seconds,
                peak_bytes=answer.peak_bytes,
            )
            variation = Variation(measure=False, wall_seconds=seconds)
            return self._execution(plan, variation, part, work, zygote.kind, "", warm=True)

        same = execution(found.answers[0], self.limits.wall_seconds)
        if same is None or not same.run.passed:
            return none
        runs = [execution(answer, change.seconds) for answer, change in zip(found.answers[1:], changes, strict=True)]
        return Forked(runs, found.jobs > 1)

    def prepare(self, plan: Plan, hash_seed: int = 0, runs: int = 1) -> None:
        """Start in the background what so many warm ``runs`` of ``plan`` need."""
        if self.warm and not refusal(plan):
            self._pool.prepare(mould(plan, hash_seed), lambda: self._zygote(plan, hash_seed), runs)

    def starts_at_once(self, plan: Plan) -> bool:
        """Whether nothing has to be prepared any more for a run of ``plan``."""
        return not self.warm or bool(refusal(plan)) or self._pool.has(mould(plan, PLAINEST.hash_seed))

    def _zygote(self, plan: Plan, hash_seed: int) -> Zygote:
        self._unless_stopped()
        kind, nested = (self._sandbox, box.nests(self._sandbox)) if self._sandbox else box.best_for_zygotes()
        self._kind()
        return Zygote(plan, hash_seed, kind, self.limits, nested=nested)

    def _warmly(self, plan: Plan, variation: Variation) -> Execution:
        seed = variation.hash_seed
        with self._pool.lend(mould(plan, seed), lambda: self._zygote(plan, seed)) as zygote:
            self._unless_stopped()
            objection = zygote.objection(plan)
            if not objection:
                ending, work = zygote.run(plan, variation, self.limits)
                return self._execution(plan, variation, ending, work, zygote.kind, "", warm=True)
        raise Refused(objection)

    def _unless_stopped(self) -> None:
        if self._stopped.is_set():
            raise SandboxError("The run was stopped.")

    def _kind(self) -> box.Kind:
        if self._sandbox is None:
            return box.available()[0]
        if self._sandbox not in box.available():
            raise SandboxError(
                f"The sandbox {self._sandbox!r} does not work on this machine; {', '.join(box.available())} do.",
                hint="Install bubblewrap, or let the runner choose.",
            )
        return self._sandbox

    def _execution(
        self,
        plan: Plan,
        variation: Variation,
        ending: Ending,
        work: Path,
        kind: box.Kind,
        note: str,
        *,
        warm: bool = False,
    ) -> Execution:
        report = read_report(ending.report)
        limits = replace(self.limits, wall_seconds=variation.wall_seconds or self.limits.wall_seconds)
        verdict, hits = decide(ending, report, limits)
        if verdict == "crashed" and not ending.started:
            said = "; ".join(last_words(ending.output)) or "the sandbox ended at once"
            raise SandboxError(f"pytest could not be started: {said}")
        run = PytestRun(
            verdict=verdict,
            exit_code=None if ending.over == "wall" else ending.exit_code,
            duration=ending.seconds,
            log=ending.output,
            limits_hit=hits,
            sandbox=box.sentence(kind, plan.needed) + note,
            warm=warm,
        )
        if report is None:
            return Execution(run, {}, None)
        origin = report.origin
        if origin and Path(origin).is_relative_to(work):
            origin = Path(origin).relative_to(work).as_posix()
        folders = [f"{folder}{os.sep}" for folder in (work, plan.place(work).cwd)]
        run = run.model_copy(
            update={
                "cases": tuple(c.model_copy(update={"message": _without(c.message, folders)}) for c in report.cases),
                "coverage": report.coverage or Coverage(),
                "asserted_lines": report.asserted,
                "target_origin": origin,
            }
        )
        return Execution(run, report.reached, report.mutant, report.touched)

    def close(self) -> None:
        """End the processes that warm runs come from."""
        self._end()

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _without(message: str, folders: list[str]) -> str:
    for folder in folders:
        message = message.replace(folder, "")
    return message
