"""Pieces of a test file's syntax: what a call names, what is a fixture, the rows of a ``parametrize``."""

from __future__ import annotations

import ast


def last_name(node: ast.expr) -> str:
    """``c`` for ``a.b.c`` and for ``c``; empty for anything else."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def is_fixture(node: ast.AST) -> bool:
    """Whether a function is decorated as a fixture."""
    decorators = getattr(node, "decorator_list", [])
    return any("fixture" in last_name(d.func if isinstance(d, ast.Call) else d) for d in decorators)


def columns_of(names: ast.expr) -> list[str]:
    """The names in the first argument of a ``parametrize``."""
    texts = [n.value for n in ast.walk(names) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def cells_of(row: ast.expr, columns: list[str]) -> list[ast.expr]:
    """The values in one row of a ``parametrize``."""
    if isinstance(row, ast.Call) and last_name(row.func) == "param":
        return row.args
    return row.elts if isinstance(row, (ast.List, ast.Tuple)) and len(columns) > 1 else [row]
