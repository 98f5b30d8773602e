"""What the text of a test file says about its assertions.

Runs inside the target's interpreter beside `plugin.py`, and in ours for the gate: standard library only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

TRIES = (ast.Try, getattr(ast, "TryStar", ast.Try))  # Python 3.11 and later have the second
_CONTEXTS = ("raises", "warns", "deprecated_call", "RaisesGroup", "RaisesExc")
_LIKELY_EXPECTED = ("expect", "want", "desired", "correct")
_PURE_CALLS = (
    "approx",
    "set",
    "frozenset",
    "dict",
    "list",
    "tuple",
    "bytes",
    "bytearray",
    "float",
    "complex",
    "Decimal",
)


@dataclass(frozen=True)
class Claim:
    """A statement of a test file that can fail the test, and the lines whose execution means that it was evaluated.

    It is an ``assert``; ``with pytest.raises(...)`` and its like; ``self.assertEqual(...)``, ``assert_allclose(...)`` and its
    like; or an ``if`` or ``try`` that ends in ``pytest.fail`` or in ``raise AssertionError``.
    """

    node: ast.stmt
    first: int
    last: int


def claims(tree: ast.AST) -> list[Claim]:
    """Every claim in ``tree`` whose failure would fail the test, in no particular order."""
    swallowed = {id(inner) for node in ast.walk(tree) for statement in _forgiven(node) for inner in ast.walk(statement)}
    found = [_claim(node) for node in ast.walk(tree) if isinstance(node, ast.stmt) and id(node) not in swallowed]
    return [claim for claim in found if claim is not None]


def _forgiven(node: ast.AST) -> list[ast.stmt]:
    """The statements of a block that goes on when an assertion in it fails."""
    if isinstance(node, TRIES):
        forgiving = [h for h in node.handlers if h.type is None or _catches_assertions(h.type)]
        quiet = [h for h in forgiving if not any(isinstance(n, ast.Raise) or _fails(n) for n in ast.walk(h))]
        return node.body if quiet else []
    if isinstance(node, ast.With):
        calls = [i.context_expr for i in node.items if isinstance(i.context_expr, ast.Call)]
        wide = [
            c for c in calls if _called(c) in ("raises", "suppress") and any(_catches_assertions(a) for a in c.args)
        ]
        return node.body if wide else []
    return []


def _catches_assertions(node: ast.expr) -> bool:
    names = [getattr(n, "id", "") for n in (node.elts if isinstance(node, ast.Tuple) else [node])]
    return not {"AssertionError", "Exception", "BaseException"}.isdisjoint(names)


def _claim(node: ast.stmt) -> Claim | None:
    end = node.end_lineno or node.lineno
    if isinstance(node, ast.Assert):
        return Claim(node, node.lineno, end)
    if isinstance(node, (ast.With, ast.AsyncWith)) and any(_is_check(i.context_expr) for i in node.items):
        header = max(i.context_expr.end_lineno or node.lineno for i in node.items)
        return Claim(node, node.lineno, header)
    if isinstance(node, ast.Expr) and _is_check(node.value):
        return Claim(node, node.lineno, end)
    if isinstance(node, ast.If) and any(_fails(s) for s in [*node.body, *node.orelse]):
        return Claim(node, node.lineno, node.test.end_lineno or node.lineno)
    if isinstance(node, TRIES) and any(_fails(s) for s in [*node.body, *node.orelse]):
        return Claim(node, node.body[0].lineno, node.body[0].end_lineno or node.body[0].lineno)
    return None


def _called(node: ast.expr) -> str:
    """The last name of what ``node`` calls, empty when it calls nothing with a name."""
    if isinstance(node, ast.Await):
        node = node.value
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_check(node: ast.expr) -> bool:
    name = _called(node)
    return name in _CONTEXTS or name.startswith("assert")


def _fails(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise) and node.exc is not None:
        return "AssertionError" in (_called(node.exc), getattr(node.exc, "id", ""))
    return isinstance(node, ast.Expr) and _called(node.value) == "fail"


def assert_at(tree: ast.AST, line: int) -> ast.Assert | None:
    """The innermost ``assert`` statement that spans ``line``."""
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Assert) and n.lineno <= line <= (n.end_lineno or n.lineno)]
    return max(found, key=lambda n: n.lineno, default=None)


def expression(node: ast.Assert, *, with_message: bool) -> str:
    """``assert x < y`` as one line of source; the statement's own message only where asked for."""
    try:
        return ast.unparse(node) if with_message else f"assert {ast.unparse(node.test)}"
    except RecursionError:  # an expression nested too deep to be shown
        return "assert ..."


def equality(test: ast.expr, compared: int) -> ast.Compare | None:
    """The ``left == right`` that decided a failed assertion, where that can be told from the text alone.

    ``compared`` is how many comparisons pytest explained while it evaluated ``test``: in ``a == 1 and b == 2`` it says
    which of them was the last.
    """
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) and all(_is_equality(v) for v in test.values):
        test = test.values[min(compared, len(test.values)) - 1]
    return test if isinstance(test, ast.Compare) and _is_equality(test) else None


def _is_equality(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq)


def expected_on_left(compare: ast.Compare, parameters: frozenset[str]) -> bool:
    """Whether the left side of ``compare`` is what the test expects, and the right side the code's answer."""
    return _weight(compare.left, parameters) > _weight(compare.comparators[0], parameters)


def _weight(node: ast.expr, parameters: frozenset[str]) -> int:
    if _is_literal(node):
        return 3
    if isinstance(node, ast.Name):
        named = node.id.lower().startswith(_LIKELY_EXPECTED)
        return 2 * named if node.id not in parameters else 1 + named
    return 0


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return _called(node) in _PURE_CALLS and all(_is_literal(a) for a in node.args)
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return all(_is_literal(e) for e in node.elts)
    if isinstance(node, ast.Dict):
        return all(k is None or _is_literal(k) for k in node.keys) and all(_is_literal(v) for v in node.values)
    if isinstance(node, (ast.UnaryOp, ast.BinOp)):
        return all(_is_literal(c) for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr))
    return isinstance(node, ast.Constant)
