"""One target worked on: a repair loop for each of its units, the attempts kept as they come, and one file made of the best."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from testing_crew import code as code_under_test
from testing_crew import snippet
from testing_crew.backends.base import Sampling
from testing_crew.loop import RepairLoop, Writer
from testing_crew.merge import merge
from testing_crew.recorder import Recorder
from testing_crew.runner.gate import judge
from testing_crew.runner.run import Runner
from trace_logger.records import Attempt, CodeUnderTest, PytestRun


@dataclass(frozen=True)
class Target:
    """What was asked for: the units of one file or snippet, and the files that make a snippet importable."""

    name: str
    project: str
    units: tuple[CodeUnderTest, ...]
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_snippet(self) -> bool:
        """Whether the code stands in no file that an import statement can reach."""
        return bool(self.files)


def file_target(path: Path, interpreter: str, only: set[str] | None = None) -> Target:
    """A file as a target. Raises UserMistake as ``code.load_units`` does."""
    units = code_under_test.load_units(path, interpreter)
    project = code_under_test.project_root(path)
    if not snippet.importable(path):
        return source_target(units[0].source, str(path.resolve()), interpreter, project)
    kept = tuple(u for u in units if only is None or u.unit in only) or tuple(units)
    return Target(str(path.resolve()), str(project), kept)


def source_target(source: str, name: str, interpreter: str, project: Path) -> Target:
    """Source text as a target: it becomes a module beside the tests."""
    units = snippet.units(source, name, interpreter, str(project))
    return Target(name, str(project), tuple(units), {f"{units[0].module}.py": source})


def target_for(code: str, file: str, interpreter: str) -> Target:
    """The code in ``file`` where it stands there, else the code as a snippet."""
    path = Path(file).expanduser()
    if path.is_file() and snippet.stands_in(path, code) and snippet.importable(path):
        tree = code_under_test.parse_source(code, file)
        return file_target(path, interpreter, {u.name for u in code_under_test.find_units(tree)})
    folder = path.parent if path.parent.is_dir() else Path.cwd()
    return source_target(code, file, interpreter, code_under_test.project_root(folder / "x.py"))


@dataclass
class Job:
    """The work on one target. ``round`` makes one round of every unit that is not done."""

    target: Target
    runner: Runner
    writer: Writer
    recorder: Recorder
    sampling: Sampling
    target_coverage: float
    loops: list[RepairLoop] = field(init=False)

    def __post_init__(self) -> None:
        earlier = self.recorder.start(self.target.project, self.target.name, self.target.units, self.writer.tag)
        self.loops = [
            RepairLoop(unit, self.writer, self.judge, self.sampling, self.target_coverage, list(earlier.get(unit, ())))
            for unit in self.target.units
        ]

    def judge(self, code: CodeUnderTest, tests: str) -> tuple[PytestRun, bool, tuple[str, ...]]:
        """Run and judge one test file."""
        run = self.runner.run(code, tests, files=self.target.files)
        accepted, reasons = judge(code, tests, run)
        return run, accepted, reasons

    def round(self, iteration: int) -> Iterator[tuple[RepairLoop, Attempt | None]]:
        """Make round ``iteration``, unit by unit; each attempt is recorded before it is handed out.

        A unit that an earlier, interrupted run brought this far is passed over.
        """
        for loop in self.loops:
            if loop.done or len(loop.attempts) >= iteration:
                continue
            attempt = loop.step(iteration)
            if attempt is not None:
                self.recorder.keep(attempt)
            yield loop, attempt

    @property
    def done(self) -> bool:
        """Whether no unit can gain by another round."""
        return all(loop.done for loop in self.loops)

    def tests(self, *, accepted_only: bool = False) -> str:
        """The best test file of every unit, as one; only the accepted ones where asked. Empty when there is none."""
        best = [loop.best for loop in self.loops]
        kept = [a.tests for a in best if a is not None and a.tests and (a.accepted or not accepted_only)]
        return merge(kept) if len(kept) > 1 else (kept[0] if kept else "")

    def whole(self) -> CodeUnderTest:
        """The target as a whole, for judging the file made of all units."""
        unit = self.target.units[0]
        return unit if len(self.target.units) == 1 else unit.model_copy(update={"unit": None})

    def seed(self, previous_tests: str, previous_failures: str, iteration: int) -> None:
        """Take up from a test file and a failure log that somebody else kept, each unit with its own part of both."""
        tests = snippet.detach(previous_tests)
        for loop in self.loops:
            part = tests if len(self.loops) == 1 else part_for(tests, loop.unit)
            if not part:
                continue
            log = previous_failures if len(self.loops) == 1 else log_for(previous_failures, part)
            run = PytestRun(verdict="failed" if log else "passed", log=previous_failures)
            loop.attempts.append(
                Attempt(
                    unit=loop.unit,
                    iteration=iteration - 1,
                    kind="generate",
                    prompt="",
                    completion=part,
                    tests=part,
                    run=run,
                    accepted=not log,
                    failure_log=log,
                    model=self.writer.tag,
                )
            )


def part_for(tests: str, unit: str) -> str:
    """The part of a test file that is about ``unit``: its imports and helpers, and the tests that name it."""
    try:
        tree = ast.parse(tests)
    except SyntaxError:
        return ""
    lines = tests.splitlines()
    kept: list[str] = []
    found = False
    for node in tree.body:
        is_test = isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        ) and node.name.lower().startswith("test")
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        text = "\n".join(lines[first - 1 : node.end_lineno])
        if not is_test or re.search(rf"\b{re.escape(unit)}\b", text):
            kept.append(text)
            found = found or is_test
    return "\n\n\n".join(kept) + "\n" if found else ""


def log_for(log: str, tests: str) -> str:
    """The lines of a failure log about tests that stand in ``tests``, or about the file as a whole."""
    names = {n.name for n in ast.walk(ast.parse(tests)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return "\n".join(
        line for line in log.splitlines() if re.split(r"[(:]", line, maxsplit=1)[0] in names | {"collection"}
    )
