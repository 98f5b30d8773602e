"""Python's parser, for threads: what `ast.parse` does, one at a time."""

from __future__ import annotations

import ast
import contextlib
import threading
import warnings
from typing import Literal

UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What parsing may raise, and looking at a tree that is nested too deep."""
_TRIES = 5
_parser = threading.RLock()  # again and again in one thread: a finalizer may parse too


def parse(source: str | bytes) -> ast.Module:
    """The tree of a module; raises one of `UNREADABLE`."""
    tree = _parse(source, "exec")
    assert isinstance(tree, ast.Module)
    return tree


def parses(source: str) -> bool:
    """Whether it is the text of a module."""
    try:
        parse(source)
    except UNREADABLE:
        return False
    return True


def parse_expression(source: str) -> ast.expr:
    """The tree of one expression; raises one of `UNREADABLE`."""
    tree = _parse(source, "eval")
    assert isinstance(tree, ast.Expression)
    return tree.body


def first_line(node: ast.stmt) -> int:
    """The line at which a statement begins, its decorators counted in."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _parse(source: str | bytes, mode: Literal["exec", "eval"]) -> ast.AST:
    """Before 3.11.8 and 3.12.2 CPython counts the depth of a tree for all threads together (its issue 106905).

    Ours take turns; libraries parse in threads of their own, so that what they disturb is done again.
    """
    for _ in range(_TRIES - 1):
        with contextlib.suppress(SystemError):
            return _alone(source, mode)
    return _alone(source, mode)


def _alone(source: str | bytes, mode: Literal["exec", "eval"]) -> ast.AST:
    with _parser, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a text that a model wrote, and that nobody can mend
        return ast.parse(source, mode=mode)
