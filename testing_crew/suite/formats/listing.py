"""The source of a module as HTML: what no test runs is tinted, and each change that no test noticed stands under its line."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from testing_crew.errors import UserMistake
from testing_crew.mutation.text import DISABLED, OTHER
from testing_crew.project.code import read_source, source_lines
from testing_crew.suite.formats.words import clean
from testing_crew.suite.records import ModuleReport, Survivor

_CONTEXT = 3  # lines shown before and after what is to be seen
_SHOWN = {OTHER: "other_value", DISABLED: "NeverRaised"}  # our own names in a changed text, as people are told of them


def escape(text: str) -> str:
    """``text`` for HTML, within an attribute too, without what a browser would act on."""
    return html.escape(clean(text))


def anchor(module: str, line: int) -> str:
    """The id of a line; ``module`` is the id of its module on the page."""
    return f"{module}-L{line}"


class Listing:
    """A module's file, read from under ``root`` when this is made. ``trouble`` says, as HTML, why there is nothing to show."""

    def __init__(self, root: Path, module: ModuleReport, name: str) -> None:
        self._module, self._name = module, name
        self.trouble = ""
        self._lines: list[str] = []
        try:
            self._lines = source_lines(read_source(root / module.path))
        except UserMistake as mistake:
            self.trouble = f"The source cannot be shown: {escape(mistake.message)}"
            return
        if self._lines and not self._lines[-1]:
            self._lines.pop()
        if not self._fits():
            self.trouble = "The source is not shown: the file has changed since it was checked."

    def has(self, line: int | None) -> bool:
        """Whether ``line`` is on the page."""
        return not self.trouble and line is not None and 1 <= line <= len(self._lines)

    def html(self) -> str:
        """All lines; long stretches where there is nothing to see are folded."""
        missed = set(self._module.missed_lines)
        changes: dict[int, list[Survivor]] = {}
        marked: set[int] = set()
        for each in self._module.survivors:
            changes.setdefault(each.last_line, []).append(each)
            marked.update(range(each.line, each.last_line + 1))
        parts = []
        for numbers, seen in _stretches(len(self._lines), missed | marked):
            rows = [
                self._row(number, number in missed, number in marked)
                + "".join(map(self._change, changes.get(number, ())))
                for number in numbers
            ]
            text = "".join(rows)
            if not seen:
                told = f"lines {numbers[0]} to {numbers[-1]}"
                text = f'<details class="fold"><summary>{told}</summary>{text}</details>'
            parts.append(text)
        label = escape(f"Source of {self._module.path}")
        body = "".join(parts)
        return (
            f'<div class="source" tabindex="0" role="region" aria-label="{label}"><div class="code">{body}</div></div>'
        )

    def _fits(self) -> bool:
        """Whether the file is still the one that was checked, as far as what was found of it shows."""
        if max(self._module.missed_lines, default=0) > len(self._lines):
            return False
        return all(self._old(each)[each.column :].startswith(each.before) for each in self._module.survivors)

    def _old(self, survivor: Survivor) -> str:
        return "\n".join(self._lines[survivor.line - 1 : survivor.last_line])

    def _row(self, number: int, missed: bool, marked: bool) -> str:
        kinds = " ".join(["row", *["missed"] * missed, *["survivor"] * marked])
        name = anchor(self._name, number)
        skipped = "" if missed or marked else ' tabindex="-1"'  # a reader with a keyboard goes to what is to be seen
        text = escape(self._lines[number - 1]) or " "
        told = ' title="no test runs this line"' if missed else ""
        return (
            f'<div class="{kinds}" id="{name}"{told}><a href="#{name}"{skipped}>{number}</a><span>{text}</span></div>\n'
        )

    def _change(self, survivor: Survivor) -> str:
        old = self._old(survivor)
        head, tail = old[: survivor.column], old[survivor.column + len(survivor.before) :]
        after = survivor.after
        for name, shown in _SHOWN.items():
            after = after.replace(name, shown)
        told = (
            "No test notices this change" if survivor.reached else "No test runs this line, so none notices this change"
        )
        changed = _diff("del", head, survivor.before, tail) + _diff("ins", head, after, tail)
        return f'<div class="change"><div><p>{told}</p><pre>{changed}</pre></div></div>\n'


def _diff(tag: str, head: str, piece: str, tail: str) -> str:
    """Each line in a ``tag`` of its own, the ``piece`` that is changed marked in it."""
    marked = "\n".join(map(_marked, piece.split("\n")))
    return "".join(f"<{tag}>{line}</{tag}>\n" for line in f"{escape(head)}{marked}{escape(tail)}".split("\n"))


def _marked(line: str) -> str:
    text = line.lstrip()
    return escape(line[: len(line) - len(text)]) + (f'<b class="piece">{escape(text)}</b>' if text else "")


def _stretches(count: int, wanted: Iterable[int]) -> list[tuple[Sequence[int], bool]]:
    """Lines 1 to ``count`` in stretches, and whether each is to be seen: near to a line that is ``wanted``."""
    near = {each for line in wanted for each in range(line - _CONTEXT, line + _CONTEXT + 1)}
    found: list[tuple[list[int], bool]] = []
    for number in range(1, count + 1):
        if not found or found[-1][1] != (number in near):
            found.append(([], number in near))
        found[-1][0].append(number)
    # to fold fewer lines than its own is worth hides more than it saves
    return [(numbers, seen or (bool(near) and len(numbers) <= _CONTEXT)) for numbers, seen in found]
