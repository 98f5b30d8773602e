"""A project's history run again: which tests failed before a commit and pass after it, kept as verified traces.

Everything runs in checked-out copies apart from the user's tree, in the sandbox. A copy in which a lesson was found stays in the
data set (``trees/``), so that the lesson can be run again when traces are curated.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.data.surgery import cut, tests_in
from testing_crew.errors import UserMistake
from testing_crew.gate.gate import Gate, Judgement
from testing_crew.project.code import find_units, render
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.syntax import UNREADABLE, parse
from testing_crew.project.targets import file_whole
from testing_crew.runner.failures import failure_log
from testing_crew.runner.plan import plan_file, plan_text
from testing_crew.runner.run import Runner
from trace_logger.collect.dataset import DataSet, read_steps
from trace_logger.collect.git import check_out, text_of, tree_of
from trace_logger.collect.records import Feedback
from trace_logger.collect.repairs import VERIFIED, Candidate, Lesson
from trace_logger.journal import Journal
from trace_logger.records import Attempt, AttemptKind, CodeUnderTest, PytestRun, utc_now
from trace_logger.store import TraceStore

if TYPE_CHECKING:
    import pygit2

TREES = "trees"
ENGINEERS = "engineers"  # the "model" of traces that people wrote
_TESTS_ABOVE = 4
_LONGEST_TESTS = 8000  # characters of a test file that is kept whole where its tests cannot be told apart


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
        self._scratch = Path(tempfile.mkdtemp(prefix="history-"))
        self._run_id: str | None = None
        self.journal = Journal(data.folder / VERIFIED, Lesson)

    def close(self) -> None:
        """End the run in the store, remove what was checked out."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        if self._run_id is not None:
            self._store.finish_run(self._run_id)

    def lesson(self, candidate: Candidate) -> Lesson:
        """Run the candidate, keep what it teaches. Raises SandboxError where nothing can be run."""
        started = time.monotonic()
        try:
            lesson = self._lesson(candidate)
        except (UserMistake, KeyError, OSError) as error:  # no such file then, another Python's code, a partial clone
            lesson = Lesson(candidate=candidate, why=f"could not be run: {str(error).partition(chr(10))[0][:200]}")
        lesson = lesson.model_copy(update={"seconds": round(time.monotonic() - started, 2)})
        self.journal.add(candidate.id, lesson)
        return lesson

    def _lesson(self, candidate: Candidate) -> Lesson:
        tests = self._text(candidate.tests_from, candidate.test)
        older = self._text(candidate.before, candidate.test)
        code = self._text(candidate.commit, candidate.target)
        if tests is None or code is None:
            return Lesson(candidate=candidate, why="a file of it is no text")
        after = self._execute(candidate.commit, candidate, tests)
        if not after.passed:
            return Lesson(candidate=candidate, why=f"no test passes after it: {_short(after.run)}")
        repaired: frozenset[str] = frozenset()
        if older is not None and older != tests:
            repaired = self._execute(candidate.commit, candidate, older).failed & after.passed
        fixed: frozenset[str] = frozenset()
        code_before = self._text(candidate.before, candidate.target)
        if candidate.kind != "test_repair" and code_before not in (None, code):
            fixed = self._execute(candidate.before, candidate, tests).claims & after.passed
        before_it, added = _added(older or "", tests, after.passed)
        lesson = Lesson(
            candidate=candidate, found="fix" if fixed else "", code=code, tests_before=before_it, added=added
        )
        if not repaired and not fixed:
            return lesson.model_copy(update={"why": "the same tests pass before and after"})
        if fixed:
            text = _cut(tests, fixed)
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
        failed_test, fixed_test = _cut(older, repaired), _cut(tests, repaired)
        if not failed_test or not fixed_test:
            return lesson if lesson.found else lesson.model_copy(update={"why": "the tests cannot be told apart"})
        code = self._code(self._tree(candidate.commit), candidate, fixed_test)
        before = self._runner.execute(plan_text(code, failed_test)).run
        if before.passed or before.verdict not in ("failed", "error"):
            return (
                lesson
                if lesson.found
                else lesson.model_copy(update={"why": f"it fails only in its place: {_short(before)}"})
            )
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
        kinds: tuple[AttemptKind, AttemptKind] = ("generate", "repair")
        common: dict[str, Any] = {"unit": unit, "prompt": "", "model": ENGINEERS, "model_revision": candidate.commit}
        self._store.add_attempt(
            trace,
            Attempt(
                **common,
                iteration=1,
                kind=kinds[0],
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
                kind=kinds[1],
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


def _cut(tests: str, names: frozenset[str]) -> str:
    """The file with the named tests alone; all of a short one whose tests cannot be told apart."""
    text = cut(tests, lambda name: name in names)
    return text or (tests if len(tests) <= _LONGEST_TESTS else "")


def _added(older: str, tests: str, passed: frozenset[str]) -> tuple[str, str]:
    """The last test that came new and passes, and the file before it: its imports, its helpers and the tests above it."""
    try:
        tree = parse(tests)
        known = {name for name, *_ in tests_in(parse(older))}
    except UNREADABLE:
        return "", ""
    alone = [(name, node) for name, node, owner in tests_in(tree) if owner is None]
    new = [number for number, (name, _) in enumerate(alone) if name in passed and name not in known]
    if not new:
        return "", ""
    name, node = alone[new[-1]]
    above = [each for each, _ in alone[: new[-1]] if each in passed][-_TESTS_ABOVE:]
    text = cut(tests, lambda each: each == name or each in above)
    at = text.rfind(f"def {name}(")
    line: int = getattr(node, "lineno", 1)
    decorated = min([line, *(each.lineno for each in getattr(node, "decorator_list", []))])
    start = text.rfind("\n", 0, at)
    for _ in range(line - decorated):
        start = text.rfind("\n", 0, start)
    prefix, test = text[: start + 1], text[start + 1 :]
    return (prefix, test) if prefix.strip() and test.count("\ndef ") == 0 else ("", "")


def _short(run: PytestRun) -> str:
    said = failure_log(run).partition("\n")[0]
    return f"{run.verdict}, {said}"[:200] if said else run.verdict


def verify(
    history: History,
    found: Sequence[Candidate],
    data: DataSet,
    *,
    most: int | None = None,
    minutes: float | None = None,
    tell: Callable[[int, int, int], object] = lambda done, of, lessons: None,
) -> list[Lesson]:
    """Run candidates, the latest first, as many as ``most`` and within ``minutes``; those of an earlier call are not run again.

    What running the tests said becomes feedback on the commit's step. Returns the lessons of all that were run, earlier ones too.
    """
    until = None if minutes is None else time.monotonic() + 60 * minutes
    wanted = list(found if most is None else found[:most])
    lessons: list[Lesson] = []
    said: dict[str, list[Lesson]] = {}
    for number, candidate in enumerate(wanted):
        if candidate.id in history.journal:
            lesson = history.journal[candidate.id]
            lessons.append(lesson)
            if lesson.found:  # a call that was stopped had not yet told it
                said.setdefault(candidate.commit, []).append(lesson)
            continue
        if until is not None and time.monotonic() > until:
            break
        tell(number, len(wanted), sum(bool(each.found) for each in lessons))
        lesson = history.lesson(candidate)
        lessons.append(lesson)
        if lesson.found:
            said.setdefault(candidate.commit, []).append(lesson)
    tell(len(wanted), len(wanted), sum(bool(each.found) for each in lessons))
    for step in list(read_steps(data.folder)) if said else []:
        if step.id in said:
            known = {each.id for each in step.feedback}
            new = [each for each in map(_feedback, said[step.id]) if each.id not in known]
            if new:
                data.add(step.model_copy(update={"feedback": (*step.feedback, *new)}))
    return lessons


def _feedback(lesson: Lesson) -> Feedback:
    return Feedback(
        id=lesson.candidate.id,
        kind="tests",
        actor="pytest",
        created_at=utc_now(),
        state=lesson.found,
        body=lesson.bug_log or lesson.failure_log,
        path=lesson.candidate.test,
        commit=lesson.candidate.commit,
    )


def _known(folder: Path) -> list[Lesson]:
    return [lesson for lesson in Journal(folder / VERIFIED, Lesson).values() if lesson.found]


def pairs_of(folder: Path) -> list[dict[str, Any]]:
    """The verified repairs of tests, as `traces export` writes them."""
    return [
        {
            "code": lesson.shown or lesson.code,
            "failed_test": lesson.failed_test,
            "failure_log": lesson.failure_log,
            "fixed_test": lesson.fixed_test,
        }
        for lesson in _known(folder)
        if "repair" in lesson.found
    ]


def fixes_of(folder: Path) -> list[dict[str, Any]]:
    """The verified bugs: the code before and after, the tests that show the bug, what they said."""
    return [
        {
            "id": lesson.candidate.id,
            "kind": lesson.candidate.kind,
            "commit": lesson.candidate.commit,
            "file": lesson.candidate.target,
            "code": lesson.code_before,
            "fixed_code": lesson.code,
            "tests": lesson.bug_test,
            "failing": list(lesson.tests),
            "failure_log": lesson.bug_log,
        }
        for lesson in _known(folder)
        if "fix" in lesson.found
    ]
