"""Real code to learn from: functions and classes of permissively licensed packages and of the standard library.

``harvest`` tries calls of them in the sandbox and keeps what came of these; here the rows become training examples.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune.data.real.tables import value_of
from finetune.data.synthetic import classes, examples, values
from finetune.data.synthetic.classes import Step
from finetune.data.synthetic.examples import Example
from finetune.data.synthetic.program import Parameter, Program
from finetune.data.synthetic.tables import Row, Table
from testing_crew.errors import UserMistake

DEV_PACKAGES = {
    "textdistance", "bitmath", "dictdiffer", "anytree", "stringcase", "humanfriendly", "iteround", "pytimeparse", "url-normalize",
    "case-converter",
}  # fmt: skip
"""Held out of training, to choose by; what is scored is refused when it is read (`finetune.data.packages.SCORED`)."""

_REPAIRS = 5  # of each unit, each with faults of its own
_BARE = 0.25  # the share of examples that show a unit without its helpers


@dataclass(frozen=True)
class Unit:
    """A real function with the table of its calls, or a class with its steps; ``sources`` are what may be shown of it."""

    package: str
    licence: str
    sources: tuple[str, ...]
    tests: Table | list[Step]
    program: Program

    def text(self) -> str:
        """The test file."""
        return self.tests.text() if isinstance(self.tests, Table) else classes.text(self.program, self.tests)

    def to_json(self) -> str:
        """One line."""
        program = self.program
        made: dict[str, Any] = {
            "package": self.package, "licence": self.licence, "module": program.module, "unit": program.unit,
            "sources": self.sources,
        }  # fmt: skip
        if isinstance(self.tests, Table):
            table = self.tests
            made |= {
                "names": table.names, "keyword": sorted(table.keyword), "star": table.star, "wrap": table.wrap,
                "beside": table.beside, "returned": [[_texts(r.args), values.literal(r.value)] for r in table.returned],
                "raised": [[_texts(r.args), r.raises, r.message] for r in table.raised],
                "accidents": [[_texts(r.args), r.raises, r.message] for r in table.accidents],
            }  # fmt: skip
        else:
            made["steps"] = [
                [s.name, s.made, s.before, s.subject, values.literal(s.value), s.raises] for s in self.tests
            ]
        return json.dumps(made)

    @classmethod
    def from_json(cls, line: str) -> Unit:
        """The unit of a line that `to_json` wrote."""
        made = json.loads(line)
        names = tuple(made.get("names", ()))
        keyword = frozenset(made.get("keyword", ()))
        parameters = tuple(Parameter(n, "", False, n in keyword) for n in names)
        program = Program(made["sources"][0], made["module"], made["unit"], parameters, is_class="steps" in made)
        tests: Table | list[Step]
        if "steps" in made:
            tests = [Step(n, m, tuple(b), s, value_of(v), r) for n, m, b, s, v, r in made["steps"]]
        else:
            returned = tuple(Row(tuple(map(value_of, a)), value_of(v)) for a, v in made["returned"])
            raised, accidents = (
                tuple(Row(tuple(map(value_of, a)), raises=r, message=m) for a, r, m in made[name])
                for name in ("raised", "accidents")
            )
            tests = Table(
                program, names, returned, raised, keyword, made["wrap"],
                star=made["star"], beside=tuple(made["beside"]), accidents=accidents,
            )  # fmt: skip
        return cls(made["package"], made["licence"], tuple(made["sources"]), tests, program)


def _texts(arguments: tuple[Any, ...]) -> list[str]:
    return [values.literal(a) for a in arguments]


def read(path: Path) -> list[Unit]:
    """The units of a file that ``harvest`` wrote. Raises UserMistake when it cannot be read."""
    try:
        return [Unit.from_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, KeyError) as error:
        raise UserMistake(
            f"{path} cannot be read as harvested units: {error}", hint="python -m finetune.data.real.harvest"
        ) from None


def examples_of(rng: random.Random, unit: Unit, version: int) -> Iterator[Example]:
    """The examples that one unit gives: its first file, and repairs of files with faults."""
    for number in range(1 + _REPAIRS):
        source = unit.sources[-1] if rng.random() < _BARE else unit.sources[0]
        program = replace(unit.program, source=source)
        made: Example | None = None
        if isinstance(unit.tests, Table):
            table = unit.tests.over(program)
            if number == 0:
                made = examples.generate(table, version)
            elif rng.random() < 0.12:
                made = examples.complete(rng, table, version)
            made = made or next((e for _ in range(4) if (e := examples.repair(rng, table, version))), None)
        elif number == 0:
            made = classes.generate(program, unit.tests, version)
        else:
            made = classes.repair(rng, program, unit.tests, version)
        if made is not None:
            yield made
