"""What the agent did and kept becomes rows: a failed file and its mending, and a first file that was accepted at once."""

import pytest

from testing_crew import prompt
from trace_logger.records import Attempt, CodeUnderTest, PytestRun
from trace_logger.store import TraceStore

FAILED = "from sums import {0}\n\n\ndef test_{0}():\n    assert {0}(2) == 5\n"


def code(unit):
    source = f"def {unit}(x):\n    return 2 * x\n"
    shown = f"# module: sums\n{source}"
    return CodeUnderTest(source=source, shown=shown, module="sums", unit=unit, root="/src", interpreter="python")


def attempt(unit, tests, ok, **more):
    run = PytestRun(verdict="passed" if ok else "failed")
    told = "" if ok else f"test_{unit}(): got 4, expected 5"
    fields = {"unit": unit, "iteration": 1, "kind": "generate", "prompt": "", "completion": tests, "tests": tests}
    return Attempt(**fields | {"run": run, "accepted": ok, "failure_log": told, "model": "m", **more})


@pytest.fixture
def store(tmp_path):
    with TraceStore.open(tmp_path / "home" / "traces.db") as opened:
        yield opened


def keep(store, unit, *attempts):
    run = store.start_run("/src", "write sums.py", "m")
    trace = store.start_trace(run, "/src", "sums.py", [code(unit)], "m")
    for each in attempts:
        store.add_attempt(trace, each)
    store.finish_trace(trace, True)
    store.finish_run(run)


def test_pairs_and_first_files_of_the_store(store, built):
    failed, right = FAILED.format("mended"), FAILED.format("mended").replace("5", "4")
    keep(store, "mended", attempt("mended", failed, False), attempt("mended", right, True, kind="repair"))
    first = FAILED.format("first").replace("5", "4")
    for _ in range(3):  # the same unit again and again is one row
        keep(store, "first", attempt("first", first, True))
    doubtful = FAILED.format("doubtful").replace("5", "4")
    suspect = attempt("doubtful", doubtful, True, kind="repair", suspects=("the docstring says 5",))
    keep(store, "doubtful", attempt("doubtful", FAILED.format("doubtful"), False), suspect)
    data = built("traces", verify=True)
    rows = {r.kind: r for r in data.train}
    assert len(data.train) == len(rows) == 2
    told = "test_mended(): got 4, expected 5"
    assert rows["repair"].prompt == prompt.repair(code("mended").shown, failed, told)
    assert rows["repair"].completion == right
    assert rows["generate"].prompt == prompt.generate(code("first").shown)
    assert rows["generate"].completion == first
    assert data.manifest["inputs"][0]["dropped"] == {
        "beyond the cap for one unit": 2,
        "contradicts an example of the docstring": 1,
    }
