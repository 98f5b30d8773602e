"""A project's history run again: which tests failed before a commit and pass after it, kept as verified traces.

Everything runs in checked-out copies apart from the user's tree, in the sandbox. A copy in which a lesson was found stays in the
data set (``trees/``), so that the lesson can be run again when traces are curated.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from self_improve.engineers.lessons import NOT_PASSED, NOT_RUN, added_test, changed, only
from testing_crew.errors import UserMistake
from testing_crew.gate.gate import Gate, Judgement
from testing_crew.project.code import find_units, read_source, render
from testing_crew.project.imports import import_places
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.python import inspect_interpreter
from testing_crew.project.syntax import UNREADABLE, parse
from testing_crew.project.targets import file_whole
from testing_crew.runner.failures import failure_log
from testing_crew.runner.plan import plan_file, plan_text
from testing_crew.runner.run import Runner
from testing_crew.runner.scratch import Folder
from trace_logger.collect.dataset import DataSet
from trace_logger.collect.git import check_out, text_of, tree_of
from trace_logger.collect.repairs import VERIFIED, Candidate, Lesson, is_test
from trace_logger.journal import Journal
from trace_logger.records import Attempt, CodeUnderTest, PytestRun
from trace_logger.store import TraceStore

if TYPE_CHECKING:
    import pygit2

TREES = "trees"
_LARGEST_PACKAGE = 80_000  # characters of the other modules that a row carries along
ENGINEERS = "engineers"  # the "model" of traces that people wrote


@dataclass(frozen=True)
class _Runs:
    """Pass and fail, test by test, of one test file in one tree."""

    run: PytestRun
    passed: frozenset[str]
    failed: frozenset[str]
    claims: frozenset[str]


class History:
    """Runs candidates of one repository. Close it to remove its scratch folder."""

    def __init__(
        self, repository: pygit2.Repository, data: DataSet, runner: Runner, store: TraceStore, chosen: str | None
    ) -> None:
        self._repository, self._data, self._runner, self._store = repository, data, runner, store
        near = Path(repository.workdir or data.folder) / "x.py"
        self._python = interpreter_for(chosen, near)
        self._ran_by = _installed(self._python.path)
        self._folder = Folder()  # what a killed process leaves of it, the next one removes
        self._scratch = self._folder.path
        self._slow: set[str] = set()
        self._run_id: str | None = None
        self.journal = Journal(data.folder / VERIFIED, Lesson)

    def close(self) -> None:
        """End the run in the store, remove what was checked out."""
        self._folder.remove()
        if self._run_id is not None:
            self._store.finish_run(self._run_id)

    def lesson(self, candidate: Candidate) -> Lesson:
        """Run the candidate, keep what it teaches. Raises SandboxError where nothing can be run."""
        started = time.monotonic()
        try:
            lesson = self._lesson(candidate)
        except (UserMistake, KeyError, OSError) as error:  # no such file then, another Python's code, a partial clone
            lesson = Lesson(candidate=candidate, why=f"{NOT_RUN}: {str(error).partition(chr(10))[0][:200]}")
        lesson = lesson.model_copy(update={"seconds": round(time.monotonic() - started, 2), "ran_by": self._ran_by})
        self.journal.add(candidate.id, lesson)
        return lesson

    def known(self, candidate: Candidate) -> Lesson | None:
        """What came of it before; None where it could not be run then, and this is another Python, or more is installed."""
        if candidate.id not in self.journal:
            return None
        lesson = self.journal[candidate.id]
        could_not = lesson.why.startswith((NOT_PASSED, NOT_RUN))
        return None if could_not and lesson.ran_by != self._ran_by else lesson

    def _lesson(self, candidate: Candidate) -> Lesson:
        tests = self._text(candidate.tests_from, candidate.test)
        older = self._text(candidate.before, candidate.test)
        code = self._text(candidate.commit, candidate.target)
        if tests is None or code is None:
            return Lesson(candidate=candidate, why="a file of it is no text")
        if candidate.test in self._slow:
            return Lesson(candidate=candidate, why=f"{NOT_RUN}: the tests of this file took too long at another commit")
        # The other tests of the file have no part in what the commit mended, and may take long.
        concerned = changed(older or "", tests) if candidate.kind != "test_then_fix" else frozenset()
        part = (only(tests, concerned) if concerned else "") or tests
        after = self._execute(candidate.commit, candidate, part)
        if not after.passed:
            if after.run.verdict == "timeout":
                self._slow.add(candidate.test)
            return Lesson(candidate=candidate, why=f"{NOT_PASSED}: {_short(after.run)}")
        repaired: frozenset[str] = frozenset()
        if older is not None and older != tests:
            before = (only(older, concerned) if concerned else "") or older
            repaired = self._execute(candidate.commit, candidate, before).failed & after.passed
        fixed: frozenset[str] = frozenset()
        code_before = self._text(candidate.before, candidate.target)
        if candidate.kind != "test_repair" and code_before not in (None, code):
            fixed = self._execute(candidate.before, candidate, part).claims & after.passed
        before_it, added = added_test(older or "", tests, after.passed)
        lesson = Lesson(
            candidate=candidate, found="fix" if fixed else "", code=code, tests_before=before_it, added=added
        )
        if fixed or added:
            module, files = self._beside(candidate)
            lesson = lesson.model_copy(update={"module": module, "files": files})
        if not repaired and not fixed:
            return lesson.model_copy(update={"why": "the same tests pass before and after"})
        if fixed:
            text = only(tests, fixed)
            lesson = lesson.model_copy(
                update={
                    "tests": tuple(sorted(fixed)),
                    "code_before": code_before,
                    "bug_test": text,
                    "bug_log": self._bug_log(candidate, text) if text else "",
                }
            )
            if not lesson.bug_log:
                lesson = lesson.model_copy(update={"found": "", "why": "the tests that show it cannot be told apart"})
        if repaired and older is not None:
            lesson = self._repair(candidate, lesson, older, tests, repaired)
        return lesson

    def _repair(self, candidate: Candidate, lesson: Lesson, older: str, tests: str, repaired: frozenset[str]) -> Lesson:
        """The failed and the mended tests alone, judged by the gate, and kept as a trace where it accepts them."""
        failed_test, fixed_test = only(older, repaired), only(tests, repaired)
        if not failed_test or not fixed_test:
            return _unless_found(lesson, "the tests cannot be told apart")
        code = self._code(self._tree(candidate.commit), candidate, fixed_test)
        before = self._runner.execute(plan_text(code, failed_test)).run
        if before.passed or before.verdict not in ("failed", "error"):
            return _unless_found(lesson, f"it fails only in its place: {_short(before)}")
        judged = Gate(self._runner, repeats=6, mutants=20, seconds=30).judge(plan_text(code, fixed_test), failed_test)
        update: dict[str, Any] = {
            "failed_test": failed_test,
            "failure_log": failure_log(before),
            "reasons": judged.reasons,
        }
        if not judged.accepted:
            why = lesson.why or f"the gate does not accept it: {', '.join(judged.reasons) or judged.run.verdict}"
            return lesson.model_copy(update={**update, "why": why})
        code = self._code(self._kept(candidate.commit), candidate, fixed_test)
        trace = self._keep(candidate, code, failed_test, before, fixed_test, judged)
        found = f"repair+{lesson.found}" if lesson.found else "repair"
        update |= {"found": found, "trace": trace, "why": "", "fixed_test": fixed_test, "shown": code.shown}
        return lesson.model_copy(update={**update, "tests": tuple(sorted({*lesson.tests, *repaired}))})

    def _keep(
        self, candidate: Candidate, code: CodeUnderTest, failed: str, before: PytestRun, fixed: str, judged: Judgement
    ) -> str:
        name = self._data.repository
        self._run_id = self._run_id or self._store.start_run(name, "collect git", ENGINEERS)
        trace = self._store.start_trace(self._run_id, name, candidate.target, [code], ENGINEERS)
        unit = code.unit or code.module
        common: dict[str, Any] = {"unit": unit, "prompt": "", "model": ENGINEERS, "model_revision": candidate.commit}
        self._store.add_attempt(
            trace,
            Attempt(
                **common,
                iteration=1,
                kind="generate",
                completion=failed,
                tests=failed,
                run=before,
                accepted=False,
                failure_log=failure_log(before),
            ),
        )
        self._store.add_attempt(
            trace,
            Attempt(
                **common,
                iteration=2,
                kind="repair",
                completion=fixed,
                tests=fixed,
                run=judged.run,
                accepted=True,
                mutants=judged.mutants,
                stability=judged.stability,
                suspects=judged.suspects,
            ),
        )
        self._store.finish_trace(trace, True, candidate.test)
        return trace

    def _bug_log(self, candidate: Candidate, tests: str) -> str:
        """What the tests that show the bug say against the code before, by themselves; empty where they then do not."""
        old = self._tree(candidate.before)
        code = self._code(old, candidate, tests)
        before = self._runner.execute(plan_text(code, tests)).run
        new = self._code(self._tree(candidate.commit), candidate, tests)
        after = self._runner.execute(plan_text(new, tests)).run
        return failure_log(before) if after.passed and any(case.claim for case in before.cases) else ""

    def _code(self, root: Path, candidate: Candidate, tests: str) -> CodeUnderTest:
        """The target in a tree; of all of it the one function or class that the tests name, where they name but one."""
        path = root / candidate.target
        whole = file_whole(path, self._python.path, root / candidate.test)
        try:
            names = [unit.name for unit in find_units(parse(whole.source))]
        except UNREADABLE:
            names = []
        said = [name for name in names if re.search(rf"\b{re.escape(name)}\b", tests)]
        unit = said[0] if len(said) == 1 else None
        return whole.model_copy(update={"unit": unit, "shown": render(whole.source, whole.module, unit)})

    def _beside(self, candidate: Candidate) -> tuple[str, dict[str, str]]:
        """The target's name where it is imported, and the other modules of its package, where they are not too many."""
        whole = file_whole(self._tree(candidate.commit) / candidate.target, self._python.path, Path(candidate.test))
        top = Path(whole.root) / whole.module.partition(".")[0]
        if "." not in whole.module and not (top / "__init__.py").is_file():
            return whole.module, {}
        found: dict[str, str] = {}
        for file in sorted(top.rglob("*.py")):
            with contextlib.suppress(UserMistake):
                if file != Path(whole.path or "") and not is_test(file.name):
                    found[file.relative_to(whole.root).as_posix()] = read_source(file)
        return whole.module, found if sum(map(len, found.values())) <= _LARGEST_PACKAGE else {}

    def _execute(self, commit: str, candidate: Candidate, tests: str) -> _Runs:
        """Run ``tests`` where the commit has its own, which are there again afterwards: another candidate may use the tree."""
        tree = self._tree(commit)
        test = tree / candidate.test
        own = test.read_bytes() if test.is_file() else None
        test.parent.mkdir(parents=True, exist_ok=True)
        test.write_text(tests, encoding="utf-8")
        try:
            code = file_whole(tree / candidate.target, self._python.path, test)
            run = self._runner.execute(plan_file(test, code)).run
        finally:
            if own is None:
                test.unlink()
            else:
                test.write_bytes(own)
        by_test: dict[str, set[str]] = {}
        claims = set()
        for case in run.cases:
            name = case.node.split("[", 1)[0].replace("::", ".")
            by_test.setdefault(name, set()).add(case.outcome)
            if case.claim:
                claims.add(name)
        passed = frozenset(name for name, outcomes in by_test.items() if outcomes == {"passed"})
        failed = frozenset(name for name, outcomes in by_test.items() if outcomes & {"failed", "error"})
        return _Runs(run, passed, failed, frozenset(claims) & failed)

    def _tree(self, commit: str) -> Path:
        """The commit's files, checked out once; of the scratch folder only the latest few stay."""
        folder = self._scratch / commit[:16]
        if not folder.is_dir():
            for old in sorted(self._scratch.iterdir(), key=lambda each: each.stat().st_mtime)[:-6]:
                shutil.rmtree(old, ignore_errors=True)
        return self._checked_out(commit, folder)

    def _kept(self, commit: str) -> Path:
        """The commit's files in the data set, where nothing but them is ever written."""
        return self._checked_out(commit, self._data.folder / TREES / commit[:16])

    def _checked_out(self, commit: str, folder: Path) -> Path:
        if not folder.is_dir():
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            check_out(self._repository, commit, part)
            part.replace(folder)
        return folder

    def _text(self, commit: str, path: str) -> str | None:
        tree = tree_of(self._repository, commit)
        return text_of(self._repository, str(tree[path].id)) if path in tree else None


def _installed(python: str) -> str:
    """A hash of an interpreter and of when something was last installed for it."""
    found = [python]
    for place in sorted(import_places(inspect_interpreter(python))):
        with contextlib.suppress(OSError):
            found.append(f"{place} {place.stat().st_mtime_ns}")
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:12]


def _unless_found(lesson: Lesson, why: str) -> Lesson:
    """The lesson, with why it holds no repair, where it holds nothing else."""
    return lesson if lesson.found else lesson.model_copy(update={"why": why})


def _short(run: PytestRun) -> str:
    said = "; ".join(failure_log(run).split("\n")[:2])
    return f"{run.verdict}, {said}"[:200] if said else run.verdict
