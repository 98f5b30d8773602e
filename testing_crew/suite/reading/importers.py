"""Which files of a project import a module, themselves or by way of others."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from testing_crew.project.imports import imports_of, package_root, project_root
from testing_crew.project.syntax import UNREADABLE, parse


def names_of(module: Path, top: Path) -> list[str]:
    """The dotted names under which ``module`` may be imported: from its package's folder up to ``top``; it need not be there."""
    inner, name = package_root(module)
    names = [name]
    while inner != top and inner.is_relative_to(top):
        name, inner = f"{inner.name}.{name}", inner.parent
        names.append(name)
    return names


class Importers:
    """What the ``files`` of a project import of its ``modules``; absolute, resolved paths."""

    def __init__(self, modules: Iterable[Path], files: Iterable[Path]) -> None:
        modules = list(modules)
        self._named: dict[str, list[Path]] = defaultdict(list)
        for module in modules:
            for name in names_of(module, project_root(module)):
                self._named[name].append(module)
        known = frozenset(modules)
        self._by: dict[Path, set[Path]] = defaultdict(set)
        for file in dict.fromkeys([*modules, *files]):
            for imported in (
                *(m for name in imports_of(file) for m in self._named.get(name, ())),
                *relative_imports(file),
            ):
                if imported in known and imported != file:
                    self._by[imported].add(file)

    def of(self, module: Path, among: Sequence[Path]) -> tuple[list[Path], list[Path]]:
        """Those of ``among`` that import ``module`` themselves, and those that do it by way of other modules."""
        reached, waiting = {module}, [module]
        while waiting:
            more = self._by[waiting.pop()] - reached
            reached |= more
            waiting += more
        direct = self._by[module]
        return [file for file in among if file in direct], [file for file in among if file in reached - direct]


def relative_imports(file: Path) -> set[Path]:
    """The files that relative imports of ``file`` may stand for."""
    try:
        nodes = list(ast.walk(parse(file.read_bytes())))
    except (OSError, *UNREADABLE):
        return set()
    found: set[Path] = set()
    parents = file.resolve().parents
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and 0 < node.level <= len(parents):
            base = parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for place in (base, *(base / alias.name for alias in node.names)):
                found |= {place.with_name(place.name + ".py"), place / "__init__.py"}
    return found
