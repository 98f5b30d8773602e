"""How the commands print. Text is never read as markup (a path may hold ``[red]``), and a terminal acts on none of it.

Everything here goes through ``Console``; colours are given beside the text (``text(("accepted", "green"))``), not within it.
"""

from __future__ import annotations

import re
from typing import Any

import rich.console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task
from rich.text import Text

_WIDE = 240  # a pipe or a file has no width to fit into: ids and paths are not cut there
# What a terminal would act on instead of showing; a model's answer and a test's output may hold anything.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(content: str) -> str:
    """``content`` without the characters that a terminal would act on."""
    return _CONTROL.sub("�", content.replace("\r\n", "\n"))


def text(*parts: str | tuple[str, str]) -> Text:
    """Text of several parts, each plain or with a style."""
    return Text.assemble(*((clean(p), "") if isinstance(p, str) else (clean(p[0]), p[1]) for p in parts))


class Console(rich.console.Console):
    """A console that prints every text as it is, in tables too."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False)
        if not self.is_terminal:
            self.width = max(self.width, _WIDE)

    def render_str(self, text: str, **options: Any) -> Text:
        """What every plain text that is printed becomes."""
        return super().render_str(clean(text), **options)


class _Description(ProgressColumn):
    def render(self, task: Task) -> Text:
        return text(task.description)


def bars(console: Console, *more: ProgressColumn) -> Progress:
    """Progress bars that go when all is done: what is being done, how much of it is, and ``more``."""
    return Progress(_Description(), BarColumn(), MofNCompleteColumn(), *more, console=console, transient=True)
