"""Self-correction: how often the first test file holds, and how often one holds within three rounds of repair.

A tasks file has the form ``{"version", "description", "tasks": [{"id", "code", "file"}]}``. The code need not stand in the
file that a task names: it is then run as a snippet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from testing_crew import TestingCrew
from testing_crew.errors import GenerationFailed, UserMistake
from testing_crew.project.targets import target_for
from trace_logger.records import Attempt

ROUNDS = 3
TASKS = Path(__file__).with_name("self_correction.json")


class Task(BaseModel):
    """One piece of code to write tests for."""

    model_config = ConfigDict(frozen=True)

    id: str
    code: str
    file: str = "task.py"


# What the gate says of a file that passes and tests nothing, or lies.
CHEATS = {
    *("always_equal", "reads_bytecode"),
    *("no_assertion_about_target", "passes_without_target", "notices_mutation", "no_mutant_killed"),
    *("drops_tests", "drops_assertions", "weakens_assertions"),
}


class Answer(BaseModel):
    """One attempt, as it is kept: what the model wrote, what became of it, and of how many changes it noticed how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str
    iteration: int
    kind: str
    completion: str
    tests: str
    verdict: str
    accepted: bool
    reasons: tuple[str, ...] = ()
    mutants: float | None = None


class Outcome(BaseModel):
    """What came of one task: the first round in which a file passed, and in which one was accepted; None for never.

    ``best`` are the indices in ``answers`` of each unit's best.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    passed_in: int | None = None
    accepted_in: int | None = None
    error: str | None = None
    answers: tuple[Answer, ...] = ()
    best: tuple[int, ...] = ()

    def accepted(self, rounds: int) -> bool:
        """Whether it was accepted within so many rounds."""
        return self.accepted_in is not None and self.accepted_in <= rounds

    @property
    def mutants(self) -> float | None:
        """The mean share of mutants that the accepted files of its units noticed; None where none was accepted."""
        shares = [a.mutants for a in map(self.answers.__getitem__, self.best) if a.accepted and a.mutants is not None]
        return sum(shares) / len(shares) if shares else None

    @property
    def worthless(self) -> bool:
        """Whether what a unit was left with cheats, or is no test file at all."""
        kept = [self.answers[n] for n in self.best]
        codes = {reason.partition(":")[0] for a in kept if a.verdict == "passed" for reason in a.reasons}
        return not kept or any(a.verdict == "no_tests" for a in kept) or bool(codes & CHEATS)


class Rate(BaseModel):
    """A rate with its 95 % Wilson interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval."""
        return self.low, self.high


def load_tasks(path: Path) -> list[Task]:
    """Read a tasks file. Raises UserMistake when it is missing or is not of the form."""
    import json

    try:
        return [Task.model_validate(row) for row in json.loads(path.read_text(encoding="utf-8"))["tasks"]]
    except OSError as error:
        raise UserMistake(f"the tasks file {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise UserMistake(f"{path} is no tasks file: {error}", hint='{"tasks": [{"id", "code", "file"}]}') from None


def evaluate(
    crew: TestingCrew, tasks: list[Task], command: str = "benchmark self_correction", *, raise_dead: bool = False
) -> Iterator[Outcome]:
    """Run every task once, up to ``crew.max_iterations`` rounds; a dead backend or a broken task is an error, not a failure.

    ``command`` is what the trace store is told, where ``crew`` keeps traces; curation leaves out what begins with ``benchmark``.
    With ``raise_dead`` a model that stops answering raises GenerationFailed, for a caller who will go on later.
    """
    for task in tasks:
        try:
            target = target_for(task.code, task.file, crew.interpreter)
            with crew.recorder(command) as recorder:
                job = crew.job(target, recorder)
                passed = accepted = None
                for event in crew.events(job, derive=False):
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
            kept = [attempt for loop in job.loops for attempt in loop.attempts]
            left = [kept.index(loop.best) for loop in job.loops if loop.best is not None]
            answers = tuple(map(_answer, kept))
            yield Outcome(id=task.id, passed_in=passed, accepted_in=accepted, answers=answers, best=tuple(left))
        except (UserMistake, GenerationFailed) as error:
            if raise_dead and isinstance(error, GenerationFailed):
                raise
            yield Outcome(id=task.id, error=error.message)


def _passed(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.run.passed


def _accepted(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.accepted


def _round(number: int, first: list[bool], best: list[bool]) -> int | None:
    """The round that all units were good in; None where not all are. What was drawn beside a first answer is a later round's."""
    if not all(best):
        return None
    return 1 if number == 1 and all(first) else max(number, 2)


def _answer(attempt: Attempt) -> Answer:
    return Answer(
        unit=attempt.unit,
        iteration=attempt.iteration,
        kind=attempt.kind,
        completion=attempt.completion,
        tests=attempt.tests,
        verdict=attempt.run.verdict,
        accepted=attempt.accepted,
        reasons=attempt.reasons,
        mutants=attempt.mutants.score if attempt.mutants else None,
    )


def rate(hits: int, n: int) -> Rate:
    """A rate with its Wilson score interval (Wilson 1927), z = 1.96; of nothing, 0 with the interval 0 to 1."""
    if n == 0:
        return Rate(value=0.0, low=0.0, high=1.0)
    z, p = 1.96, hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Rate(value=p, low=max(0.0, middle - half), high=min(1.0, middle + half))


def metrics(outcomes: list[Outcome]) -> dict[str, Rate]:
    """``passed@1``, ``passed@3``, ``accepted@1`` and ``accepted@3`` over the tasks that had no infrastructure error."""
    counted = [o for o in outcomes if o.error is None]
    found = {}
    for name in ("passed", "accepted"):
        rounds = [getattr(o, f"{name}_in") for o in counted]
        for limit in (1, ROUNDS):
            found[f"{name}@{limit}"] = rate(sum(r is not None and r <= limit for r in rounds), len(counted))
    return found
