"""Check a test file that somebody has: run it, judge it, and say so in the words of ``testing-crew check --json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from testing_crew.errors import UserMistake
from testing_crew.gate.gate import Gate, Judgement, Progress, hints
from testing_crew.gate.hindrances import hindrances
from testing_crew.gate.reasons import explain_all
from testing_crew.project import code as code_under_test
from testing_crew.project import snippet
from testing_crew.project.interpreter import Python, interpreter_for
from testing_crew.project.targets import file_whole, target_for
from testing_crew.repair.mend import mend
from testing_crew.runner.failures import failure_log
from testing_crew.runner.plan import Plan, plan_file, plan_text
from testing_crew.runner.run import Runner


def report(plan: Plan, python: Python, found: Judgement) -> dict[str, Any]:
    """The JSON form: ``{verdict, accepted, reasons, explained, coverage: {line, branch}, mutants, stability, failures, ...}``.

    ``explained`` has ``{code, says, mend}`` for each of ``reasons``, which are codes. ``mutants`` and ``stability`` are
    null for a file that did not pass; ``suspects`` are examples in docstrings that the code contradicts; ``notes`` says what is
    the sandbox's doing, and ``aims`` what a further test could look at; ``options_left_out`` are those of the project's own
    options of pytest that no run here can have; ``python`` is the one that ran the tests, and why that one.
    """
    code, run, mutants, stability = plan.code, found.run, found.mutants, found.stability
    return {
        "verdict": run.verdict,
        "accepted": found.accepted,
        "reasons": list(found.reasons),
        "explained": explain_all(found.reasons, stability),
        "coverage": {"line": run.coverage.line, "branch": run.coverage.branch},
        "mutants": None if mutants is None else {**mutants.model_dump(exclude={"version"}), "score": mutants.score},
        "stability": None if stability is None else stability.model_dump(exclude={"version", "failures"}),
        "suspects": list(found.suspects),
        "aims": hints(code, run, mutants) if run.passed else [],
        "cases": {"passed": run.count("passed"), "failed": run.count("failed"), "error": run.count("error")},
        "failures": failure_log(run).splitlines(),
        "notes": hindrances(plan.tests, run, found.reasons),
        "seconds": run.duration,
        "options_left_out": list(plan.options.left_out),
        "python": python.told(),
        "sandbox": run.sandbox,
    }


def check_file(
    test: Path, target: Path, gate: Gate, interpreter: str | None = None, tell: Progress | None = None
) -> dict[str, Any]:
    """Run the test file ``test``, where it stands, against the file ``target``.

    Raises `UserMistake` when either cannot be used, `SandboxError` when nothing could be run.
    """
    plan, python = plan_of(test, target, interpreter)
    return report(plan, python, gate.judge(plan, tell=tell))


def plan_of(test: Path, target: Path, interpreter: str | None = None) -> tuple[Plan, Python]:
    """How ``test`` is run where it stands, and by which Python. Raises `UserMistake` when one of the files cannot be used."""
    if not test.is_file():
        raise UserMistake(f"no such test file: {test}")
    python = interpreter_for(interpreter, target)
    whole = file_whole(target, python.path, test.resolve())
    code_under_test.parse_source(code_under_test.read_source(test), str(test), python.path)
    return plan_file(test.resolve(), whole), python


def check_source(tests: str, code: str, file: str) -> dict[str, Any]:
    """Run test text against code text. Where that is one function or class of the file, only this is judged."""
    target = target_for(code, file, None)
    part = len(target.units) == 1 and target.units[0].source.strip() != code.strip()
    whole = target.units[0] if part else target.whole
    # a file that carries its snippet lost the import of it, which is put back; any other is judged as it is
    bare = snippet.detach(tests)
    text = mend(bare, whole).tests if bare != tests else tests
    plan = plan_text(whole, text, target.files)
    with Runner() as runner:
        return report(plan, target.python, Gate(runner).judge(plan))
