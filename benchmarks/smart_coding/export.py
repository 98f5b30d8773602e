"""Rows of the benchmark out of a collaboration data set: what a project's own history has to ask."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from trace_logger.collect.records import Annotated, Step
from trace_logger.collect.repairs import VERIFIED, Lesson
from trace_logger.journal import Journal

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_SHORTEST, _LONGEST = 4, 40  # lines of a snippet
_FEWEST_WORDS = 3  # of a comment that says something
_LONGEST_CHANGE = 10  # lines that are asked for
_LONGEST_MODULE = 12_000  # characters


def comment_rows(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """``{description, code_snippet, annotations, comment}`` of each function and class as it was written last."""
    latest: dict[tuple[str, str], Annotated] = {}
    for step in steps:
        for version in step.versions:
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
                "language": "zh" if _CHINESE.search(said + "".join(n.annotation for n in notes)) else "en",
                "code_snippet": each.code,
                "annotations": [{"line_number": n.line_number, "annotation": n.annotation} for n in notes],
                "comment": said,
            }
        )
    return rows


def _says(text: str) -> bool:
    return len(text.split()) >= _FEWEST_WORDS or len(_CHINESE.findall(text)) >= 2 * _FEWEST_WORDS


def issue_rows(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """``{question, user_login, created_at, updated_at, body, answer_1 …}`` of each issue that somebody else answered."""
    rows = []
    for step in steps:
        answers = [
            said for said in step.feedback if said.kind == "comment" and said.actor != step.actor and said.body.strip()
        ]
        if step.kind != "issue" or not answers:
            continue
        row: dict[str, Any] = {
            "id": step.id,
            "language": "zh" if _CHINESE.search(step.title + step.body) else "en",
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
    """The next test of a file, where a commit brought one that passes; the next lines of a module, where a commit mended it."""
    rows: dict[str, dict[str, Any]] = {}
    for lesson in lessons:
        path = PurePosixPath(lesson.candidate.target)
        module = path.parent.name if path.stem == "__init__" else path.stem
        if lesson.added and len(lesson.code) <= _LONGEST_MODULE:
            row = {"kind": "test", "module": module, "code": lesson.code}
            row |= {"prefix": lesson.tests_before, "reference": lesson.added}
            rows[f"test {lesson.candidate.id}"] = row
        if "fix" in lesson.found and len(lesson.code) <= _LONGEST_MODULE:
            changed = _one_change(lesson.code_before, lesson.code)
            if changed:
                prefix, reference, suffix = changed
                row = {"kind": "lines", "module": module, "prefix": prefix, "reference": reference, "suffix": suffix}
                rows[f"lines {lesson.candidate.id}"] = {**row, "tests": lesson.bug_test}
    return [{"id": name, "source": name.partition(" ")[2].partition(" ")[0], **row} for name, row in rows.items()]


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


def rows_of_data_set(folder: Path, form: str, steps: Iterable[Step]) -> list[dict[str, Any]]:
    """The rows of one form. Raises KeyError for another than ``comment``, ``issue`` and ``testgen``."""
    if form == "testgen":
        return testgen_rows(_lessons(folder))
    forms: Mapping[str, Any] = {"comment": comment_rows, "issue": issue_rows}
    made: list[dict[str, Any]] = forms[form](steps)
    return made


def _lessons(folder: Path) -> Iterator[Lesson]:
    yield from Journal(folder / VERIFIED, Lesson).values()
