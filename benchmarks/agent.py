"""The agent at work on one task, and what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.task import Outcome, Task
from testing_crew import TestingCrew
from testing_crew.backends.base import Backend
from testing_crew.config import Config
from testing_crew.crew import runner_for
from testing_crew.errors import BackendUnavailable, UserMistake
from testing_crew.gate.gate import Judgement
from testing_crew.project.targets import Target, target_for
from testing_crew.repair.job import Job
from testing_crew.repair.loop import Judge
from testing_crew.runner.run import Runner
from trace_logger.records import Attempt, CodeUnderTest
from trace_logger.workspace import workspace

if TYPE_CHECKING:
    from benchmarks.run import Settings
    from benchmarks.suite import Benchmark

WARM = 0.8  # the temperature of samples


@contextmanager
def at_work(
    benchmark: Benchmark, settings: Settings, config: Config, backend: Backend, runner: Runner | None
) -> Iterator[Callable[[Task], Outcome]]:
    """The agent as a benchmark has it work and judges it; see `work_on`."""
    sampling = config.sampling.model_copy(update={"temperature": 0.0, "seed": settings.seed})
    own = config.model_copy(update={"sampling": sampling, "candidates": settings.candidates, "derive": settings.derive})
    threads = threading.local()
    runner = runner or runner_for(own)

    def work(task: Task) -> Outcome:
        if not hasattr(threads, "crew"):  # its agents are of one thread each, the runner is of all
            threads.crew = TestingCrew(None, settings.rounds, 0.0, config=own, backend=backend, traces=False)
            threads.crew.runner = runner
        outcome, job = work_on(threads.crew, task, derive=settings.derive, samples=settings.samples)
        if job is None or benchmark.judge is None:
            return outcome
        try:
            return outcome.model_copy(update={"figures": benchmark.judge(threads.crew, task, outcome, job)})
        except UserMistake as error:  # what it is scored by cannot be had here
            return outcome.model_copy(update={"error": error.message})

    with runner:
        yield work


def work_on(
    crew: TestingCrew, task: Task, command: str = "benchmark", *, derive: bool = False, samples: int = 0
) -> tuple[Outcome, Job | None]:
    """Up to ``crew.max_iterations`` rounds of repair, and beside them ``samples`` first files that know of no other.

    A task that cannot be worked on has an ``error``, and no job: no failure of the model. ``command`` is what the trace store is
    told, where ``crew`` keeps traces; curation leaves out what begins with ``benchmark``. Raises GenerationFailed or
    BackendUnavailable when the model stops answering, SandboxError when nothing can be run.
    """
    started = time.monotonic()
    try:
        target = _target(crew, task)
        job, passed, accepted = _rounds(crew, target, command, derive)
        seconds = time.monotonic() - started
        drawn = _samples(crew, target, samples)
    except BackendUnavailable:
        raise  # no fault of the task
    except UserMistake as error:
        return Outcome(id=task.id, task=task.digest, group=task.group, error=error.message), None
    attempts = [attempt for loop in job.loops for attempt in loop.attempts]
    outcome = Outcome(
        id=task.id,
        task=task.digest,
        group=task.group,
        units=len(job.loops),
        passed_in=passed,
        accepted_in=accepted,
        attempts=tuple(attempts),
        best=tuple(attempts.index(loop.best) for loop in job.loops if loop.best is not None),
        samples=drawn,
        suspects=tuple(said for loop in job.loops for said in loop.suspects),
        seconds=seconds,
    )
    return outcome, job


def _target(crew: TestingCrew, task: Task) -> Target:
    target = target_for(task.code, task.file, crew.interpreter, _nowhere())
    if task.unit is None:
        return target
    units = tuple(unit for unit in target.units if unit.unit == task.unit)
    if not units:
        raise UserMistake(f"{task.file} has no {task.unit} in it")
    return replace(target, units=units)


def _nowhere() -> Path:
    """Where a snippet stands: in a project of its own, or the folder that a run is started in would have a part in it."""
    folder = workspace() / "snippets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").touch()
    return folder


def _rounds(crew: TestingCrew, target: Target, command: str, derive: bool) -> tuple[Job, int | None, int | None]:
    passed = accepted = None
    with crew.recorder(command) as recorder:
        job = crew.job(target, recorder)
        for event in crew.events(job, derive=derive):
            if event["type"] == "crew_complete":
                recorder.finish(event["success"], None)
            if event["type"] != "iteration_complete":
                continue
            first = [loop.attempts[0] if loop.attempts else None for loop in job.loops]
            best = [loop.best for loop in job.loops]
            number = event["iteration"]
            if passed is None:
                passed = _round(number, [_passed(a) for a in first], [_passed(a) for a in best])
            if accepted is None:
                accepted = _round(number, [_accepted(a) for a in first], [_accepted(a) for a in best])
    return job, passed, accepted


def _samples(crew: TestingCrew, target: Target, count: int) -> tuple[tuple[Attempt, ...], ...]:
    """So many first files, all asked for at once; what two of them have in common is judged once."""
    given = crew.config.sampling
    known: dict[tuple[str | None, str], Judgement] = {}
    with ExitStack() as stack:
        jobs = []
        for number in range(1, count + 1):
            sampling = given.model_copy(update={"temperature": WARM, "seed": given.seed + number})
            job = crew.job(target, stack.enter_context(crew.recorder("benchmark sample")), sampling)
            jobs.append(job)
            for loop in job.loops:
                loop.judge = _once(job.judge, known)
        if jobs:
            for _ in jobs[0].answers([(loop, loop.ask(), 0) for job in jobs for loop in job.loops], 1):
                pass
        return tuple(tuple(attempt for loop in job.loops for attempt in loop.attempts) for job in jobs)


def _once(judge: Judge, known: dict[tuple[str | None, str], Judgement]) -> Judge:
    def judged(code: CodeUnderTest, tests: str, failed: str | None = None) -> Judgement:
        if (code.unit, tests) not in known:
            known[code.unit, tests] = judge(code, tests, failed)
        return known[code.unit, tests]

    return judged


def _passed(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.run.passed


def _accepted(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.accepted


def _round(number: int, first: list[bool], best: list[bool]) -> int | None:
    """The round that all units were good in; None where not all are. What was drawn beside a first answer is a later round's."""
    if not all(best):
        return None
    return 1 if number == 1 and all(first) else max(number, 2)
