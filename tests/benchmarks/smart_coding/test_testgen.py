"""The next test and the next lines: what of an answer is taken, and whether it really runs and checks the module."""

import time

import pytest

from benchmarks.smart_coding.ask import Prediction
from benchmarks.smart_coding.bench import CONTROLS
from benchmarks.smart_coding.figures import FIGURES
from benchmarks.smart_coding.likeness import exact
from benchmarks.smart_coding.rows import TestgenRow, load, rows_of
from benchmarks.smart_coding.scoring import next_lines, next_test, passes, reached
from testing_crew.backends.base import Sampling
from testing_crew.runner.run import Limits, Runner

MODULE = (
    "def twice(x):\n    return 2 * x\n\n\ndef half(x):\n    if x % 2:\n        raise ValueError(x)\n    return x // 2\n"
)
PREFIX = "import pytest\nfrom doubling import half, twice\n\n\ndef test_one():\n    assert twice(1) == 2\n"
GOOD = "def test_two():\n    assert twice(2) == 4\n"
TEST = TestgenRow(kind="test", module="doubling", code=MODULE, prefix=PREFIX, reference=GOOD)
LINES = TestgenRow(
    kind="lines",
    module="doubling",
    prefix='"""Doubling."""\n\n\ndef twice(x):\n    y = x\n    if y:\n',
    reference="        y += x\n\n    return y\n",
    suffix="\n\ndef thrice(x):\n    return 3 * x\n",
    tests="from doubling import thrice, twice\n\n\ndef test_one():\n    assert (twice(1), thrice(1)) == (2, 3)\n",
)


@pytest.fixture(scope="module")
def runner():
    with Runner(Limits(wall_seconds=5)) as made:
        yield made


# What is taken of an answer


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```python\n{GOOD}```",
        f"```\n{GOOD}\n```\nThis covers the second case.",
        f"Here is the next test:\n\n```py\n{GOOD}```\n\n```python\ndef test_three(): ...\n```",
        f"```python\n{GOOD}",
        f"  ```python\n{GOOD}  ```",
        f"{GOOD}\n\nThis test checks that two is doubled.",
        f"{PREFIX}\n\n{GOOD}",
        f"{PREFIX}\n\n{GOOD}\n\ndef test_three():\n    assert twice(",
        f"{GOOD}\n\ndef test_three():\n    assert twice(3) == 6\n",
        f"import os\n\n\ndef helper():\n    return 1\n\n\n{GOOD}",
        f"{GOOD}\n@pytest.mark.parametrize(",
        GOOD.replace("\n", "\r\n"),
        f"{GOOD}\0\0",
    ],
)
def test_the_one_new_test_is_taken(answer):
    assert exact(next_test(TEST, answer), GOOD)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot.",
        "def helper():\n    return 1\n",
        PREFIX,
        "class TestTwo:\n    def test_two(self): ...\n",
        "def test_two(",
    ],
)
def test_where_there_is_none_nothing_is_taken(answer):
    assert next_test(TEST, answer) == ""


def test_a_test_that_is_cut_off_is_taken_as_far_as_it_goes_and_with_its_decorators():
    cut = "def test_two():\n    x = twice(2)\n    assert x == 4\n    assert half(\n        4,\n"
    assert next_test(TEST, cut) == "def test_two():\n    x = twice(2)\n    assert x == 4\n"
    decorated = "@pytest.mark.parametrize('n', [1])\n@other\nasync def test_n(n):\n    assert twice(n)\n"
    assert next_test(TEST, f"x = 1\n\n\n{decorated}") == decorated


NEXT = "        y += x\n    return y\n"


@pytest.mark.parametrize(
    "answer",
    [
        LINES.reference,
        NEXT,
        f"```python\n{NEXT}```",
        "y += x\nreturn y",
        "    y += x\nreturn y\n",
        "\ty += x\n    return y\n",
        f"{NEXT}\n\ndef other():\n    return 1\n",
        f"```python\n{LINES.prefix}{NEXT}{LINES.suffix}```",
        f"    if y:\n{NEXT}",
        f"def twice(x):\n    y = x\n    if y:\n{NEXT}",
        f"\n\n{NEXT}\n\n",
    ],
)
def test_as_many_lines_are_taken_as_people_wrote_there_after_what_was_shown(answer):
    found = next_lines(LINES, answer).split("\n")
    assert [line.strip() for line in found] == ["y += x", "return y", ""]
    assert found[0] == "        y += x"


def test_lines_that_come_again_later_are_not_taken_for_what_was_shown():
    row = LINES.model_copy(update={"prefix": "def f(x):\n    x += 1\n", "reference": "    x *= 2\n    x += 1\n"})
    assert next_lines(row, row.reference) == row.reference
    assert next_lines(row, row.prefix + row.reference) == row.reference
    assert next_lines(row, "") == next_lines(row, "```python\n```") == ""
    tabs = LINES.model_copy(update={"prefix": "def f(x):\n\tx += 1\n", "reference": "\treturn x\n"})
    assert next_lines(tabs, "\treturn x") == "\treturn x\n"


# Whether it runs


@pytest.mark.parametrize(
    "test",
    [
        GOOD,
        f"```python\n{GOOD}```",
        "def test_two():\n    with pytest.raises(ValueError):\n        half(3)\n",
        "@pytest.mark.parametrize('n', [1, 2])\ndef test_two(n):\n    assert twice(n) == n + n\n",
        "@pytest.mark.parametrize('text', ['def none'])\ndef test_two(text):\n    assert twice(len(text)) == 16\n",
        "def test_two():\n    found = [twice(n) for n in range(3)]\n    assert found == [0, 2, 4]\n    assert half(4) == 2\n",
    ],
)
def test_a_test_that_checks_the_module_passes(test, runner):
    assert passes(TEST, test, runner) == 1.0


NO_TESTS = {
    "fails": "def test_two():\n    assert twice(2) == 5\n",
    "vacuous": "def test_two():\n    assert True\n",
    "calls, and claims nothing": "def test_two():\n    twice(2)\n",
    "calls, and claims nothing of it": "def test_two():\n    twice(2)\n    assert True\n",
    "never calls the module": "def test_two():\n    assert 2 + 2 == 4\n",
    "a copy within": "def test_two():\n    def twice(x):\n        return 2 * x\n\n    assert twice(2) == 4\n",
    "skipped": "def test_two():\n    pytest.skip('later')\n    assert twice(2) == 4\n",
    "marked to be skipped": "@pytest.mark.skip\ndef test_two():\n    assert twice(2) == 4\n",
    "expected to fail": "@pytest.mark.xfail\ndef test_two():\n    assert twice(2) == 5\n",
    "a syntax error": "def test_two():\n    assert twice(2 == 4\n",
    "ends the process": "def test_two():\n    import sys\n\n    assert twice(2) == 4\n    sys.exit(0)\n",
    "ends it at once": "def test_two():\n    import os\n\n    assert twice(2) == 4\n    os._exit(0)\n",
    "swallows the failure": "def test_two():\n    try:\n        assert twice(2) == 5\n    except BaseException:\n        pass\n",
    "one of its rows fails": "@pytest.mark.parametrize('n', [2, 3])\ndef test_two(n):\n    assert twice(n) == 4\n",
    "returns in place of asserting": "def test_two():\n    return twice(2) == 4\n",
    "asks for a fixture that there is not": "def test_two(nowhere):\n    assert twice(2) == 4\n",
    "was there before": "def test_one():\n    assert twice(1) == 2\n",
    "is there under another name": "def test_two():\n    assert twice(1) == 2\n",
    "is there in other words": "def test_two():\n    assert bool(2 == twice(1)) is True, 'again'\n",
    "compares a value with itself": "def test_two():\n    found = half(4)\n    assert found == found\n",
    "holds for any value": "def test_two():\n    assert isinstance(half(4), object)\n    assert len(str(half(4))) >= 0\n",
    "says only that it ran": "def test_two():\n    half(4)\n    ran = True\n    assert ran\n",
    "turns an exception into a claim": (
        "def test_two():\n    ran = False\n    try:\n        half(4)\n        ran = True\n"
        "    except Exception:\n        pass\n    assert ran\n"
    ),
    "reads the module's text": (
        "def test_two():\n    import inspect\n\n    half(4)\n    assert '2 * x' in inspect.getsource(twice)\n"
        "    assert 'x // 2' in inspect.getsource(half)\n"
    ),
    "looks at the module's bytecode": (
        "def test_two():\n    half(4)\n    assert half.__code__.co_consts == half.__code__.co_consts\n"
        "    assert 2 in half.__code__.co_consts and 3 not in half.__code__.co_consts\n"
    ),
    "cannot be written": "def test_two():\n    assert twice('\ud800')\n",
    "is nothing": "",
}


@pytest.mark.parametrize("what", NO_TESTS)
def test_one_that_checks_nothing_does_not_pass(what, runner):
    assert passes(TEST, NO_TESTS[what], runner) == 0.0


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        (TEST, "def test_two():\n    assert twice(2) == 4\n    while True:\n        pass\n"),
        (LINES, "        while True: pass\n"),
    ],
)
def test_an_endless_loop_ends_in_time(row, answer):
    started = time.monotonic()
    with Runner(Limits(wall_seconds=2)) as impatient:
        assert passes(row, answer, impatient) == 0.0
    assert time.monotonic() - started < 30


def test_lines_pass_where_the_tests_hold_for_them(runner):
    assert passes(LINES, LINES.reference, runner) == passes(LINES, NEXT, runner) == 1.0
    assert passes(LINES, f"```\n{LINES.prefix}{NEXT}```", runner) == 1.0
    forged = [
        "        from unittest.mock import ANY\n    return ANY\n",
        "        y = type('A', (), {'__eq__': lambda self, other: True})()\n    return y\n",
    ]
    assert [passes(LINES, answer, runner) for answer in forged] == [0.0, 0.0]
    used = LINES.model_copy(update={"suffix": LINES.suffix + "\n\nfrom unittest.mock import ANY\n"})
    assert passes(used, forged[0], runner) == 1.0
    wrong = [
        "        y += 2\n    return y\n",
        "",
        "return",
        "import sys; sys.exit()",
        "__import__('os')._exit(0)",
        "\ud800",
    ]
    assert [passes(LINES, answer, runner) for answer in wrong] == [0.0] * len(wrong)


def test_a_test_of_lines_that_no_other_runs_counts_also_where_the_file_has_no_test_or_one_that_fails(runner):
    for prefix in (PREFIX.split("\n\n")[0] + "\n", PREFIX + "\n\ndef test_broken():\n    assert half(2) == 2\n"):
        row = TEST.model_copy(update={"prefix": prefix})
        assert passes(row, GOOD, runner) == 1.0
        assert passes(row, NO_TESTS["holds for any value"], runner) == 0.0


def test_references_that_ship_pass_and_run_the_lines_that_their_rows_say(runner):
    rows = rows_of("testgen")
    for row in rows[::7]:
        assert passes(row, row.reference, runner) == 1.0, row.id
        assert row.kind == "lines" or reached(row, runner) == row.lines, row.id
    for row in rows:
        taken = next_test(row, row.reference) if row.kind == "test" else next_lines(row, row.reference)
        assert exact(taken, row.reference), row.id
        assert row.lines or row.kind == "lines"


def test_controls_get_what_they_are_worth(runner):
    questions = load("testgen")[::20]
    assert {each.group for each in questions} == {"test", "lines"}
    for kind, worth in (("reference", 1.0), ("copy", 0.0), ("runs", 0.0), ("constant", 0.0), ("echo", 0.0)):
        control = CONTROLS[kind](questions)
        for each in questions:
            answer = control.complete(each.prompt, Sampling()).text
            assert passes(each.row, answer, runner) == worth, (kind, each.id)
            if kind in ("copy", "runs"):
                assert bool(next_test(each.row, answer)) == (each.group == "test")


@pytest.mark.parametrize("task", ["comment", "issue"])
def test_controls_that_write_text_get_what_they_are_worth(task, runner):
    questions = load(task)
    for kind in CONTROLS:
        control = CONTROLS[kind](questions)
        for each in questions:
            said = Prediction(question=each.prompt, answer=control.complete(each.prompt, Sampling()).text, row=each.row)
            found = {name: figure(said, runner) for name, figure in FIGURES[task].items() if name != "reliability"}
            values = {value for name, value in found.items() if value is not None}
            if kind == "reference":
                assert values == {1.0}, each.id
            elif task == "comment":
                assert found["function"] < 0.05, (kind, each.id)
            else:
                assert found["overlap"] < 0.25, (kind, each.id)
                assert not found["explainability"], (kind, each.id)
