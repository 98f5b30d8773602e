"""What a change does to pytest's settings: which options leave tests out, and which files and names are collected no longer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

from testing_crew.project.layout import pytest_settings
from testing_crew.project.options import setting

SETTINGS = ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg")
"""The names of files that may have pytest's settings."""

USUAL_FILES = ("test_*.py", "*_test.py")
_USUAL = {"python_files": USUAL_FILES, "python_functions": ("test",), "python_classes": ("Test",)}
_OTHERS = ("addopts", "testpaths", "norecursedirs", "usefixtures", "pythonpath", "filterwarnings")
_WITH_A_VALUE = ("-k", "-m", "--deselect", "--ignore", "--ignore-glob")
_ALONE = ("--collect-only", "--co", "--lf", "--last-failed", "--sw", "--stepwise", "--setup-only", "--setup-plan")
_MOST_NAMED = 5

Values = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Switched:
    """One way in which the settings leave tests out that ran before: what it ``says``, and which setting, ``key``, does it."""

    key: str
    says: str


def values_of(texts: Mapping[str, str], pytest_version: str) -> Values:
    """What the files ``texts`` of one folder set, by their names among `SETTINGS`; the usual where nothing is said."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        (place / ".git").mkdir()  # above it nothing counts
        for name, text in texts.items():
            (place / name).write_text(text, encoding="utf-8")
        file = pytest_settings(place, pytest_version)
        found = {key: tuple(setting(file, key)) or usual for key, usual in _USUAL.items()}
        return found | {key: tuple(setting(file, key)) for key in _OTHERS}


def switched_off(before: Values, now: Values, folder: Path, files: Iterable[Path]) -> list[Switched]:
    """How ``now`` leaves tests out that ``before`` did not; ``files`` are the Python files of the settings' ``folder``."""
    had, has = (_leaving_out(values["addopts"]) for values in (before, now))
    found = [
        Switched("addopts", f"tests are left out by a new `{option}` in addopts") for option in has if option not in had
    ]
    inner = [file.relative_to(folder) for file in files if file.is_relative_to(folder)]
    gone = [each.as_posix() for each in inner if _collects(before, each) and not _collects(now, each)]
    if gone:
        key = next((key for key in ("python_files", "testpaths", "norecursedirs") if before[key] != now[key]), "")
        names = ", ".join(gone[:_MOST_NAMED]) + (" …" if len(gone) > _MOST_NAMED else "")
        found.append(Switched(key, f"pytest collects {len(gone)} test files no longer: {names}"))
    for key in ("python_functions", "python_classes"):
        for pattern in before[key]:
            if pattern not in now[key]:
                found.append(Switched(key, f"{key} has `{pattern}` no longer: what is so named is not collected"))
    return found


def _leaving_out(words: Sequence[str]) -> list[str]:
    """The options among ``words`` that keep tests from running, each with its value."""
    found = []
    for number, word in enumerate(words):
        name, given, _ = word.partition("=")
        short = word[:2] in _WITH_A_VALUE and not word.startswith("--")
        if name in _WITH_A_VALUE and not given:
            found.append(" ".join(words[number : number + 2]))
        elif name in (*_WITH_A_VALUE, *_ALONE) or short:
            found.append(word)
    return found


def _collects(values: Values, file: Path) -> bool:
    """Whether a run without arguments collects ``file``, a path from the folder of the settings, by its name."""
    if not any(fnmatch(file.name, pattern) for pattern in values["python_files"]):
        return False
    if any(fnmatch(part, pattern) for part in file.parts[:-1] for pattern in values["norecursedirs"]):
        return False
    places = [place.rstrip("/") for place in values["testpaths"]]
    parents = [each.as_posix() for each in (file, *file.parents)]
    return not places or any(fnmatch(parent, place) for parent in parents for place in places)
