"""How a project's own ``python -m pytest``, run in the project's top folder, imports a file: from which folder, by which name.

Several answers may be possible: ``app/rates.py`` is ``app.rates`` from the top, and ``rates`` where the folder ``app`` is on the
path. What the project's tests and modules import already decides; where they say nothing, what is on the path for certain.
"""

from __future__ import annotations

import ast
import keyword
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from testing_crew.project.layout import pytest_settings
from testing_crew.project.options import python_path
from testing_crew.project.python import Interpreter, inspect_interpreter
from testing_crew.project.syntax import UNREADABLE, parse

_ROOT_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", "tox.ini", "testing_crew.toml", ".git")
_SKIPPED_FOLDERS = {"__pycache__", "node_modules", "build", "dist", "site-packages"}
_TEST_FOLDERS = {"test", "tests"}
_MOST_FILES = 2000


def package_root(path: Path) -> tuple[Path, str]:
    """The folder around ``path``'s package, the first without an ``__init__.py``, and the dotted name from there."""
    path = path.resolve()
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts) or re.sub(r"\W", "_", path.parent.name)


def project_root(path: Path) -> Path:
    """The project a file belongs to: the nearest folder above it with a project's mark, else the folder around its package.

    A mark in the home folder (a repository of settings) makes no project of everything below. A folder of tests without a mark
    belongs to what lies beside it.
    """
    home = Path("~").expanduser()
    for folder in path.resolve().parents:
        if folder != home and any((folder / mark).exists() for mark in _ROOT_MARKS):
            return folder
    folder = package_root(path)[0]
    beside = folder.name in _TEST_FOLDERS and folder.parent not in (home, Path(folder.anchor))
    return folder.parent if beside else folder


def import_root(path: Path, interpreter: str = sys.executable, test: Path | None = None) -> tuple[Path, str]:
    """The folder on ``sys.path`` that ``path`` is imported from, and the dotted name it then has.

    ``test`` is the test file that imports it, where there is one. Raises `UserMistake` for an interpreter that cannot be used.
    """
    path = path.resolve()
    top = project_root(path)
    names = _names(path, top)
    if len(names) == 1:
        return next(iter(names.items()))
    roots = _by_likelihood(list(names), top, inspect_interpreter(interpreter))
    root = _spoken(path, package_root(path)[0], roots, top, test) or roots[0]
    return root, names[root]


def _names(path: Path, top: Path) -> dict[Path, str]:
    """Every folder of the project at ``top`` from which ``path`` could be imported, nearest first, and its name from there."""
    inner, name = package_root(path)
    names = {inner: name}
    while inner != top and inner.is_relative_to(top) and is_name(inner.name):
        name, inner = f"{inner.name}.{name}", inner.parent
        names[inner] = name
    return {folder: name for folder, name in names.items() if not (folder / "__init__.py").is_file()}


def places_of(module: str, near: Path) -> list[Path]:
    """The files of the project of ``near``, its tests left out, that the name ``module`` may stand for."""
    top = project_root(near)
    files = [_module_file(root, module) for root in _names(near.resolve(), top)]
    return [file for file in files if file is not None and file.is_relative_to(top) and not is_test(file, top)]


def is_name(text: str) -> bool:
    """Whether an import statement can say ``text``."""
    return text.isidentifier() and not keyword.iskeyword(text)


def _by_likelihood(roots: list[Path], top: Path, interpreter: Interpreter) -> list[Path]:
    """What is on the path for certain or by custom, then the project's top, then the rest; the nearest first in each."""
    settings = pytest_settings(top, interpreter.pytest)
    known = {*python_path(settings), *import_places(interpreter)}
    return sorted(roots, key=lambda root: 0 if root in known or root.name == "src" else 1 if root == top else 2)


def import_places(interpreter: Interpreter) -> set[Path]:
    """The folders that ``interpreter`` imports from by itself, those of packages that are installed to be edited included."""
    places = [Path(os.path.realpath(place)) for place in interpreter.places]
    return {place.parent if (place / "__init__.py").is_file() else place for place in places}


def _spoken(path: Path, around: Path, roots: list[Path], top: Path, test: Path | None) -> Path | None:
    """The root from which the project's imports reach ``path``, or else what lies beside it; None where none does.

    The word of ``test`` comes first, then that of all tests, then that of the modules.
    """
    files = project_files(top)
    tests = [file for file in files if is_test(file, top)]
    for sources in ([test] if test else [], tests, [file for file in files if file not in set(tests)]):
        exact: Counter[Path] = Counter()
        near: Counter[Path] = Counter()
        for imported in (name for source in sources for name in imports_of(source)):
            root, file = next(((r, f) for r in roots if (f := _module_file(r, imported))), (top, None))
            if file is not None and file.is_relative_to(around):
                (exact if file == path else near)[root] += 1
        for counts in (exact, near):
            if counts:
                return max(roots, key=lambda root: counts[root])
    return None


def _module_file(root: Path, module: str) -> Path | None:
    place = root.joinpath(*module.split("."))
    return next((file for file in (place / "__init__.py", place.with_name(place.name + ".py")) if file.is_file()), None)


def is_test(file: Path, top: Path) -> bool:
    """Whether a file of the project at ``top`` is a test or stands among tests."""
    among = not _TEST_FOLDERS.isdisjoint(file.relative_to(top).parts[:-1])
    return among or file.name == "conftest.py" or file.stem.startswith("test_") or file.stem.endswith("_test")


def project_files(top: Path) -> list[Path]:
    """The Python files of a project, but for environments, hidden folders and what is built; of a huge one only a part."""
    return [file for file, _ in zip(_walk(top), range(_MOST_FILES), strict=False)]


def _walk(top: Path) -> Iterator[Path]:
    for (folder, inner, names), _ in zip(os.walk(top), range(_MOST_FILES), strict=False):
        inner[:] = sorted(
            name
            for name in inner
            if not (name.startswith(".") or name in _SKIPPED_FOLDERS)
            and not os.path.isfile(os.path.join(folder, name, "pyvenv.cfg"))
        )
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def imports_of(file: Path) -> frozenset[str]:
    """The absolute dotted names that a file imports; those of a ``from a import b`` are ``a`` and ``a.b``."""
    try:
        return _imports_of(file, file.stat().st_mtime_ns)
    except OSError:
        return frozenset()


@lru_cache(maxsize=2 * _MOST_FILES)
def _imports_of(file: Path, changed: int) -> frozenset[str]:
    try:
        nodes: Iterable[ast.AST] = ast.walk(parse(file.read_bytes()))
    except UNREADABLE:
        return frozenset()
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)
