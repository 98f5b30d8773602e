"""A model at work on tasks: self-play, whose traces are trained on, and a model's outcomes, on which the gate decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.agent import work_on
from benchmarks.task import ROUNDS, Outcome, Task
from testing_crew import TestingCrew
from testing_crew.backends import open_backend
from testing_crew.config import Config
from testing_crew.errors import UserMistake
from trace_logger.journal import Journal
from trace_logger.notice import capture_enabled

Told = Callable[[str, int, int], None]
COMMAND = "self-play"
_WARM = 0.8  # the temperature of every sample but the first


def self_play(model: str, tasks: Sequence[Task], samples: int, config: Config, noted: Path, tell: Told) -> int:
    """Let ``model`` work on every task ``samples`` times, the first time greedily; returns how many files were accepted.

    The traces are in the workspace's store. What is done is noted in the file ``noted``: called again, it goes on. Raises
    UserMistake where traces are off, GenerationFailed where the model stops answering.
    """
    if not (capture_enabled() and config.traces.enabled):
        raise UserMistake(
            "self-play keeps its traces, and traces are off", hint="TESTING_CREW_TRACES=on, or [traces] enabled"
        )
    done = Journal(noted, Outcome)
    keys = {(number, task.id): f"{number}/{task.id}" for number in range(samples) for task in tasks}
    if missing := [key for key in keys.values() if key not in done]:
        backend = open_backend(model, config.server)
        try:
            for number in range(samples):
                sampled = _sampled(config, _WARM if number else 0.0, number)
                crew = TestingCrew(None, ROUNDS, 0.0, config=sampled, backend=backend, traces=True)
                with crew.runner:
                    for task in (task for task in tasks if keys[number, task.id] in missing):
                        outcome, _ = work_on(crew, task, COMMAND)
                        done.add(keys[number, task.id], outcome.model_copy(update={"attempts": (), "best": ()}))
                        tell(COMMAND, len(done), len(keys))
        finally:
            backend.close()
    return sum(outcome.accepted_in is not None for outcome in done.values())


def outcomes(model: str, tasks: Sequence[Task], config: Config, kept: Path, tell: Told) -> list[Outcome]:
    """What ``model`` makes of every task, greedily, with every answer; kept in the file ``kept``, and gone on from there.

    Nothing of it goes into the trace store. Raises GenerationFailed where the model stops answering.
    """
    done = Journal(kept, Outcome)
    if any(task.id not in done for task in tasks):
        backend = open_backend(model, config.server)
        crew = TestingCrew(None, ROUNDS, 0.0, config=_sampled(config, 0.0, 0), backend=backend, traces=False)
        try:
            with crew.runner:
                for at, task in enumerate(tasks, 1):
                    if task.id not in done:
                        outcome, _ = work_on(crew, task, f"gate {model}")
                        done.add(task.id, outcome)
                    tell(f"gate: {model}", at, len(tasks))
        finally:
            backend.close()
    return [done[task.id] for task in tasks]


def _sampled(config: Config, temperature: float, number: int) -> Config:
    sampling = config.sampling.model_copy(update={"temperature": temperature, "seed": config.sampling.seed + number})
    return config.model_copy(update={"sampling": sampling})
