"""Several test files made one: imports once, tests that are the same once, names that clash told apart."""

from __future__ import annotations

import ast
from collections.abc import Iterable

_Named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _segment(lines: list[str], node: ast.stmt, floor: int) -> str:
    """The text of a top-level statement with its decorators and the comments right above it, not above line ``floor``."""
    first = node.lineno
    if isinstance(node, _Named):
        first = min([first, *(d.lineno for d in node.decorator_list)])
    while first - 2 >= floor and lines[first - 2].startswith("#"):
        first -= 1
    return "\n".join(lines[first - 1 : node.end_lineno])


class _Rename(ast.NodeTransformer):
    def __init__(self, renames: dict[str, str]) -> None:
        self.renames = renames

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.renames.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:  # a fixture is asked for by a parameter's name
        node.arg = self.renames.get(node.arg, node.arg)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self.renames.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self.renames.get(node.name, node.name)
        return self.generic_visit(node)


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, _Named):
        return [node.name]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return []


def merge(files: Iterable[str]) -> str:
    """One test file with everything that ``files`` hold, in order. Each of them must parse."""
    futures: list[str] = []
    imports: list[str] = []
    bodies: list[str] = []
    taken: dict[str, str] = {}
    for text in files:
        tree = ast.parse(text)
        lines = text.splitlines()
        own: dict[str, str] = {}
        for node in tree.body:
            for name in _names(node):
                same = taken.get(name) == ast.dump(node)
                if name in taken and not same:
                    own[name] = _free(name, taken)
        floor = 0
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                line = ast.unparse(node)
                kept = futures if line.startswith("from __future__") else imports
                if line not in kept:
                    kept.append(line)
            elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                names = _names(node)
                if names and all(taken.get(n) == ast.dump(node) for n in names):
                    continue
                dumped = ast.dump(node)
                segment = _segment(lines, node, floor)
                if own:
                    renamed = _Rename(own).visit(node)
                    segment = segment if ast.dump(renamed) == dumped else ast.unparse(renamed)
                for name in names:
                    taken[own.get(name, name)] = dumped
                bodies.append(segment)
            floor = node.end_lineno or floor
    head = "\n".join([*futures, *_joined(imports)])
    return "\n\n\n".join([*([head] if head else []), *bodies]) + "\n"


def _joined(imports: list[str]) -> list[str]:
    """The import statements in order, those from one module joined."""
    plain = sorted(line for line in imports if not line.startswith("from "))
    members: dict[str, list[str]] = {}
    for line in sorted(set(imports) - set(plain)):
        module, _, names = line.removeprefix("from ").partition(" import ")
        members.setdefault(module, []).extend(n for n in names.split(", ") if n not in members.get(module, []))
    return plain + [f"from {module} import {', '.join(names)}" for module, names in members.items()]


def _free(name: str, taken: dict[str, str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
