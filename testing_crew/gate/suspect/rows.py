"""The rows of a ``parametrize``."""

from __future__ import annotations

import ast

from testing_crew.gate.names import last_name


def columns_of(names: ast.expr) -> list[str]:
    """The names in the first argument of a ``parametrize``."""
    texts = [n.value for n in ast.walk(names) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def cells_of(row: ast.expr, columns: list[str]) -> list[ast.expr]:
    """The values in one row of a ``parametrize``."""
    if isinstance(row, ast.Call) and last_name(row.func) == "param":
        return row.args
    return row.elts if isinstance(row, (ast.List, ast.Tuple)) and len(columns) > 1 else [row]
