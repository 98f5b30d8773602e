"""Where the expectations of a test file come from: **derived** from what the code says of itself, or **observed** in a run.

Derived is a result or an exception that an example in a docstring gives for the same call, and an exception that the code states
by a ``raise`` of its own. All others may have been taken over from what the code does now: they pin it, and find no bug in it.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

from testing_crew.gate.syntax import cells_of, columns_of, last_name
from testing_crew.project.documented import Said, said_of
from testing_crew.project.syntax import UNREADABLE, parse, parse_expression
from trace_logger.records import CodeUnderTest

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


class Origins(NamedTuple):
    """How many expectations are derived, and how many observed."""

    derived: int = 0
    observed: int = 0


def origins(code: CodeUnderTest, tests: str) -> Origins:
    """Count the expectations of ``tests``, each row of a table as one; none in a file that does not parse."""
    try:
        return _count(parse(code.source), parse(tests))
    except UNREADABLE:
        return Origins()


def _count(source: ast.Module, tree: ast.Module) -> Origins:
    derivable = _said(source)
    stated = {_name_of(n.exc) for n in ast.walk(source) if isinstance(n, ast.Raise) and n.exc is not None}
    found = [
        each in derivable or (each[1].startswith("!") and each[1][1:] in stated)
        for function in ast.walk(tree)
        if isinstance(function, _Function) and function.name.startswith("test")
        for each in expectations(function)
    ]
    return Origins(sum(found), len(found) - sum(found))


def _said(source: ast.Module) -> set[tuple[str, str]]:
    """(call, result) of the examples in all docstrings; an exception has a ``!`` before its name."""
    found: set[tuple[str, str]] = set()
    documented = [n for n in ast.walk(source) if isinstance(n, (ast.Module, ast.ClassDef, *_Function))]
    for node in documented:
        found |= {claim for example in said_of(ast.get_docstring(node) or "") if (claim := claim_of(example))}
    return found


def claim_of(example: Said) -> tuple[str, str] | None:
    """(call, result) of one example; None where it is no such."""
    call, want, error, _ = example
    try:
        expression = parse_expression(call.strip())
        return _call_text(expression), f"!{error}" if error else ast.unparse(parse_expression(want.strip()))
    except UNREADABLE:
        return None


def expectations(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, str]]:
    """The calls that a test makes, each with the result that it expects, for each row of its table."""
    for row in _rows(function):
        for node in ast.walk(function):
            if isinstance(node, ast.Assert):
                yield _claim(node.test, row)
            elif isinstance(node, (ast.With, ast.AsyncWith)):
                for item in node.items:
                    context = item.context_expr
                    if isinstance(context, ast.Call) and last_name(context.func) == "raises" and context.args:
                        error = f"!{last_name(context.args[0])}"
                        yield _call_text(_filled(_last_expression(node.body), row)), error


def table_rows(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    """The rows of the table that a test is parametrized with; none where it has no table written out."""
    table = _table(function)
    return table[1] if table else []


def _table(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[list[str], list[ast.expr]] | None:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and last_name(decorator.func) == "parametrize" and len(decorator.args) > 1:
            rows = decorator.args[1]
            if isinstance(rows, (ast.List, ast.Tuple)):
                return list(columns_of(decorator.args[0])), rows.elts
    return None


def _rows(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[dict[str, ast.expr]]:
    columns, rows = _table(function) or ([], [])
    return [dict(zip(columns, cells_of(row, columns), strict=False)) for row in rows] or [{}]


def _claim(test: ast.expr, row: dict[str, ast.expr]) -> tuple[str, str]:
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], (ast.Eq, ast.Is)):
        left, right = _filled(test.left, row), _filled(test.comparators[0], row)
        return _call_text(left), ast.unparse(right)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _call_text(_filled(test.operand, row)), "False"
    return _call_text(_filled(test, row)), "True"


def _filled(node: ast.expr, row: dict[str, ast.expr]) -> ast.expr:
    """``node`` with the row's values in place of the columns' names."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.expr:
            return copy.deepcopy(row[name.id]) if name.id in row else name

    filled = Fill().visit(copy.deepcopy(node))
    return filled if isinstance(filled, ast.expr) else node


def _last_expression(body: list[ast.stmt]) -> ast.expr:
    last = body[-1]
    value = getattr(last, "value", None)
    return value if isinstance(value, ast.expr) else ast.Constant(None)


def _call_text(node: ast.expr) -> str:
    """The call as text, the module's name before the function's left out."""
    if isinstance(node, ast.Call):
        node = copy.deepcopy(node)
        node.func = ast.Name(last_name(node.func)) if isinstance(node.func, ast.Attribute) else node.func
    return ast.unparse(node)


def _name_of(node: ast.expr) -> str:
    return last_name(node.func if isinstance(node, ast.Call) else node)
