"""What a test file is worth, as a number that cannot be had cheaply: by running it, and by running it against changed code.

    0.05 each   it parses; pytest collects a test of it; it imports the target from its real place; lines of the target run
    + 0.15      times the share of its tests that pass, and that do not when the target only raises: at most 0.35 so far

    0.50        in place of all that, where it passes and the gate finds nothing against it
    + 0.20      times the share of the target's lines that it runs
    + 0.30      times the share of the changes of the target that it notices
    - 0.10      times what is too long in it for what it reaches and notices

A file that passes and is refused is worth nothing: it asserts nothing, tests another thing, or lies. So the least that an
honest passing file gets (0.40) is more than what any other does.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing_crew.errors import SandboxError
from testing_crew.gate.gate import Gate
from testing_crew.gate.text import read, was_imported
from testing_crew.mutation.operators import disabled
from testing_crew.project.syntax import UNREADABLE
from testing_crew.runner.plan import Limits, Plan, Variation, plan_text
from testing_crew.runner.run import Runner
from trace_logger.journal import Journal
from trace_logger.records import CodeUnderTest, Record

STEP, PASSES, HONEST, COVERS, KILLS, TOO_LONG = 0.05, 0.15, 0.5, 0.2, 0.3, 0.1
_VERSION = 2  # of what follows: a reward of another is not the same
MUTANTS = 10  # of a target that are tried, the same for all files that are for it
_TRIES = 3  # of a file that could not be run
_ASSERTION = 8  # nodes of a syntax tree: `assert f(1) == 2`; a row of a table has nearly as many
_LINE = 40  # characters, of comments and texts too
_FREE = 6.0  # assertions' worth of any file
_EACH = 0.75  # and for each line reached or change noticed

# Modules that a plain test needs, and that cannot reach into the process that runs it.
_HARMLESS = {
    *("pytest", "math", "cmath", "decimal", "fractions", "statistics", "random", "datetime", "time", "calendar", "string"),
    *("re", "json", "collections", "itertools", "functools", "operator", "enum", "typing", "dataclasses", "copy", "textwrap"),
    *("asyncio", "pathlib", "__future__"),
}  # fmt: skip
_POWERFUL = {
    *("eval", "exec", "compile", "globals", "locals", "vars", "setattr", "getattr", "delattr", "open", "input", "breakpoint"),
    *("monkeypatch", "request", "pytestconfig", "pytester", "capsys"),
}  # fmt: skip


class Reward(Record):
    """What a file is worth, between 0 and 1, and why: the steps that it came to, shares between 0 and 1, pytest's verdict.

    ``passes`` is the share of its tests that pass by means of the target, ``too_long`` that of its length which it does not
    need. ``refused`` are the gate's reasons against a file that passes.
    """

    value: float
    verdict: str
    parses: bool = False
    collects: bool = False
    imports: bool = False
    executes: bool = False
    passes: float = 0.0
    covers: float = 0.0
    kills: float = 0.0
    too_long: float = 0.0
    accepted: bool = False
    refused: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def cheats(self) -> bool:
        """Whether it passes and is worth nothing."""
        return bool(self.refused)


@dataclass(frozen=True)
class Sample:
    """A test file for ``code``; ``files`` lie beside it, None where the code stands in its own project."""

    code: CodeUnderTest
    tests: str
    files: Mapping[str, str] | None = None

    def plan(self) -> Plan:
        """How it is run."""
        return plan_text(self.code, self.tests, self.files)

    def key(self, mutants: int, limits: Limits) -> str:
        """What its reward depends on, as one name."""
        code = self.code
        depends = [
            code.source,
            code.module,
            code.unit,
            code.root,
            self.tests,
            mutants,
            _VERSION,
            limits.wall_seconds,
            limits.cpu_seconds,
            sorted((self.files or {}).items()),
        ]
        return hashlib.sha256(json.dumps(depends).encode()).hexdigest()


class Grader:
    """Gives rewards, several files at once; the same file for the same code is run once.

    ``kept`` is a file that holds each reward by its key, for who looks later, and for a run that is taken up again. Close it, or
    use it as a context manager, to end the processes of ``runner``.
    """

    def __init__(self, runner: Runner, kept: Path | None = None, *, mutants: int = MUTANTS) -> None:
        self.runner, self.mutants = runner, mutants
        self._known = Journal(kept, Reward)
        self._lock = threading.Lock()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.close()

    def grade(self, samples: Sequence[Sample], tell: Callable[[int, int], None] | None = None) -> list[Reward]:
        """The rewards of ``samples``, in their order. Raises SandboxError where nothing can be run, even at the third try."""
        keys = [sample.key(self.mutants, self.runner.limits) for sample in samples]
        todo = {key: sample for key, sample in zip(keys, samples, strict=True) if key not in self._known}
        done = 0

        def keep(key: str, found: Reward) -> None:
            nonlocal done
            with self._lock:
                self._known.add(key, found)
                done += 1
                if tell is not None:
                    tell(done, len(todo))

        self._each(todo, keep)
        return [self._known[key] for key in keys]

    def _each(self, todo: Mapping[str, Sample], keep: Callable[[str, Reward], None]) -> None:
        """Have each graded, several at once, and ``keep`` each as soon as it is there."""
        with ThreadPoolExecutor(self.runner.workers) as threads:
            list(
                threads.map(
                    lambda key, sample: keep(key, surely(self.runner, sample, self.mutants)), todo.keys(), todo.values()
                )
            )


def surely(runner: Runner, sample: Sample, mutants: int) -> Reward:
    """The reward of a file, which is tried again where it could not be run. Raises SandboxError at the third time."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(SandboxError):
            return grade(runner, sample.plan(), mutants)
    return grade(runner, sample.plan(), mutants)


def grade(runner: Runner, plan: Plan, mutants: int = MUTANTS) -> Reward:
    """The reward of one file; one that hangs or crashes has one too. Raises SandboxError where nothing could be run."""
    began = time.monotonic()
    try:
        tree = read(plan.tests)
    except UNREADABLE:
        return Reward(value=0.0, verdict="error", seconds=time.monotonic() - began)
    gate = Gate(runner, 2, mutants, cold=not is_plain(tree, plan.code.module), brief=True)
    found = gate.judge(plan)
    run = found.run
    covers = run.coverage.line or 0.0
    made: dict[str, Any] = {
        "verdict": run.verdict,
        "parses": bool(tree.body),
        "collects": bool(run.cases),
        "imports": was_imported(plan.code, run),
        "executes": bool(covers),
        "covers": covers,
    }
    count = found.mutants
    too_long = _too_long(tree, plan.tests, _lines(plan) * covers + (count.killed if count else 0))
    if run.passed:
        kills = count.killed / max(1, count.counted) if count else 0.0
        # Flaky or not: what passes and is refused is worth less than what honestly fails.
        worth = HONEST + COVERS * covers + KILLS * kills - TOO_LONG * too_long if found.accepted else 0.0
        made |= {"passes": 1.0, "kills": kills, "accepted": found.accepted, "refused": found.reasons}
    else:
        passed = {case.node for case in run.cases if case.outcome == "passed"}
        passes = _by_the_target(runner, plan, passed) / max(1, len(run.cases))
        steps = sum(made[name] for name in ("parses", "collects", "imports", "executes"))
        worth = max(0.0, STEP * steps + PASSES * passes - TOO_LONG * too_long)
        made |= {"passes": passes}
    return Reward(value=worth, too_long=too_long, seconds=time.monotonic() - began, **made)


def _by_the_target(runner: Runner, plan: Plan, passed: set[str]) -> int:
    """How many of the cases that ``passed`` do not when every function of the target only raises."""
    raising = disabled(plan.code.source, plan.range) if passed else None
    if raising is None:
        return 0
    hollow = runner.execute(plan, Variation(measure=False, source=raising)).run
    return len(passed - {case.node for case in hollow.cases if case.outcome == "passed"})


def _lines(plan: Plan) -> int:
    first, last = plan.range or (1, len(plan.code.source.splitlines()))
    return last - first + 1


def _too_long(tree: ast.Module, text: str, gained: float) -> float:
    """The share of a file that it has no need of: of what is twice as long as it may be, a half."""
    length = max(sum(1 for _ in ast.walk(tree)) / _ASSERTION, len(text) / _LINE)
    return max(0.0, 1 - (_FREE + _EACH * gained) / length)


def is_plain(tree: ast.Module, module: str) -> bool:
    """Whether a file can do nothing to the process that runs it, so that a warm run says what a cold one would."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "") not in {*_HARMLESS, module}):
            return False
        if isinstance(node, ast.Import) and any(alias.name not in {*_HARMLESS, module} for alias in node.names):
            return False
        if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
            return False
        if isinstance(node, ast.Attribute | ast.Name | ast.arg) and _name(node) in _POWERFUL:
            return False
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            return False
    return True


def _name(node: ast.Attribute | ast.Name | ast.arg) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else node.arg
