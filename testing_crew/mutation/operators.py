"""Mutants of a module: small changes that a good test notices. Text in, text out; nothing is run here.

The operators are cosmic-ray's, a reasoned part of them unless ``every`` one is asked for, and a few of our own. Mutants
use two names that the runner puts among the builtins: ``__testing_crew_other__`` and ``__testing_crew_disabled__``
(testing_crew/runner/inside/watch/other.py). The parser is that of the interpreter this runs in: newer syntax has no mutants.
"""

from __future__ import annotations

import ast
import itertools
import random
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from testing_crew.mutation.kept import kept_edits
from testing_crew.mutation.text import DISABLED, OTHER, UNPARSABLE, Edit, Text
from testing_crew.mutation.values import value_edits

_LEAST_DATA = 5
_LONGEST = 100  # characters of a line that ``Mutant.text`` shows
_SHOWN = {OTHER: "other_value", DISABLED: "NeverRaised"}
_BLANKS = re.compile(r"(\\\n|\s)+")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Mutant:
    """One change of a module.

    ``line`` is the first line of the changed statement, in the original. ``equivalent``: compiles to the same code.
    ``table``: which of the module's tables of data it is in; None for code.
    """

    edit: Edit
    line: int
    equivalent: bool
    table: int | None
    _module: Text = field(repr=False, compare=False)

    @property
    def operator(self) -> str:
        return self.edit.operator

    @property
    def source(self) -> str:
        """The whole module, each line with its number; all lines end with LF. Made anew each time: a module may be long."""
        return self._module.applied(self.edit)

    @property
    def original(self) -> str:
        """The text that ``edit`` is a change of: the module's, all lines ended with LF."""
        return self._module.source

    @property
    def place(self) -> tuple[int, int, int, str]:
        """The first line of the changed text, the column in it (from 0), the last line, and the text; lines end with LF."""
        start, end = self.edit.start, self.edit.end
        first = self._module.line_of(start)
        last = self._module.line_of(max(end - 1, start))
        return first, start - self._module.line_start(first), last, self._module.source[start:end]

    @property
    def text(self) -> str:
        """The change in a line, for people."""
        return _shown(self._module, self.edit, self.line)


def mutants(source: str, lines: tuple[int, int] | None = None, *, every: bool = False) -> list[Mutant]:
    """The mutants of the statements that begin between two lines (None: of all), in order of line.

    A decorator goes with its function. ``every``: all that cosmic-ray would make, annotations and the like included,
    beside our own. Empty for a source that does not parse.
    """
    try:
        text = Text(source)
    except UNPARSABLE:
        return []
    found: list[Mutant] = []
    seen: set[tuple[int, int, str]] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's remarks on mutants
        for edit in _edits(text, every):
            change = (edit.start, edit.end, edit.new)
            owner = text.owner(edit.start)
            if owner is None or change in seen or not _within(owner.line, lines):
                continue
            seen.add(change)
            outcome = text.outcome(edit)
            if outcome is not None:
                # A decorator runs on its own line, above that of its ``def``.
                line = owner.line if edit.start >= text.line_start(owner.line) else text.line_of(edit.start)
                found.append(Mutant(edit, line, outcome, text.table(edit.start), text))
    return sorted(found, key=lambda mutant: (mutant.line, mutant.edit.start, mutant.edit.end))


def _edits(text: Text, every: bool) -> Iterator[Edit]:
    """All edits wanted in ``text``. A module too deeply nested for one family of operators has none of that family."""
    spared = text.left_alone()
    for family in (_kept if not every else _kept_every, value_edits):
        try:
            found = family(text)
        except RecursionError:
            continue
        for edit in found:
            if family is _kept_every or not any(start <= edit.start < end for start, end in spared):
                yield edit


def _kept(text: Text) -> list[Edit]:
    return list(kept_edits(text, every=False))


def _kept_every(text: Text) -> list[Edit]:
    return list(kept_edits(text, every=True))


def _within(line: int, lines: tuple[int, int] | None) -> bool:
    return lines is None or lines[0] <= line <= lines[1]


def _shown(text: Text, edit: Edit, line: int) -> str:
    """``line 12: `return a + b` -> `return a - b```: the statement, or its header as far as the change."""
    start = text.line_start(line)
    owner = text.owner(edit.start)
    simple = owner is not None and not hasattr(owner.node, "body")
    end = text.line_end(text.line_of(max(edit.end - 1, edit.start, owner.end - 1 if owner and simple else 0)))
    head, tail = text.source[start : edit.start], text.source[edit.end : end]
    old, new = _clipped(head, text.source[edit.start : edit.end], tail), _clipped(head, edit.new, tail)
    return f"line {line}: `{old}` -> " + (f"`{new}`" if new else "nothing")


def _clipped(head: str, changed: str, tail: str) -> str:
    """The three on one line, cut at both ends where it is long, so that what changed is seen."""
    for name, shown in _SHOWN.items():
        changed = changed.replace(name, shown)
    # The cut is made at the same places for the original and the mutant, as far as their lengths allow.
    head, changed, tail = (_flat(part) for part in (head, changed, tail))
    head = head.lstrip()
    if len(head) + len(changed) + len(tail) > _LONGEST:
        if len(changed) > _LONGEST // 2:
            changed = changed[: _LONGEST // 4] + "..." + changed[-_LONGEST // 4 :]
        room = _LONGEST - len(changed)
        kept = max(room // 2, room - len(tail))
        head = "..." + head[-kept:] if len(head) > kept else head
        room = max(room - len(head), 0)
        tail = tail[:room] + "..." if len(tail) > room else tail
    return (head + changed + tail).strip()


def _flat(text: str) -> str:
    """``text`` with every run of blanks, line breaks and line continuations as one blank."""
    return _BLANKS.sub(" ", text)


def sample(found: Sequence[Mutant], limit: int, seed: int = 0) -> list[Mutant]:
    """At most ``limit`` of ``found`` by chance, in their order. The same choice for the same ``seed``.

    Equivalent ones are left out. Those of the code have the same chance, wherever they stand, so that each function has its
    share. Beside code, at most a quarter is data (but ``_LEAST_DATA``), of each table the same: it would drown the functions.
    """
    chance = random.Random(seed)
    code = [index for index, mutant in enumerate(found) if not mutant.equivalent and mutant.table is None]
    tables: dict[int, list[int]] = defaultdict(list)
    for index, mutant in enumerate(found):
        if not mutant.equivalent and mutant.table is not None:
            tables[mutant.table].append(index)
    shuffled = [chance.sample(table, len(table)) for table in tables.values()]
    data = _in_turn(chance.sample(shuffled, len(shuffled)))
    most = max(_LEAST_DATA, len(code) // 3) if code else limit
    data = data[: min(most, max(limit // 4, limit - len(code)))]
    return [found[index] for index in sorted([*_spread(code, limit - len(data), chance), *data])]


def _in_turn(tables: Sequence[Sequence[int]]) -> list[int]:
    """The first of each, then the second of each, and so on."""
    longest = max(map(len, tables), default=0)
    return [table[number] for number in range(longest) for table in tables if number < len(table)]


def _spread(code: Sequence[int], limit: int, chance: random.Random) -> list[int]:
    """``limit`` of ``code``, one at random of each of as many parts."""
    if len(code) <= limit:
        return list(code)
    bounds = [number * len(code) // max(limit, 1) for number in range(limit + 1)]
    return [chance.choice(code[start:end]) for start, end in itertools.pairwise(bounds)]


def disabled(source: str, lines: tuple[int, int] | None = None) -> str | None:
    """``source`` with every function that begins between two lines (None: all) only raising when it is called.

    Every line keeps its number, docstrings stay, lambdas too; a generator function becomes a plain one. None when no
    function begins there, or ``source`` does not parse.
    """
    try:
        text = Text(source)
        outermost = list(_functions(text.tree, lines))
        changed = text.source
        for function in reversed(outermost):
            start, end = _body(text, function)
            blank = "\n" * text.source.count("\n", start, end)
            changed = f"{changed[:start]}raise {DISABLED}{blank}{changed[end:]}"
        return Text(changed).source if outermost else None
    except UNPARSABLE:
        return None


def _functions(node: ast.AST, lines: tuple[int, int] | None) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions wanted in ``node``, in order, none inside another one."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS) and _within(child.lineno, lines):
            yield child
        else:
            yield from _functions(child, lines)


def _body(text: Text, function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, int]:
    """Where the body begins, after its docstring, and where its last line ends: a ``;`` or a comment may follow it."""
    first = function.body[1:2] if ast.get_docstring(function, clean=False) is not None else []
    start = text.start(first[0] if first else function.body[0])
    return start, text.line_end(text.line_of(text.span(function.body[-1])[1]))
