"""Pieces of a test file: what they call, the names and the literal values in them, and as they are shown."""

from __future__ import annotations

import ast
import builtins

from testing_crew.gate.syntax import last_name

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_OF_PYTEST = {"pytest", "approx", "raises", "warns", "param", "mock", "Mock", "MagicMock", "patch", "self", "cls"}
_ORDINARY = frozenset(dir(builtins)) | _OF_PYTEST


def uses_of(node: ast.AST) -> frozenset[str]:
    """The last names of what is called in ``node``, but for builtins and what is pytest's; all plain names where that is none."""
    called = {last_name(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)} - _ORDINARY - {""}
    called = {name for name in called if not name.startswith("assert")}
    return frozenset(called or names_in(node) - _ORDINARY)


def names_in(node: ast.AST) -> set[str]:
    """The plain names and the attributes in ``node``."""
    return {last_name(n) for n in ast.walk(node) if isinstance(n, (ast.Name, ast.Attribute))}


def constants_in(node: ast.AST) -> frozenset[str]:
    """The literal values in ``node``, but for None."""
    return frozenset(repr(n.value) for n in ast.walk(node) if isinstance(n, ast.Constant) and n.value is not None)


def shown(node: ast.AST) -> str:
    """``node`` as source on one line, a long one cut."""
    try:
        text = " ".join(ast.unparse(node).split())
    except RecursionError:
        text = "…"
    return text if len(text) <= 100 else text[:99] + "…"


def shown_whole(node: ast.AST) -> str:
    """``node`` as source, uncut, to be compared."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return ast.dump(node)[:1000]
