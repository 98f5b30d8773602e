"""Whether a kept repair still is one: both files run again, by the same gate that once accepted it."""

from __future__ import annotations

from pathlib import Path

from testing_crew.errors import UserMistake
from testing_crew.gate.gate import Gate
from testing_crew.project.code import read_source
from testing_crew.project.layout import module_alone
from testing_crew.runner.plan import Plan, plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest, Verified


class GateVerifier:
    """The `Verifier` of `trace_logger`.

    Code is run in its own project where it still stands there as it was; where it was changed or is gone, as a module by itself,
    from the text that the trace kept.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def verify(self, code: CodeUnderTest, tests: str, failed: str | None = None) -> Verified:
        """Run ``tests``; as a repair of ``failed`` the gate judges them. Raises SandboxError when nothing can be run."""
        try:
            plan = plan_as_it_was(code, tests)
        except UserMistake:  # its interpreter is gone, or the name of its module is no longer one that can be had
            return Verified(passed=False, accepted=False, reasons=("not_run",))
        if failed is None:
            return Verified(passed=self._runner.execute(plan).run.passed, accepted=False)
        found = Gate(self._runner).judge(plan, failed)
        return Verified(
            passed=found.run.passed, accepted=found.accepted, reasons=found.reasons, suspects=found.suspects
        )


def plan_as_it_was(code: CodeUnderTest, tests: str) -> Plan:
    """A run of ``tests`` against the text that ``code`` holds. Raises UserMistake as `plan_text` does."""
    if code.path is None or _stands(Path(code.path), code.source):
        return plan_text(code, tests)
    alone = code.model_copy(update={"path": None, "root": ""})
    return plan_text(alone, tests, module_alone(code.module, code.source))


def _stands(path: Path, source: str) -> bool:
    try:
        return read_source(path) == source
    except UserMistake:
        return False
