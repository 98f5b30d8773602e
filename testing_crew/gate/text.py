"""What the text of a test file and its first run say against it.

The reasons, for machines: ``not_passed:VERDICT``, ``too_large`` (more than a million characters: nothing else is said of it),
``unreadable`` (no Python, nested too deep, or in a declared encoding other than UTF-8, of which Python would run another text
than the one read here), ``always_equal``, ``target_not_imported``, ``target_not_executed``, ``no_assertion_about_target``
(none of the file's own was evaluated).
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

from testing_crew.gate.syntax import last_name
from testing_crew.project.syntax import UNREADABLE, parse
from testing_crew.runner.inside.watch.asserts import TRIES
from trace_logger.records import CodeUnderTest, PytestRun

MOST_CHARACTERS = 1_000_000
DOUBTS = frozenset({"no_assertion_about_target"})
"""Reasons that only say what was not seen. A mutant that a claim kills outweighs them: it may stand in a helper or a library."""

_COOKIE = re.compile(r"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.ASCII)  # PEP 263
_FORGIVING = ("suppress", "exception")  # contextlib's block, and a future's answer
_FORGIVING_ARGUMENT = "return_exceptions"  # of asyncio.gather
_BLANK = re.compile(r"[ \t\f]*(?:#|$)")
_READ_AS_IT_IS = re.compile(r"utf-?8(-.*)?|(us-)?ascii")  # `utf-8-unix` and its like are UTF-8 to Python


def judge(code: CodeUnderTest, tests: str, run: PytestRun) -> tuple[bool, tuple[str, ...]]:
    """What the text ``tests`` and its first ``run`` say: whether it may be accepted for ``code``, and every reason why not.

    What is wrong with the text is said of a file that failed too; what the run shows is asked only of one that passed.
    """
    reasons = [] if run.passed else [f"not_passed:{run.verdict}"]
    if len(tests) > MOST_CHARACTERS:
        return False, (*reasons, "too_large")
    try:
        tree = read(tests)
    except UNREADABLE:
        return False, (*reasons, "unreadable")
    if any(map(_is_always_equal, ast.walk(tree))):
        reasons.append("always_equal")
    if run.passed:
        if not was_imported(code, run):
            reasons.append("target_not_imported")
        if run.coverage.line == 0:  # None: the unit has no function body, so there is nothing that could be executed
            reasons.append("target_not_executed")
        if not run.asserted_lines:
            reasons.append("no_assertion_about_target")
    return not reasons, tuple(reasons)


def read(tests: str) -> ast.Module:
    """The tree of what Python would run; raises one of `UNREADABLE` where that cannot be told from the text."""
    if len(tests) > MOST_CHARACTERS:
        raise ValueError("too large")
    text = tests.removeprefix("\ufeff")
    for line in re.split("\r\n?|\n", text, maxsplit=2)[:2]:
        if cookie := _COOKIE.match(line):
            if not _READ_AS_IT_IS.fullmatch(cookie[1].lower().replace("_", "-")):
                raise ValueError(f"declared as {cookie[1]}")
            break
        if not _BLANK.match(line):
            break
    return parse(text)


def _is_always_equal(node: ast.AST) -> bool:
    """Whether a class says that it equals whatever it is compared with. Not all mutants hide behind such a value."""
    if not isinstance(node, ast.ClassDef):
        return False
    methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__eq__"]
    returned = [n.value for m in methods for n in ast.walk(m) if isinstance(n, ast.Return)]
    return bool(returned) and all(isinstance(value, ast.Constant) and value.value is True for value in returned)


def blinded(tests: str) -> frozenset[str] | None:
    """The top-level names of a test file that use a class that equals everything, themselves or by way of others of these.

    None where that cannot be told of any: what uses it runs for all tests, as an import or a fixture that no test names.
    """
    tree = read(tests)
    blind: set[str] = set()
    while True:
        more: set[str] = set()
        for node in tree.body:
            bound = _bound(node)
            words = _words(node)
            if words.isdisjoint(blind) and not any(map(_is_always_equal, ast.walk(node))):
                continue
            if not bound or "autouse" in words:
                return None
            more |= bound
        if more <= blind:
            return frozenset(blind)
        blind |= more


def _bound(node: ast.stmt) -> set[str]:
    """The names that a definition or a plain assignment of a module gives; none for any other statement."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        plain = [target.id for target in targets if isinstance(target, ast.Name)]
        return set(plain) if len(plain) == len(targets) else set()
    return set()


def _words(node: ast.stmt) -> set[str]:
    """Every name that a statement says, of arguments and keywords too: a fixture is asked for by the name of an argument."""
    found: set[str] = set()
    for each in ast.walk(node):
        for field in ("id", "attr", "arg", "value"):
            word = getattr(each, field, None)
            found |= {word} if isinstance(word, str) else set()
    return found


def forgives(tests: str) -> bool:
    """Whether a test may go on after an exception: what it asserts then may only be that there was none."""
    return any(
        (isinstance(node, TRIES) and node.handlers)
        or (isinstance(node, ast.Call) and last_name(node.func) in _FORGIVING)
        or (isinstance(node, ast.keyword) and node.arg == _FORGIVING_ARGUMENT)
        for node in ast.walk(read(tests))
    )


def was_imported(code: CodeUnderTest, run: PytestRun) -> bool:
    """Whether the target was imported from its real place."""
    if run.target_origin is None:
        return bool(run.coverage.line)  # the test took the module out of sys.modules again, but its lines ran
    if code.path is None:
        return not os.path.isabs(run.target_origin)  # in the run's own folder
    return os.path.realpath(code.path) == os.path.realpath(Path(run.target_origin))
