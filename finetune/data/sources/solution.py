"""From a solution and a test file for it to a row: the form that KodCode, CodeRM, HumanEval and MBPP share."""

from __future__ import annotations

from finetune.data import imports, surgery
from finetune.data.rows import Row
from finetune.data.sources import Dropped, in_pytests_style
from testing_crew import prompt
from testing_crew.project import code as code_under_test
from trace_logger.curation.fingerprints import code_hash

MODULE = "solution"


def solution_row(key: str, code: str, tests: str, licence: str) -> Row:
    """The row that asks for tests of ``code``, shown as the agent shows it; ``key`` begins with the source. Raises `Dropped`."""
    solution, tree = surgery.parse(code), surgery.parse(tests)
    if solution is None or tree is None or not code.strip():
        raise Dropped("not Python")
    units = [unit.name for unit in code_under_test.find_units(solution)]
    if not units:
        raise Dropped("no function or class in the solution")
    if surgery.foreign(solution, ()) | surgery.foreign(tree, {MODULE}):
        raise Dropped("third-party imports")
    tests = in_pytests_style(tests, tree)
    mended = imports.import_from(whole(tests), MODULE, solution)
    if mended is None or imports.undefined(mended):
        raise Dropped("tests that do not use the solution as it stands")
    used = [name for name in units if name in surgery.names_in(surgery.parse(mended) or solution)]
    shown = code_under_test.render(code, MODULE, used[0] if len(used) == 1 else None)
    return Row(
        id=key,
        source=key.split("/")[0],
        kind="generate",
        group=code_hash(code),
        prompt=prompt.generate(shown),
        completion=mended.strip("\n") + "\n",
        licence=licence,
    )


def whole(tests: str) -> str:
    """The file without the tests that look at a clock and without what only runs as a script. Raises `Dropped` without tests."""
    tree = surgery.parse(tests)
    names = [name for name, _, _ in surgery.tests_in(tree)] if tree else []
    if tree is None or not names:
        raise Dropped("no test function")
    clocks = surgery.timed(tree)
    if clocks >= set(names):
        raise Dropped("wall-clock tests")
    if clocks or any(surgery.is_left_out(node) for node in tree.body):
        return surgery.cut(tests, lambda name: name not in clocks)
    return tests
