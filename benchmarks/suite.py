"""The benchmarks by their names: what each asks for, and what it looks at beyond what all do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import agent, controls, metrics
from benchmarks.code_correctness import questions
from benchmarks.metrics import Score
from benchmarks.smart_coding import bench as smart_coding
from benchmarks.smart_coding.rows import TaskName, load
from benchmarks.sources import bugs, functions, packages, testgeneval
from benchmarks.task import ROUNDS, TASKS, Outcome, Task, load_tasks, some_of
from testing_crew import TestingCrew
from testing_crew.backends.base import Backend
from testing_crew.repair.job import Job

Judge = Callable[[TestingCrew, Task, Outcome, Job], dict[str, float]]
# (benchmark, settings, config, backend, runner) → while it is entered, what works on a task, from several threads at once
Worker = Callable[[Any, Any, Any, Backend, Any], AbstractContextManager[Callable[[Any], Outcome]]]


class Left(NamedTuple):
    """A file that a run leaves for others."""

    what: str
    folder: str
    ending: str
    text: str


@dataclass(frozen=True)
class Benchmark:
    """Tasks, how the agent works on them, and what is scored.

    ``load`` takes the file that a user named, None for what ships or is fetched, and a way to say what it does. ``derive`` and
    ``candidates`` are the agent's own ways beside the model, off where the model alone is measured; ``rounds`` is how often it
    may write and repair, ``samples`` are drawn beside. ``judge`` gives a task's figures beyond what all benchmarks have.

    ``worker`` is the agent, or what asks questions, by default in the first of its ``modes``. ``controls`` are answers known to
    be worthless or right, by their names. ``detail`` is what a run of it tells beside its ``scores``, ``headline`` the score that
    it is told by in one line where it has no rounds. ``leaves`` makes a file for others from a run: what it is for, the folder
    beside the runs (empty: there), its ending, its text. Raises UserMistake where none can be made.
    """

    name: str
    about: str
    load: Callable[[Path | None, Callable[[str], None]], list[Any]]
    derive: bool = False
    candidates: int = 1
    rounds: int = ROUNDS
    samples: int = 0
    judge: Judge | None = None
    worker: Worker = agent.at_work
    modes: tuple[str, ...] = ("",)
    controls: Mapping[str, Callable[[Sequence[Any]], Backend]] = field(default_factory=lambda: controls.CONTROLS)
    scores: Callable[[Sequence[Outcome], int], dict[str, Score]] = metrics.scores
    detail: Callable[[Sequence[Outcome]], dict[str, Any]] = lambda outcomes: {}
    headline: str = ""
    leaves: Callable[[Sequence[Any], Sequence[Outcome], str, str], Left] | None = (
        None  # (tasks, outcomes, model tag, mode)
    )


def _first_files(path: Path | None, say: Callable[[str], None]) -> list[Task]:
    if path:
        return load_tasks(path)
    ours = load_tasks(TASKS)
    return ours + some_of(packages.load(None, say), len(ours), 0)


def _predictions(tasks: Sequence[Any], outcomes: Sequence[Outcome], model: str, mode: str) -> Left:
    rows = testgeneval.predictions(outcomes, model)
    return Left("the official harness", "", ".predictions.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def _submission(tasks: Sequence[Any], outcomes: Sequence[Outcome], model: str, mode: str) -> Left:
    made = json.dumps(questions.submission(outcomes, mode), ensure_ascii=False)
    return Left("MERA", "submissions", ".json", made)


def _to_judge(tasks: Sequence[Any], outcomes: Sequence[Outcome], model: str, mode: str) -> Left:
    text = smart_coding.to_judge(tasks, outcomes, model)
    return Left("people to judge (testing-crew bench judge FILE --name NAME)", "answers", ".jsonl", text)


def _smart(name: TaskName, about: str, headline: str, leaves: Any = None) -> Benchmark:
    return Benchmark(
        name,
        about,
        lambda path, say: load(name, path),
        rounds=0,
        worker=smart_coding.asking,
        controls=smart_coding.CONTROLS,
        scores=smart_coding.scores,
        headline=headline,
        leaves=leaves,
    )


BENCHMARKS: Mapping[str, Benchmark] = {
    each.name: each
    for each in (
        Benchmark(
            "self_correction",
            "60 tasks of our own, or a tasks file: the first file, three rounds of repair, and fresh samples beside",
            lambda path, say: load_tasks(path or TASKS),
            samples=ROUNDS,
        ),
        Benchmark(
            "first_files",
            "first files alone, 10 samples each, of our 60 tasks and 60 functions of real packages, or of a tasks file",
            _first_files,
            rounds=1,
            samples=10,
        ),
        Benchmark("humaneval", "HumanEval's solutions as code under test", functions.humaneval, judge=functions.judge),
        Benchmark("mbpp", "MBPP's solutions (test split) as code under test", functions.mbpp, judge=functions.judge),
        Benchmark(
            "real_packages",
            "functions and classes of packages from PyPI: the whole agent, as `write` works",
            packages.load,
            derive=True,
            candidates=8,
            judge=packages.judge,
        ),
        Benchmark(
            "bugs",
            "functions with a bug, beside correct ones: shown, silently enshrined, or a false alarm",
            bugs.load,
            derive=True,
            judge=bugs.judge,
        ),
        Benchmark(
            "testgeneval",
            "TestGenEval's files whose repository is checked out here, scored locally by its definitions",
            testgeneval.load,
            judge=testgeneval.judge,
            leaves=_predictions,
        ),
        Benchmark(
            "code_correctness",
            "MERA's CodeCorrectness: will this test pass? Rows of our own in Python, Java and Go, or a file of rows",
            questions.load,
            rounds=0,
            worker=questions.asking,
            modes=questions.MODES,
            controls=questions.CONTROLS,
            scores=questions.scores,
            detail=questions.detail,
            headline="exact_match",
            leaves=_submission,
        ),
        _smart("comment", "comments on Python code, in English and Chinese: logic, accuracy and format", "function"),
        _smart(
            "issue",
            "answers to issues that users open, for people to judge; likeness to people's answers",
            "overlap",
            _to_judge,
        ),
        _smart(
            "testgen",
            "the next test, or the next lines, of a file: do they run, are they what people wrote",
            "function",
        ),
    )
}
