"""A test file as it is compared with another text of itself: its functions, their checks, and what is new in each."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from testing_crew.gate.claims import File
from testing_crew.gate.syntax import cells_of, columns_of, is_fixture, last_name
from testing_crew.gate.weight import FunctionNode
from testing_crew.suite.reading.checks import Check, Reading
from testing_crew.suite.reading.nodes import FUNCTIONS, constants_in, names_in, uses_of

_HELPER = ("assert", "check", "verify", "expect", "validate", "ensure", "compare")
_CALLED_BY_PYTEST = ("pytest_", "setup", "teardown", "setUp", "tearDown", "asyncSetUp", "asyncTearDown", "addCleanup")
_ORDINARY_BLOCKS = ("body", "orelse", "finalbody")


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
        taken = _taken_away(self.tree)
        found = frozenset(File(self.tree).tests) & self.functions.keys()
        self.tests = frozenset(name for name in found if taken.isdisjoint((name, name.partition(".")[0])))

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

    def open_keys(self, names: frozenset[str]) -> list[str]:
        """The keys of the checks in the functions ``names`` whose failure fails something."""
        return [check.key for name in sorted(names) for check in self.checks[name] if not check.swallowed]

    @cached_property
    def used_outside(self) -> frozenset[str]:
        """The names that statements outside of functions use, but for what runs as a script alone."""
        nodes = [node for node in _outside(self.tree) if not (isinstance(node, ast.If) and _is_script(node))]
        return frozenset[str]().union(*map(_used, nodes))

    def used_by(self, name: str) -> frozenset[str]:
        """The names that the function ``name`` uses: those in its text, and the fixtures that it asks for."""
        function = self.functions[name]
        arguments = (each.arg for each in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs])
        fixtures = (
            str(each.value)
            for mark in function.decorator_list
            for each in ast.walk(mark)
            if isinstance(each, ast.Constant)
        )
        return frozenset((*_used(function), *arguments, *fixtures))

    def users(self, names: frozenset[str]) -> frozenset[str]:
        """The tests that use one of ``names``, themselves or by way of other functions of the file."""
        known = self.reaching(names)
        return frozenset(each for each in self.tests if not known.isdisjoint(self.used_by(each)))

    def reaching(self, names: frozenset[str]) -> frozenset[str]:
        """``names``, and the last names of functions that use them, themselves or by way of others; tests are none of these."""
        others = self.functions.keys() - self.tests
        known, more = frozenset[str](), names
        while more - known:
            known |= more
            found = (each for each in others if not known.isdisjoint(self.used_by(each)))
            more = frozenset(each.rpartition(".")[2] for each in found)
        return known

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


def running(texts: Sequence[Text], *, helpers: bool) -> list[frozenset[str]]:
    """Of each text the functions that a run of its tests may come to: tests, fixtures, hooks, and what any of those uses.

    ``helpers``: the first is a file of helpers, which tests elsewhere use: then all of it runs.
    """
    found: list[set[str]] = []
    for text in texts:
        first = {name for name, function in text.functions.items() if is_fixture(function)} | text.tests
        own = {name for name in text.functions if name.rpartition(".")[2].startswith(_CALLED_BY_PYTEST)}
        found.append(set(text.functions) if helpers and text is texts[0] else first | own)
    used = frozenset[str]().union(*(text.used_outside for text in texts))
    while True:
        used = used.union(*(text.used_by(name) for text, names in zip(texts, found, strict=True) for name in names))
        more = [
            {name for name in text.functions if name.rpartition(".")[2] in used} - names
            for text, names in zip(texts, found, strict=True)
        ]
        if not any(more):
            return [frozenset(names) for names in found]
        for names, each in zip(found, more, strict=True):
            names |= each


def fresh_in(before: Text, after: Text, names: frozenset[str]) -> list[Fresh]:
    """What each of the functions ``names`` of ``after`` that checks anything has beyond the old text."""
    found = []
    tables = list(after.constants.values())
    known = {check.key for checks in before.checks.values() for check in checks}
    for name in sorted(names):
        function = after.functions[name]
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
        said = frozenset[str]().union(*(names_in(node) for node in nodes))
        literals = frozenset[str]().union(*(constants_in(node) for node in nodes))
        checks = after.checks[name]
        inlined = [check for check in checks if check.key not in known]
        said |= frozenset[str]().union(*(check.uses for check in inlined))
        literals |= frozenset[str]().union(*(check.constants for check in inlined))
        found.append(Fresh(said, literals))
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


def _outside(tree: ast.Module) -> Iterator[ast.stmt]:
    """What a file says outside of functions: its statements, those of classes, and the heads of both."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from (each for each in node.body if not isinstance(each, FUNCTIONS))
            yield from (ast.Expr(each) for each in [*node.decorator_list, *node.bases])
        elif isinstance(node, FUNCTIONS):
            yield from (ast.Expr(each) for each in node.decorator_list)
        else:
            yield node


def _is_script(node: ast.If) -> bool:
    return "__name__" in names_in(node.test)


def _used(tree: ast.AST) -> frozenset[str]:
    """The names and attributes that ``tree`` reads, but for what it only takes out of collection."""
    if _switched_off(tree):
        return frozenset()
    nodes = (n for n in ast.walk(tree) if isinstance(n, (ast.Name, ast.Attribute)) and isinstance(n.ctx, ast.Load))
    return frozenset(map(last_name, nodes))


def _switched_off(node: ast.AST) -> str:
    """The name whose ``__test__`` the statement sets to something other than True; empty where it sets none."""
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    if not (isinstance(target, ast.Attribute) and target.attr == "__test__" and isinstance(node, ast.Assign)):
        return ""
    return "" if isinstance(node.value, ast.Constant) and node.value.value is True else last_name(target.value)


def _taken_away(tree: ast.Module) -> frozenset[str]:
    """Names of functions and classes that the file itself takes away again: by ``del``, another value, or ``__test__``."""
    gone: set[str] = set()
    for node in _flat(tree.body):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            gone.discard(node.name)
        elif isinstance(node, ast.Delete):
            gone |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        elif isinstance(node, ast.Assign):
            new = {each.id for each in node.targets if isinstance(each, ast.Name)}
            gone |= new - names_in(node.value)  # `test_a = slow(test_a)` is the test still
            gone |= {_switched_off(node)} - {""}
    return frozenset(gone)


def _flat(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            for block in _ORDINARY_BLOCKS:
                yield from _flat(getattr(node, block, []))
