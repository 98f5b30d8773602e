"""What a family of code says of its own use: **scenarios**, each a few statements and a last expression whose value is telling.

A family is a text: the code, a line ``===``, and one scenario a line, its statements parted by ``;``::

    def f(text: str) -> int:
        '''Minutes since midnight of a time such as 7:05.'''
        hours, minutes = text.split(":")
        return int(hours) * 60 + int(minutes)
    ===
    f("7:05")
    f("00:00")
    f("noon")

The unit is the function ``f`` or the class ``C``; what else the code needs stands above it. A scenario may use ``tmp_path`` (an
empty folder) and the modules in `KNOWN`. Its last expression gives a literal or raises a built-in exception.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import io
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.data.synthetic import values
from finetune.data.synthetic.steps import MADE_UP, TooSlow, bounded
from testing_crew.project.syntax import parse

KNOWN = ("asyncio", "datetime", "decimal", "io", "json", "math")
LEAST_SCENARIOS = 4
LONGEST_VALUE = 90  # characters; longer answers teach nothing that shorter ones do not


@dataclass(frozen=True)
class Family:
    """Code whose unit is called ``f`` or ``C``, and its scenarios (none: inputs are made from the annotations)."""

    code: str
    scenarios: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """``f`` or ``C``."""
        names = {getattr(node, "name", "") for node in parse(self.code).body}
        return "f" if "f" in names else "C"


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario: ``value``, or the name of the exception that it ``raises``, with its ``message``."""

    value: Any = None
    raises: str | None = None
    message: str = ""


def read(path: Path) -> list[Family]:
    """The families of a file, parted by lines ``---``."""
    found = []
    for text in path.read_text(encoding="utf-8").split("\n---\n"):
        code, _, scenarios = text.partition("\n===\n")
        found.append(Family(code.strip("\n") + "\n", tuple(line for line in scenarios.splitlines() if line.strip())))
    return found


def play(source: str, scenario: str) -> Outcome:
    """Play a scenario against fresh ``source``, which is our own code.

    Raises ValueError when its outcome cannot stand in a test.
    """
    *before, last = parse(scenario).body
    if not isinstance(last, ast.Expr):
        raise ValueError("the last statement is no expression")
    namespace: dict[str, Any] = {name: importlib.import_module(name) for name in KNOWN}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, MADE_UP, "exec"), namespace)
        namespace["tmp_path"] = Path(folder)
        try:
            bounded(exec, compile(ast.Module(before, []), MADE_UP, "exec"), namespace)
            value = bounded(eval, compile(ast.Expression(last.value), MADE_UP, "eval"), namespace)
        except TooSlow:
            raise ValueError("too slow") from None
        except Exception as error:
            if folder in str(error):
                raise ValueError("the message names the temporary folder") from error
            return _raised(error)
    if not values.is_literal(value) or len(values.literal(value)) > LONGEST_VALUE:
        raise ValueError(f"{str(value)[:100]} is no literal of at most {LONGEST_VALUE} characters")
    return Outcome(value)


def _raised(error: Exception) -> Outcome:
    name = type(error).__name__
    if getattr(builtins, name, None) is not type(error):
        raise ValueError(f"{name} is no built-in exception")
    return Outcome(raises=name, message=str(error))


def faults(family: Family) -> list[str]:
    """What is wrong with a family, for the person who wrote it."""
    try:
        outcomes = [play(family.code, scenario) for scenario in family.scenarios]
        again = [play(family.code, scenario) for scenario in family.scenarios]
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    found = []
    if len(outcomes) < LEAST_SCENARIOS:
        found.append(f"fewer than {LEAST_SCENARIOS} scenarios")
    if [repr(o) for o in outcomes] != [repr(o) for o in again]:
        found.append("not the same twice")
    if len({repr(o.value) for o in outcomes if o.raises is None}) < 2:
        found.append("all values are the same")
    if len(set(family.scenarios)) < len(family.scenarios):
        found.append("a scenario stands there twice")
    if not any(family.unit in ast.unparse(parse(scenario)) for scenario in family.scenarios):
        found.append(f"no scenario uses {family.unit}")
    return found


def shape(code: str) -> str:
    """The syntax tree without names, constants and docstrings: equal for families that differ in those alone."""
    tree = parse(code)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        for field in ("id", "arg", "name", "attr"):
            if hasattr(node, field):
                setattr(node, field, "_")
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.Constant):
            node.value = type(node.value).__name__
    return ast.dump(tree, annotate_fields=False)


def main() -> int:
    """Check files of families: ``python -m finetune.data.synthetic.scenarios FILE ...``."""
    wrong = 0
    seen: dict[str, tuple[str, int]] = {}
    for path in sys.argv[1:]:
        families = read(Path(path))
        for number, family in enumerate(families, 1):
            try:
                found = faults(family)
                known = seen.setdefault(shape(family.code), (path, number))
            except SyntaxError as error:
                found, known = [str(error)], (path, number)
            if known != (path, number):
                found.append(f"the same but for names and constants as number {known[1]} of {known[0]}")
            for each in found:
                print(f"{path} {number} ({' '.join(family.code.split())[:70]}): {each}")
            wrong += bool(found)
        print(f"{path}: {len(families)} families")
    print(f"{wrong} with faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
