"""What the text of a test file and its first run say against it: whether it really is about its target.

The reasons, for machines: ``not_passed:VERDICT``, ``unreadable``, ``redefines_target``, ``stubs_module``, ``patches_target``,
``edits_source``, ``target_not_imported``, ``target_not_executed``, ``no_assertion_about_target``.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

from testing_crew.runner.gate_flow import Flow
from testing_crew.runner.gate_names import read_names
from testing_crew.runner.gate_static import objections
from testing_crew.runner.inside.asserts import claims
from trace_logger.records import CodeUnderTest, PytestRun


def judge(code: CodeUnderTest, tests: str, run: PytestRun) -> tuple[bool, tuple[str, ...]]:
    """Whether the text ``tests`` is accepted for ``code`` after ``run``, and every reason why it is not.

    What is wrong with the text is said of a file that failed too; what the run shows is asked only of one that passed.
    """
    reasons = [] if run.passed else [f"not_passed:{run.verdict}"]
    try:
        tree = ast.parse(tests)
        names = read_names(code, tree)
        flow = Flow(tree, names)
        reasons += objections(tree, names, flow)
        about = {c.node.lineno for c in claims(tree) if flow.is_about_target(c)}
    except (SyntaxError, ValueError, RecursionError):
        return False, (*reasons, "unreadable")
    if run.passed:
        if not _was_imported(code, run):
            reasons.append("target_not_imported")
        if run.coverage.line == 0:  # None: the unit has no function body, so there is nothing that could be executed
            reasons.append("target_not_executed")
        if about.isdisjoint(run.asserted_lines):
            reasons.append("no_assertion_about_target")
    return not reasons, tuple(reasons)


def _was_imported(code: CodeUnderTest, run: PytestRun) -> bool:
    if run.target_origin is None:
        return bool(run.coverage.line)  # the test took the module out of sys.modules again, but its lines ran
    if code.path is None:
        return not os.path.isabs(run.target_origin)  # in the run's own folder
    return os.path.realpath(code.path) == os.path.realpath(Path(run.target_origin))
