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
from testing_crew.imports import project_root
from testing_crew.interpreter import Python, interpreter_for
from testing_crew.loop import RepairLoop, Writer, explain
from testing_crew.mend import mend
from testing_crew.merge import merge
from testing_crew.recorder import Recorder
from testing_crew.runner.gate import Gate, Judgement
from testing_crew.runner.plan import plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import Attempt, CodeUnderTest


@dataclass(frozen=True)
class Target:
    """What was asked for: the units of one file or snippet, and the files that make a snippet importable."""

    name: str
    project: str
    units: tuple[CodeUnderTest, ...]
    python: Python
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_snippet(self) -> bool:
        """Whether the code stands in no file that an import statement can reach."""
        return bool(self.files)

    @property
    def whole(self) -> CodeUnderTest:
        """The target as one, for judging a file about all of it: of one function or class, what else stands around it too."""
        return self.units[0].model_copy(update={"unit": None})


def file_target(path: Path, python: Python, only: set[str] | None = None) -> Target:
    """A file as a target. Raises UserMistake as ``code.load_units`` does."""
    units = code_under_test.load_units(path, python.path)
    project = project_root(path)
    if not snippet.importable(path):
        return source_target(units[0].source, str(path.resolve()), python, project)
    kept = tuple(u for u in units if only is None or u.unit in only) or tuple(units)
    return Target(str(path.resolve()), str(project), kept, python)


def file_whole(path: Path, interpreter: str, test: Path) -> CodeUnderTest:
    """A file that ``test`` imports as one, also where it defines nothing to write tests for.

    Raises UserMistake as ``code.load_module`` does.
    """
    whole = code_under_test.load_module(path, interpreter, test)
    if snippet.importable(path):
        return whole
    root = str(project_root(path))
    return whole.model_copy(update={"module": snippet.module_name(str(path.resolve())), "root": root})


def source_target(source: str, name: str, python: Python, project: Path) -> Target:
    """Source text as a target: it becomes a module beside the tests."""
    units = snippet.units(source, name, python.path, str(project))
    return Target(name, str(project), tuple(units), python, {f"{units[0].module}.py": source})


def target_for(code: str, file: str, chosen_interpreter: str | None) -> Target:
    """The code in ``file`` where it stands there, else the code as a snippet."""
    code = code.removeprefix("\ufeff")
    path = _path(file)
    python = interpreter_for(chosen_interpreter, path)
    if path.is_file() and snippet.stands_in(path, code) and snippet.importable(path):
        tree = code_under_test.parse_source(code, file, python.path)
        return file_target(path, python, {u.name for u in code_under_test.find_units(tree)})
    folder = path.parent if path.parent.is_dir() else Path.cwd()
    return source_target(code, file, python, project_root(folder / "x.py"))


def _path(file: str) -> Path:
    """``file`` as a path; one that the system cannot take is as good as one that is not there."""
    try:
        path = Path(file).expanduser()
        path.stat()
    except FileNotFoundError:
        return path
    except (OSError, RuntimeError, ValueError):
        return Path("snippet.py")
    return path


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

    def judge(self, code: CodeUnderTest, tests: str, failed: str | None = None) -> Judgement:
        """Run and judge one test file."""
        return Gate(self.runner).judge(plan_text(code, tests, self.target.files), failed)

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

    def seed(self, previous_tests: str, previous_failures: str, iteration: int) -> None:
        """Take up from a test file that somebody else kept: each unit gets its part, which is run and judged here.

        ``previous_failures`` is shown to the model where it says something of that part, else what the run said.
        """
        tests = snippet.detach(previous_tests)
        parts = split_tests(tests, [loop.unit for loop in self.loops]) if len(self.loops) > 1 else [tests]
        for loop, part in zip(self.loops, parts, strict=True):
            mended = mend(part, loop.code).tests
            if not mended:
                continue
            found = self.judge(loop.code, mended)
            told = log_for(previous_failures, mended) if not found.accepted else ""
            loop.attempts.append(
                Attempt(
                    unit=loop.unit,
                    iteration=iteration - 1,
                    kind="generate",
                    prompt="",
                    completion=part,
                    tests=mended,
                    **found.fields(),
                    failure_log=told or explain(loop.code, found),
                    model=self.writer.tag,
                )
            )


def split_tests(tests: str, units: list[str]) -> list[str]:
    """A test file in parts, one for each unit: the tests that reach it, themselves or through the helpers and fixtures they use.

    Every part has the imports and helpers; a test that reaches no unit goes to the first. A part without tests is empty.
    """
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError):
        return ["" for _ in units]
    reach = {
        n.name: _names_in(n) for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }
    lines = code_under_test.source_lines(tests)
    parts: list[list[str]] = [[] for _ in units]
    found = [False for _ in units]
    for node in tree.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        text = "\n".join(lines[first - 1 : node.end_lineno])
        name = getattr(node, "name", "")
        if name.lower().startswith("test"):
            reached = _closure(name, reach)
            mine = [i for i, unit in enumerate(units) if unit in reached][:1] or [0]
            found[mine[0]] = True
        else:
            mine = list(range(len(units)))
        for i in mine:
            parts[i].append(text)
    return ["\n\n\n".join(part) + "\n" if has else "" for part, has in zip(parts, found, strict=True)]


def _names_in(node: ast.AST) -> set[str]:
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | {
        n.arg for n in ast.walk(node) if isinstance(n, ast.arg)
    }
    return names | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def _closure(name: str, reach: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    queue = [name]
    while queue:
        for other in reach.get(queue.pop(), set()) - seen:
            seen.add(other)
            queue.append(other)
    return seen


def log_for(log: str, tests: str) -> str:
    """The lines of a failure log about tests that stand in ``tests``, or about the file as a whole."""
    names = {n.name for n in ast.walk(ast.parse(tests)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return "\n".join(
        line for line in log.splitlines() if re.split(r"[(:]", line, maxsplit=1)[0] in names | {"collection"}
    )
