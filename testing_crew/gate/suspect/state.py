"""Whether a function gives the same for the same arguments, as far as its text can tell."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping

from testing_crew.gate.names import last_name

_PURE_MODULES = """
    abc array base64 bisect binascii calendar cmath collections copy dataclasses datetime decimal difflib enum fractions
    functools hashlib heapq html itertools json keyword math numbers operator re statistics string struct textwrap types
    typing typing_extensions unicodedata urllib zlib __future__
"""
_IMPURE_BUILTINS = "print input open id hash exec eval globals vars setattr delattr __import__ breakpoint"
_CLOCK = {"now", "today", "utcnow"}


def is_steady(head: str, top: Mapping[str, ast.AST | None]) -> bool:
    """Whether ``head``, and all that it uses, gives the same for the same arguments; ``top`` is what the module defines."""
    seen: set[str] = set()
    waiting = [head]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        node = top.get(name)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            if _keeps_state(node):
                return False
            waiting += _used(node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            if not _is_pure_import(node):
                return False
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            if not is_fixed(node.value) and last_name(getattr(node.value, "func", ast.Name(""))) != "compile":
                return False  # a list, say, that the code may change as it runs
        elif name in top or name in _IMPURE_BUILTINS.split() or not hasattr(builtins, name):
            return False
    return True


def _keeps_state(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a function or a method leaves something behind for the next call, or asks the clock."""
    outside = _used(node)
    for inner in ast.walk(node):
        if isinstance(inner, (ast.Global, ast.Nonlocal)) or (isinstance(inner, ast.Attribute) and inner.attr in _CLOCK):
            return True
        if isinstance(inner, (ast.Import, ast.ImportFrom)) and not _is_pure_import(inner):
            return True
        if isinstance(inner, ast.arguments) and not all(map(is_fixed, [*inner.defaults, *inner.kw_defaults])):
            return True
        if isinstance(inner, ast.ClassDef) and not all(
            is_fixed(n.value) for n in inner.body if isinstance(n, (ast.Assign, ast.AnnAssign))
        ):
            return True
        if isinstance(inner, (ast.Attribute, ast.Subscript)) and not isinstance(inner.ctx, ast.Load):
            root = root_name(inner)
            if root in (None, "cls") or root in outside:
                return True
    return False


def _used(part: ast.AST) -> set[str]:
    """The names from outside that ``part`` uses."""
    nodes = list(ast.walk(part))
    local = {name for n in nodes if n is not part for name in bound(n)}
    return {n.id for n in nodes if isinstance(n, ast.Name)} - local


def bound(node: ast.AST) -> set[str]:
    """The names that ``node`` itself gives a value."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    if isinstance(node, ast.arg):
        return {node.arg}
    return {node.name} if isinstance(node, ast.ExceptHandler) and node.name else set()


def _is_pure_import(node: ast.Import | ast.ImportFrom) -> bool:
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    relative = isinstance(node, ast.ImportFrom) and node.level
    return not relative and all(module.partition(".")[0] in _PURE_MODULES.split() for module in modules)


def is_fixed(value: ast.expr | None) -> bool:
    """Whether nothing can be added to a value afterwards."""
    changing = (ast.List, ast.Dict, ast.Set, ast.Call, ast.ListComp, ast.DictComp, ast.SetComp)
    return value is None or not any(isinstance(n, changing) for n in ast.walk(value))


def root_name(node: ast.expr) -> str | None:
    """``a`` for ``a.b[0].c``; None where that is no name."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
