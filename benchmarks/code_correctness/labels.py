"""What really comes of a row: its test is run, and run again under other conditions."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass

from benchmarks.code_correctness import toolchains
from testing_crew.errors import UserMistake
from testing_crew.project.layout import module_alone
from testing_crew.project.syntax import UNREADABLE, parse
from testing_crew.prompt.outcome import Label, OutcomeRow
from testing_crew.runner.plan import Limits, Plan, Variation, plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest

_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([\w.]+))", re.MULTILINE)
_LABELS: dict[str, Label] = {"passed": "success", "failed": "failed", "error": "failed"}
_EXITS: dict[int, Label] = {0: "success", 1: "failed", 2: "failed"}  # pytest's: passed, failed, not collected
PROVIDED = {"pytest", "_pytest"}
LIMITS = Limits(wall_seconds=20, cpu_seconds=20)


@dataclass(frozen=True)
class Labelled:
    """``label`` is None where the runs do not agree, or say nothing of the test; ``why`` says which. ``how``: how it ended."""

    label: Label | None
    why: str = ""
    how: str = ""


class Labeller:
    """Runs rows; one may serve many, also from several threads. Close it to end its processes early."""

    def __init__(self, runner: Runner | None = None) -> None:
        self._runner = runner or Runner(LIMITS)

    def label(self, row: OutcomeRow, number: int = 0) -> Labelled:
        """What one run says; each ``number`` is another order and hash seed, 2 a plain ``python -m pytest``.

        Raises UserMistake where the tools for the row's language are not here.
        """
        if row.inputs.lang != "Python":
            ran = toolchains.run(row, number)
            label: Label | None = None if ran.passed is None else "success" if ran.passed else "failed"
            return Labelled(label, "" if label else ran.why, ran.why)
        try:
            plan = plan_for(row)
        except UserMistake as error:
            return Labelled(None, error.message)
        if number == 2:
            run = self._runner.execute_cold(plan, Variation(measure=False), plain=True).run
            label = None if run.exit_code is None else _EXITS.get(run.exit_code)
        else:
            run = self._runner.execute(plan, Variation(measure=False, shuffle=number or None, hash_seed=number)).run
            label = _LABELS.get(run.verdict)
        return Labelled(label, "" if label else f"its run ends as {run.verdict}", run.verdict)

    def confirmed(self, row: OutcomeRow) -> Labelled:
        """What all runs say: in another order, of Python's under another hash seed, and as plain ``python -m pytest``, too."""
        first = self.label(row, 0)
        for number in (1, 2) if row.inputs.lang == "Python" else (1,):
            if first.label is None:
                break
            other = self.label(row, number)
            if other.label != first.label:
                return Labelled(None, "another run ends otherwise")
        return first

    def close(self) -> None:
        """End its processes."""
        self._runner.close()


def plan_for(row: OutcomeRow) -> Plan:
    """A Python row as a run in an empty project. Raises UserMistake where its test imports nothing that can be the focal file."""
    module = module_of(row)
    if module is None:
        raise UserMistake("its test imports no module that the focal file can be")
    source = row.inputs.focal_code
    code = CodeUnderTest(source=source, shown=source, module=module, root="", interpreter=sys.executable)
    return plan_text(code, row.inputs.test_code, module_alone(module, source))


def module_of(row: OutcomeRow) -> str | None:
    """By which name a Python row's test imports the focal file: one of whose names that defines, else the first that can be it.

    A name that the focal file does not define and that the test looks into (``from shop import prices``) is a module.
    """
    try:
        tree = parse(row.inputs.test_code)
    except UNREADABLE:
        return next(
            (name for pair in _IMPORT.findall(row.inputs.test_code) if not is_library(name := "".join(pair))), None
        )
    defined = _defined(row.inputs.focal_code)
    looked_into = {n.value.id for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)}
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if not is_library(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level and not is_library(node.module):
            names = {alias.name for alias in node.names}
            if names & defined:
                return node.module
            inner = [a.name for a in node.names if (a.asname or a.name) in looked_into]
            found.append(f"{node.module}.{inner[0]}" if inner else node.module)
    return found[0] if found else None


def is_library(module: str) -> bool:
    """Whether a module is the standard library's, or pytest's."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in PROVIDED


def _defined(source: str) -> set[str]:
    try:
        tree = parse(source)
    except UNREADABLE:
        return set()
    names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    return names | {
        name.id
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
