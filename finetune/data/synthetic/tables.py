"""A test file for a made-up function, as a table of calls and what truly came of them."""

from __future__ import annotations

import builtins
import copy
import random
from dataclasses import dataclass, replace
from typing import Any

from finetune.data.synthetic import values
from finetune.data.synthetic.program import Parameter, Program
from finetune.data.synthetic.steps import MADE_UP, TooSlow, bounded

LONGEST_VALUE = 90  # characters; longer answers teach nothing that shorter ones do not


@dataclass(frozen=True)
class Row:
    """One call of the function and what came of it: a literal's text, or the exception's name and message."""

    args: tuple[Any, ...]
    value: Any = None
    raises: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Table:
    """A test file for one function, before it is text."""

    program: Program
    names: tuple[str, ...]
    returned: tuple[Row, ...]
    raised: tuple[Row, ...]
    keyword: frozenset[str] = frozenset()
    wrap: str = ""
    arity: int | None = None
    imported: str | None = None
    star: str = ""  # the column that holds all further positional arguments
    beside: tuple[str, ...] = ()  # what else the file imports: exceptions of the module's own
    accidents: tuple[
        Row, ...
    ] = ()  # calls that nobody would test: their arguments are of no type that the code is made for

    def over(self, program: Program) -> Table:
        """The same tests of the same unit, of which something else is shown."""
        return replace(self, program=program)

    def text(self) -> str:
        """The file."""
        unit, module = self.program.unit, self.program.module
        out = [f"import pytest\nfrom {module} import {', '.join((self.imported or unit, *self.beside))}\n"]
        names = self.names if self.arity is None else self.names[: self.arity]
        call = f"{unit}({', '.join(self._argument(name) for name in names)})"
        call = f"{self.wrap}({call})" if self.wrap else call
        if self.returned:
            rows = [(*r.args[: len(names)], r.value) for r in self.returned]
            out.append(_test(f"test_{unit}", [*names, "expected"], rows, [f"assert {call} == expected"]))
        groups = list(dict.fromkeys(r.raises for r in self.raised))
        for i, name in enumerate(groups):
            rows = [r.args[: len(names)] for r in self.raised if r.raises == name]
            body = [f"with pytest.raises({name}):", f"    {call}"]
            out.append(_test(f"test_{unit}_raises{'' if i == 0 else f'_{i + 1}'}", list(names), rows, body))
        return "\n\n".join(out)

    def _argument(self, name: str) -> str:
        if name == self.star:
            return f"*{name}"
        return f"{name}={name}" if name in self.keyword else name

    def raising_test(self, row: Row) -> str:
        """The name of the test function that a raising row stands in."""
        groups = list(dict.fromkeys(r.raises for r in self.raised))
        i = groups.index(row.raises)
        return f"test_{self.program.unit}_raises{'' if i == 0 else f'_{i + 1}'}"


def _test(name: str, names: list[str], rows: list[tuple[Any, ...]], body: list[str]) -> str:
    lines = [f'@pytest.mark.parametrize("{", ".join(names)}", [']
    for row in rows:
        lines.append("    " + (values.literal(row[0]) if len(names) == 1 else row_text(row)) + ",")
    lines += ["])", f"def {name}({', '.join(names)}):", *("    " + line for line in body)]
    return "\n".join(lines) + "\n"


def row_text(row: tuple[Any, ...]) -> str:
    """The row as it is written in a parametrize list of several names."""
    return "(" + ", ".join(map(values.literal, row)) + ")"


def row_shown(row: tuple[Any, ...]) -> str:
    """The row as a log shows it: what is no literal by its repr."""
    return "(" + ", ".join(getattr(value, "shown", None) or values.literal(value) for value in row) + ")"


def call(function: Any, args: tuple[Any, ...], parameters: tuple[Parameter, ...]) -> Row | None:
    """Call a made-up function; None when the answer cannot be written down, is too long, or does not come."""
    plain = [a for a, p in zip(args, parameters, strict=True) if not p.keyword_only]
    named = {p.name: a for a, p in zip(args, parameters, strict=True) if p.keyword_only}
    try:
        value = bounded(function, *plain, **named)
        if hasattr(value, "__next__"):
            value = bounded(list, value)
    except TooSlow:
        return None
    except Exception as error:
        return Row(args, raises=type(error).__name__, message=str(error))
    if not values.is_literal(value) or len(values.literal(value)) > LONGEST_VALUE:
        return None
    return Row(args, value)


def observe(rng: random.Random, program: Program, canonical: bool) -> Table | None:
    """Run a program on rows of inputs; None when fewer than two of them have an answer that can be written down."""
    namespace: dict[str, Any] = {}
    try:
        exec(compile(program.source, MADE_UP, "exec"), namespace)
    except Exception:
        return None
    parameters = program.parameters
    if any(p.has_default for p in parameters) and rng.random() < 0.3:
        parameters = tuple(p for p in parameters if not p.has_default)
    if not parameters:
        return None
    picked = values.rows([p.kind for p in parameters], 6, None if canonical else rng)
    if not canonical:
        picked = picked[: rng.randint(3, 6)]
    seen = [call(namespace[program.unit], copy.deepcopy(args), parameters) for args in picked]
    rows = [replace(row, args=args) for row, args in zip(seen, picked, strict=True) if row is not None]
    returned = tuple(r for r in rows if r.raises is None)
    raised = tuple(r for r in rows if r.raises is not None)
    if len(rows) < 2 or any(not is_builtin(r.raises) for r in raised):
        return None
    lazy = "yield " in program.source
    return Table(
        program,
        tuple(p.name for p in parameters),
        returned,
        raised,
        frozenset(p.name for p in parameters if p.keyword_only),
        "list" if lazy else "",
    )


def is_builtin(name: str | None) -> bool:
    """Whether an exception can be named in a test without an import."""
    return isinstance(getattr(builtins, str(name), None), type)
