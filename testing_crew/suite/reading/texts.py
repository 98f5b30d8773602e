"""A test file as it is compared with another text of itself: its functions, their checks, and what is new in each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from testing_crew.gate.claims import File
from testing_crew.gate.syntax import cells_of, columns_of, last_name
from testing_crew.gate.weight import FunctionNode
from testing_crew.suite.reading.checks import FUNCTIONS, Check, Reading, constants_in, names_in, uses_of

_HELPER = ("assert", "check", "verify", "expect", "validate", "ensure", "compare")


@dataclass
class Text:
    """A test file, read. ``functions`` are all of it by qualified name, ``tests`` those that pytest would collect."""

    tree: ast.Module
    functions: dict[str, FunctionNode] = field(default_factory=dict)
    owners: dict[str, ast.ClassDef] = field(default_factory=dict)
    tests: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for node in self.tree.body:
            for each in node.body if isinstance(node, ast.ClassDef) else [node]:
                if isinstance(each, FUNCTIONS):
                    name = f"{node.name}.{each.name}" if isinstance(node, ast.ClassDef) else each.name
                    self.functions[name] = each
                    if isinstance(node, ast.ClassDef):
                        self.owners[name] = node
        self.tests = frozenset(File(self.tree).tests) & self.functions.keys()

    @cached_property
    def checks(self) -> dict[str, list[Check]]:
        reading = Reading(self.tree)
        return {name: reading.checks(function) for name, function in self.functions.items()}

    @cached_property
    def pieces(self) -> frozenset[str]:
        """What its statements and the rows of its tables say, one by one."""
        return frozenset(map(ast.dump, _pieces(self.tree)))

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        plain = [n for n in self.tree.body if isinstance(n, ast.Assign) and len(n.targets) == 1]
        return {n.targets[0].id: n.value for n in plain if isinstance(n.targets[0], ast.Name)}

    @cached_property
    def open_keys(self) -> list[str]:
        """The keys of all checks whose failure fails something."""
        return [check.key for checks in self.checks.values() for check in checks if not check.swallowed]

    def uses(self, name: str) -> frozenset[str]:
        """What the function ``name`` calls of the code in its checks; in all of it, where they call nothing."""
        checked = frozenset[str]().union(*(check.uses for check in self.checks[name]))
        return checked or uses_of(self.functions[name])


@dataclass(frozen=True)
class Fresh:
    """What is new in one function of the new text, or of another changed test file: its names, and its literal values."""

    names: frozenset[str]
    constants: frozenset[str]

    def has(self, uses: frozenset[str], constants: frozenset[str]) -> bool:
        return bool(uses or constants) and uses <= self.names and constants <= self.constants


def fresh_in(before: Text, after: Text) -> list[Fresh]:
    """What each function of ``after`` that checks anything has beyond the old text."""
    found = []
    tables = list(after.constants.values())
    known = {check.key for checks in before.checks.values() for check in checks}
    for name, function in after.functions.items():
        calls = {last_name(n.func) for n in ast.walk(function) if isinstance(n, ast.Call)}
        helped = any(after.checks.get(each) for each in calls) or any(
            each.lstrip("_").startswith(_HELPER) for each in calls
        )
        if not (any(not check.swallowed for check in after.checks[name]) or helped):
            continue
        used = [node for node in tables if any(node is after.constants.get(each) for each in names_in(function))]
        nodes = [
            n for n in [*_pieces(function), *(p for t in used for p in _pieces(t))] if ast.dump(n) not in before.pieces
        ]
        names = frozenset[str]().union(*(names_in(node) for node in nodes))
        literals = frozenset[str]().union(*(constants_in(node) for node in nodes))
        checks = after.checks[name]
        inlined = [check for check in checks if check.key not in known]
        names |= frozenset[str]().union(*(check.uses for check in inlined))
        literals |= frozenset[str]().union(*(check.constants for check in inlined))
        found.append(Fresh(names, literals))
    return found


def rows_of(text: Text, name: str) -> list[ast.expr] | None:
    """The rows of every ``parametrize`` of the test ``name``, each as a tuple; None where one's do not stand in the file."""
    rows: list[ast.expr] = []
    owner = text.owners.get(name)
    for decorator in [*text.functions[name].decorator_list, *(owner.decorator_list if owner else [])]:
        if isinstance(decorator, ast.Call) and last_name(decorator.func) == "parametrize":
            given = [*decorator.args, *(k.value for k in decorator.keywords if k.arg in ("argnames", "argvalues"))]
            values = given[1] if len(given) > 1 else None
            values = text.constants.get(values.id) if isinstance(values, ast.Name) else values
            if not isinstance(values, (ast.List, ast.Tuple)):
                return None
            columns = columns_of(given[0])
            rows += [ast.Tuple(cells_of(row, columns), ast.Load()) for row in values.elts]
    return rows


def _pieces(tree: ast.AST) -> Iterator[ast.AST]:
    """The smallest parts that are compared as one: statements without blocks, heads of the others, rows of tables."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            yield from node.elts
        elif isinstance(node, ast.Dict):
            yield from node.values
        elif isinstance(node, ast.stmt):
            if not hasattr(node, "body"):
                yield node
            else:
                yield from (
                    child for child in ast.iter_child_nodes(node) if isinstance(child, (ast.expr, ast.withitem))
                )
