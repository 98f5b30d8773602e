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
from testing_crew.job import target_for

ROUNDS = 3
TASKS = Path(__file__).with_name("self_correction.json")


class Task(BaseModel):
    """One piece of code to write tests for."""

    model_config = ConfigDict(frozen=True)

    id: str
    code: str
    file: str = "task.py"


class Outcome(BaseModel):
    """What came of one task: the first round in which a file passed, and in which one was accepted; None for never."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    passed_in: int | None = None
    accepted_in: int | None = None
    error: str | None = None


class Rate(BaseModel):
    """A rate with its 95 % Wilson interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float


def load_tasks(path: Path) -> list[Task]:
    """Read a tasks file. Raises UserMistake when it is missing or is not of the form."""
    import json

    try:
        return [Task.model_validate(row) for row in json.loads(path.read_text(encoding="utf-8"))["tasks"]]
    except OSError as error:
        raise UserMistake(f"the tasks file {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise UserMistake(f"{path} is no tasks file: {error}", hint='{"tasks": [{"id", "code", "file"}]}') from None


def evaluate(crew: TestingCrew, tasks: list[Task]) -> Iterator[Outcome]:
    """Run every task once, up to ``crew.max_iterations`` rounds; a dead backend or a broken task is an error, not a failure."""
    for task in tasks:
        try:
            target = target_for(task.code, task.file, crew.interpreter)
            with crew.recorder("benchmark self_correction") as recorder:
                job = crew.job(target, recorder)
                passed = accepted = None
                for event in crew.events(job):
                    if event["type"] == "crew_complete":
                        recorder.finish(event["success"], None)
                    if event["type"] != "iteration_complete":
                        continue
                    best = [loop.best for loop in job.loops]
                    if passed is None and all(b is not None and b.run.passed for b in best):
                        passed = event["iteration"]
                    if accepted is None and all(b is not None and b.accepted for b in best):
                        accepted = event["iteration"]
            yield Outcome(id=task.id, passed_in=passed, accepted_in=accepted)
        except (UserMistake, GenerationFailed) as error:
            yield Outcome(id=task.id, error=error.message)


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
