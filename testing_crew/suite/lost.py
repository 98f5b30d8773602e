"""What a change takes from the tests, as findings: checks, test files, and what pytest is told to collect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from testing_crew.suite.change import FileChange
from testing_crew.suite.reading.settings import SETTINGS, Values, switched_off, values_of
from testing_crew.suite.records import Finding, Level
from testing_crew.suite.weakened import Weak, weakened

_GRAVE = frozenset(("skipped", "swallowed", "dropped", "removed"))  # a check that is gone, and not only says less
_MEND = {
    "skipped": "mend what fails, and let every test run",
    "swallowed": "let the failure through",
    "weaker": "compare with the exact value, as before",
    "rows": "put the rows back, or say in the commit why they are not needed",
}
_MEND_GONE = "put it back, or assert the same elsewhere"


def lost_checks(change: FileChange, elsewhere: Sequence[str], gone: frozenset[str]) -> list[Finding]:
    """What a changed test file, or a file beside tests, checks no longer.

    ``elsewhere`` as `weakened` says; ``gone`` are functions and classes that the code has no more.
    """
    found = weakened(change.old, change.new, elsewhere)
    if change.status == "deleted" and found:
        return [_file_gone(change.path, found, gone, "the test file is gone")]
    return [_finding(change.path, weak, gone) for weak in found]


def not_collected(change: FileChange, elsewhere: Sequence[str], gone: frozenset[str]) -> list[Finding]:
    """What goes with a test file that was renamed to what pytest does not collect."""
    found = weakened(change.old, "", elsewhere)
    says = f"pytest does not collect this name, and {change.was} is gone"
    return [_file_gone(change.path, found, gone, says)] if found else []


def lost_by_settings(
    folder: Path, changes: Sequence[FileChange], files: Iterable[Path], pytest_version: str
) -> tuple[bool, list[Finding]]:
    """Whether ``changes``, all of files in ``folder``, change pytest's settings, and what it collects no longer of ``files``."""
    now: Mapping[str, str] = {name: _text(folder / name) for name in SETTINGS if (folder / name).is_file()}
    changed = {Path(change.path).name: change for change in changes}
    old = {name: change.old for name, change in changed.items() if change.status != "added"}
    before = {**{name: text for name, text in now.items() if name not in changed}, **old}
    had: Values = values_of(before, pytest_version)
    has: Values = values_of(now, pytest_version)
    found = []
    for each in switched_off(had, has, folder, files):
        change = next((c for c in changes if each.key in c.new), changes[0])
        lines = [n for n in sorted(change.lines) if each.key in change.new.split("\n")[n - 1]]
        weak = Weak("skipped", "", lines[0] if lines else None, each.says)
        found.append(_finding(change.path, weak, frozenset()))
    return had != has, found


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "replace")


def _file_gone(path: str, found: Sequence[Weak], gone: frozenset[str], says: str) -> Finding:
    level: Level = "note" if all(weak.uses & gone for weak in found) else "error"
    names = ", ".join(weak.name for weak in found[:5]) + (" …" if len(found) > 5 else "")
    says = f"{says}, with {len(found)} of its tests: {names}"
    return Finding(code="weakened", level=level, path=path, message=says, mend=_MEND_GONE)


def _finding(path: str, weak: Weak, gone: frozenset[str]) -> Finding:
    level: Level = "error" if weak.kind in _GRAVE else "warning"
    says, mend = weak.says, _MEND.get(weak.kind, _MEND_GONE)
    if lost := weak.uses & gone:
        level, mend = "note", ""
        says += f"; the code has {', '.join(sorted(lost))} no more"
    return Finding(code="weakened", level=level, path=path, line=weak.line, message=says, mend=mend, name=weak.name)


def gone_from(code: Sequence[FileChange]) -> frozenset[str]:
    """The last names of functions and classes that the change took out of the code, and put nowhere else."""
    removed = {name.rpartition(".")[2] for change in code for name in change.removed}
    return frozenset(removed - {name.rpartition(".")[2] for change in code for name in change.added})
