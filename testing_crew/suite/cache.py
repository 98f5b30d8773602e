"""What was found before of what has not changed since: one small file for each pair of a test file and a module.

The name of an entry is a digest of everything that the result depends on, so that an entry is right or is not found. What lies in
the workspace's ``checks/found`` may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from stat import S_ISREG
from typing import Any

from testing_crew.backends.files import replace
from testing_crew.errors import UserMistake
from testing_crew.project.imports import imports_of
from testing_crew.project.layout import pytest_settings
from testing_crew.project.python import Interpreter
from testing_crew.suite.formats.ours import is_ours
from trace_logger.workspace import workspace

MOST_ENTRIES = 5000
MOST_FILES = 20_000
_MOST_VERSIONS = 3  # of ours, whose entries are kept beside each other
_LARGE = 2**18  # bytes; of a larger file of data the size and the time of its last change stand for it
_SKIPPED = {"__pycache__", "node_modules", "site-packages"}
_SKIPPED |= {".git", ".hg", ".svn", ".venv", ".tox", ".nox", ".eggs", ".idea", ".vscode", ".ipynb_checkpoints"}
_SKIPPED |= {".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
_BUILT = {"build", "dist"}  # at the top of a project, where they are no packages
_LEFT_BEHIND = re.compile(
    r"\.coverage|\.coverage\..*|\.DS_Store|.*\.py[co]|\..*\.sw[a-p]"
)  # files that others write meanwhile
_NO_READERS = {"setup.py", "noxfile.py"}  # they name documents that no test reads


def made_by() -> str:
    """The version of testing-crew that judges."""
    try:
        return f"testing-crew {metadata.version('testing-crew')}"
    except metadata.PackageNotFoundError:  # run from a copy of its source
        return "testing-crew"


@lru_cache(maxsize=1)
def _ourselves() -> str:
    """A digest of the code that judges: two states of one version may find another thing."""
    here = Path(__file__).parent.parent
    return _digest(made_by(), *(file.read_bytes() for file in sorted(here.rglob("*.py"))))


def _digest(*parts: str | bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


class Cache:
    """What is kept of the projects in the folders ``tops``; made anew for each check, since their files are read once.

    ``settings`` is everything else that a result depends on: the options of the check, the limits of a run. ``tests`` are the
    test files (resolved), each of which matters to itself alone and to those that import it. Nothing is kept where ``enabled``
    is False, nor of projects with more than `MOST_FILES` files.
    """

    def __init__(
        self,
        tops: Iterable[Path],
        tests: Iterable[Path],
        interpreter: Interpreter,
        settings: str,
        *,
        enabled: bool = True,
    ) -> None:
        self._folder = workspace() / "checks" / "found" / _ourselves()[:16]
        self._tests = set(tests)
        self._shared = ""
        if not enabled:
            return
        python = (interpreter.executable, str(interpreter.python), *installed(interpreter))
        parts = [settings, *python]
        for top in sorted({*tops}):
            shared, own = project_files(top, interpreter.pytest)
            if len(shared) > MOST_FILES:
                return
            self._tests |= own
            parts += [f"{file}={state}" for file in sorted(shared - self._tests) if (state := _state(file))]
        self._shared = _digest(*parts)

    def read(self, kind: str, test: Path, *more: Path) -> Any:
        """What ``write`` kept of these very contents; None where it was not asked to, or what is there cannot be read."""
        file = self._place(kind, test, more)
        if file is None:
            return None
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads(file.read_bytes())
            os.utime(file)  # the ones that are used longest ago go first
            return found
        return None

    def write(self, value: Any, kind: str, test: Path, *more: Path) -> None:
        """Keep ``value`` (of JSON's types) for the text of ``test`` and of the files ``more``, where there is room."""
        file = self._place(kind, test, more)
        if file is None:
            return
        with suppress(OSError, UserMistake):
            replace(file, json.dumps(value))
            self._tidy()

    def _place(self, kind: str, test: Path, more: tuple[Path, ...]) -> Path | None:
        if not self._shared:
            return None
        try:
            parts = [kind, self._shared]
            for file in (*self._drawn_on(test), *more):
                parts += [str(file), hashlib.sha256(file.read_bytes()).hexdigest()]
        except OSError:
            return None
        return self._folder / f"{_digest(*parts)[:40]}.json"

    def _drawn_on(self, test: Path) -> list[Path]:
        """``test``, the test files that it imports by name, and what those import."""
        found, left = {test}, [test]
        while left:
            names = {part for name in imports_of(left.pop()) for part in name.split(".")}
            more = [file for file in self._tests if file not in found and file.stem in names]
            found |= {*more}
            left += more
        return [test, *sorted(found - {test})]

    def _tidy(self) -> None:
        entries = list(self._folder.glob("*.json"))
        if len(entries) > MOST_ENTRIES:
            for old in sorted(entries, key=_changed)[: len(entries) - MOST_ENTRIES * 9 // 10]:
                old.unlink(missing_ok=True)
        versions = sorted((f for f in self._folder.parent.iterdir() if f != self._folder), key=_changed)
        for folder in versions[: -(_MOST_VERSIONS - 1)]:
            shutil.rmtree(folder, ignore_errors=True)


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # another check removed it
        return 0.0


def installed(interpreter: Interpreter) -> list[str]:
    """The packages with their versions that ``interpreter`` imports from, as the folders say in which their metadata lies."""
    found: set[str] = set()
    for place in interpreter.places:
        if Path(place).name in ("site-packages", "dist-packages"):
            with suppress(OSError):
                found |= {name for name in os.listdir(place) if name.endswith((".dist-info", ".egg-info", ".egg-link"))}
    return sorted(found)


def project_files(top: Path, pytest_version: str) -> tuple[set[Path], set[Path]]:
    """The files of the project at ``top`` that every test file may depend on, and its test files.

    The former: all other Python files; pytest's settings; all files in and below folders with Python files, and in ``top``
    itself where modules or tests lie there; and what else of ``top`` a Python file names in a text. What tools keep for
    themselves is left out. It ends early where there are more than `MOST_FILES`.
    """
    settings = pytest_settings(top, pytest_version)
    shared = {settings} if settings else set[Path]()
    tests: set[Path] = set()
    with_python: set[Path] = set()
    elsewhere: dict[str, set[Path]] = {}
    for folder, names in _folders(top):
        python = {folder / name for name in names if name.endswith(".py")}
        own = {file for file in python if file.stem.startswith("test_") or file.stem.endswith("_test")}
        tests |= own
        shared |= python - own
        if folder == top:
            wanted = any(file.name not in ("setup.py", "noxfile.py", "conftest.py") for file in python)
        else:
            wanted = bool(python) or not with_python.isdisjoint(folder.parents)
            with_python |= {folder} if wanted else set()
        for file in {folder / name for name in names} - python:
            if wanted:
                shared.add(file)
            else:
                elsewhere.setdefault(file.relative_to(top).parts[0], set()).add(file)
        if len(shared) > MOST_FILES:
            break
    return shared.union(*(elsewhere[name] for name in _named(elsewhere, shared | tests))), tests


def _named(names: Iterable[str], files: Iterable[Path]) -> set[str]:
    """Those of ``names``, of files and folders, that stand in one of the Python ``files`` after a quote or a slash."""
    found = {".env"}.intersection(names)  # which is read without being named
    left = {name: os.fsencode(Path(name).stem) for name in names if name not in found}
    for file in files:
        if file.suffix != ".py" or file.name in _NO_READERS or not left:
            continue
        with suppress(OSError):
            text = file.read_bytes()
            found |= {
                name for name, stem in left.items() if any(mark + stem in text for mark in (b'"', b"'", b"/", b"\\"))
            }
            left = {name: stem for name, stem in left.items() if name not in found}
    return found


def _state(file: Path) -> str:
    """A digest of a file's content; empty for one that cannot be read, and for a report of ours."""
    try:
        about = file.stat()
        if not S_ISREG(about.st_mode) or is_ours(file):
            return ""
        if about.st_size > _LARGE and file.suffix != ".py":
            return f"{about.st_size} {about.st_mtime_ns}"
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def _folders(top: Path) -> Iterator[tuple[Path, list[str]]]:
    for folder, inner, names in os.walk(top):
        inner[:] = sorted(name for name in inner if not _is_a_tools(Path(folder, name), top))
        yield Path(folder), [name for name in names if not _LEFT_BEHIND.fullmatch(name)]


def _is_a_tools(folder: Path, top: Path) -> bool:
    """Whether a folder is an environment, or holds what a tool made or keeps for itself."""
    name = folder.name
    built = name in _BUILT and folder.parent == top and not (folder / "__init__.py").is_file()
    return built or name in _SKIPPED or name.endswith(".egg-info") or (folder / "pyvenv.cfg").is_file()
