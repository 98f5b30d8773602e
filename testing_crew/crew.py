"""``TestingCrew``: the agent as other projects import it, and as the command line drives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from testing_crew import config as configuration
from testing_crew.backends import open_backend
from testing_crew.backends.base import Backend, Sampling
from testing_crew.backends.many import candidates_of
from testing_crew.gate.reasons import explain, explain_all
from testing_crew.gate.text import DOUBTS, judge
from testing_crew.project import snippet
from testing_crew.project.targets import Target, target_for
from testing_crew.repair.job import Job
from testing_crew.repair.loop import covered
from testing_crew.repair.recorder import Recorder
from testing_crew.runner.failures import failure_log
from testing_crew.runner.run import Limits, Runner
from trace_logger.records import PytestRun

Event = dict[str, Any]
ProgressCallback = Callable[[Event], None]


class TestingCrew:
    """Writes a pytest file for a piece of code, runs it, and repairs it from what pytest said.

    ``model`` is a tag (``embedded``, ``deepseek-coder:6.7b``, ``gguf:PATH``, ``path/to/adapter``, …), None for the configured
    one. ``target_coverage`` is a fraction of 1: below it, an accepted file goes on to another round that is shown the lines
    not reached. ``backend`` overrides ``model`` with an object that follows ``backends.base.Backend``.

    Raises UserMistake (ConfigError, UnknownModel, BackendUnavailable) when the model cannot be had.
    """

    __test__ = False  # pytest collects classes whose name begins with Test

    def __init__(
        self,
        model: str | None = None,
        max_iterations: int = 3,
        target_coverage: float = 0.85,
        *,
        interpreter: str | None = None,
        traces: bool | None = None,
        config: configuration.Config | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.config = config or configuration.load(Path.cwd()).config
        self.model = backend.tag if backend else model or self.config.model
        self.max_iterations = max_iterations
        self.target_coverage = target_coverage
        self.interpreter = interpreter or self.config.interpreter
        self._traces = self.config.traces.enabled if traces is None else traces
        self.backend = backend or open_backend(self.model, self.config.server)
        self.runner = runner_for(self.config)
        self._writer: Any = None

    @property
    def writer(self) -> Any:
        """The CrewAI agents over the backend, made when they are first needed (CrewAI takes seconds to import)."""
        if self._writer is None:
            from testing_crew.repair.agents import AgentWriter

            self._writer = AgentWriter(self.backend)
        return self._writer

    def job(self, target: Target, recorder: Recorder, sampling: Sampling | None = None) -> Job:
        """The work on one target, ready for its first round; with ``sampling`` in place of the configured one."""
        return Job(
            target,
            self.runner,
            self.writer,
            recorder,
            sampling or self.config.sampling,
            self.target_coverage,
            candidates_of(self.backend, self.config.candidates),
        )

    def recorder(self, command: str) -> Recorder:
        """Where this crew's attempts are kept."""
        return Recorder(command, enabled=self._traces)

    def run(
        self, target_code: str, target_file: str, progress_callback: ProgressCallback | None = None
    ) -> Iterator[Event]:
        """Write tests for ``target_code`` and repair them, up to ``max_iterations`` rounds.

        ``target_file`` is where the code stands; where it stands in no file, it is taken as a snippet and
        ``final_tests`` carries it, so that the file runs on its own. Yields dicts of plain values with a ``type``:
        ``crew_start``, then for each round ``iteration_start``, ``unit_complete`` for each function or class, and
        ``iteration_complete`` (``all_passed`` is pytest's word), and last ``crew_complete``, whose ``success`` means
        accepted and whose ``final_tests`` is the best file so far.

        Raises UserMistake when the code does not parse or has nothing to test, GenerationFailed when the model stops answering.
        """
        target = target_for(target_code, target_file, self.interpreter)
        with self.recorder("TestingCrew.run") as recorder:
            for event in self.events(self.job(target, recorder)):
                if event["type"] == "crew_complete":
                    recorder.finish(event["success"], None)
                if progress_callback is not None:
                    progress_callback(event)
                yield event

    def events(self, job: Job, *, derive: bool = True) -> Iterator[Event]:
        """The events of a whole job, as ``run`` yields them; the caller says ``recorder.finish`` when its own part is done.

        Without ``derive`` all tests are the model's, whatever docstrings say: so that it is the model that is measured.
        """
        yield {
            "type": "crew_start",
            "crew_name": "TestingCrew",
            "max_iterations": self.max_iterations,
            "model": self.model,
        }
        if derive and self.config.derive:
            job.derive()
        iteration = 0
        for iteration in range(1, self.max_iterations + 1):
            yield {"type": "iteration_start", "iteration": iteration, "max_iterations": self.max_iterations}
            for loop, attempt in job.round(iteration, is_last=iteration == self.max_iterations):
                yield {
                    "type": "unit_complete",
                    "iteration": iteration,
                    "unit": loop.unit,
                    "kind": attempt.kind if attempt else None,
                    "verdict": attempt.run.verdict if attempt else None,
                    "accepted": attempt is not None and attempt.accepted,
                    "analysis": attempt.failure_log if attempt else loop.gave_up,
                }
            last = [latest for loop in job.loops if (latest := loop.latest) is not None]
            yield {
                "type": "iteration_complete",
                "iteration": iteration,
                "all_passed": bool(last) and len(last) == len(job.loops) and all(a.run.passed for a in last),
                "tests": job.tests(),
                "analysis": "\n".join(a.failure_log for a in last if a.failure_log) or "All tests passed.",
            }
            if job.done:
                break
        yield self._complete(job, iteration)

    def _complete(self, job: Job, iterations: int) -> Event:
        tests = job.tests()
        run, accepted, reasons = self.verdict(job, tests)
        if tests and job.target.is_snippet:
            tests = snippet.attach(tests, job.target.units[0].source, job.target.units[0].module)
            alone = self.runner.run(job.target.whole, tests, files={})
            if accepted and not alone.passed:
                accepted, reasons = False, (f"does_not_run_on_its_own:{alone.verdict}",)
        return {
            "type": "crew_complete",
            "success": accepted,
            "iterations": iterations,
            "final_tests": tests,
            "message": _message(accepted, reasons, job.recorder.notice),
            "reasons": list(reasons),
            "explained": explain_all(reasons),
            "verdict": run.verdict,
            "coverage": run.coverage.line,
            "trace_id": job.recorder.trace_id,
        }

    def try_import(self, target: Target) -> PytestRun:
        """A run that only imports the target: where it does not pass, no test of it can."""
        tests = f"import {target.whole.module}\n\n\ndef test_import():\n    pass\n"
        return self.runner.run(target.whole, tests, files=target.files)

    def verdict(self, job: Job, tests: str) -> tuple[PytestRun, bool, tuple[str, ...]]:
        """The file made of every unit's best, judged as a whole: it is accepted when it holds and every unit is."""
        missing = tuple(
            f"unit_not_accepted:{loop.unit}" for loop in job.loops if not (loop.best is not None and loop.best.accepted)
        )
        if not tests:
            return PytestRun(verdict="no_tests"), False, (*missing, "no_code")
        if len(job.loops) == 1 and (best := job.loops[0].best) is not None:
            return best.run, best.accepted, best.reasons
        run = self.runner.run(job.target.whole, tests, files=job.target.files)
        _, found = judge(job.target.whole, tests, run)
        reasons = (*missing, *(reason for reason in found if reason not in DOUBTS))  # those were settled for each unit
        return run, not reasons, reasons

    def run_iteration(
        self,
        target_code: str,
        target_file: str,
        previous_tests: str = "",
        previous_failures: str = "",
        iteration: int = 1,
    ) -> dict[str, Any]:
        """One round on its own: first files where ``previous_tests`` is empty, else their repair from ``previous_failures``.

        Returns ``iteration``, ``tests``, ``execution_result`` (counts and pytest's output), ``analysis`` (the normalised
        failures), ``all_passed`` and ``should_continue``. Raises as ``run`` does.
        """
        target = target_for(target_code, target_file, self.interpreter)
        with self.recorder("TestingCrew.run_iteration") as recorder:
            job = self.job(target, recorder)
            if previous_tests.strip():
                job.seed(previous_tests, previous_failures, iteration)
            following = max([iteration, *(loop.rounds + 1 for loop in job.loops)])
            for _ in job.round(following, is_last=following >= self.max_iterations):
                pass
            tests = job.tests()
            run, accepted, _ = self.verdict(job, tests)
            recorder.finish(accepted, None)
        last = [latest for loop in job.loops if (latest := loop.latest) is not None]
        if tests and target.is_snippet:
            tests = snippet.attach(tests, target.units[0].source, target.units[0].module)
        satisfied = accepted and all(covered(a.run, self.target_coverage) for a in last)
        return {
            "iteration": iteration,
            "tests": tests,
            "execution_result": _result(run),
            "analysis": "\n".join(a.failure_log for a in last if a.failure_log)
            or failure_log(run)
            or "All tests passed.",
            "all_passed": run.passed,
            "should_continue": not satisfied and iteration < self.max_iterations,
        }


def runner_for(config: configuration.Config) -> Runner:
    """A runner with the configured limits."""
    limits = config.limits
    return Runner(
        Limits(
            wall_seconds=limits.wall_seconds,
            cpu_seconds=int(limits.wall_seconds) + 1,
            memory_bytes=limits.memory_mb * 2**20,
            output_bytes=limits.output_kb * 2**10,
            pass_env=config.sandbox.pass_env,
        )
    )


def _message(accepted: bool, reasons: tuple[str, ...], notice: str | None) -> str:
    said = "Accepted." if accepted else f"Not accepted: {'; '.join(explain(reason)['says'] for reason in reasons)}."
    return f"{said} {notice}" if notice else said


def _result(run: PytestRun) -> str:
    return (
        f"Test results: {run.verdict}\n- Passed: {run.count('passed')}\n- Failed: {run.count('failed')}\n"
        f"- Errors: {run.count('error')}\n\nOutput:\n{run.log}"
    )
