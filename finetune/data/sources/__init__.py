"""Where rows come from: each source reads raw records and makes rows of ours of them, or says why it drops one."""

from __future__ import annotations

import ast
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from finetune.data import plain
from finetune.data.read import Spec
from finetune.data.rows import Row
from testing_crew.errors import UserMistake
from testing_crew.prompt import PROMPT_VERSION

Fits = Callable[[str, str], bool]


class Dropped(Exception):
    """This record gives no row; the text says why, in the manifest's words."""


def in_pytests_style(tests: str, tree: ast.Module) -> str:
    """``tests``, whose syntax tree is ``tree``, out of unittest's style. Raises `Dropped` where that is not simple."""
    if not plain.is_unittest(tree):
        return tests
    converted = plain.to_pytest(tests)
    if converted is None:
        raise Dropped("unittest that is not simple")
    return converted


@dataclass
class Context:
    """What a source is told: whether prompt and completion fit the window, the workspace, seed, dev share, the prompt's version.

    ``dropped`` counts the records that gave no row, by the reason; ``not_scored`` names what may no more be scored.
    """

    fits: Fits
    home: Path
    seed: int = 0
    dev_share: float = 0.05
    prompt_version: int = PROMPT_VERSION
    dropped: Counter[str] = field(default_factory=Counter)
    not_scored: list[str] = field(default_factory=list)

    def drop(self, why: Dropped | str) -> None:
        """Count one record that gives no row."""
        self.dropped[str(why)] += 1

    def rows(self, made: Iterable[Callable[[], Row]]) -> Iterator[Row]:
        """The rows that are made, those that are `Dropped` counted."""
        for make in made:
            try:
                row = make()
            except Dropped as why:
                self.drop(why)
            else:
                yield row


@dataclass(frozen=True)
class Source:
    """A source that was opened: its input is there and of the right form. ``rows`` may be walked once."""

    name: str
    where: str
    records: int
    digest: str
    rows: Iterator[Row]


def open_source(text: str, context: Context) -> Source:
    """Open ``name:where?options``. Raises UserMistake for a name that is none, and for input that cannot be used."""
    from finetune.data.sources import coderm, correctness, functions, kodcode, own, testgeneval

    opened: dict[str, Callable[[Spec, Context], Source]] = {
        "kodcode": kodcode.open_rows,
        "testgeneval": testgeneval.open_rows,
        "coderm": coderm.open_rows,
        "humaneval": functions.humaneval,
        "mbpp": functions.mbpp,
        "traces": own.traces,
        "synthetic": own.synthetic,
        "rows": own.rows,
        "correctness": correctness.open_rows,
    }
    spec = Spec.parse(text)
    if spec.name not in opened:
        raise UserMistake(
            f"there is no source {spec.name!r}: there are {', '.join(opened)}", hint=f"name one: kodcode:{text}"
        )
    return opened[spec.name](spec, context)


def digest_of(rows: list[Row]) -> str:
    """A hash of the rows themselves, for input that is no file."""
    return hashlib.sha256(json.dumps([r.model_dump() for r in rows]).encode()).hexdigest()[:16]
