"""Real test files to try the runner and the gate on: KodCode's, MBPP's, and those that installed packages bring along."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from testing_crew.errors import UserMistake
from testing_crew.project.code import find_units, parse_source, read_source
from testing_crew.project.imports import package_root
from testing_crew.project.syntax import parse
from testing_crew.runner.plan import Plan, plan_file, plan_text
from trace_logger.records import CodeUnderTest

# What we and our extras depend on, as far as it has tests inside that need nothing else.
PACKAGES = ("jsonschema", "referencing", "stevedore", "websocket", "mpmath", "networkx")
MODULE = "solution"
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Sample:
    """One test file with its target: where it comes from, what it is called there, and how it is run."""

    source: str
    name: str
    plan: Plan


def spread(items: Sequence[_Item], limit: int | None) -> list[_Item]:
    """At most ``limit`` of ``items``, evenly spread over them."""
    if limit is None or len(items) <= limit:
        return list(items)
    return [items[number * len(items) // limit] for number in range(limit)]


# -- snippets ---------------------------------------------------------------------------------------------------------


def kodcode(folder: Path, limit: int | None) -> Iterator[Sample]:
    """The distinct rows of KodCode's JSON files in ``folder``."""
    rows: dict[tuple[str, str], str] = {}
    for path in sorted(folder.glob("*.json")):
        for number, row in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            if row["solution"] and row["test_code"]:
                rows.setdefault((row["solution"], row["test_code"]), f"{path.stem}:{number}")
    for (solution, tests), name in spread(list(rows.items()), limit):
        yield _snippet("kodcode", name, solution, _with_import(solution, tests))


def mbpp(path: Path, limit: int | None) -> Iterator[Sample]:
    """The rows of MBPP's file at ``path``, each assertion in a test of its own."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for row in spread([json.loads(line) for line in lines if line.strip()], limit):
        yield _snippet("mbpp", str(row["task_id"]), row["code"], _with_import(row["code"], _functions(row)))


def _functions(row: Mapping[str, Any]) -> str:
    parts = [row["test_setup_code"]] if row["test_setup_code"] else []
    for number, assertion in enumerate(row["test_list"], 1):
        body = "\n    ".join(assertion.splitlines())
        parts.append(f"def test_{number}():\n    {body}\n")
    return "\n\n".join(parts)


def _with_import(solution: str, tests: str) -> str:
    """``tests`` with an import of those names of ``solution`` that they use and do not bind."""
    try:
        tree, offered = parse(tests), _bound(parse(solution).body)
    except (SyntaxError, ValueError):
        return tests
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    imported = []
    for name in sorted(used & offered - _bound(list(ast.walk(tree)))):
        if name.startswith(("test", "Test")):  # under its own name it would be collected as a test
            tests = re.sub(rf"\b{name}\b", f"the_{name}", tests)
            imported.append(f"{name} as the_{name}")
        else:
            imported.append(name)
    return f"from {MODULE} import {', '.join(imported)}\n\n\n{tests}" if imported else tests


def _bound(nodes: Sequence[ast.AST]) -> set[str]:
    names = set()
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.For)):
            names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return names


def _snippet(source: str, name: str, solution: str, tests: str) -> Sample:
    try:
        units = [unit.name for unit in find_units(parse_source(solution, name))]
    except UserMistake:
        units = []
    code = CodeUnderTest(
        source=solution,
        shown=solution,
        module=MODULE,
        unit=units[0] if len(units) == 1 else None,
        root="",
        interpreter=sys.executable,
    )
    return Sample(source, name, plan_text(code, tests))


# -- installed packages -----------------------------------------------------------------------------------------------


def installed(package: str, limit: int | None, copies: Path | None) -> Iterator[Sample]:
    """The test files inside an installed ``package`` whose target can be told.

    Each is run where it stands, or in a copy of the package in a folder of its own below ``copies``: beside the installed
    package stands pytest itself, and such a project has no warm runs.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return
    folder = Path(next(iter(spec.submodule_search_locations))).resolve()
    if copies is not None:
        copy = copies / f"with-{package}" / package
        folder = Path(shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True))
    targets = {test: _target(test, folder) for test in sorted(folder.rglob("test_*.py"))}
    for test, target in spread([(test, target) for test, target in targets.items() if target], limit):
        root, module = package_root(target)
        source = read_source(target)
        code = CodeUnderTest(
            source=source,
            shown=source,
            module=module,
            path=str(target),
            root=str(root),
            interpreter=sys.executable,
        )
        yield Sample(package, test.relative_to(folder).as_posix(), plan_file(test, code))


def _target(test: Path, folder: Path) -> Path | None:
    """The module of the package that ``test`` imports and is most likely about: by its name, else by how many names."""
    try:
        tree = parse(read_source(test))
    except (UserMistake, SyntaxError, ValueError):
        return None
    weights: dict[Path, float] = {}
    for dotted, names in _imported(tree, package_root(test)[1]):
        places = [(dotted, len(names) or 1), *((f"{dotted}.{name}", 1) for name in names)]
        for module, weight in places:
            path = _module_path(module, folder)
            if path is not None:
                weights[path] = weights.get(path, 0) + weight
    about = test.stem.removeprefix("test_")
    for path in weights:
        name = path.stem.strip("_")
        weights[path] += 1000 if name == about else 500 if name in about else 0
    return max(sorted(weights), key=lambda path: weights[path], default=None)


def _imported(tree: ast.Module, own: str) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = own.split(".")[: -node.level] if node.level else []
            yield ".".join([*parts, *([node.module] if node.module else [])]), [alias.name for alias in node.names]


def _module_path(module: str, folder: Path) -> Path | None:
    """The file of ``module``, unless it is a package, a test, outside of ``folder`` or without a function."""
    path = folder.parent.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file() or not path.is_relative_to(folder) or path.name == "conftest.py":
        return None
    if any(part.startswith("test") for part in path.relative_to(folder).parts):
        return None
    return path if re.search(r"^\s*def ", read_source(path), re.MULTILINE) else None
