from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trace_logger.pairs import unit_name
from trace_logger.records import Attempt, CodeUnderTest
from trace_logger.store import TraceStore

Try = Callable[..., Attempt]
Begin = Callable[..., str]


def lessons(db: Path, begin: Begin, units: list[CodeUnderTest], attempts: list[Attempt]) -> list[tuple[str, str, str]]:
    with TraceStore.open(db) as store:
        trace = begin(store, *units)
        for one in attempts:
            store.add_attempt(trace, one)
        pairs = list(store.pairs())
    assert {pair.trace_id for pair in pairs} <= {trace}
    assert all(pair.code == {unit_name(code): code.shown for code in units}[pair.unit] for pair in pairs)
    return [(pair.unit, pair.failed_test, pair.fixed_test) for pair in pairs]


def test_each_failed_attempt_goes_with_the_accepted_one(
    db: Path, begin: Begin, attempt: Try, code: Callable[..., CodeUnderTest]
) -> None:
    attempts = [attempt("a"), attempt("h", unit="half"), attempt("b"), attempt("good", ok=True), attempt("late")]
    units = [code("double"), code("half", shown="# half\n")]
    assert lessons(db, begin, units, attempts) == [("double", "a", "good"), ("double", "b", "good")]


def test_units_do_not_mix(db: Path, begin: Begin, attempt: Try, code: Callable[..., CodeUnderTest]) -> None:
    attempts = [
        attempt("a"),
        attempt("fixed half", ok=True, unit="half"),
        attempt("m", unit="sums"),
        attempt("fixed module", ok=True, unit="sums"),
    ]
    units = [code("double"), code("half"), code(None, shown="# all of it\n")]
    assert lessons(db, begin, units, attempts) == [("sums", "m", "fixed module")]


def test_the_next_accepted_attempt_is_the_fix(
    db: Path, begin: Begin, attempt: Try, code: Callable[..., CodeUnderTest]
) -> None:
    attempts = [attempt("a"), attempt("one", ok=True), attempt("b"), attempt("two", ok=True)]
    assert lessons(db, begin, [code()], attempts) == [("double", "a", "one"), ("double", "b", "two")]


def test_what_is_no_repair_is_left_out(
    db: Path, begin: Begin, attempt: Try, code: Callable[..., CodeUnderTest]
) -> None:
    turned_down = attempt("vacuous", ok=True, accepted=False, reasons=("nothing asserted",))
    attempts = [attempt("a"), attempt("a"), attempt(" \n"), attempt("same"), turned_down, attempt("same", ok=True)]
    assert lessons(db, begin, [code()], attempts) == [("double", "a", "same")]


def test_pairs_carry_code_and_log_and_are_filtered(db: Path, begin: Begin, attempt: Try) -> None:
    with TraceStore.open(db) as store:
        for project in ("/a", "/b"):
            trace = begin(store, project=project)
            store.add_attempt(trace, attempt(f"bad {project}"))
            store.add_attempt(trace, attempt("good", ok=True))
        (pair,) = store.pairs("/b")
        assert len(list(store.pairs())) == 2
    assert pair.row() == {
        "code": "# module: sums\ndef double(x): ...\n",
        "failed_test": "bad /b",
        "failure_log": "test[1-2]: got 2, expected 3",
        "fixed_test": "good",
    }
