"""What looks like a fault of a test file or its code and is the sandbox's doing, or its way of calling the code: told as that.

Each is a note for a person beside the failures, never a verdict.
"""

from __future__ import annotations

import ast
import os
import re

from testing_crew.gate.syntax import last_name
from testing_crew.gate.text import read
from testing_crew.project.syntax import UNREADABLE
from testing_crew.runner.cold import KEPT_VARIABLES
from trace_logger.records import CaseResult, PytestRun

_READ_ONLY = re.compile(r"\[Errno 30\]|Read-only file system")
_NO_NETWORK = re.compile(r"\[Errno (?:101|-2|-3)\]|Network is unreachable|name resolution|Name or service not known")
_STARTERS = {"run", "Popen", "call", "check_call", "check_output", "create_subprocess_exec", "create_subprocess_shell"}
_UNSEEN = ("not_imported", "not_executed", "no_assertion", "without_target", "no_mutant")


def hindrances(tests: str, run: PytestRun, reasons: tuple[str, ...] = ()) -> list[str]:
    """The notes on ``run`` of ``tests``, which is not accepted for ``reasons``."""
    cases = [case for case in run.cases if case.outcome in ("failed", "error")]
    found = []
    if blocked := _where(cases, _READ_ONLY):
        found.append(
            f"{blocked} wrote to the project, which the sandbox keeps read-only, with no setting to allow it: "
            "write to `tmp_path`, or go there first with `monkeypatch.chdir(tmp_path)`"
        )
    if blocked := _where(cases, _NO_NETWORK):
        found.append(
            f"{blocked} used the network, of which the sandbox has only this machine's own 127.0.0.1, with no setting to "
            "allow more: start a server in the test, or replace the call with `monkeypatch`"
        )
    for name in dict.fromkeys(case.message.strip().strip("'\"") for case in cases if case.exception == "KeyError"):
        if name in os.environ and name not in KEPT_VARIABLES:
            found.append(
                f"the variable {name} of your shell is not passed on to the sandbox: set it in the test with "
                f'`monkeypatch.setenv("{name}", …)`, or allow it with `[sandbox] pass_env = ["{name}"]`'
            )
    if any(part in reason for reason in reasons for part in _UNSEEN) and (line := _starts_a_process(tests)):
        found.append(
            f"line {line} starts a process of its own: what of the code runs there is not seen, and changes of the code do "
            "not reach it; call the code in the test as well (`main([…])`, `runpy.run_module(…)`)"
        )
    return found


def _where(cases: list[CaseResult], what: re.Pattern[str]) -> str:
    """The first case that ``what`` stopped, as a person calls it; empty for none."""
    for case in cases:
        if what.search(case.message):
            return (
                "the import"
                if case.phase == "collect"
                else f"{case.function} (line {case.line})"
                if case.line
                else case.function
            )
    return ""


def _starts_a_process(tests: str) -> int:
    """The line where Python is started anew, 0 for nowhere."""
    try:
        tree = read(tests)
    except UNREADABLE:
        return 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and last_name(node.func) in _STARTERS:
            said = ast.unparse(node).lower()
            if "sys.executable" in said or "python" in said or "subprocess" in said:
                return node.lineno
    return 0
