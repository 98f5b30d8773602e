"""What went wrong in a test, from its exception and its frames: where, and what was compared with what.

Runs inside the target's interpreter: standard library and pytest only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import ast
import inspect
import os
import traceback
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import pytest

from . import asserts
from .text import clip, one_line, safe_repr

_MACHINERY = ("pluggy", "_pytest", __name__.partition(".")[0])


@dataclass
class _Compared:
    """A comparison that pytest explained, and where it stands."""

    path: str
    line: int
    op: str
    left: object
    right: object


class Explainer:
    """Explains the failures of ``test``, a file about ``target`` (real paths); only whether they are claims, where ``brief``."""

    def __init__(self, target: str, test: str) -> None:
        self.target = target
        self.test = test
        self.errnos: set[int] = set()
        self.brief = False
        self._compared: list[_Compared] = []
        self._trees: dict[str, ast.Module | None] = {}
        self._real: dict[str, str] = {}

    def path(self, name: str) -> str:
        """The real path of a file."""
        if name not in self._real:
            self._real[name] = os.path.realpath(name)
        return self._real[name]

    def tree(self, path: str) -> ast.Module | None:
        """The file at ``path``, parsed; None when it cannot be."""
        if path not in self._trees:
            try:
                with open(path, "rb") as file:
                    self._trees[path] = ast.parse(file.read())
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
                self._trees[path] = None
        return self._trees[path]

    def begin_test(self) -> None:
        """Forget what earlier tests compared."""
        self._compared.clear()

    def note(self, op: str, left: object, right: object) -> None:
        """Keep the operands of a comparison that failed."""
        frame = inspect.currentframe()
        while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _MACHINERY:
            frame = frame.f_back
        if frame is not None:
            self._compared.append(_Compared(self.path(frame.f_code.co_filename), frame.f_lineno, op, left, right))

    def line_of(self, error: BaseException) -> int | None:
        """The last line of the test file on the way to ``error``."""
        stack = list(traceback.walk_tb(error.__traceback__))
        return next((n for f, n in reversed(stack) if self.path(f.f_code.co_filename) == self.test), None)

    def is_claim(self, error: BaseException) -> bool:
        """Whether ``error`` is the tests' own word that did not hold, wherever they say it: here, in a helper, in a library.

        It is not where it came up through the target: an assertion of the target's own, or of what the target calls.
        """
        several = getattr(error, "exceptions", None)  # an exception group
        if isinstance(several, tuple):
            return any(self.is_claim(one) for one in several if isinstance(one, BaseException))
        if isinstance(error, pytest.fail.Exception):
            return True
        stack = [self.path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(error.__traceback__)]
        if not isinstance(error, AssertionError) or not stack:
            return False
        nearest = next((path for path in reversed(stack) if path == self.target or self._is_of_tests(path)), self.test)
        return nearest == self.test or nearest != self.target

    def _is_of_tests(self, path: str) -> bool:
        """Whether a file is the tests', as far as its place tells: what the target calls back is not the target."""
        if path == self.test or os.path.basename(path) == "conftest.py":
            return True
        parts = self.test.split(os.sep)
        shared = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(parts, self.target.split(os.sep), strict=False))
        )
        return path.startswith(os.sep.join([*parts[: shared + 1], ""]))  # below what is the tests' alone

    def explain(self, item: pytest.Item, error: BaseException, report: pytest.TestReport) -> dict[str, Any]:
        """The fields of a ``CaseResult`` that tell about ``error``."""
        known: dict[str, Any] = {"line": self.line_of(error), "exception": type(error).__name__}
        if self.brief:
            return {**known, "message": "", "claim": self.is_claim(error)}
        known["message"] = one_line(error)
        if isinstance(error, OSError) and error.errno is not None:
            self.errnos.add(error.errno)
        if isinstance(error, pytest.FixtureLookupError):
            text: str = getattr(report.longrepr, "errorstring", "")
            known["message"] = next((line.strip() for line in text.splitlines() if line.strip()), "fixture not found")
        known["claim"] = self.is_claim(error)
        if not isinstance(error, AssertionError):
            return known
        stack = [
            pair
            for pair in traceback.walk_tb(error.__traceback__)
            if not pair[0].f_locals.get("__tracebackhide__", False)
        ]
        if not stack:
            return known
        frame, line = stack[-1]
        path = self.path(frame.f_code.co_filename)
        tree = self.tree(path)
        failed = asserts.assert_at(tree, line) if tree else None
        if failed is None:
            return known
        if path == self.target != self.test:  # an assert of the target's own keeps its message: a test can match it
            known["message"] = clip(asserts.expression(failed, with_message=True))
            return known
        known["message"] = clip(asserts.expression(failed, with_message=False))
        end = failed.end_lineno or failed.lineno
        compared = [c for c in self._compared if c.path == path and failed.lineno <= c.line <= end]
        compare = asserts.equality(failed.test, len(compared)) if compared else None
        if compare is not None and compared[-1].op == "==":
            left, right = compared[-1].left, compared[-1].right
            parameters = frozenset(getattr(getattr(item, "callspec", None), "params", {}))
            if asserts.expected_on_left(compare, parameters):
                left, right = right, left
            known.update(actual=safe_repr(left), expected=safe_repr(right))
        return known
