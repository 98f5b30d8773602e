"""Where things lie in the target's project: the unit's lines, pytest's settings, the folder that tests expect to run in."""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

from testing_crew.project.syntax import parse

_MOST_LEVELS = 2  # a source folder lies at most this deep below the top of its project: src/, python/src/
_SECTIONS = {
    "pytest.ini": None,
    ".pytest.ini": None,
    "pyproject.toml": r"^\[tool\.pytest(\.ini_options)?\]",
    "tox.ini": r"^\[pytest\]",
    "setup.cfg": r"^\[tool:pytest\]",
}
_SECTIONS_OF_9 = {"pytest.toml": None, ".pytest.toml": None}
_TOPS = (".git", "pyproject.toml", "setup.py", "setup.cfg")


def module_file(module: str) -> str:
    """The relative path, with forward slashes, of a file that can be imported as ``module``."""
    return module.replace(".", "/") + ".py"


def module_alone(module: str, source: str) -> dict[str, str]:
    """The files, by their relative paths, with which ``module`` can be imported by its name and without its project."""
    parts = module.split(".")
    packages = {"/".join([*parts[:n], "__init__.py"]): "" for n in range(1, len(parts))}
    return {**packages, module_file(module): source}


def unit_range(source: str, unit: str | None) -> tuple[int, int] | None:
    """First and last line of ``unit`` (``name`` or ``Class.method``) in ``source``; None for a whole module.

    A name defined twice means its last definition. None too when ``source`` does not parse or does not define it.
    """
    if unit is None:
        return None
    try:
        level: list[ast.stmt] = parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return None
    found: ast.stmt | None = None
    for name in unit.split("."):
        found = next((n for n in reversed(_statements(level)) if _defines(n, name)), None)
        if found is None:
            return None
        level = getattr(found, "body", [])
    return (found.lineno, found.end_lineno or found.lineno) if found else None


def _statements(level: list[ast.stmt]) -> list[ast.stmt]:
    """``level`` with what stands under its ``if`` and ``try`` statements."""
    flat: list[ast.stmt] = []
    for node in level:
        flat.append(node)
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            for block in ("body", "orelse", "finalbody"):
                flat += _statements(getattr(node, block, []))
            for handler in getattr(node, "handlers", []):
                flat += _statements(handler.body)
    return flat


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return node.name == name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return isinstance(node, (ast.Assign, ast.AnnAssign)) and any(getattr(t, "id", None) == name for t in targets)


def pytest_settings(folder: Path, pytest_version: str) -> Path | None:
    """The file with pytest's settings that holds for ``folder``: in it or above it, up to the top of the project."""
    sections = {**_SECTIONS_OF_9, **_SECTIONS} if int(pytest_version.partition(".")[0]) >= 9 else _SECTIONS
    for place in (folder, *folder.parents):
        for name, section in sections.items():
            path = place / name
            if path.is_file() and (section is None or _has_section(path, section)):
                return path
        if any((place / top).exists() for top in _TOPS):
            return None
    return None


def _has_section(path: Path, section: str) -> bool:
    return re.search(section, path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE) is not None


def top_of(root: Path, settings: Path | None, test: Path, project: Path) -> Path:
    """The folder that ``test`` (an absolute path), a file of the folder ``project``, expects to be run in."""
    if settings is not None and test.is_relative_to(settings.parent):
        return settings.parent
    if test.is_relative_to(project) and root.is_relative_to(project):
        return project
    if os.path.splitdrive(root)[0] != os.path.splitdrive(test)[0]:
        return test.parent
    common = Path(os.path.commonpath([root, test.parent]))
    near = common != Path(common.anchor) and len(root.relative_to(common).parts) <= _MOST_LEVELS
    return common if near else test.parent


def conftests_above(test: Path, top: Path) -> list[Path]:
    """The ``conftest.py`` files that hold for ``test`` in runs from ``top``."""
    return [p / "conftest.py" for p in test.parents if p.is_relative_to(top) and (p / "conftest.py").is_file()]


def importable(folder: str | Path) -> set[str]:
    """The top-level names that ``folder`` offers to an import statement, but for packages without an ``__init__.py``."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return set()
    files = {e.name.partition(".")[0] for e in entries if e.name.endswith((".py", ".so"))}
    return files | {e.name for e in entries if os.path.isfile(os.path.join(e.path, "__init__.py"))}


def hides_library(folder: Path) -> bool:
    """Whether Python's own modules could not be had with ``folder`` before them on the path."""
    return not importable(folder).isdisjoint(sys.stdlib_module_names)
