"""Which tests a change may affect whose own text did not change: by what they use of a test file, a helper, a ``conftest.py``."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testing_crew.gate.syntax import is_fixture
from testing_crew.gate.text import read
from testing_crew.gate.weight import FunctionNode
from testing_crew.project.imports import is_test, project_files, project_root
from testing_crew.project.syntax import UNREADABLE
from testing_crew.suite.change import FileChange
from testing_crew.suite.reading.importers import Importers
from testing_crew.suite.reading.nodes import FUNCTIONS, shown
from testing_crew.suite.reading.texts import Text

_SWITCHES = re.compile(r"skip|xfail|exit|deselect|collect|ignore|items|pytest_|autouse|patch|setattr")
_LIBRARIES = sys.stdlib_module_names | {"pytest"}


@dataclass(frozen=True)
class Touch:
    """What a test file draws on that changed: ``because`` is its path.

    ``names`` are the functions and classes of it that are not what they were, None where anything may be. ``switches``: what
    changed may leave tests out.
    """

    because: str
    names: frozenset[str] | None
    switches: bool


@dataclass(frozen=True)
class Look:
    """Which tests of a file are to be run alone, by qualified name: those that ``changed``, and ``others`` that may be affected.

    ``because`` is the path of what affects the others, ``switches`` as `Touch` has it.
    """

    changed: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    because: str = ""
    switches: bool = False


def touches(
    supports: Sequence[tuple[Path, FileChange]], settings: Mapping[Path, str], tests: Sequence[Path]
) -> dict[Path, list[Touch]]:
    """What each of ``tests`` draws on that changed, the likeliest to matter first.

    ``supports`` are files beside the tests: their helpers, each ``conftest.py``. ``settings`` are folders for which pytest's
    settings changed, with the path of the file that says so.
    """
    found: dict[Path, list[Touch]] = {}
    helpers = [(path, change) for path, change in supports if path.name != "conftest.py"]
    for path, change in helpers:
        for test, names in _using(path, change, tests):
            found.setdefault(test, []).append(Touch(change.path, names, _switches(change)))
    for path, change in supports:
        if path.name == "conftest.py":
            touch = Touch(change.path, _fixtures(change), _switches(change))
            for test in tests:
                if test.is_relative_to(path.parent):
                    found.setdefault(test, []).append(touch)
    for folder, because in settings.items():
        for test in tests:
            if test.is_relative_to(folder):
                found.setdefault(test, []).append(Touch(because, None, True))
    return found


def look_at(text: Text, change: FileChange | None, drawn_on: Sequence[Touch]) -> Look:
    """Which tests of ``text`` are to be looked at; ``change`` is the file's own, None where it did not change."""
    changed = frozenset(name for name, _ in change.names if name in text.tests) if change is not None else frozenset()
    others: frozenset[str] = frozenset()
    because = ""
    for touch in drawn_on:
        more = text.tests if touch.names is None else text.users(touch.names)
        because = because or (touch.because if more else "")
        others |= more
    switches = any(touch.switches for touch in drawn_on)
    if change is not None:  # a helper of the file, or what a statement outside of functions gives a name
        names = _names(text, change)
        more = (text.tests if names is None else text.users(names)) - changed
        because = because or (change.path if more else "")
        others |= more
        switches = switches or names is None
    return Look(changed, others - changed, because, switches)


def _names(text: Text, change: FileChange) -> frozenset[str] | None:
    """The names of what changed in ``text``, its tests left out; None where a statement changed that may do anything."""
    names = {name.rpartition(".")[2] for name, _ in change.names if name not in text.tests} - {""}
    for node in _changed_outside(text, change):
        bound = _bound(node)
        if not bound:
            return None
        names |= bound
    return frozenset(names)


def _changed_outside(text: Text, change: FileChange) -> list[ast.stmt]:
    plain = [node for node in text.tree.body if not isinstance(node, (*FUNCTIONS, ast.ClassDef))]
    return [n for n in plain if not change.lines.isdisjoint(range(n.lineno, (n.end_lineno or n.lineno) + 1))]


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement gives values to; none where it does something else as well."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(each.asname or each.name).partition(".")[0] for each in node.names} - {"*"}
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        plain = [name for target in targets for name in (target.elts if isinstance(target, ast.Tuple) else [target])]
        return {each.id for each in plain if isinstance(each, ast.Name)} if all(map(_is_name, plain)) else set()
    return set()


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id != "pytestmark"


def _using(path: Path, change: FileChange, tests: Sequence[Path]) -> Iterator[tuple[Path, frozenset[str] | None]]:
    """The test files that import the helper ``path``, or what imports it, each with the names of it that changed."""
    top = project_root(path)
    beside = [file for file in project_files(top) if is_test(file, top) and file not in tests]
    importers = Importers([*dict.fromkeys([*beside, path])], tests)
    direct, others = importers.of(path, [*tests, *beside])
    for file in [*direct, *others]:
        if file.name == "conftest.py":
            yield from ((test, None) for test in tests if test.is_relative_to(file.parent))
        elif file in tests:
            yield file, _changed_names(change) if file in direct else None


def _changed_names(change: FileChange) -> frozenset[str] | None:
    """The names of what changed in a file beside tests, with its functions that use them; None where anything may have."""
    try:
        text = Text(read(change.new))
    except UNREADABLE:
        return None
    names = _names(text, change)
    return None if names is None else text.reaching(names | {name.partition(".")[0] for name in change.removed})


def _fixtures(change: FileChange) -> frozenset[str] | None:
    """The fixtures that changed in a ``conftest.py``, where nothing but fixtures did that tests ask for by name."""
    names = _changed_names(change)
    if names is None or change.removed or not change.readable:
        return None
    text = Text(read(change.new))
    changed = [text.functions.get(name) for name, _ in change.names if name]
    asked = all(each is not None and is_fixture(each) and "autouse" not in _decorators(each) for each in changed)
    return names if asked and all(map(_is_harmless, _changed_outside(text, change))) else None


def _decorators(function: FunctionNode) -> str:
    return " ".join(map(shown, function.decorator_list))


def _is_harmless(node: ast.stmt) -> bool:
    """Whether the statement is an import of what comes with Python, or of pytest."""
    if isinstance(node, ast.ImportFrom):
        return not node.level and (node.module or "").partition(".")[0] in _LIBRARIES
    return isinstance(node, ast.Import) and all(each.name.partition(".")[0] in _LIBRARIES for each in node.names)


def _switches(change: FileChange) -> bool:
    lines = change.new.split("\n")
    return any(_SWITCHES.search(lines[line - 1]) for line in change.lines if line <= len(lines))
