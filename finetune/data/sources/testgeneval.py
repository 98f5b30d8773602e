"""TestGenEval: modules of real projects with their own test files; whole, or cut to one function or class of the module.

``id`` is the key: ``instance_id`` repeats. A pair that does not fit the window gives a row for each unit that its tests are
about, ``ID#unit``, with as many of these tests as fit, in their order.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from finetune.data import imports, surgery
from finetune.data.read import Spec, read_table
from finetune.data.rows import Row
from finetune.data.sources import Context, Dropped, Source, in_pytests_style
from finetune.data.sources.kodcode import text
from testing_crew import prompt
from testing_crew.project import code as code_under_test

HUB = "kjain14/testgeneval"
_SOURCE_FOLDERS = ("src", "lib")
_BUILT_IN_FIXTURES = {
    *("request", "tmp_path", "tmp_path_factory", "tmpdir", "monkeypatch", "capsys", "capfd", "caplog", "recwarn"),
    *("self", "cls", "pytestconfig", "cache", "doctest_namespace", "record_property", "tmpdir_factory"),
}


def open_rows(spec: Spec, context: Context) -> Source:
    """``testgeneval:PATH_OR_HUB?split=train&units=only``; with ``units=only`` every pair is cut, whether it fits or not."""
    table = read_table(spec, HUB, "train")
    records = table.pick(
        id=("id",),
        code=("code_src",),
        tests=("test_src",),
        code_file=("code_file",),
        test_file=("test_file", ""),
        repo=("repo", ""),
        licence=("licence", "license", ""),
    )
    rows = _rows(records, context, spec.options.get("units") == "only")
    return Source("testgeneval", table.where, len(table.records), table.digest, rows)


def module_name(code_file: str) -> str:
    """The dotted name of a module from its path in a project."""
    parts = re.sub(r"(/__init__)?\.py$", "", code_file.strip("/")).split("/")
    return ".".join(parts[1:] if parts[0] in _SOURCE_FOLDERS and len(parts) > 1 else parts)


def _rows(records: Iterator[dict[str, Any]], context: Context, units_only: bool) -> Iterator[Row]:
    seen: set[str] = set()
    for record in records:
        key = f"testgeneval/{record['id']}"
        if key in seen:
            context.drop("repeated id")
            continue
        seen.add(key)
        module = module_name(text(record["code_file"]))
        code, tests = text(record["code"]), text(record["tests"])
        try:
            prepared = prepare(code, tests, module)
        except Dropped as why:
            context.drop(why)
            continue
        licence, group = text(record["licence"]), f"{record['repo'] or ''}:{module}"
        whole = prompt.generate(code_under_test.render(code, module, None), context.prompt_version)
        shared: dict[str, Any] = {"source": "testgeneval", "kind": "generate", "group": group, "licence": licence}
        if not units_only and context.fits(whole, prepared):
            yield Row(id=key, prompt=whole, completion=prepared, **shared)
            continue
        for unit, names in by_unit(code, prepared, module).items():
            asked = prompt.generate(code_under_test.render(code, module, unit), context.prompt_version)
            found = _that_fit(prepared, names, asked, context) if context.fits(asked, "") else None
            if found is None:
                context.drop("a unit that is longer than the window with one test")
                continue
            yield Row(id=f"{key}#{unit}", prompt=asked, completion=found, **shared)


def prepare(code: str, tests: str, module: str, units: set[str] | None = None) -> str:
    """The test file in pytest's style, without tests of the clock and of what is not there.

    ``units`` are those of the module that the tests may mean, all when None. Raises `Dropped` when nothing is left.
    """
    tree = surgery.parse(tests)
    solution = surgery.parse(code)
    if tree is None or solution is None or not tests.strip() or not code.strip():
        raise Dropped("no full file")
    tests = in_pytests_style(tests, tree)
    if units is None:
        units = {unit.name for unit in code_under_test.find_units(solution)}
    pointed = imports.point_at(tests, module, units)
    if pointed is None:
        raise Dropped("imports inside of blocks")
    tree = surgery.parse(pointed)
    if tree is None:
        raise Dropped("no full file")
    unusable = surgery.timed(tree) | _lacking(tree, module)
    kept = surgery.cut(pointed, lambda name: name not in unusable)
    if not kept:
        raise Dropped("no test that runs on its own")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # what ast lets pass: a __future__ that does not come first
            compile(kept, "<tests>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        raise Dropped("no full file") from None
    return kept


def _lacking(tree: ast.Module, module: str) -> set[str]:
    """The tests that need a fixture of another file, a relative import, or a package that need not be there."""
    gone = imports.undefined(tree)
    top = module.split(".")[0]
    for node in tree.body:
        if surgery.foreign(node, {top}) and isinstance(node, (ast.Import, ast.ImportFrom)):
            gone |= surgery.bound(node)
    known = _known(tree)
    found = set()
    for name, reached in surgery.reach(tree).items():
        if gone & set(reached):
            found.add(name)
    return found | {name for name, asked in _asked(tree).items() if asked - known}


def by_unit(code: str, tests: str, module: str) -> dict[str, list[str]]:
    """Which tests are about which unit: the one in the test's name, else the first that it uses.

    A test that takes more from the package than is shown with the unit is about none: a model could not have written it.
    """
    tree = surgery.parse(tests)
    solution = surgery.parse(code)
    if tree is None or solution is None:
        return {}
    units = [unit.name for unit in code_under_test.find_units(solution)]
    ours: dict[str, str] = {}  # what a local name stands for, where it comes from the package
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and module.split(".")[0] in surgery.imported_tops(node):
            straight = isinstance(node, ast.ImportFrom) and node.module == module
            ours |= {(a.asname or a.name).split(".")[0]: a.name if straight else f"/{a.name}" for a in node.names}
    found: dict[str, list[str]] = {}
    for name, reached in surgery.reach(tree).items():
        used = [ours[each] for each in reached if each in ours]
        said = name.lower().replace("_", "")
        meant = [unit for unit in used if unit in units]
        named = [unit for unit in meant if unit.lower().replace("_", "") in said]
        best = max(named, key=len) if named else meant[0] if meant else None
        if best and set(used) <= _shown_names(code, module, best):
            found.setdefault(best, []).append(name)
    return {unit: found[unit] for unit in units if unit in found}


@lru_cache(maxsize=256)
def _shown_names(code: str, module: str, unit: str) -> frozenset[str]:
    shown = surgery.parse(code_under_test.render(code, module, unit))
    return frozenset(imports.defined(shown) if shown else ())


def _that_fit(tests: str, names: list[str], asked: str, context: Context) -> str | None:
    """A file of the first tests that fit together with the prompt; those that are too long by themselves are passed over."""

    def of(count: int) -> str:
        return surgery.cut(tests, names[:count].__contains__)

    if context.fits(asked, every := of(len(names))):
        return every
    fit, too_many = 0, len(names)
    while fit + 1 < too_many:
        middle = (fit + too_many) // 2
        fit, too_many = (middle, too_many) if context.fits(asked, of(middle)) else (fit, middle)
    if fit:
        return of(fit)
    return _that_fit(tests, names[1:], asked, context) if len(names) > 1 else None


def _known(tree: ast.Module) -> set[str]:
    """The fixtures that pytest has and the file defines."""
    defined = {
        n.name
        for n in ast.walk(tree)
        if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) and "fixture" in ast.dump(ast.Tuple(n.decorator_list))
    }
    return defined | _BUILT_IN_FIXTURES


def _asked(tree: ast.Module) -> dict[str, set[str]]:
    """For each test the parameters that no default and no parametrize of its own, its class's or the file's gives it."""
    marks = [n.value for n in tree.body if isinstance(n, ast.Assign) and "pytestmark" in surgery.bound(n)]
    found = {}
    for name, node, owner in surgery.tests_in(tree):
        args = node.args  # type: ignore[attr-defined]
        every = [*args.posonlyargs, *args.args]
        asked = {a.arg for a in every[: len(every) - len(args.defaults)]}
        decorators = [*node.decorator_list, *(owner.decorator_list if owner else []), *marks]  # type: ignore[attr-defined]
        given: set[str] = set()
        for mark in decorators:
            for n in ast.walk(mark):
                if isinstance(n, ast.Constant) and isinstance(n.value, str):
                    given |= {part.strip() for part in n.value.split(",")}
        found[name] = asked - given
    return found
