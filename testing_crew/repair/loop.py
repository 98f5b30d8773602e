"""The repair loop: ask, mend what is mechanical, run, judge, and ask again with what pytest said. One loop for one unit."""

from __future__ import annotations

import ast
import time
from dataclasses import dataclass, field
from typing import Protocol

from testing_crew import prompt
from testing_crew.backends.base import Completion, Sampling
from testing_crew.errors import PromptTooLong
from testing_crew.gate.gate import Judgement, hints
from testing_crew.project import code as code_under_test
from testing_crew.repair.mend import mend
from testing_crew.repair.merge import merge
from testing_crew.runner.failures import failure_log
from trace_logger.records import Attempt, AttemptKind, CodeUnderTest, PytestRun

RETRY_TEMPERATURE = 0.7  # the same prompt asked again greedily would only be answered the same


class Writer(Protocol):
    """Whoever answers a prompt: the crew's agents, or a backend on its own."""

    tag: str
    revision: str
    prompt_version: int

    def write(self, kind: AttemptKind, prompt: str, sampling: Sampling) -> Completion:
        """Answer ``prompt``. Raises GenerationFailed when there is no answer."""
        ...


class Judge(Protocol):
    """Runs a test file and judges it; ``failed`` is the file that it is a repair of."""

    def __call__(self, code: CodeUnderTest, tests: str, failed: str | None = None) -> Judgement: ...


@dataclass
class RepairLoop:
    """The attempts at one unit. ``step`` makes the next; ``done`` says that there is nothing left to gain."""

    code: CodeUnderTest
    writer: Writer
    judge: Judge
    sampling: Sampling
    target_coverage: float
    attempts: list[Attempt] = field(default_factory=list)
    gave_up: str = ""

    @property
    def unit(self) -> str:
        """The name of the function or class; the module's where the whole module is the unit."""
        return self.code.unit or self.code.module

    @property
    def best(self) -> Attempt | None:
        """The attempt that is worth most so far; None before the first."""
        return max(self.attempts, key=worth, default=None)

    @property
    def done(self) -> bool:
        """Accepted and covered, or no further answer can be had."""
        best = self.best
        return bool(self.gave_up) or (best is not None and best.accepted and covered(best.run, self.target_coverage))

    def step(self, iteration: int) -> Attempt | None:
        """One round; None when the model could not be asked (``gave_up`` then says why)."""
        started = time.monotonic()
        answered = self._ask()
        if answered is None:
            return None
        kind, asked, completion, sampling = answered
        failed = self.best.tests if kind == "repair" and self.best else None
        noted = failed if failed and failed.strip() not in asked else None  # it was shown with the code's answers in it
        mended = mend(completion.text, self.code, noted)
        tests = mended.tests
        if kind == "complete" and tests and self.best:
            tests = merge([self.best.tests, tests])
        found = self.judge(self.code, tests, failed) if tests else _NOTHING
        attempt = Attempt(
            unit=self.unit,
            iteration=iteration,
            kind=kind,
            prompt=asked,
            completion=completion.text,
            tests=tests,
            **found.fields(),
            mended=mended.mended,
            failure_log=explain(self.code, found),
            model=self.writer.tag,
            model_revision=self.writer.revision,
            sampling=sampling.model_dump(),
            seconds=time.monotonic() - started,
        )
        self.attempts.append(attempt)
        return attempt

    def _ask(self) -> tuple[AttemptKind, str, Completion, Sampling] | None:
        too_long: PromptTooLong | None = None
        for shown in _shorter(self.code):
            kind, asked, sampling = self._next(shown)
            try:
                return kind, asked, self.writer.write(kind, asked, sampling), sampling
            except PromptTooLong as error:
                too_long = error
        self.gave_up = f"prompt_too_long: {too_long.message}" if too_long else ""
        return None

    def _next(self, shown: str) -> tuple[AttemptKind, str, Sampling]:
        base = self.best  # a round that made things worse is not built upon
        kind: AttemptKind
        version = self.writer.prompt_version
        if base is None or base.run.verdict == "no_tests":
            kind, asked = "generate", prompt.generate(shown, version)
        elif base.accepted:
            aims = hints(self.code, base.run, base.mutants)
            kind, asked = "complete", prompt.complete(shown, base.tests, uncovered(self.code, base.run), aims, version)
        else:
            kind, asked = "repair", prompt.repair(shown, base.tests, base.failure_log, version)
        again = sum(a.prompt == asked for a in self.attempts)
        if not again:
            return kind, asked, self.sampling
        warmer = max(self.sampling.temperature, RETRY_TEMPERATURE)
        return kind, asked, self.sampling.model_copy(update={"temperature": warmer, "seed": self.sampling.seed + again})


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
        tree = ast.parse(forms[-1])
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(node):
                node.body = node.body[1:] or [ast.Pass()]
        head = f"{code_under_test.MODULE_LINE}{code.module}\n{code_under_test.UNIT_LINE}{code.unit}\n"
        forms.append(f"{head}{ast.unparse(tree)}\n")
    return list(dict.fromkeys(forms))
