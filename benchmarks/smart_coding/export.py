"""Rows of the benchmark out of a collaboration data set: what a project's own history has to ask."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.smart_coding.rows import CHINESE, KINDS, TaskName, TestgenRow, language_of, questions
from benchmarks.smart_coding.scoring import passes, reached
from testing_crew.runner.run import Runner
from trace_logger.collect.records import Annotated, Step
from trace_logger.collect.repairs import VERIFIED, Lesson, in_order
from trace_logger.journal import Journal

_SHORTEST, _LONGEST = 4, 40  # lines of a snippet
_FEWEST_WORDS = 3  # of a comment that says something
_LONGEST_CHANGE = 10  # lines that are asked for
_LONGEST_MODULE = 12_000  # characters


def comment_rows(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """``{description, code_snippet, annotations, comment}`` of each function and class as it was written last.

    What a later commit deleted, or took out of its file, is left out; what it moved is told once, where it went.
    """
    latest: dict[tuple[str, str], Annotated] = {}
    for step in in_order(steps):
        for version in step.versions:
            gone = version.old_path or (version.path if version.change == "deleted" else None)
            moved = {name: each for (path, name), each in latest.items() if path == gone}
            latest = {key: each for key, each in latest.items() if key[0] != gone} if moved else latest
            if version.change == "renamed":
                latest |= {(version.path, name): each for name, each in moved.items()}
            for name in _taken_out(version.diff):
                latest = {key: each for key, each in latest.items() if key[0] != version.path or not _is(key[1], name)}
            for each in version.annotated:
                latest[version.path, each.name] = each
    rows = []
    for (path, name), each in latest.items():
        notes = [note for note in each.annotations if _says(note.annotation)]
        said = " ".join(textwrap.dedent(each.docstring).strip().split("\n\n")[0].split())
        if not _SHORTEST <= each.code.count("\n") + 1 <= _LONGEST or not (notes or _says(said)):
            continue
        rows.append(
            {
                "id": f"{path}:{name}",
                "language": language_of(said + "".join(n.annotation for n in notes)),
                "code_snippet": each.code,
                "annotations": [{"line_number": n.line_number, "annotation": n.annotation} for n in notes],
                "comment": said,
            }
        )
    return rows


def _taken_out(diff: str) -> set[str]:
    """The functions and classes that a diff takes out of a file: those it takes and does not bring."""
    taken, brought = (
        set(re.findall(rf"^[{sign}]\s*(?:async )?(?:def|class) (\w+)", diff, re.MULTILINE)) for sign in "-+"
    )
    return taken - brought


def _is(name: str, taken: str) -> bool:
    return taken in name.split(".")


def _says(text: str) -> bool:
    return len(text.split()) >= _FEWEST_WORDS or len(CHINESE.findall(text)) >= 2 * _FEWEST_WORDS


def issue_rows(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """``{question, user_login, created_at, updated_at, body, answer_1 …}`` of each issue that somebody else answered.

    The answer with the most reactions comes first, of as many the earliest: which one solved it, nobody said. Bots are left out.
    """
    rows = []
    for step in steps:
        answers = [said for said in step.feedback if said.kind == "comment" and said.body.strip()]
        answers = [said for said in answers if said.actor != step.actor and not said.actor.startswith("bot-")]
        answers.sort(key=lambda said: (-sum(count for _, count in said.reactions), said.created_at))
        if step.kind != "issue" or not answers:
            continue
        row: dict[str, Any] = {
            "id": step.id,
            "language": language_of(step.title + step.body),
            "question": step.title,
            "user_login": step.actor,
            "created_at": step.created_at,
            "updated_at": step.updated_at or step.created_at,
            "body": step.body,
        }
        for number, said in enumerate(answers, 1):
            row[f"answer_{number}"] = {
                "user_login": said.actor,
                "created_at": said.created_at,
                "updated_at": said.updated_at or said.created_at,
                "body": said.body,
            }
        rows.append(row)
    return rows


def testgen_rows(lessons: Iterable[Lesson]) -> list[dict[str, Any]]:
    """The next test of a file, where a commit brought one; the next lines of a module, where a commit mended it in one place."""
    rows: dict[str, dict[str, Any]] = {}
    for lesson in lessons:
        if len(lesson.code) > _LONGEST_MODULE:
            continue
        common = {"module": lesson.module, **({"files": lesson.files} if lesson.files else {})}
        if lesson.added:
            row = {"kind": "test", "code": lesson.code, "prefix": lesson.tests_before, "reference": lesson.added}
            rows[f"test {lesson.candidate.id}"] = row | common
        if "fix" in lesson.found and (place := _one_change(lesson.code_before, lesson.code)):
            row = {
                "kind": "lines",
                "prefix": place[0],
                "reference": place[1],
                "suffix": place[2],
                "tests": lesson.bug_test,
            }
            rows[f"lines {lesson.candidate.id}"] = row | common
    return [{"id": name, "source": name.split()[1], **row} for name, row in rows.items()]


def that_run(rows: Iterable[dict[str, Any]], runner: Runner, tell: Callable[[int], object]) -> Iterator[dict[str, Any]]:
    """The testgen rows whose reference runs by itself, and that nothing at all does not pass; with the lines that it runs."""
    for number, row in enumerate(rows):
        tell(number)
        made = TestgenRow.model_validate(row)
        if passes(made, made.reference, runner) and not passes(made, "pass", runner):
            lines = reached(made, runner) if made.kind == "test" else ()
            yield {**row, **({"lines": lines} if lines else {})}


def _one_change(before: str, after: str) -> tuple[str, str, str] | None:
    """What stands before, in and after the one place in which ``after`` differs; None where it is long, or lines only went."""
    old, new = before.split("\n"), after.split("\n")
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    changed = new[start : len(new) - end]
    if not any(line.strip() for line in changed) or len(changed) > _LONGEST_CHANGE or start == 0:
        return None
    return "\n".join(new[:start]) + "\n", "\n".join(changed) + "\n", "\n".join(new[len(new) - end :])


def rows_of_data_set(folder: Path, form: TaskName, steps: Iterable[Step]) -> list[dict[str, Any]]:
    """The rows of one form; of those that ask the same, the first."""
    if form == "testgen":
        made = testgen_rows(_lessons(folder))
    else:
        made = comment_rows(steps) if form == "comment" else issue_rows(steps)
    asked = (questions(form, [KINDS[form].model_validate(row)])[0].prompt for row in made)
    return list({prompt: row for prompt, row in reversed(list(zip(asked, made, strict=True)))}.values())[::-1]


def _lessons(folder: Path) -> Iterator[Lesson]:
    yield from Journal(folder / VERIFIED, Lesson).values()
