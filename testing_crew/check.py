"""Check a test file that somebody has: run it, judge it, and say so in the words of ``testing-crew check --json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from testing_crew import code as code_under_test
from testing_crew import snippet
from testing_crew.errors import UserMistake
from testing_crew.failures import failure_log
from testing_crew.interpreter import interpreter_for
from testing_crew.job import file_target, target_for
from testing_crew.mend import mend
from testing_crew.runner.gate import judge
from testing_crew.runner.run import Runner
from trace_logger.records import PytestRun


def report(run: PytestRun, accepted: bool, reasons: tuple[str, ...]) -> dict[str, Any]:
    """The JSON form: ``{verdict, accepted, reasons, coverage: {line, branch}, mutants, failures, sandbox}``.

    ``mutants`` is null: they come with the runner's own issue.
    """
    return {
        "verdict": run.verdict,
        "accepted": accepted,
        "reasons": list(reasons),
        "coverage": {"line": run.coverage.line, "branch": run.coverage.branch},
        "mutants": None,
        "cases": {"passed": run.count("passed"), "failed": run.count("failed"), "error": run.count("error")},
        "failures": failure_log(run).splitlines(),
        "sandbox": run.sandbox,
    }


def check_file(test: Path, target: Path, runner: Runner, interpreter: str | None = None) -> dict[str, Any]:
    """Run the test file ``test``, where it stands, against the file ``target``. Raises UserMistake when either cannot be used."""
    if not test.is_file():
        raise UserMistake(f"no such test file: {test}")
    found = file_target(target, interpreter_for(interpreter, target))
    tests = code_under_test.read_source(test)
    code_under_test.parse_source(tests, str(test))
    whole = found.whole
    if whole.path is None:
        whole = whole.model_copy(update={"path": str(target.resolve())})
    run = runner.check(test.resolve(), whole)
    return report(run, *judge(whole, tests, run))


def check_source(tests: str, code: str, file: str) -> dict[str, Any]:
    """Run test text against code text."""
    target = target_for(code, file, None)
    whole = target.whole
    # a file that carries its snippet lost the import of it, which is put back; any other is judged as it is
    bare = snippet.detach(tests)
    text = mend(bare, whole).tests if bare != tests else tests
    run = Runner().run(whole, text, files=target.files)
    return report(run, *judge(whole, text, run))
