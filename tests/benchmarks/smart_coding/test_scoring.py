"""What one answer is worth: read in every form that models give, and never an exception, whatever they wrote."""

import math
import random
import time

import pytest

from benchmarks.smart_coding import scoring as s
from benchmarks.smart_coding.judge import read as read_judge
from benchmarks.smart_coding.likeness import chrf, exact, f1, numbers_in
from benchmarks.smart_coding.rows import CommentRow, IssueRow, TestgenRow, rows_of

CODE = "def f(rows):\n    total = 0\n    for row in rows:\n        total += row\n\n    return (\n        total\n    )"
NOTES = [{"line_number": 2, "annotation": "An empty list has the sum 0."}, {"line_number": 4, "annotation": "Adds up."}]
ROW = CommentRow(code_snippet=CODE, annotations=NOTES)
WHOLE = CommentRow(code_snippet=CODE, comment="Adds up the rows.")
ISSUE = IssueRow(
    question="gather goes on", body="`gather` fails", answers=("Use `asyncio.TaskGroup` not `gather`.", "No.")
)
TEST = TestgenRow(
    kind="test",
    module="m",
    prefix="from m import f\n\n\ndef test_one():\n    assert f(1)\n",
    reference="def test_two():\n    assert f(2)\n",
)
LINES = TestgenRow(
    kind="lines",
    module="m",
    prefix="import os\n\n\ndef f(x):\n    y = x\n    if y:\n",
    reference="        y += 1\n    return y\n",
)


def test_what_people_wrote_is_perfect_and_nothing_is_worth_nothing():
    for row in rows_of("comment"):
        figures = (s.comment_logic, s.comment_accuracy, s.comment_format, s.comment_lines)
        assert [figure(row, row.reference) for figure in figures if figure(row, "") is not None] == [1.0] * 4, row.id
        assert [figure(row, "") for figure in figures] == [0.0] * 4, row.id


@pytest.mark.parametrize(
    "line",
    [
        *("3: why", " 3 : why", "3：why", "3：# why", "3| why", "3. why", "3) why", "3、why", "3 - why", "3:why"),
        *(
            "- 3: why",
            "* 3: why",
            "Line 3: why",
            "line 3: why",
            "Lines 3: why",
            "第3行：why",
            "第 3 行: why",
            "3行：why",
        ),
        *("- Line 3: why", "3: # why", "\t3:\twhy  ", "003: why"),
    ],
)
def test_a_comment_is_read_in_the_forms_that_models_give(line):
    notes, share = s.notes_of(line)
    assert [(note.line_number, note.annotation) for note in notes] == [(3, "why")]
    assert share == 1.0


@pytest.mark.parametrize(
    "line", ["why", "3", "3:", "0: why", "-3: why", "3 why", "x3: why", "123456: why", ": why", "3::"]
)
def test_another_line_is_none(line):
    assert [note for note in s.notes_of(line).notes if note.annotation != ":"] == []


def test_a_fence_does_not_count_and_prose_does():
    fenced = "```text\n2: zero\n\n4: adds\n```"
    assert s.notes_of(fenced).share == 1.0
    assert s.comment_format(ROW, fenced) == 1.0
    assert s.comment_format(ROW, f"Here are my comments:\n\n{fenced}\nI hope it helps!") == 0.5
    assert s.notes_of("") == ((), 0.0)


def test_form_is_lost_by_lines_that_are_not_there_come_twice_or_are_in_another_language():
    assert s.comment_format(ROW, "2: a\n4: b\n9: c\n99999: d") == 0.5
    assert s.comment_format(ROW, "2: a\n2: b\n4: c\n3: d") == 0.5
    assert s.comment_format(ROW, "2: a\n4: 累加") == 0.5
    assert s.comment_format(ROW.model_copy(update={"language": "zh"}), "2: a\n4: 累加") == 0.5
    assert s.comment_format(ROW, "no comment at all") == 0.0
    assert s.comment_format(WHOLE, "Adds them up.\nAll.") == 1.0
    assert s.comment_format(WHOLE, "a\nb\nc\nd") == 0.0
    assert s.comment_format(WHOLE, "求和") == 0.0


WORDS = "Adds up all of them."


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        (WORDS, 1.0),
        (f"{WORDS} {WORDS}\n{WORDS}", 1.0),
        (f"{WORDS} {WORDS} {WORDS} {WORDS}", 0.0),
        (f"{WORDS}\n" * 4, 0.0),
        ("Adds", 0.0),
        ("x", 0.0),
        (CODE, 0.0),
        ("把所有的行加起来", 0.0),
    ],
)
def test_one_text_on_all_of_the_code_is_short_says_something_and_is_not_the_code(answer, share):
    assert s.comment_format(WHOLE, answer) == share


def test_one_text_in_chinese_has_six_characters_and_what_people_wrote_has_the_form():
    row = WHOLE.model_copy(update={"language": "zh", "comment": "求和"})
    answers = ("把所有的行加起来。", "加起来", "求和", "a。b。c。把所有的行加起来。")
    assert [s.comment_format(row, each) for each in answers] == [1.0, 0.0, 1.0, 0.0]
    long = WHOLE.model_copy(update={"comment": f"{WORDS} " * 5})
    assert [figure(long, long.comment) for figure in (s.comment_format, s.comment_logic)] == [1.0, 1.0]
    odd = [{"line_number": 5, "annotation": "at a blank line"}, {"line_number": 7, "annotation": "total"}]
    twice = ROW.model_copy(update={"annotations": CommentRow(code_snippet=CODE, annotations=odd * 2).annotations})
    figures = (s.comment_format, s.comment_accuracy, s.comment_logic, s.comment_lines)
    assert [figure(twice, twice.reference) for figure in figures] == [1.0] * 4


ONE_FOR_ALL = (
    "Return the value of the given object with the default if it is not set, and raise an error when the value is invalid.",
    "This function takes the arguments, does the work that is needed with them, and returns the result to the caller.",
)
DOCSTRINGS = (
    "Signs the given string and also attaches time information.",
    "Wait strategy that waits a random amount of time between min/max.",
    "Stop when the previous attempt >= max_attempt.",
    "Returns the names of all files below a folder, links left out.",
    "Parses a date in one of the forms that HTTP allows.",
)


def test_a_sentence_that_fits_all_code_says_little_of_any():
    rows = [WHOLE.model_copy(update={"comment": each}) for each in DOCSTRINGS]
    assert all(s.comment_logic(row, row.comment) == 1.0 for row in rows)
    for said in ONE_FOR_ALL:
        assert sum(s.comment_logic(row, said) for row in rows) / len(rows) < 0.1
    assert s.comment_logic(rows[0], "Signs the string and attaches the time.") > 0.3


def test_a_comment_stands_where_people_wrote_one_or_where_it_names_something():
    assert s.comment_accuracy(ROW, "2: anything\n4: else") == 1.0
    assert s.comment_accuracy(ROW, "3: goes over rows") == 1.0
    assert s.comment_accuracy(ROW, "3: for in def return") == 0.0
    assert s.comment_accuracy(ROW, "5: blank\n6: nothing of it\n8: bracket\n50: far\n2: good") == 0.2
    assert s.comment_accuracy(WHOLE, "Adds `total` and `missing`.") is None


def test_what_is_said_beside_its_line_counts_and_further_away_it_does_not():
    said = "An empty list has the sum 0."
    assert s.comment_logic(ROW, f"2: {said}\n4: Adds up.") == 1.0
    assert s.comment_logic(ROW, f"1: {said}\n5: Adds up.") == 1.0
    assert s.comment_logic(ROW, f"6: {said}\n7: Adds up.") == 0.0
    assert s.comment_logic(ROW, f"2: {said}") == pytest.approx(0.5)
    assert s.comment_logic(ROW, f"2: {said}\n2: nonsense\n4: Adds up.") == 1.0
    assert s.comment_lines(ROW, "2: a\n3: b") == 0.5
    assert s.comment_lines(WHOLE, "2: a") is None
    assert s.comment_logic(CommentRow(code_snippet="x"), "1: a") == 0.0


def test_an_answer_to_an_issue_is_like_the_nearest_and_has_the_names_that_solve_it():
    assert s.issue_overlap(ISSUE, "No.") == s.issue_overlap(ISSUE, ISSUE.reference) == 1.0
    assert s.issue_overlap(ISSUE, "") == 0.0
    assert s.issue_overlap(ISSUE.model_copy(update={"answers": ()}), "x") is None
    assert s.issue_names(ISSUE, "Try `asyncio.TaskGroup`, not `gather`") == 1.0
    assert s.issue_names(ISSUE, "```python\nasyncio.TaskGroup()\nasyncio.wait()\nsleeping\n```") == 0.5
    assert s.issue_names(ISSUE, "Try `gather`") == s.issue_names(ISSUE, "Try asyncio.TaskGroup") == 0.0
    assert s.issue_names(ISSUE.model_copy(update={"answers": ("Use `gather`.",)}), "x") is None
    for row in rows_of("issue"):
        assert s.issue_overlap(row, row.reference) == 1.0
        assert s.issue_names(row, row.reference) in (1.0, None)


def by_definition(text, reference):
    """chrF by Popović's formula, written down plainly."""
    one, other = "".join(text.split()), "".join(reference.split())
    precisions, recalls = [], []
    for n in range(1, 7):
        mine = [one[i : i + n] for i in range(len(one) - n + 1)]
        theirs = [other[i : i + n] for i in range(len(other) - n + 1)]
        if mine and theirs:
            common = sum(min(mine.count(gram), theirs.count(gram)) for gram in set(mine))
            precisions.append(common / len(mine))
            recalls.append(common / len(theirs))
    p, r = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return 5 * p * r / (4 * p + r) if p + r else 0.0


def test_likeness_is_as_worked_out_by_hand():
    # 1-grams: a, b of ab|abc: P 1, R 2/3. 2-grams: ab of ab|bc: P 1, R 1/2. Mean P 1, R 7/12; F2 = 5·7/12 / (4 + 7/12).
    assert chrf("ab", "abc") == pytest.approx(35 / 55)
    # The other way round P 7/12, R 1; F2 = 5·7/12 / (4·7/12 + 1).
    assert chrf("abc", "ab") == pytest.approx(35 / 40)
    # 1-grams: a comes once of aa|ab: P 1/2, R 1/2. 2-grams: none.
    assert chrf("aa", "ab") == pytest.approx(0.25)
    assert chrf("循环结束", "循环") == pytest.approx(5 * (5 / 12) / (4 * (5 / 12) + 1))


def test_likeness_is_one_of_the_same_zero_of_nothing_common_and_does_not_see_spaces():
    for text in ("a", "the same text", "循环到空行为止", "é\U0001f600", "x" * 50_000):
        assert chrf(text, text) == 1.0
    assert chrf("abc", "xyz") == chrf("xyz", "abc") == 0.0
    assert chrf("", "a") == chrf("a", "") == chrf(" \n", "a") == 0.0
    assert chrf("", "") == 1.0
    assert chrf("a b\tc", "abc") == chrf("abc", "a\u3000b\nc") == 1.0
    chance = random.Random(1)
    for _ in range(60):
        one, other = ("".join(chance.choices("abc 循", k=chance.randrange(1, 30))) + "a" for _ in range(2))
        assert chrf(one, other) == pytest.approx(by_definition(one, other))
        assert 0.0 <= chrf(one, other) <= 1.0


def test_the_same_but_for_spaces_is_exact_and_lines_are_compared_by_f1():
    assert exact("a\n  b", "a b\n")
    assert not exact("ab", "a b")
    assert f1({1, 2}, {2, 3}) == 0.5
    assert (f1({1}, {1}), f1((), {1}), f1({1}, {2}), f1({1}, ())) == (1.0, 0.0, 0.0, None)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("2, 3 and 7", {2, 3, 7}),
        ("Lines 3-5.", {3, 4, 5}),
        ("3 to 5, 9", {3, 4, 5, 9}),
        ("3–4", {3, 4}),
        ("第3行到第5行", {3, 5}),
        ("3至5行", {3, 4, 5}),
        ("[2,3]", {2, 3}),
        ("2\n3\n", {2, 3}),
        ("x3 is 4.5 or 3rd of v2", set()),
        ("5-3, 1-9999", set()),
        ("12345", set()),
        ("none", set()),
    ],
)
def test_line_numbers_are_found_in_a_text(text, numbers):
    assert numbers_in(text) == numbers


# Whatever a model writes

FUNCTIONS = {
    **{
        f.__name__: lambda a, f=f: (f(ROW, a), f(WHOLE, a))
        for f in (s.comment_format, s.comment_accuracy, s.comment_logic)
    },
    "comment_lines": lambda a: s.comment_lines(ROW, a),
    "issue_overlap": lambda a: s.issue_overlap(ISSUE, a),
    "issue_names": lambda a: s.issue_names(ISSUE, a),
    "next_test": lambda a: s.next_test(TEST, a),
    "next_lines": lambda a: s.next_lines(LINES, a),
    "numbers_in": numbers_in,
    "exact": lambda a: exact(a, "x"),
    "judge": lambda a: read_judge(a, "j"),
}
PIECES = [
    *(
        "3",
        "3:",
        "：",
        "第",
        "行",
        "Line ",
        "- ",
        "#",
        "`",
        "```",
        "```py\n",
        "\n",
        "\r",
        "\t",
        " ",
        "\0",
        "\x1b[0m",
        "\ud800",
    ),
    *(
        "\udfff",
        "\u2028",
        "\u200b",
        "𝟛",
        "٣",
        "é",
        "循",
        "\U0001f600",
        "def test_x(",
        "):\n",
        "    assert f(1)\n",
        "return",
        "(",
    ),
    *("'''", '"', "\\", "@", "if x:\n", "logic: ", "8/10", "verdict: right", "10" * 50, "- - -", "..", "total"),
]


def test_no_text_makes_an_exception_and_all_figures_are_shares():
    chance = random.Random(7)
    for _ in range(400):
        text = "".join(chance.choices(PIECES, k=chance.randrange(0, 40)))
        for name, figure in FUNCTIONS.items():
            found = figure(text)
            for value in found if name.startswith("comment_") and isinstance(found, tuple) else (found,):
                assert not isinstance(value, float) or (0.0 <= value <= 1.0 and not math.isnan(value)), (name, text)


LONG = [
    "`",
    "``` ",
    "```\n",
    "3: total\n",
    "3: x",
    "no code here\n",
    "x = (\n",
    "def f():\n",
    "if x:\n",
    "x = '''\n",
    "-",
    "(",
]
LONG += [
    "1-200 ",
    "1.",
    " ",
    "\n",
    "\t",
    "a.",
    "\0\n",
    "\ud800\n",
    "循",
    "logic ",
    "@a\n",
    "1: ",
    "elif x: pass\n",
    "`a",
]


@pytest.mark.parametrize("piece", LONG)
def test_a_million_characters_are_read_in_a_moment(piece):
    for text in (piece * (10**6 // len(piece)), "a" + piece * (10**6 // len(piece)) + "\n"):
        for name, figure in FUNCTIONS.items():
            started = time.process_time()
            figure(text)
            assert time.process_time() - started < 8, name  # without a bound it is minutes
