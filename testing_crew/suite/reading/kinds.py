"""The changed files sorted by what they are to the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from testing_crew.errors import UserMistake
from testing_crew.project.imports import is_test, project_root
from testing_crew.project.layout import pytest_settings
from testing_crew.project.options import setting
from testing_crew.suite import find
from testing_crew.suite.change import FileChange
from testing_crew.suite.reading.settings import SETTINGS, USUAL_FILES


@dataclass
class Kinds:
    """The changed files by what they are to the tests; ``gone`` are test files with a name that pytest does not collect."""

    tests: list[tuple[Path, FileChange]] = field(default_factory=list)
    gone: list[FileChange] = field(default_factory=list)
    supports: list[tuple[Path, FileChange]] = field(default_factory=list)
    settings: dict[Path, list[FileChange]] = field(default_factory=dict)
    code: list[tuple[Path, FileChange]] = field(default_factory=list)


def tests_of(paths: Sequence[Path], near: Path, interpreter: str | None) -> list[Path]:
    """The test files that count; none where the folders hold none."""
    try:
        return find.test_files(list(paths) or [_home(near)], interpreter)
    except UserMistake:
        return []


def _home(place: Path) -> Path:
    return project_root(place / "x.py" if place.is_dir() else place)


def is_test_file(path: Path, interpreter: str | None) -> bool:
    """Whether the file is a test, or stands among tests, by its name."""
    if path.suffix != ".py" or is_test(path, project_root(path)):
        return True
    names = setting(pytest_settings(path.parent, find.version_of(path.parent, interpreter)), "python_files")
    return any(fnmatch(path.name, name) for name in names)


def sorted_out(
    found: Sequence[FileChange], top: Path, tests: Sequence[Path], near: Path, interpreter: str | None
) -> Kinds:
    """``found`` by what each is to ``tests``; ``top`` is the top of the repository, ``near`` a place in the project."""
    scope = {project_root(test) for test in tests} or {_home(near)}
    known = set(tests)
    collected = known.union(tests_of((), near, interpreter))
    kinds = Kinds()
    for change in found:
        path = top / change.path
        inside = any(path.is_relative_to(folder) for folder in scope)
        was = top / change.was if change.was is not None else None
        if was is not None and change.status == "renamed" and path not in collected and _was_collected(was):
            kinds.gone.append(change)
        if path.name in SETTINGS:
            if inside or any(folder.is_relative_to(path.parent) for folder in scope):
                kinds.settings.setdefault(path.parent, []).append(change)
        elif path in known or (change.status == "deleted" and is_test(path, top) and _was_collected(path)):
            if change.behaves:
                kinds.tests.append((path, change))
        elif inside and is_test(path, top) and path not in collected:
            kinds.supports.append((path, change))
        elif inside and not is_test(path, top):
            kinds.code.append((path, change))
    return kinds


def _was_collected(path: Path) -> bool:
    """Whether the name of a file that is gone is one that pytest collects."""
    names = [*setting(pytest_settings(path.parent, "8"), "python_files"), *USUAL_FILES]
    return any(fnmatch(path.name, name) for name in names)
