"""``--diff`` with or without a revision: Click knows no option whose value may be left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.core import TyperCommand

_USUAL = "HEAD"


class CheckCommand(TyperCommand):
    """The command whose ``--diff`` without a value means ``--diff=HEAD``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_revision(args))


def with_revision(words: list[str]) -> list[str]:
    """``words`` with ``--diff`` and the revision after it as one word.

    What follows is a path, and the revision HEAD, where it is the name of a file or folder and git knows no such revision;
    ``--diff=REV`` is never a path.
    """
    end = words.index("--") if "--" in words else len(words)
    if "--diff" not in words[:end]:
        return words
    at = words.index("--diff")
    after = words[at + 1] if at + 1 < end else ""
    if not after or after.startswith("-") or (Path(after).exists() and not _is_revision(after)):
        return [*words[:at], f"--diff={_USUAL}", *words[at + 1 :]]
    return [*words[:at], f"--diff={after}", *words[at + 2 :]]


def _is_revision(name: str) -> bool:
    from testing_crew.errors import UserMistake
    from testing_crew.suite.reading.git import repository

    try:
        repository(Path.cwd()).commit_of(name)
    except UserMistake:
        return False
    return True
