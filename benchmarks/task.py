"""What is scored: a task goes in, an outcome comes out; both are plain records that a run's file holds."""

from __future__ import annotations

import ast
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from testing_crew.errors import UserMistake
from testing_crew.project.syntax import UNREADABLE, parse
from trace_logger.records import Attempt

ROUNDS = 3
TASKS = Path(__file__).with_name("self_correction.json")
_FORM = '{"tasks": [{"id": …, "code": …, "file": …}]}'

# What the gate says of a file that passes and tests nothing, or lies.
CHEATS = {
    *("always_equal", "reads_bytecode"),
    *("no_assertion_about_target", "passes_without_target", "notices_mutation", "no_mutant_killed"),
    *("drops_tests", "drops_assertions", "weakens_assertions"),
}


class Item(Protocol):
    """What is scored, of whatever benchmark; ``digest`` is a hash of what is asked and scored."""

    @property
    def id(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def digest(self) -> str: ...


Some = TypeVar("Some", bound=Item)


class Task(BaseModel):
    """Code to write tests for.

    ``file`` is where it stands; where it does not stand there, it is a snippet. ``unit`` is the one function or class that is
    meant, None for all of them. ``group`` is what a limit draws evenly from: a difficulty, a module. ``oracle`` are tests that
    are known to be right, without the import of what they test. ``right`` is the code without its bug, where ``code`` has one.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    code: str
    file: str = "task.py"
    unit: str | None = None
    group: str = ""
    oracle: str = ""
    right: str = ""

    @property
    def digest(self) -> str:
        """A hash of what is asked and scored; where it stands is no part of it."""
        asked = [self.id, self.code, Path(self.file).name, self.unit, self.group, self.oracle, self.right]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]


class Answer(BaseModel):
    """A model's answer to a question: its text, and what it is ``read`` as, by the benchmark's definition and in ``plain`` words.

    ``expected`` is None where nobody published what is right. ``finish`` is ``too long`` where the question does not fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    text: str
    finish: str
    tokens: int | None
    expected: str | None
    read: str
    plain: str

    @property
    def right(self) -> bool:
        """Whether it is what was expected."""
        return self.expected is not None and self.read == self.expected


class Outcome(BaseModel):
    """What came of one task: the first round in which a file passed, and in which one was accepted; None for never.

    ``best`` are the indices in ``attempts`` of each unit's best. ``samples`` are first files that were drawn afresh, without a
    word on any other; each has an attempt for each of the task's ``units``. ``suspects`` are what the user is told that the code
    contradicts; ``figures`` are the benchmark's own. ``seconds`` is what the rounds took, waiting for a model that answers one
    at a time included, samples not. ``task`` is the task's digest. ``answer`` is there where the task is a question, and no tests
    are written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    task: str = ""
    group: str = ""
    units: int = 1
    passed_in: int | None = None
    accepted_in: int | None = None
    error: str | None = None
    attempts: tuple[Attempt, ...] = ()
    best: tuple[int, ...] = ()
    samples: tuple[tuple[Attempt, ...], ...] = ()
    suspects: tuple[str, ...] = ()
    figures: dict[str, float] = {}
    seconds: float = 0.0
    answer: Answer | None = None

    @property
    def good(self) -> bool:
        """Whether a file was accepted, or the answer is right."""
        return self.answer.right if self.answer else self.accepted_in is not None

    def within(self, what: str, rounds: int) -> bool:
        """Whether it ``passed``, or was ``accepted``, within so many rounds."""
        first = self.accepted_in if what == "accepted" else self.passed_in
        return first is not None and first <= rounds

    def drawn(self, what: str) -> int:
        """How many of the ``samples`` ``passed``, or were ``accepted``."""
        good = [[a.accepted if what == "accepted" else a.run.passed for a in sample] for sample in self.samples]
        return sum(len(sample) == self.units and all(sample) for sample in good)

    @property
    def cheating(self) -> float | None:
        """The share of the samples that pass and test nothing, or lie; None without samples."""
        return average([float(any(cheats(attempt) for attempt in sample)) for sample in self.samples])

    @property
    def kept(self) -> list[Attempt]:
        """Each unit's best."""
        return [self.attempts[number] for number in self.best]

    @property
    def mutants(self) -> float | None:
        """The mean share of mutants that the accepted files of its units noticed; None where none was accepted."""
        return noticed(self.kept)

    @property
    def coverage(self) -> float | None:
        """The mean line coverage of the accepted files of its units, a share; None where none was accepted."""
        return covered(self.kept)

    @property
    def tokens(self) -> int | None:
        """The tokens that the model wrote, samples not counted; None where nobody counted."""
        if self.answer:
            return self.answer.tokens
        counted = [a.completion_tokens for a in self.attempts if a.completion_tokens is not None]
        return sum(counted) if counted else None

    @property
    def worthless(self) -> bool:
        """Whether what a unit was left with cheats, or is no test file at all."""
        return not self.kept or any(a.run.verdict == "no_tests" or cheats(a) for a in self.kept)

    @property
    def why(self) -> str:
        """Why it is not good, in one of the gate's codes or verdicts, or what an answer was taken for; empty where it is."""
        if self.error is not None:
            return "infrastructure"
        if self.answer:
            known = self.answer.expected is not None
            return f"{self.answer.expected} taken for {self.answer.read}" if known and not self.answer.right else ""
        if len(self.kept) < self.units:
            return "nothing"  # no answer at all: a prompt that does not fit
        worst = next((a for a in self.kept if not a.accepted), None)
        if worst is None:
            return ""
        return (worst.reasons or ("?",))[0].partition(":")[0] if worst.run.passed else worst.run.verdict


def noticed(attempts: Iterable[Attempt]) -> float | None:
    """The mean share of mutants that the accepted of them noticed; None where none was."""
    return average([a.mutants.score for a in attempts if a.accepted and a.mutants])


def covered(attempts: Iterable[Attempt]) -> float | None:
    """The mean line coverage of the accepted of them, a share; None where none was."""
    return average([a.run.coverage.line for a in attempts if a.accepted])


def cheats(attempt: Attempt) -> bool:
    """Whether it passes and tests nothing, or lies."""
    return attempt.run.passed and any(reason.partition(":")[0] in CHEATS for reason in attempt.reasons)


def definitions(code: str) -> dict[str, str]:
    """The functions and classes of a module by their names, in the layout of `ast.unparse`; none where it does not parse."""
    try:
        tree = parse(code)
    except UNREADABLE:
        return {}
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name: ast.unparse(node) for node in tree.body if isinstance(node, kinds)}


def oracle_for(task: Task, module: str) -> str:
    """The task's oracle, which `load_tasks` has seen to parse, as a test file for its code as the module ``module``."""
    used = {node.id for node in ast.walk(parse(task.oracle)) if isinstance(node, ast.Name)}
    wanted = [name for name in definitions(task.code) if name in used]
    return f"from {module} import {', '.join(wanted)}\n{task.oracle}"


def average(values: Sequence[float | None]) -> float | None:
    """The mean of the values that are there; None of none."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def load_tasks(path: Path) -> list[Task]:
    """Read a tasks file. Raises UserMistake when it is missing or not of the form, an id stands there twice, or an oracle is no
    Python.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = [_task(number, row) for number, row in enumerate(content["tasks"], 1)]
    except OSError as error:
        raise UserMistake(f"the tasks file {path} cannot be read: {error.strerror}") from None
    except (KeyError, TypeError):
        raise UserMistake(f"{path} is no tasks file: it has no list of tasks", hint=_FORM) from None
    except ValueError as error:
        raise UserMistake(f"{path} is no tasks file: {error}", hint=_FORM) from None
    twice = [key for key, count in Counter(task.id for task in found).items() if count > 1]
    if twice:
        raise UserMistake(
            f"{path}: the id {twice[0]!r} is not the name of one task alone", hint="give each task its own id"
        )
    for task in found:
        try:
            parse(task.oracle)
        except UNREADABLE as error:
            raise UserMistake(f"{path}: the oracle of {task.id} does not parse: {error}") from None
    return found


def _task(number: int, row: Any) -> Task:
    try:
        return Task.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"task {number}, {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def save_tasks(path: Path, tasks: Sequence[Task], description: str) -> None:
    """Write a tasks file."""
    rows: list[dict[str, Any]] = [task.model_dump(exclude_defaults=True) | {"file": task.file} for task in tasks]
    content = {"version": 1, "description": description, "tasks": rows}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def some_of(tasks: Sequence[Some], limit: int | None, seed: int) -> list[Some]:
    """At most ``limit`` of the tasks, drawn evenly from their groups, in the order that they had; the same for the same seed."""
    if limit is None or limit >= len(tasks):
        return list(tasks)
    groups: dict[str, list[int]] = {}
    for number, task in enumerate(tasks):
        groups.setdefault(task.group, []).append(number)
    chance = random.Random(seed)
    decks = [chance.sample(numbers, len(numbers)) for numbers in groups.values()]
    chance.shuffle(decks)
    chosen: list[int] = []
    while len(chosen) < limit:
        for deck in decks:
            if deck and len(chosen) < limit:
                chosen.append(deck.pop())
    return [tasks[number] for number in sorted(chosen)]


def digest(tasks: Sequence[Item]) -> str:
    """A hash of the tasks and their order."""
    return hashlib.sha256("".join(task.digest for task in tasks).encode()).hexdigest()
