"""What one run of one file tells about its cases, against real pytest runs."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from testing_crew.runner.failures import failure_log
from testing_crew.runner.run import Runner
from trace_logger.records import CaseResult, CodeUnderTest, PytestRun

if TYPE_CHECKING:
    from conftest import Project

DIV = "def div(a, b):\n    if b == 0:\n        raise ValueError('zero')\n    return a / b\n"
TESTS = """\
import pytest, re
import mathx
from mathx import add, div


class Rude:
    def __init__(self, name="r"): self.name = name
    def __repr__(self): raise RuntimeError("no")


class Wordy(Exception):
    def __str__(self): raise RuntimeError("no words")


def check(value, expected):
    assert value == expected


@pytest.fixture
def broken():
    return 1 / 0


@pytest.fixture
def breaks_after():
    yield 1
    raise OSError("late")


@pytest.mark.parametrize("b, a, expected", [(1, 2, 5), (1, 1, 2)])
def test_row(a, b, expected):
    assert add(a, b) == expected


@pytest.mark.parametrize("values", [[1]])
def test_one_value(values):
    values.append(9)
    assert 2 == add(*values)


def test_literal_left():
    assert {"sum": 4} == {"sum": add(1, 2)}


def test_named_left():
    expected = 4
    assert expected == add(1, 2)


def test_approx():
    assert add(0.1, 0.2) == pytest.approx(0.4)


def test_other_operator():
    assert add(1, 2) < 3, "too much"


def test_plain_truth():
    assert mathx.LIMIT == 10
    assert not (add(
        1, 2
    ))


def test_conjunction():
    assert add(1, 1) == 2 and add(1, 2) == 4


def test_in_helper():
    check(add(1, 2), 4)


def test_no_raise():
    with pytest.raises(ValueError):
        div(1, 1)


def test_no_raise_of_two():
    with pytest.raises((ValueError, KeyError)):
        div(1, 1)


def test_wrong_words():
    with pytest.raises(ValueError, match="nothing"):
        div(1, 0)


def test_raised():
    div("a", 1)


def test_rude_repr():
    assert Rude() == add("a", "b")


def test_rude_message():
    raise Wordy


def test_huge():
    assert add("x" * 5000, "") == "y"


def test_no_fixture(missing):
    assert missing


def test_setup(broken):
    assert broken


def test_teardown(breaks_after):
    assert add(breaks_after, 1) == 2


@pytest.mark.skip(reason="not today")
def test_skip():
    assert add(1, 1) == 3


@pytest.mark.xfail
def test_xfail():
    assert add(1, 1) == 3


@pytest.mark.xfail
def test_xpass():
    assert add(1, 1) == 2


@pytest.mark.xfail(strict=True)
def test_strict_xpass():
    assert add(1, 1) == 2


class TestGroup:
    @pytest.mark.parametrize("x", [1])
    def test_inside(self, x):
        assert add(x, x) == 2

    def test_raises(self):
        with pytest.raises(ValueError):
            div(1, 0)
        try:
            div(1, 0)
        except ValueError:
            pass
        else:
            pytest.fail("no error")


def test_exit():
    raise SystemExit(0)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, runner: Runner) -> PytestRun:
    root = tmp_path_factory.mktemp("cases")
    source = "LIMIT = 10\ndef add(a, b):\n    return a + b\n\n\n" + DIV
    path = root / "mathx.py"
    path.write_text(source)
    code = CodeUnderTest(
        source=source, shown="", module="mathx", unit="add", path=str(path), root=str(root), interpreter=sys.executable
    )
    return runner.run(code, TESTS)


def case(run: PytestRun, function: str) -> CaseResult:
    return next(c for c in run.cases if c.function == function)


def test_every_case_has_its_outcome_and_phase(run: PytestRun) -> None:
    found = {c.node: (c.outcome, c.phase) for c in run.cases}
    failed = ("failed", "call")
    assert found == {
        "test_row[1-2-5]": failed,
        "test_row[1-1-2]": ("passed", "call"),
        "test_one_value[values0]": failed,
        "test_literal_left": failed,
        "test_named_left": failed,
        "test_approx": failed,
        "test_other_operator": failed,
        "test_plain_truth": failed,
        "test_conjunction": failed,
        "test_in_helper": failed,
        "test_no_raise": failed,
        "test_no_raise_of_two": failed,
        "test_wrong_words": failed,
        "test_raised": failed,
        "test_rude_repr": failed,
        "test_rude_message": failed,
        "test_huge": failed,
        "test_no_fixture": ("error", "setup"),
        "test_setup": ("error", "setup"),
        "test_teardown": ("error", "teardown"),
        "test_skip": ("skipped", "setup"),
        "test_xfail": ("xfailed", "call"),
        "test_xpass": ("xpassed", "call"),
        "test_strict_xpass": failed,
        "TestGroup::test_inside[1]": ("passed", "call"),
        "TestGroup::test_raises": ("passed", "call"),
        "test_exit": failed,
    }
    assert run.verdict == "error"
    assert run.exit_code == 1


@pytest.mark.parametrize(
    ("function", "actual", "expected", "row"),
    [
        ("test_row", "3", "5", "(2, 1, 5)"),
        ("test_one_value", "10", "2", "([1])"),
        ("test_literal_left", "{'sum': 3}", "{'sum': 4}", None),
        ("test_named_left", "3", "4", None),
        ("test_conjunction", "3", "4", None),
        ("test_in_helper", "3", "4", None),
        ("test_other_operator", None, None, None),
        ("test_plain_truth", None, None, None),
        ("test_raised", None, None, None),
    ],
)
def test_sides_and_rows(
    run: PytestRun, function: str, actual: str | None, expected: str | None, row: str | None
) -> None:
    found = case(run, function)
    assert (found.actual, found.expected, found.row) == (actual, expected, row)


def test_approximate_side_is_the_expected_one(run: PytestRun) -> None:
    found = case(run, "test_approx")
    assert found.actual == "0.30000000000000004"
    assert (found.expected or "").startswith("0.4")


@pytest.mark.parametrize(
    ("function", "exception", "message"),
    [
        ("test_row", "AssertionError", "assert add(a, b) == expected"),
        ("test_other_operator", "AssertionError", "assert add(1, 2) < 3"),
        ("test_plain_truth", "AssertionError", "assert not add(1, 2)"),
        ("test_no_raise", "Failed", "DID NOT RAISE <class 'ValueError'>"),
        ("test_no_raise_of_two", "Failed", "DID NOT RAISE any of (<class 'ValueError'>, <class 'KeyError'>)"),
        (
            "test_wrong_words",
            "AssertionError",
            "Regex pattern did not match. Expected regex: 'nothing' Actual message: 'zero'",
        ),
        ("test_raised", "TypeError", "unsupported operand type(s) for /: 'str' and 'int'"),
        ("test_rude_message", "Wordy", "<message that raised RuntimeError>"),
        ("test_no_fixture", "FixtureLookupError", "fixture 'missing' not found"),
        ("test_setup", "ZeroDivisionError", "division by zero"),
        ("test_teardown", "OSError", "late"),
        ("test_strict_xpass", None, "[XPASS(strict)] "),
        ("test_exit", "SystemExit", "0"),
    ],
)
def test_messages(run: PytestRun, function: str, exception: str | None, message: str) -> None:
    found = case(run, function)
    assert (found.exception, found.message.strip()) == (exception, message.strip())


def test_rude_and_huge_values_are_held_in_bounds(run: PytestRun) -> None:
    rude = case(run, "test_rude_repr")
    assert (rude.actual, rude.expected) == ("<Rude whose repr raised RuntimeError>", "'ab'")
    huge = case(run, "test_huge")
    assert huge.actual is not None
    assert len(huge.actual) == 2000


def test_lines_point_into_the_test_file(run: PytestRun) -> None:
    lines = TESTS.splitlines()
    assert lines[(case(run, "test_row").line or 0) - 1].strip() == "assert add(a, b) == expected"
    assert lines[(case(run, "test_in_helper").line or 0) - 1].strip() == "assert value == expected"
    assert lines[(case(run, "test_raised").line or 0) - 1].strip() == 'div("a", 1)'
    assert "return 1 / 0" in lines[(case(run, "test_setup").line or 0) - 1]


def test_asserted_lines_are_those_of_tests_that_passed(run: PytestRun) -> None:
    lines = TESTS.splitlines()
    held = {lines[n - 1].strip() for n in run.asserted_lines}
    assert held == {
        "assert add(a, b) == expected",
        "assert add(x, x) == 2",
        "with pytest.raises(ValueError):",
        "try:",
    }
    raises = [n for n, text in enumerate(lines, 1) if text.strip() == "with pytest.raises(ValueError):"]
    assert [n in run.asserted_lines for n in raises] == [False, True]


def test_the_failure_log_reads_as_documented(run: PytestRun) -> None:
    log = failure_log(run).splitlines()
    assert log[0] == "test_row(2, 1, 5): got 3, expected 5"
    assert "test_no_raise(): did not raise ValueError" in log
    assert "test_other_operator(): assert add(1, 2) < 3 is false" in log
    assert "test_raised(): raised TypeError: unsupported operand type(s) for /: 'str' and 'int'" in log


COLLECTION = {
    "import nowhere_at_all\n": ("ModuleNotFoundError", "No module named 'nowhere_at_all'"),
    "from mathx import nothing\n": ("ImportError", "cannot import name 'nothing' from 'mathx' (mathx.py)"),
    "def test_x(:\n    pass\n": ("SyntaxError", "invalid syntax (test_generated.py, line 1)"),
    "import mathx\nvalue = mathx.LIMIT / 0\n": ("ZeroDivisionError", "division by zero"),
    "import pytest\n@pytest.mark.parametrize('y', [1])\ndef test_x():\n    pass\n": (
        "Failed",
        "In test_x: function uses no argument 'y'",
    ),
}


def test_collection_errors_name_their_root_cause(project: Project, quick: Runner, pool: ThreadPoolExecutor) -> None:
    runs = pool.map(lambda text: quick.run(project.code(), text), COLLECTION)
    for run, expected in zip(runs, COLLECTION.values(), strict=True):
        assert run.verdict == "error"
        (found,) = run.cases
        assert (found.phase, found.outcome) == ("collect", "error")
        assert (found.exception, found.message) == expected


def test_an_assertion_of_the_targets_own_keeps_its_message(project: Project, runner: Runner) -> None:
    project.write("strict.py", "def f(x):\n    assert x > 0, 'must be positive'\n    return x\n")
    run = runner.run(project.code("strict", "f"), "import strict\ndef test_f():\n    assert strict.f(-1) == 1\n")
    assert run.verdict == "failed"
    assert run.cases[0].message == "assert x > 0, 'must be positive'"
    assert run.cases[0].actual is None
