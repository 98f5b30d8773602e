"""The marks and calls of a test file that leave tests out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from testing_crew.gate.syntax import last_name
from testing_crew.gate.weight import FunctionNode
from testing_crew.suite.reading.nodes import FUNCTIONS, shown

_SKIPS = frozenset(
    ("skip", "skipif", "xfail", "importorskip", "skipTest", "SkipTest", "skipIf", "skipUnless", "expectedFailure")
)
_ROOTS = frozenset(("pytest", "unittest", "mark", "self", "cls", "case"))
_SWITCHES = ("pytestmark", "collect_ignore", "collect_ignore_glob", "__test__")


@dataclass(frozen=True)
class Skip:
    """One of them: ``kind`` is its name (`skip`, `xfail` …), ``text`` the source on one line, ``line`` where it stands."""

    kind: str
    line: int
    text: str


def skips_around(scope: ast.Module | ast.ClassDef) -> list[Skip]:
    """What leaves out all tests of a file, or of a class: its marks, and the calls and switches beside its functions."""
    found = [skip for each in getattr(scope, "decorator_list", []) for skip in _named(each, frozenset())]
    for node in scope.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            switch = next((each.id for each in targets if isinstance(each, ast.Name) and each.id in _SWITCHES), "")
            if switch == "pytestmark" or _calls(node, "importorskip"):
                found += _named(node, frozenset())
            elif switch.startswith("collect_ignore"):
                entries = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)] or [""]
                found += [Skip(f"{switch} {entry!r}", node.lineno, shown(node)) for entry in entries]
            elif switch and not (switch == "__test__" and shown(node).endswith("True")):
                found.append(Skip(switch, node.lineno, shown(node)))
        elif not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            found += _named(node, frozenset())
    return found


def skips_in(function: FunctionNode, tree: ast.Module) -> list[Skip]:
    """What leaves out ``function``, or goes out of it: marks, those by a name of the file ``tree`` included, and calls."""
    marks = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and list(_named(node, frozenset()))
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return list(_named(function, frozenset(marks)))


def _named(tree: ast.AST, marks: frozenset[str]) -> Iterator[Skip]:
    """The skips in ``tree``; ``marks`` are names that stand for one."""
    holders = [n for n in ast.walk(tree) if isinstance(n, ast.stmt) and not hasattr(n, "body")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _SKIPS and _root(node) in _ROOTS:
            kind = node.attr
        elif isinstance(node, ast.Name) and (node.id in marks or (node.id in _SKIPS and node.id not in ("skip",))):
            kind = node.id
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "skip":
            kind = "skip"
        else:
            continue
        holder = next((each for each in holders if any(inner is node for inner in ast.walk(each))), None)
        yield Skip(kind, node.lineno, shown(holder if holder is not None else _whole(tree, node)))


def _whole(tree: ast.AST, node: ast.AST) -> ast.AST:
    """The decorator or the condition that ``node`` is in."""
    decorators = getattr(tree, "decorator_list", [])
    return next((each for each in decorators if any(inner is node for inner in ast.walk(each))), node)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return getattr(node, "id", "")


def _calls(tree: ast.AST, name: str) -> bool:
    return any(isinstance(node, ast.Call) and last_name(node.func) == name for node in ast.walk(tree))
