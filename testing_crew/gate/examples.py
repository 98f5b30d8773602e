"""Examples in the docstrings of the code that do not hold: the code may be wrong, and tests that pass would enshrine that.

They are run as doctest runs them, in the sandbox; so are such as ``add(1, 2) -> 3``, one to a line. Told is only what is sure: a
literal other than the one that is said, a value where an exception is said, an exception where a literal is, and an exception of
the code's own where none is said.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

from testing_crew.project.documented import Said, said_of
from testing_crew.project.syntax import UNREADABLE, parse
from testing_crew.runner.plan import TEST_NAME, Plan, Variation
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest

_CLOCK = re.compile(r"\b(?:now|today|utcnow|localtime|time_ns|time)\(\)")
_OTHER_HASH_SEED = 7
_RUN = Path(__file__).with_name("run_examples.py")
_known: WeakKeyDictionary[Runner, dict[CodeUnderTest, tuple[str, ...]]] = WeakKeyDictionary()


def contradictions(runner: Runner, plan: Plan) -> tuple[str, ...]:
    """One line for each docstring of the code that says of an example what the code does not do.

    Run once for each code and ``runner``; an example that comes out another way the second time is left alone. Raises
    `SandboxError` when nothing could be run.
    """
    code = plan.code
    known = _known.setdefault(runner, {})
    if code not in known:
        said = list(examples(code))
        known[code] = _run(runner, plan, said) if said else ()
    return known[code]


def _run(runner: Runner, plan: Plan, said: list[tuple[str, list[Said]]]) -> tuple[str, ...]:
    tests = _RUN.read_text(encoding="utf-8")
    beside = {name: data for name, data in plan.files.items() if name != plan.test and not name.endswith("conftest.py")}
    told = json.dumps({"module": plan.code.module, "said": said}).encode()
    files = {**beside, "examples.json": told, TEST_NAME: tests.encode()}
    asked = replace(plan, tests=tests, test=TEST_NAME, files=files, beside=True, in_place=False, conftests=False)
    found: list[str] = []
    for seed in (0, _OTHER_HASH_SEED):
        run = runner.execute(asked, Variation(measure=False, hash_seed=seed)).run
        now = [case.message for case in run.cases if case.exception == "Contradiction"]
        found = [line for line in found if line in now] if seed else now
        if not found:
            break
    return tuple(found)


def examples(code: CodeUnderTest) -> Iterator[tuple[str, list[Said]]]:
    """Each docstring of the unit that gives examples: whose it is, and what it says, in order."""
    try:
        tree = parse(code.source)
    except UNREADABLE:
        return
    head = code.unit.partition(".")[0] if code.unit else None
    own = [node for node in tree.body if head is None or getattr(node, "name", None) == head]
    if _CLOCK.search("\n".join(map(ast.unparse, own))):
        return
    for node in (tree, *(inner for top in own for inner in ast.walk(top))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            found = list(said_of(ast.get_docstring(node) or ""))
            if node is tree and head is not None and not any(re.search(rf"\b{head}\b", call) for call, *_ in found):
                continue
            if found:
                yield code.module if isinstance(node, ast.Module) else node.name, found
