"""Where a test file gets what it tests from: mended so that it imports exactly what it uses, from the module that is shown."""

from __future__ import annotations

import ast
import builtins

from finetune.data.surgery import bound, parse
from testing_crew.project import syntax
from testing_crew.project.code import source_lines


def defined(tree: ast.Module) -> set[str]:
    """The functions, classes and constants of a module."""
    found = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            found |= bound(node)
    return found


def _loaded(tree: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def undefined(tests: str | ast.Module) -> set[str]:
    """The names that a test file reads and nothing gives it."""
    tree = syntax.parse(tests) if isinstance(tests, str) else tests
    star = any(isinstance(n, ast.ImportFrom) and n.names[0].name == "*" for n in ast.walk(tree))
    known = bound(tree) | set(dir(builtins)) | {"__file__", "__name__"}
    return set() if star else _loaded(tree) - known


def import_from(tests: str, module: str, source: ast.Module) -> str | None:
    """``tests`` with an import of exactly the names of ``module`` that they use; None when they use none, or define their own."""
    tree = syntax.parse(tests)
    names = defined(source)
    stars = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == module and n.names[0].name == "*"]
    imported = {
        alias.name
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom) and n.module == module
        for alias in n.names
        if alias.name != "*"
    }
    own = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    if own & names or imported - names:
        return None
    missing = (_loaded(tree) & names) - bound(tree)
    whole = any(isinstance(n, ast.Import) and any(a.name == module for a in n.names) for n in ast.walk(tree))
    if not missing:
        return tests if (imported or whole) and not stars else None
    lines = source_lines(tests)
    for star in reversed(stars):
        del lines[star.lineno - 1 : star.end_lineno]
    return add_import("\n".join(lines), module, missing)


def add_import(tests: str, module: str, names: set[str]) -> str:
    """``tests`` with ``from module import names`` after the imports that they begin with, or in one that is there."""
    tree = syntax.parse(tests)
    lines = source_lines(tests.rstrip("\n"))
    wanted = set(names)
    last: ast.stmt | None = None
    for number, node in enumerate(tree.body):
        if number == 0 and isinstance(node, ast.Expr) and ast.get_docstring(tree, clean=False) is not None:
            last = node  # the imports of a file stand below its docstring
            continue
        if isinstance(node, ast.ImportFrom) and node.module == module and not any(a.asname for a in node.names):
            wanted |= {a.name for a in node.names}
            line = f"from {module} import {', '.join(sorted(wanted))}"
            return "\n".join([*lines[: node.lineno - 1], line, *lines[node.end_lineno :]]) + "\n"
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            break
        last = node
    line = f"from {module} import {', '.join(sorted(wanted))}"
    if last is None:
        return "\n".join([line, "", "", *lines]) + "\n"
    after = last.end_lineno or last.lineno
    rest = lines[after:]
    return "\n".join([*lines[:after], "", line, *(["", ""] if rest and rest[0].strip() else []), *rest]) + "\n"


def point_at(tests: str, module: str, units: set[str]) -> str | None:
    """``tests`` with ``units`` imported by their names from ``module``, where they took them from the package or its modules.

    ``import shop as s`` … ``s.total(1)`` becomes ``from shop.till import total`` … ``total(1)``; a star import of the package
    gives way to the units that are used. A unit whose name means something else in the file stays as it is. None when the
    text cannot be mended line by line.
    """
    tree = parse(tests)
    if tree is None:
        return None
    top = module.split(".")[0]
    lines = [line.encode() for line in source_lines(tests)]
    edits: list[tuple[int, int, int, bytes]] = []  # line, first byte, last byte, text
    roots: dict[str, str] = {}  # a local name → the dotted module that it stands for
    named: dict[str, str] = {}  # a local name → the unit that it stands for
    taken: set[str] = set()
    changed: list[ast.ImportFrom] = []
    stars: list[ast.ImportFrom] = []
    clash: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == top:
                    roots[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == top:
            if node.names[0].name == "*":
                stars.append(node)
                taken |= (_loaded(tree) - bound(tree)) & units
                continue
            for alias in node.names:
                if alias.name in units:
                    named[alias.asname or alias.name] = alias.name
                else:
                    roots[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            if node.module != module and any(alias.name in units for alias in node.names):
                changed.append(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in units and isinstance(node.ctx, ast.Load):
            chain = _chain(node.value)
            if chain and chain[0] in roots and _is_module([roots[chain[0]], *chain[1:]], module, top):
                taken.add(node.attr)
                if node.lineno != node.end_lineno:
                    clash.add(node.attr)
                edits.append((node.lineno, node.col_offset, node.end_col_offset or 0, node.attr.encode()))
    outside = [n for n in ast.walk(tree) if not isinstance(n, (ast.Import, ast.ImportFrom))]
    given = {n.id for n in outside if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    given |= {n.arg for n in outside if isinstance(n, ast.arg)}
    given |= {n.name for n in outside if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    aliases = {local for local, unit in named.items() if local != unit}
    clash |= ((taken | set(named.values())) & given) | (taken & (aliases | {*roots}))
    if clash:
        return point_at(tests, module, units - clash)
    if any(
        node.col_offset or (node.lineno == node.end_lineno and b";" in lines[node.lineno - 1])
        for node in changed + stars
    ):
        return None
    for line, first, last, text in sorted(edits, reverse=True):
        lines[line - 1] = lines[line - 1][:first] + text + lines[line - 1][last:]
    for node in sorted(changed + stars, key=lambda n: -n.lineno):
        ours = [a for a in node.names if a.name in units]
        rest = [a for a in node.names if a.name not in units]
        rest = [] if node in stars else rest
        parts = [ast.ImportFrom(node.module, rest, 0)] if rest else []
        parts += [ast.ImportFrom(module, ours, 0)] if ours else []
        lines[node.lineno - 1 : node.end_lineno] = [ast.unparse(part).encode() for part in parts]
    moved = b"\n".join(lines).decode()
    missing = taken - named.keys()
    return add_import(moved, module, missing) if missing else moved


def _chain(node: ast.expr) -> list[str]:
    """``a.b.c`` as its parts; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return [node.id, *parts] if isinstance(node, ast.Name) else []


def _is_module(parts: list[str], module: str, top: str) -> bool:
    """Whether a dotted name is the module or a package that it lies in, which may hand its names on."""
    dotted = ".".join(parts)
    return dotted in (module, top) or module.startswith(f"{dotted}.")
