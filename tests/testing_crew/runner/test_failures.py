import pytest

from testing_crew.runner.failures import MAX_LINES, failure_line, failure_log
from trace_logger.records import CaseResult, PytestRun


def case(**fields):
    return CaseResult(**{"node": "n", "function": "test_f", "outcome": "failed", **fields})


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"row": "(1, 2)", "actual": "3", "expected": "2"}, "test_f(1, 2): got 3, expected 2"),
        ({"exception": "ValueError", "message": "bad"}, "test_f(): raised ValueError: bad"),
        ({"exception": "ValueError"}, "test_f(): raised ValueError"),
        (
            {"exception": "Failed", "message": "DID NOT RAISE <class 'ValueError'>"},
            "test_f(): did not raise ValueError",
        ),
        (
            {"exception": "Failed", "message": "DID NOT RAISE <class 'json.decoder.JSONDecodeError'>"},
            "test_f(): did not raise JSONDecodeError",
        ),
        ({"exception": "AssertionError", "message": "assert f(3)"}, "test_f(): assert f(3) is false"),
        ({"phase": "collect", "exception": "ImportError", "message": "no x"}, "collection: ImportError: no x"),
        ({"actual": "<A object at 0x7f3a2b1c>", "expected": "1"}, "test_f(): got <A object at 0x...>, expected 1"),
        ({"row": "('a  b',)", "actual": "'a  b'", "expected": "'c'"}, "test_f('a  b',): got 'a  b', expected 'c'"),
        ({"actual": "'a\nb'", "expected": "1"}, "test_f(): got 'a b', expected 1"),
    ],
)
def test_one_line_for_a_case(fields, line):
    assert failure_line(case(**fields)) == line


def test_values_are_cut():
    assert len(failure_line(case(actual="x" * 5000, expected="y" * 5000))) < 500


def test_a_run_that_passed_has_no_log():
    assert failure_log(PytestRun(verdict="passed")) == ""


def test_only_failing_cases_and_not_too_many():
    run = PytestRun(
        verdict="failed",
        cases=(*(case(exception="E", message=str(i)) for i in range(50)), case(outcome="passed")),
    )
    lines = failure_log(run).splitlines()
    assert len(lines) == MAX_LINES + 1
    assert lines[-1] == f"... and {50 - MAX_LINES} more"


@pytest.mark.parametrize("verdict", ["no_tests", "skipped", "timeout", "crashed", "out_of_memory", "error"])
def test_a_run_without_failing_cases_still_says_something(verdict):
    assert failure_log(PytestRun(verdict=verdict))
