"""The repair loop: ask, mend what is mechanical, run, judge, and ask again with what pytest said. One loop for one unit."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from testing_crew import prompt
from testing_crew.backends.base import Completion, Sampling
from testing_crew.errors import PromptTooLong, TestingCrewError
from testing_crew.gate.gate import Judgement, hints
from testing_crew.project import code as code_under_test
from testing_crew.project.syntax import parse
from testing_crew.repair.mend import mend
from testing_crew.repair.merge import merge
from testing_crew.runner.failures import failure_log
from trace_logger.records import Attempt, AttemptKind, CodeUnderTest, PytestRun

RETRY_TEMPERATURE = 0.7  # the same prompt asked again greedily would only be answered the same
_WARMER, _WARMEST = 0.1, 1.2  # a small model that is sure of itself says the same again until it is made unsure


@dataclass(frozen=True)
class Ask:
    """What a model is asked: ``base`` is the attempt that it builds upon, ``form`` how much of the code is shown."""

    kind: AttemptKind
    prompt: str
    sampling: Sampling
    base: Attempt | None
    form: int = 0


class Writer(Protocol):
    """Whoever answers: the crew's agents over a backend."""

    tag: str
    revision: str
    prompt_version: int

    def write_many(self, asks: Sequence[Ask]) -> Iterator[Completion | TestingCrewError]:
        """The answers in the order of ``asks``, each as soon as it is there; its error where there is none."""
        ...


class Judge(Protocol):
    """Runs a test file and judges it; ``failed`` is the file that it is a repair of."""

    def __call__(self, code: CodeUnderTest, tests: str, failed: str | None = None) -> Judgement: ...


@dataclass(eq=False)
class RepairLoop:
    """The attempts at one unit: ``ask`` says what is asked next, ``take`` makes an attempt of an answer.

    ``suspects`` are examples of its docstrings that the code contradicts.
    """

    code: CodeUnderTest
    writer: Writer
    judge: Judge
    sampling: Sampling
    target_coverage: float
    attempts: list[Attempt] = field(default_factory=list)
    suspects: tuple[str, ...] = ()
    gave_up: str = ""

    def __post_init__(self) -> None:
        self.suspects = next((attempt.suspects for attempt in self.attempts if attempt.suspects), ())

    @property
    def unit(self) -> str:
        """The name of the function or class; the module's where the whole module is the unit."""
        return self.code.unit or self.code.module

    @property
    def rounds(self) -> int:
        """The last round that was begun."""
        return max((attempt.iteration for attempt in self.attempts), default=0)

    @property
    def best(self) -> Attempt | None:
        """The attempt that is worth most so far; None before the first."""
        return max(self.attempts, key=worth, default=None)

    @property
    def latest(self) -> Attempt | None:
        """The attempt of the last round that is worth most."""
        return max((a for a in self.attempts if a.iteration == self.rounds), key=worth, default=None)

    def was_accepted_in(self, iteration: int) -> bool:
        """Whether one of the round's answers was accepted."""
        return any(a.accepted for a in self.attempts if a.iteration == iteration)

    @property
    def done(self) -> bool:
        """Accepted and covered, or no further answer can be had."""
        best = self.best
        return bool(self.gave_up) or (best is not None and best.accepted and covered(best.run, self.target_coverage))

    def ask(self, form: int = 0) -> Ask:
        """What the next round asks: a first file, a repair of the best so far, or more tests beside it."""
        base = self.best  # a round that made things worse is not built upon
        shown = _shorter(self.code)[form]
        version = self.writer.prompt_version
        kind: AttemptKind
        if base is None or base.run.verdict == "no_tests":
            kind, asked = "generate", prompt.generate(shown, version)
        elif base.accepted:
            aims = hints(self.code, base.run, base.mutants)
            kind, asked = "complete", prompt.complete(shown, base.tests, uncovered(self.code, base.run), aims, version)
        else:
            kind, asked = "repair", prompt.repair(shown, base.tests, base.failure_log, version)
        again = sum(a.prompt == asked for a in self.attempts)
        return sampled(Ask(kind, asked, self.sampling, base, form), again)

    def asked(self, iteration: int) -> Ask:
        """What a round asked that was interrupted."""
        first = next(a for a in self.attempts if a.iteration == iteration)
        base = max((a for a in self.attempts if a.iteration < iteration), key=worth, default=None)
        return Ask(first.kind, first.prompt, Sampling.model_validate(first.sampling), base)

    def shorter(self, ask: Ask, error: PromptTooLong) -> Ask | None:
        """The same with less of the code shown; None, and ``gave_up``, where no less can be."""
        if ask.form + 1 < len(_shorter(self.code)):
            return self.ask(ask.form + 1)
        self.gave_up = f"prompt_too_long: {error.message}"
        return None

    def take(self, ask: Ask, completion: Completion, iteration: int, candidate: int = 0) -> Attempt | None:
        """Mend, run and judge an answer; the attempt that it makes, none of a drawn one that says what another said."""
        started = time.monotonic()
        failed = ask.base.tests if ask.kind == "repair" and ask.base else None
        noted = failed if failed and failed.strip() not in ask.prompt else None  # shown with the code's answers in it
        mended = mend(completion.text, self.code, noted)
        tests = mended.tests
        if ask.kind == "complete" and tests and ask.base:
            tests = merge([ask.base.tests, tests])
        if candidate and tests and any(attempt.tests == tests for attempt in self.attempts):
            return None
        found = self.judge(self.code, tests, failed) if tests else _NOTHING
        self.suspects = self.suspects or found.suspects
        attempt = Attempt(
            unit=self.unit,
            iteration=iteration,
            candidate=candidate,
            kind=ask.kind,
            prompt=ask.prompt,
            completion=completion.text,
            tests=tests,
            **found.fields(),
            mended=mended.mended,
            failure_log=explain(self.code, found),
            model=self.writer.tag,
            model_revision=self.writer.revision,
            sampling=ask.sampling.model_dump(),
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            model_seconds=completion.seconds,
            seconds=completion.seconds + time.monotonic() - started,
        )
        self.attempts.append(attempt)
        return attempt


def sampled(ask: Ask, number: int) -> Ask:
    """The same asked for the ``number``-th time: drawn, with a seed of its own; as it is for number 0."""
    if not number:
        return ask
    given = ask.sampling
    warm = min(RETRY_TEMPERATURE + _WARMER * (number - 1), _WARMEST)
    warmer = {"temperature": max(given.temperature, warm), "seed": given.seed + number}
    return replace(ask, sampling=given.model_copy(update=warmer))


_NOTHING = Judgement(PytestRun(verdict="no_tests", log="the answer held no Python code"), False, ("no_code",))


def worth(attempt: Attempt) -> tuple[float, ...]:
    """How much an attempt is worth: accepted before passed before any tests, more of them passing, higher coverage.

    Of two that are the same in all that, the earlier is worth more when accepted (it is shorter), the later when not.
    """
    run = attempt.run
    share = run.count("passed") / (len(run.cases) or 1)
    age = -attempt.iteration if attempt.accepted else attempt.iteration
    return attempt.accepted, run.passed, run.verdict != "no_tests", share, run.coverage.line or 0.0, age


def covered(run: PytestRun, target: float) -> bool:
    """Whether line coverage reaches ``target``; a run without coverage figures counts as covered."""
    return run.coverage.line is None or run.coverage.line >= target


def uncovered(code: CodeUnderTest, run: PytestRun) -> str:
    """The source lines that no test reached, one to a line."""
    lines = code_under_test.source_lines(code.source)
    return "\n".join(lines[n - 1].strip() for n in run.coverage.missed_lines if n <= len(lines))


def explain(code: CodeUnderTest, found: Judgement) -> str:
    """What the next prompt is told: the failures, or why a file that passed is not accepted and where it should aim."""
    if not found.run.passed:
        return failure_log(found.run)
    told = [f"not accepted: {reason.replace('_', ' ')}" for reason in found.reasons]
    return "\n".join([*told, *(hints(code, found.run, found.mutants) if told else [])])


def _shorter(code: CodeUnderTest) -> list[str]:
    """What may be shown of the code, longest first: with its helpers, alone, without its docstrings."""
    forms = [code.shown]
    if code.unit:
        forms.append(code_under_test.render(code.source, code.module, code.unit, max_chars=0))
        tree = parse(forms[-1])
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(node):
                node.body = node.body[1:] or [ast.Pass()]
        forms.append(f"{code_under_test.heading(code.module, code.unit)}{ast.unparse(tree)}\n")
    return list(dict.fromkeys(forms))
