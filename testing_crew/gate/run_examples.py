"""A test file of our own: the examples of ``examples.json`` beside it, run as doctest runs them in the target's interpreter.

Standard library and pytest only.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import math
import traceback
from pathlib import Path
from typing import Any

import pytest

from testing_crew.project.syntax import parse_expression

_FILE = Path(__file__).with_name("examples.json")
_ASKED: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else {"said": []}
_UNKNOWN = object()
_OUTSIDE = (NameError, ImportError, OSError, EOFError)  # the example needs something that is not here


class Contradiction(Exception):
    """The code does not do what its docstring says."""


class _Told(doctest.DocTestRunner):
    def __init__(self, place: str, file: str | None, digits: list[int]) -> None:
        super().__init__(verbose=False)
        self.place = place
        self.file = file
        self.digits = digits

    def report_failure(self, out: Any, test: Any, example: doctest.Example, got: str) -> None:
        if example.exc_msg is not None:
            if "Traceback (most recent call last)" not in got:
                self._wrong(example, f"gives {got.strip() or None}", f"raises {example.exc_msg.strip()}")
            return
        said, given = _value(example.want), _value(got or "None")
        if _UNKNOWN not in (said, given) and not _same(given, said, self.digits[example.lineno]):
            self._wrong(example, f"gives {given!r}", repr(said))

    def report_unexpected_exception(self, out: Any, test: Any, example: doctest.Example, exc_info: Any) -> None:
        if issubclass(exc_info[0], _OUTSIDE):
            return
        if _value(example.want) is not _UNKNOWN:
            self._wrong(example, f"raises {exc_info[0].__name__}", example.want.strip())
        *_, last = traceback.walk_tb(exc_info[2])
        if (
            last[0].f_code.co_filename == self.file
        ):  # the code's own doing, not that of what the example asks of the result
            self._wrong(example, f"raises {exc_info[0].__name__}", "nothing of that")

    def _wrong(self, example: doctest.Example, does: str, said: str) -> None:
        raise Contradiction(f"{example.source.strip()} {does}, the docstring of {self.place} says {said}")


def _value(text: str) -> object:
    try:
        tree = parse_expression(text.strip())
        if any(isinstance(node, ast.Constant) and node.value is ... for node in ast.walk(tree)):
            return _UNKNOWN
        return ast.literal_eval(tree)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return _UNKNOWN


def _same(left: object, right: object, digits: int) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=0.0 if digits < 0 else 10.0**-digits)
    if isinstance(left, (list, tuple)) and isinstance(right, type(left)) and len(left) == len(right):
        return all(_same(a, b, digits) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return all(_same(left[key], right[key], digits) for key in left)
    return left == right


@pytest.mark.parametrize("number", range(len(_ASKED["said"])))
def test_docstring(number: int) -> None:
    """Raise Contradiction at the first example of a docstring that does not hold."""
    module = importlib.import_module(_ASKED["module"])
    place, said = _ASKED["said"][number]
    examples = [
        doctest.Example(call, f"{want}\n" if want.strip() else "", f"{error}\n" if error else None, lineno=line)
        for line, (call, want, error, _) in enumerate(said)
    ]
    names = {**vars(module), module.__name__.rpartition(".")[2]: module}
    test = doctest.DocTest(examples, names, place, None, 0, None)
    runner = _Told(place, module.__file__, [digits for *_, digits in said])
    runner.run(test, out=lambda text: None, clear_globs=False)
