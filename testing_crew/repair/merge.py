"""Several test files made one, imports and equal tests once, clashing names told apart; and one file cut into its parts."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterable, Iterator

from testing_crew.project.code import source_lines
from testing_crew.project.syntax import first_line, parse

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Named = (*_Function, ast.ClassDef)
_Import = (ast.Import, ast.ImportFrom)


def merge(files: Iterable[str]) -> str:
    """One test file with everything that ``files`` hold, in order. Each of them must parse."""
    trees = [(text, parse(text)) for text in files]
    every = {name for _, tree in trees for node in ast.walk(tree) for name in _any_names(node)}
    futures: dict[str, None] = {}
    imports: dict[str, None] = {}
    bodies: list[str] = []
    taken: dict[str, str] = {}
    for text, tree in trees:
        renames: dict[str, str] = {}
        for node in tree.body:
            for name, meaning in _bound(node):
                if taken.get(name, meaning) != meaning and name not in renames:
                    renames[name] = _free(name, every)
        rename = _Rename(renames, _fixtures(tree))
        floor = 0
        for node in tree.body:
            bound = list(_bound(node))
            new = rename.visit(copy.deepcopy(node))
            if isinstance(node, _Import):
                for line in _import_lines(new):
                    (futures if line.startswith("from __future__") else imports)[line] = None
            elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) and not (
                bound and all(taken.get(name) == meaning for name, meaning in bound)
            ):
                changed = ast.dump(new) != ast.dump(node)
                bodies.append(ast.unparse(new) if changed else _segment(text, tree, node, floor))
            for name, meaning in bound:
                taken[renames.get(name, name)] = meaning
            floor = node.end_lineno or floor
    head = "\n".join([*futures, *_joined(imports)])
    return "\n\n\n".join([*([head] if head else []), *bodies]) + "\n"


def _bound(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """The top-level names that a statement binds, each with what tells one meaning of it from another."""
    if isinstance(node, _Named):
        yield node.name, ast.dump(node)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield (
                alias.asname or alias.name.split(".")[0],
                f"import {alias.name if alias.asname else alias.name.split('.')[0]}",
            )
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if alias.name != "*":
                yield alias.asname or alias.name, f"from {node.level}{node.module} import {alias.name}"
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                yield inner.id, ast.dump(node)


def _any_names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, _Named):
        yield node.name
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.split(".")[0]


def _fixtures(tree: ast.Module) -> set[str]:
    functions = [node for node in tree.body if isinstance(node, _Function)]
    return {f.name for f in functions if any("fixture" in ast.unparse(d) for d in f.decorator_list)}


class _Rename(ast.NodeTransformer):
    """Renames top-level names of a file where they mean the top-level thing, not where a function has its own."""

    def __init__(self, renames: dict[str, str], fixtures: set[str]) -> None:
        self.renames, self.fixtures = renames, fixtures

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.renames.get(node.id, node.id)
        return node

    def visit_alias(self, node: ast.alias) -> ast.AST:
        bound = node.asname or node.name.split(".")[0]
        if bound in self.renames and (node.asname or "." not in node.name):
            node.asname = self.renames[bound]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self.renames.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.name = self.renames.get(node.name, node.name)
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        parametrized = {n for d in node.decorator_list for n in _parametrized(d)}
        arguments = [a for a in ast.walk(node.args) if isinstance(a, ast.arg)]
        asked = {
            a.arg for a in arguments
        } & self.fixtures - parametrized  # parameters that ask for a fixture by its name
        stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        own = ({a.arg for a in arguments} | stored) - asked
        inner = _Rename({old: new for old, new in self.renames.items() if old not in own}, self.fixtures)
        for argument in arguments:
            if argument.arg in asked:
                argument.arg = inner.renames.get(argument.arg, argument.arg)
        node.args.defaults = [self.visit(d) for d in node.args.defaults]
        node.body = [inner.visit(statement) for statement in node.body]
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("usefixtures", "getfixturevalue"):
            for argument in node.args:
                if isinstance(argument, ast.Constant) and argument.value in self.fixtures:
                    argument.value = self.renames.get(str(argument.value), argument.value)
        return self.generic_visit(node)


def _parametrized(decorator: ast.expr) -> set[str]:
    """The names that a ``parametrize`` decorator gives values to."""
    if not (isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("parametrize") and decorator.args):
        return set()
    return {
        name.strip()
        for n in ast.walk(decorator.args[0])
        if isinstance(n, ast.Constant) and isinstance(n.value, str)
        for name in n.value.split(",")
    }


def _segment(text: str, tree: ast.Module, node: ast.stmt, floor: int) -> str:
    """The text of a top-level statement with its decorators and the comments right above it, not above line ``floor``."""
    if (
        sum(other.lineno <= (node.end_lineno or 0) and (other.end_lineno or 0) >= node.lineno for other in tree.body)
        > 1
    ):
        return ast.unparse(node)  # it shares a line with another
    lines = source_lines(text)
    first = first_line(node)
    while first - 2 >= floor and lines[first - 2].startswith("#"):
        first -= 1
    return "\n".join(lines[first - 1 : node.end_lineno])


def _import_lines(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        single = (
            ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], node.level)
        )
        yield ast.unparse(single)


def _joined(imports: Iterable[str]) -> list[str]:
    """The import statements in order, those from one module joined."""
    lines = list(imports)
    plain = sorted(line for line in lines if not line.startswith("from "))
    members: dict[str, list[str]] = {}
    for line in sorted(set(lines) - set(plain)):
        module, _, name = line.removeprefix("from ").partition(" import ")
        members.setdefault(module, []).append(name)
    return plain + [f"from {module} import {', '.join(names)}" for module, names in members.items()]


def _free(name: str, every: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in every:
        number += 1
    every.add(f"{name}_{number}")
    return f"{name}_{number}"


def split_tests(tests: str, units: list[str]) -> list[str]:
    """A test file in parts, one for each unit: the tests that reach it, themselves or through the helpers and fixtures they use.

    Every part has the imports and helpers; a test that reaches no unit goes to the first. A part without tests is empty.
    """
    try:
        tree = parse(tests)
    except (SyntaxError, ValueError, RecursionError):
        return ["" for _ in units]
    reach = {
        n.name: _names_in(n) for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }
    lines = source_lines(tests)
    parts: list[list[str]] = [[] for _ in units]
    found = [False for _ in units]
    for node in tree.body:
        first = first_line(node)
        text = "\n".join(lines[first - 1 : node.end_lineno])
        name = getattr(node, "name", "")
        if name.lower().startswith("test"):
            reached = _closure(name, reach)
            mine = [i for i, unit in enumerate(units) if unit in reached][:1] or [0]
            found[mine[0]] = True
        else:
            mine = list(range(len(units)))
        for i in mine:
            parts[i].append(text)
    return ["\n\n\n".join(part) + "\n" if has else "" for part, has in zip(parts, found, strict=True)]


def _names_in(node: ast.AST) -> set[str]:
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | {
        n.arg for n in ast.walk(node) if isinstance(n, ast.arg)
    }
    return names | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def _closure(name: str, reach: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    queue = [name]
    while queue:
        for other in reach.get(queue.pop(), set()) - seen:
            seen.add(other)
            queue.append(other)
    return seen


def log_for(log: str, tests: str) -> str:
    """The lines of a failure log about tests that stand in ``tests``, or about the file as a whole."""
    names = {n.name for n in ast.walk(parse(tests)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return "\n".join(
        line for line in log.splitlines() if re.split(r"[(:]", line, maxsplit=1)[0] in names | {"collection"}
    )
