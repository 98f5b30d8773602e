"""How good one answer is, by code alone: its form, its lines, its likeness to what people wrote, whether its tests run.

Every function gives a share between 0 and 1 and raises nothing, whatever a model wrote.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from benchmarks.smart_coding.rows import CommentRow, IssueRow, Note, TestgenRow
from testing_crew.errors import TestingCrewError
from testing_crew.gate.claims import File
from testing_crew.gate.weight import real
from testing_crew.mutation.operators import disabled
from testing_crew.project.syntax import UNREADABLE, parse
from testing_crew.runner.plan import Plan, Variation, plan_text
from testing_crew.runner.run import Execution, Runner
from trace_logger.records import CodeUnderTest

_LINE = re.compile(r"\s*(?:[-*]\s+)?(?:[Ll]ines?\s*|第\s*)?(\d{1,5})\s*(?:行\s*)?[:：|.)、-]\s*(?:#\s*)?(\S.*)")
_FENCE = re.compile(r"^[ \t]*```[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_BARE = re.compile(r"[\s()\[\]{},:]*")
_WORD = re.compile(r"[A-Za-z_]\w+|\d+")
_NAME = re.compile(r"[A-Za-z_][\w.]*[A-Za-z0-9_]")
_CODE = re.compile(r"```[^`\n]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
_NUMBERS = re.compile(r"(?<![A-Za-z\d_.])(\d{1,4})(?:\s*(?:-|–|to|至|到)\s*(\d{1,4}))?(?![A-Za-z\d_.]*[A-Za-z\d_])")
_SPACE = re.compile(r"\s+")
_SAID_AGAIN = 0.6  # likeness to the code from which on a comment is that code; people's of our rows stay below it
_CHRF_MOST = 6
_CHRF_BETA = 2.0
_LONGEST = 20_000  # characters of an answer that are read: more than its limit of tokens gives
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
    lines = [line for line in answer[:_LONGEST].splitlines() if line.strip() and not line.lstrip().startswith("```")]
    found = [match for line in lines if (match := _LINE.fullmatch(line)) and int(match[1]) > 0]
    notes = tuple(Note(line_number=int(match[1]), annotation=match[2].strip()) for match in found)
    return Notes(notes, len(found) / len(lines) if lines else 0.0)


def comment_format(row: CommentRow, answer: str) -> float:
    """The share of the answer's lines in the form asked, at lines that the code has, each but once, in the row's language."""
    if not row.annotations and row.comment:
        return float(bool(answer.strip()) and _speaks(row, answer) and len(answer.strip().split("\n")) <= 3)
    read = notes_of(answer)
    if not read.notes:
        return 0.0
    last = row.code_snippet.count("\n") + 1
    numbers = Counter(note.line_number for note in read.notes)
    good = sum(
        1 for n in read.notes if n.line_number <= last and numbers[n.line_number] == 1 and _speaks(row, n.annotation)
    )
    return read.share * good / len(read.notes)


def _speaks(row: CommentRow, text: str) -> bool:
    return bool(re.search(r"[\u3400-\u9fff]", text)) == (row.language == "zh")


def comment_accuracy(row: CommentRow, answer: str) -> float:
    """The share of the comments that stand where they belong.

    A comment does where people wrote one at that line, or where it names something of its line; never at a line that is not
    there, is blank, or holds brackets alone, nor where it only says the line again, or what was said of another line already.
    Where people wrote one text on all of the code: the share of the names in the answer's code marks that the code has, 0 for
    the code itself.
    """
    if not row.annotations and row.comment:
        named = _names(answer)
        if chrf(answer, row.code_snippet) >= _SAID_AGAIN:
            return 0.0
        return sum(name in row.code_snippet for name in named) / len(named) if named else float(bool(answer.strip()))
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

    For each comment of people's, the best of the answer's at that line or one beside it; the mean of these.
    """
    if not row.annotations:
        return chrf(answer, row.comment) if row.comment else 0.0
    notes = notes_of(answer).notes
    best = []
    for said in row.annotations:
        near = [note.annotation for note in notes if abs(note.line_number - said.line_number) <= 1]
        best.append(max((chrf(each, said.annotation) for each in near), default=0.0))
    return sum(best) / len(best)


def comment_lines(row: CommentRow, answer: str) -> float | None:
    """F1 of the lines that the answer comments and those that people did; None where people's are not known."""
    return f1({note.line_number for note in notes_of(answer).notes}, {note.line_number for note in row.annotations})


def issue_overlap(row: IssueRow, answer: str) -> float | None:
    """The answer's likeness to the nearest of people's in what the issue does not say itself; None where there is none."""
    issue = f"{row.question}\n{row.body}"
    return max((chrf(answer, each, issue) for each in row.answers), default=None)


def issue_names(row: IssueRow, answer: str) -> float | None:
    """The share of the names in code that solved the issue, and that the issue does not hold, which the answer has, too.

    None where the answer that solved it brings no new name.
    """
    wanted = _names(row.reference) - set(_NAME.findall(f"{row.question}\n{row.body}"))
    return len(wanted & set(_NAME.findall(answer[:_LONGEST]))) / len(wanted) if wanted else None


def _names(text: str) -> set[str]:
    """The names within code marks."""
    marked = "\n".join(block or inline for block, inline in _CODE.findall(text[:_LONGEST]))
    return {name for name in _NAME.findall(marked) if name not in _PLAIN_WORDS and len(name) > 2}


def code_of(answer: str) -> str:
    """The code in an answer: its first fenced block, else all of it."""
    block = _FENCE.search(answer[:_LONGEST])
    return (block[1] if block else answer[:_LONGEST]).strip("\n")


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
        is_test = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test")
        if is_test and node.name not in known:  # type: ignore[attr-defined]
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])  # type: ignore[attr-defined]
            return "\n".join(lines[first - 1 : node.end_lineno]) + "\n"
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
    """1 where it runs: a new test that passes and makes a claim about what the module does; lines under which the tests pass."""
    try:
        if row.kind == "test":
            return float(_test_passes(row, next_test(row, answer), runner))
        lines = next_lines(row, answer)
        code = row.prefix.rstrip("\n") + "\n" + lines + row.suffix
        return float(bool(lines) and runner.execute(plan_text(_code(row, code), row.tests)).run.passed)
    except (TestingCrewError, *UNREADABLE):  # a text that cannot be written or read
        return 0.0


def _test_passes(row: TestgenRow, test: str, runner: Runner) -> bool:
    name = re.search(r"^(?:async )?def (\w+)", test, re.MULTILINE)
    if not name or _asserted(test) <= _asserted(row.prefix):
        return False  # it claims nothing that the file does not claim already
    tests = row.prefix.rstrip("\n") + "\n\n\n" + test
    plan = plan_text(_code(row, row.code), tests)
    every = runner.execute(plan).run
    own = frozenset(case.node for case in every.cases if case.node.split("[")[0] == name[1])
    if not own or any(case.outcome != "passed" for case in every.cases if case.node in own):
        return False
    alone = runner.execute(plan, Variation(only=own))
    return alone.run.passed and bool(alone.run.asserted_lines) and _is_about(row, plan, alone, runner)


def _asserted(tests: str) -> set[str]:
    """What a file asserts or expects to be raised, and the rows that its tests are given, each as text without its spacing."""
    try:
        tree = parse(tests)
    except UNREADABLE:
        return set()
    kinds = (ast.Assert, ast.With, ast.AsyncWith)
    found = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    marks = [mark for node in ast.walk(tree) for mark in getattr(node, "decorator_list", [])]
    rows = [each for mark in marks for each in ast.walk(mark) if isinstance(each, (ast.List, ast.Tuple))]
    return {ast.unparse(node) for node in (*found, *rows)}


def _is_about(row: TestgenRow, plan: Plan, alone: Execution, runner: Runner) -> bool:
    """Whether a test runs the module, claims what may fail, and does not pass where all functions of the module only raise."""
    own = frozenset(case.node for case in alone.run.cases)
    shown, all_of_it = (real(File(parse(text)).tally(frozenset())) for text in (row.prefix, plan.tests))
    if all_of_it <= shown or not any(own & by for by in alone.reached.values()):
        return False
    hollow = Variation(measure=False, only=own, source=disabled(row.code))
    return hollow.source is None or not runner.execute(plan, hollow).run.passed


def reached(row: TestgenRow, runner: Runner) -> tuple[int, ...]:
    """The lines of the row's module, within functions, that its reference test runs."""
    tests = row.prefix.rstrip("\n") + "\n\n\n" + row.reference
    name = re.findall(r"^(?:async )?def (test\w*)", row.reference, re.MULTILINE)
    seen = runner.execute(plan_text(_code(row, row.code), tests))
    ours = (line for line, by in seen.reached.items() if {case.split("[")[0] for case in by} & set(name))
    return tuple(sorted(ours))


def _code(row: TestgenRow, source: str) -> CodeUnderTest:
    return CodeUnderTest(source=source, shown="", module=row.module, root="", interpreter=sys.executable)


def numbers_in(text: str) -> set[int]:
    """The line numbers that a text names, ``3-5`` and ``3 to 5`` being three of them."""
    found: set[int] = set()
    for first, last in _NUMBERS.findall(text[:_LONGEST]):
        end = int(last) if last else int(first)
        if int(first) <= end <= int(first) + 200:
            found.update(range(int(first), end + 1))
    return found


def f1(said: Iterable[int], right: Iterable[int]) -> float | None:
    """2PR / (P + R) of two sets; None where nothing is right, 0 where they share nothing."""
    one, other = set(said), set(right)
    if not other:
        return None
    return 2 * len(one & other) / (len(one) + len(other)) if one else 0.0


def exact(answer: str, reference: str) -> bool:
    """The same, however it is spaced."""
    return _SPACE.sub(" ", answer).strip() == _SPACE.sub(" ", reference).strip()


def chrf(text: str, reference: str, known: str = "") -> float:
    """Character n-gram F-score, n from 1 to 6, beta 2, whitespace left out (Popović 2015); for Chinese as for English.

    N-grams of ``known``, which both had before them, are counted in neither.
    """
    one, other, given = (_SPACE.sub("", each[:_LONGEST]) for each in (text, reference, known))
    if not one or not other:
        return float(one == other)
    precisions, recalls = [], []
    for n in range(1, _CHRF_MOST + 1):
        before = set(_grams(given, n))
        mine, theirs = _grams(one, n, before), _grams(other, n, before)
        if not theirs or len(one) < n:
            continue  # one is shorter than n, or there is nothing new
        common = sum((mine & theirs).values())
        precisions.append(common / mine.total() if mine else 0.0)
        recalls.append(common / theirs.total())
    if not recalls:
        return 0.0
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    weight = _CHRF_BETA**2
    return (1 + weight) * precision * recall / (weight * precision + recall) if precision + recall else 0.0


def _grams(text: str, n: int, but: Container[str] = ()) -> Counter[str]:
    return Counter(gram for at in range(len(text) - n + 1) if (gram := text[at : at + n]) not in but)
