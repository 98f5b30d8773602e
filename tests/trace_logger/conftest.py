from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trace_logger.records import Attempt, CaseResult, CodeUnderTest, Coverage, PytestRun
from trace_logger.store import TraceStore


def make_code(unit: str | None = "double", **changes: Any) -> CodeUnderTest:
    fields: dict[str, Any] = {
        "source": "def double(x):\n    return 2 * x\n\ndef half(x):\n    return x / 2\n",
        "shown": f"# module: sums\ndef {unit}(x): ...\n",
        "module": "sums",
        "unit": unit,
        "path": "/src/sums.py",
        "root": "/src",
        "interpreter": "/usr/bin/python3",
    }
    return CodeUnderTest(**{**fields, **changes})


def make_attempt(
    tests: str = "def test(): ...\n", *, ok: bool = False, unit: str = "double", **changes: Any
) -> Attempt:
    run = PytestRun(
        verdict="passed" if ok else "failed",
        cases=(
            CaseResult(
                node="test_sums.py::test[1-2]",
                function="test",
                outcome="passed" if ok else "failed",
                duration=0.25,
                row="(1, 2)",
                line=3,
                exception=None if ok else "AssertionError",
                actual="2",
                expected="3",
            ),
        ),
        coverage=Coverage(line=0.5, branch=None, missed_lines=(4, 5), missed_branches=((4, 5),)),
        asserted_lines=(2,),
        target_origin="/src/sums.py",
        exit_code=0 if ok else 1,
        duration=0.5,
        log="E   assert 2 == 3\n\u2028é\x00\x1b[31m",
        sandbox="bubblewrap",
    )
    fields: dict[str, Any] = {
        "unit": unit,
        "iteration": 1,
        "kind": "generate",
        "prompt": "### Task",
        "completion": tests,
        "tests": tests,
        "run": run,
        "accepted": ok,
        "reasons": () if ok else ("failed: 1 of 1",),
        "mended": ("import pytest",),
        "failure_log": "" if ok else "test[1-2]: got 2, expected 3",
        "model": "embedded",
        "model_revision": "abc",
        "sampling": {"temperature": 0.2, "stop": ["### "], "seed": None},
        "seconds": 1.5,
    }
    return Attempt(**{**fields, **changes})


@pytest.fixture
def code() -> Callable[..., CodeUnderTest]:
    return make_code


@pytest.fixture
def attempt() -> Callable[..., Attempt]:
    return make_attempt


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "home" / "traces.db"


@pytest.fixture
def begin() -> Callable[..., str]:
    """Begin a run and a trace in it, and give the trace's id."""

    def begin(store: TraceStore, *units: CodeUnderTest, project: str = "/src", target: str = "sums.py") -> str:
        run = store.start_run(project, "write sums.py", "embedded")
        return store.start_trace(run, project, target, units or (make_code(),), "embedded")

    return begin


@pytest.fixture
def writer(tmp_path: Path) -> Path:
    """A program that adds attempts without end (or as many as it is told) and prints each once it is acknowledged."""
    program = tmp_path / "writer.py"
    program.write_text(
        textwrap.dedent(
            """
            import sys
            from trace_logger.records import Attempt, CodeUnderTest, PytestRun
            from trace_logger.store import TraceStore

            db, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
            code = CodeUnderTest(source="x", shown="x", module="m", unit="u", root="/", interpreter="python")
            with TraceStore.open(db) as store:
                run = store.start_run("p", "write", "model")
                trace = store.start_trace(run, "p", name, [code], "model")
                print(trace, flush=True)
                for number in range(count):
                    store.add_attempt(trace, Attempt(
                        unit="u", iteration=number, kind="generate", prompt="p" * 5000, completion="c", tests="t",
                        run=PytestRun(verdict="failed"), accepted=False, model="model",
                    ))
                    print(number, flush=True)
                store.finish_trace(trace, False)
                store.finish_run(run)
            """
        ),
        encoding="utf-8",
    )
    return program
