"""What a history teaches: which lessons there are, which part of a test file one is about, and what is made of them."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.data.surgery import cut, tests_in
from testing_crew.project.syntax import UNREADABLE, first_line, parse
from trace_logger.collect.dataset import DataSet, read_steps
from trace_logger.collect.records import Feedback
from trace_logger.collect.repairs import VERIFIED, Candidate, Lesson
from trace_logger.journal import Journal
from trace_logger.records import utc_now

if TYPE_CHECKING:
    from self_improve.engineers.history import History

NOT_RUN, NOT_PASSED = "could not be run", "no test passes after it"
_TESTS_ABOVE = 4  # that stand above a new one
_LONGEST_TESTS = 8000  # characters of a test file that is kept whole where its tests cannot be told apart


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
        lesson = history.known(candidate)
        if lesson is not None:
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


def only(tests: str, names: frozenset[str]) -> str:
    """The file with the named tests alone; all of a short one whose tests cannot be told apart."""
    text = cut(tests, lambda name: name in names)
    return text or (tests if len(tests) <= _LONGEST_TESTS else "")


def changed(older: str, tests: str) -> frozenset[str]:
    """The tests that came new, or whose own text is another; none where no test's is, or that cannot be told."""
    try:
        before = {name: ast.get_source_segment(older, node) for name, node, _ in tests_in(parse(older))}
        return frozenset(
            name for name, node, _ in tests_in(parse(tests)) if ast.get_source_segment(tests, node) != before.get(name)
        )
    except UNREADABLE:
        return frozenset()


def added_test(older: str, tests: str, passed: frozenset[str]) -> tuple[str, str]:
    """The last test that came new and passes, and the file before it: its imports, its helpers and the tests above it."""
    try:
        known = {name for name, *_ in tests_in(parse(older))}
        alone = [name for name, _, owner in tests_in(parse(tests)) if owner is None]
    except UNREADABLE:
        return "", ""
    new = [number for number, name in enumerate(alone) if name in passed and name not in known]
    if not new:
        return "", ""
    name = alone[new[-1]]
    above = alone[: new[-1]][-_TESTS_ABOVE:]
    text = cut(tests, lambda each: each == name or each in above)
    start = max(first_line(node) for node in parse(text).body if getattr(node, "name", None) == name) - 1
    lines = text.split("\n")
    prefix, test = "\n".join(lines[:start]), "\n".join(lines[start:])
    return (f"{prefix}\n", test) if prefix.strip() and "\ndef " not in test else ("", "")
