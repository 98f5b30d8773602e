"""How good one answer is, by code alone: its form, its lines, its likeness to what people wrote, whether its tests run.

Every function gives a share between 0 and 1 and raises nothing, whatever a model wrote.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.smart_coding.likeness import LONGEST, chrf, exact, f1
from benchmarks.smart_coding.proof import brings_something
from benchmarks.smart_coding.rows import CHINESE, CommentRow, IssueRow, Note, TestgenRow
from testing_crew.errors import TestingCrewError
from testing_crew.project.syntax import UNREADABLE, first_line, parse
from testing_crew.runner.plan import Plan, plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest

_LINE = re.compile(r"\s*(?:[-*]\s+)?(?:[Ll]ines?\s*|第\s*)?(\d{1,5})\s*(?:行\s*)?[:：|.)、-]\s*(?:#\s*)?(\S.*)")
_FENCE = re.compile(r"^[ \t]*```[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SENTENCE = re.compile(r"[.!?](?=\s)|[。！？]")
_FORGED = re.compile(r"\b(?:__eq__|__import__|ANY|\w*Mock|mock|sys\.modules|unittest|pytest)\b")
_BARE = re.compile(r"[\s()\[\]{},:]*")
_WORD = re.compile(r"[A-Za-z_]\w+|\d+")
_NAME = re.compile(r"[A-Za-z_][\w.]*[A-Za-z0-9_]")
_CODE = re.compile(r"```[^`\n]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
_SAID_AGAIN = 0.6  # likeness to the code from which on a comment is that code; people's of our rows stay below it
_CUTS = 50  # that make Python of an answer that is cut off, or followed by prose
_PLAIN_WORDS = frozenset(
    "self def return import from for in if else not and or is None True False".split()  # noqa: SIM905
)


class Notes(NamedTuple):
    """An answer read as comments: ``notes`` in its order, and the ``share`` of its lines that have the form that was asked."""

    notes: tuple[Note, ...]
    share: float


def notes_of(answer: str) -> Notes:
    """Read ``LINE: comment`` lines; a code fence around them and blank lines do not count."""
    lines = [line for line in answer[:LONGEST].splitlines() if line.strip() and not line.lstrip().startswith("```")]
    found = [match for line in lines if (match := _LINE.fullmatch(line)) and int(match[1]) > 0]
    notes = tuple(Note(line_number=int(match[1]), annotation=match[2].strip()) for match in found)
    return Notes(notes, len(found) / len(lines) if lines else 0.0)


def comment_format(row: CommentRow, answer: str) -> float:
    """The share of the answer's lines in the form asked, at lines that the code has, each but once, in the row's language.

    Of one text on all of the code: whether it is that, up to three lines and sentences of at least three words (six Chinese
    characters) that are not the code again. What people wrote has the form.
    """
    if _theirs(row, answer):
        return 1.0
    if _is_whole(row):
        return float(_speaks(row, answer) and _is_short_text(answer) and chrf(answer, row.code_snippet) < _SAID_AGAIN)
    read = notes_of(answer)
    if not read.notes:
        return 0.0
    last = row.code_snippet.count("\n") + 1
    numbers = Counter(note.line_number for note in read.notes)
    good = sum(
        1 for n in read.notes if n.line_number <= last and numbers[n.line_number] == 1 and _speaks(row, n.annotation)
    )
    return read.share * good / len(read.notes)


def _theirs(row: CommentRow, answer: str) -> bool:
    return bool(answer.strip()) and exact(answer, row.reference)


def _is_whole(row: CommentRow) -> bool:
    """Whether people wrote one text on all of the code, and nothing at its lines."""
    return bool(row.comment) and not row.annotations


def _speaks(row: CommentRow, text: str) -> bool:
    return bool(CHINESE.search(text)) == (row.language == "zh")


def _is_short_text(text: str) -> bool:
    lines = len(text.strip().split("\n"))
    sentences = len([each for each in _SENTENCE.split(text) if each.strip()])
    return max(lines, sentences) <= 3 and (len(_WORD.findall(text)) >= 3 or len(CHINESE.findall(text)) >= 6)


def comment_accuracy(row: CommentRow, answer: str) -> float | None:
    """The share of the comments that stand where they belong.

    A comment does where people wrote one at that line, or where it names something of its line; never at a line that is not
    there, is blank, or holds brackets alone, nor where it only says the line again, or what was said of another line already.
    None of one text on all of the code: whether that is true, code alone cannot tell.
    """
    if _is_whole(row):
        return None
    if _theirs(row, answer):
        return 1.0
    lines = row.code_snippet.split("\n")
    people = {note.line_number for note in row.annotations}
    notes = notes_of(answer).notes
    said = {note.annotation: note for note in reversed(notes)}  # each text counts where it was said first
    return sum(_anchored(note, lines, people) for note in said.values()) / len(notes) if notes else 0.0


def _anchored(note: Note, lines: Sequence[str], people: set[int]) -> bool:
    if note.line_number > len(lines) or _BARE.fullmatch(lines[note.line_number - 1]):
        return False
    words = set(_WORD.findall(lines[note.line_number - 1])) - _PLAIN_WORDS
    if chrf(note.annotation, lines[note.line_number - 1]) >= _SAID_AGAIN:
        return False
    return note.line_number in people or bool(words & set(_WORD.findall(note.annotation)))


def comment_logic(row: CommentRow, answer: str) -> float:
    """How much of what people said of the code's behaviour the answer says, by likeness (`chrf`).

    For each comment of people's, the best of the answer's at that line or one beside it; the mean of these. N-grams of under
    three letters (two Chinese characters) do not count: any two sentences share them. By these, one sentence said of all code
    is like docstrings of two projects by 0.03 to 0.07 in the mean, by all n-grams it would be by 0.2.
    """
    if _theirs(row, answer):
        return 1.0
    least = 2 if row.language == "zh" else 3
    if not row.annotations:
        return chrf(answer, row.comment, least=least) if row.comment else 0.0
    notes = notes_of(answer).notes
    best = []
    for said in row.annotations:
        near = [note.annotation for note in notes if abs(note.line_number - said.line_number) <= 1]
        best.append(max((chrf(each, said.annotation, least=least) for each in near), default=0.0))
    return sum(best) / len(best)


def comment_lines(row: CommentRow, answer: str) -> float | None:
    """F1 of the lines that the answer comments and those that people did; None where people's are not known."""
    return f1({note.line_number for note in notes_of(answer).notes}, {note.line_number for note in row.annotations})


def issue_overlap(row: IssueRow, answer: str) -> float | None:
    """The answer's likeness to the nearest of people's in what the issue does not say itself; None where there is none."""
    issue = f"{row.question}\n{row.body}"
    return max((chrf(answer, each, issue) for each in row.answers), default=None)


def issue_names(row: IssueRow, answer: str) -> float | None:
    """F1 of the names in code marks that the answer brings to the issue and those that the answer which solved it does.

    None where that one brings none.
    """
    known = set(_NAME.findall(f"{row.question}\n{row.body}"))
    return f1(_names(answer) - known, _names(row.reference) - known)


def _names(text: str) -> set[str]:
    """The names within code marks."""
    marked = "\n".join(block or inline for block, inline in _CODE.findall(text[:LONGEST]))
    return {name for name in _NAME.findall(marked) if name not in _PLAIN_WORDS and len(name) > 2}


def code_of(answer: str) -> str:
    """The code in an answer: its first fenced block, else all of it."""
    block = _FENCE.search(answer[:LONGEST])
    return (block[1] if block else answer[:LONGEST]).strip("\n")


def next_test(row: TestgenRow, answer: str) -> str:
    """The one new test in an answer, which may repeat the file so far; empty where there is none."""
    lines = code_of(answer).partition("\0")[0].split("\n")
    for _ in range(_CUTS):
        try:
            tree = parse("\n".join(lines))
            break
        except UNREADABLE as error:
            del lines[max(0, min(getattr(error, "lineno", None) or len(lines), len(lines)) - 1) :]
    else:
        return ""
    known = set(re.findall(r"^(?:async )?def (\w+)", row.prefix, re.MULTILINE))
    for node in tree.body:
        if isinstance(node, _FUNCTIONS) and node.name.startswith("test") and node.name not in known:
            return "\n".join(lines[first_line(node) - 1 : node.end_lineno]) + "\n"
    return ""


def next_lines(row: TestgenRow, answer: str) -> str:
    """As many lines of an answer as people wrote there, with the indentation of theirs; a repeated beginning is passed over."""
    lines = [line for line in code_of(answer).split("\n") if line.strip()]
    if "\t" not in row.prefix:
        lines = [line[: _indent(line)].expandtabs(4) + line.lstrip() for line in lines]
    shown = [line.strip() for line in row.prefix.split("\n") if line.strip()]
    said = [line.strip() for line in lines]
    most = min(len(said) - 1, len(shown))
    lines = lines[max((n for n in range(1, most + 1) if said[:n] == shown[-n:]), default=0) :]
    wanted = row.reference.strip("\n").split("\n")
    lines = lines[: sum(bool(line.strip()) for line in wanted)]
    if not lines:
        return ""
    shift = _indent(wanted[0]) - _indent(lines[0])
    moved = [" " * shift + line if shift > 0 else line[min(-shift, _indent(line)) :] for line in lines]
    return "\n".join(moved) + "\n"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def passes(row: TestgenRow, answer: str, runner: Runner) -> float:
    """1 where it runs: a new test that passes and notices what the file so far does not; lines under which the tests pass.

    Lines that bring what equals anything, or another library or module in the place of one, are none (`_FORGED`).
    """
    try:
        if row.kind == "test":
            return float(_test_passes(row, next_test(row, answer), runner))
        lines = next_lines(row, answer)
        known = _FORGED.findall(row.prefix + row.reference + row.suffix)
        if not lines or not set(_FORGED.findall(lines)) <= set(known):
            return 0.0
        code = row.prefix.rstrip("\n") + "\n" + lines + row.suffix
        return float(runner.execute(_plan(row, code, row.tests)).run.passed)
    except (TestingCrewError, *UNREADABLE):  # a text that cannot be written or read
        return 0.0


def _test_passes(row: TestgenRow, test: str, runner: Runner) -> bool:
    name = re.search(r"^(?:async )?def (\w+)", test, re.MULTILINE)
    if not name:
        return False
    plan = _plan(row, row.code, row.prefix.rstrip("\n") + "\n\n\n" + test)
    first = runner.execute(plan)
    own = frozenset(case.node for case in first.run.cases if case.node.split("[")[0] == name[1])
    if not own or any(case.outcome != "passed" for case in first.run.cases if case.node in own):
        return False
    return brings_something(plan, first, own, runner)


def reached(row: TestgenRow, runner: Runner) -> tuple[int, ...]:
    """The lines of the row's module, within functions, that its reference test runs."""
    tests = row.prefix.rstrip("\n") + "\n\n\n" + row.reference
    name = re.findall(r"^(?:async )?def (test\w*)", row.reference, re.MULTILINE)
    seen = runner.execute(_plan(row, row.code, tests))
    ours = (line for line, by in seen.reached.items() if {case.split("[")[0] for case in by} & set(name))
    return tuple(sorted(ours))


def _plan(row: TestgenRow, source: str, tests: str) -> Plan:
    code = CodeUnderTest(source=source, shown="", module=row.module, root="", interpreter=sys.executable)
    if not row.files:
        return plan_text(code, tests)
    place = row.module.replace(".", "/")
    package = any(name.startswith(f"{place}/") for name in row.files)
    return plan_text(code, tests, {**row.files, f"{place}/__init__.py" if package else f"{place}.py": source})
