"""What a call is said to do, and when two such sayings contradict each other."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass

from testing_crew.gate import text as gate_text

UNREADABLE = (*gate_text.UNREADABLE, TypeError, ArithmeticError)


@dataclass(frozen=True)
class Outcome:
    """What a call is said to do: raise one of ``errors``, give ``value``, or give something as true as ``truth``."""

    value: object = None
    errors: tuple[str, ...] = ()
    truth: bool | None = None
    relative: float = 1e-9
    absolute: float = 0.0

    def expected(self) -> str:
        if self.errors:
            return f"{' or '.join(self.errors)} to be raised"
        return repr(self.value) if self.truth is None else f"a {str(self.truth).lower()} value"

    def said(self) -> str:
        return f"it raises {self.errors[0]}" if self.errors else repr(self.value)


def contradict(test: Outcome, example: Outcome, catches: Callable[[str, str], bool]) -> bool:
    """Whether what a test expects and what an example says cannot both be so; ``catches(except, raised)`` may say True."""
    if test.errors and example.errors:
        return not any(catches(error, example.errors[0]) for error in test.errors)
    if test.errors or example.errors:
        return True
    if test.truth is not None:
        return bool(example.value) != test.truth
    return not _same(test.value, example.value, test.relative, max(test.absolute, example.absolute))


def _same(left: object, right: object, relative: float, absolute: float) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        try:
            return left == right or math.isclose(left, right, rel_tol=relative, abs_tol=absolute)
        except OverflowError:  # an integer that no float can hold
            return False
    if isinstance(left, (list, tuple)) and isinstance(right, type(left)) and len(left) == len(right):
        return all(_same(a, b, relative, absolute) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return all(_same(left[key], right[key], relative, absolute) for key in left)
    return left == right


def literal(node: ast.expr) -> object:
    """The value of a literal; raises one of `UNREADABLE` for anything else."""
    if any(isinstance(n, ast.Constant) and n.value is ... for n in ast.walk(node)):
        raise ValueError("an ellipsis stands for something left out")
    return ast.literal_eval(node)
