"""Which test files there are, and which modules each of them is about: by what it imports, and by what its cases run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

from testing_crew.check import plan_of
from testing_crew.errors import UserMistake
from testing_crew.gate.reasons import VERDICTS
from testing_crew.project.imports import imports_of, is_test, project_files, project_root
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.layout import pytest_settings
from testing_crew.project.options import setting
from testing_crew.project.python import probe
from testing_crew.project.syntax import UNREADABLE, parse
from testing_crew.runner.failures import failure_log, last_words
from testing_crew.runner.plan import Variation
from testing_crew.runner.run import Runner
from testing_crew.suite.reading.importers import names_of, relative_imports
from testing_crew.suite.reading.settings import USUAL_FILES

MOST_MODULES = 3  # that one test file is judged against
MOST_FILES = 2000  # that `project_files` gives at most
ABOUT_NOTHING = (
    "it is about no module of the project: it imports none, and its cases run no line of one",
    "import the code and call it; or name the code with --target",
)
"""What is wrong with such a test file, and what mends it."""

_NO_MODULES = {"setup.py", "noxfile.py", "fabfile.py"}  # what builds a project and what automates it
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Survey:
    """What one measured run of a test file showed.

    ``touched``: the real path of each file of the project that it imported → how many of its lines the cases ran. ``trouble``
    says why there was nothing to see, and ``hint`` what mends it.
    """

    touched: Mapping[str, int] = field(default_factory=dict)
    trouble: str = ""
    hint: str = ""


def test_files(paths: Sequence[Path], interpreter: str | None) -> list[Path]:
    """The test files among ``paths``, resolved, each once: a file as it is, of a folder those that pytest would collect by name.

    Of a folder are left out environments, hidden folders, what is built and what pytest's ``norecursedirs`` names. Raises
    `UserMistake` for a path that is not there, and where there is no test file at all.
    """
    found: dict[Path, None] = {}
    names: tuple[str, ...] = ()
    for path in paths:
        if path.is_file():
            found[path.resolve()] = None
            continue
        if not path.is_dir():
            raise UserMistake(f"no such file or folder: {path}", hint="name test files, or folders with test files")
        top = path.resolve()
        names, skipped = _collected(top, interpreter)
        for file in _python_files(top, "name the folders of tests in it one by one"):
            inner = file.relative_to(top)
            if any(fnmatch(part, pattern) for part in inner.parts[:-1] for pattern in skipped):
                continue
            if any(fnmatch(file.name, pattern) for pattern in names):
                found[file] = None
    if not found:
        told = " and ".join(map(str, paths))
        raise UserMistake(
            f"there is no test file in {told}: none is named {' or '.join(names)}",
            hint="name the files themselves, or have some written: testing-crew write FILE",
        )
    return list(found)


test_files.__test__ = False  # type: ignore[attr-defined]  # pytest collects what is so named where it is imported


def _collected(folder: Path, interpreter: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The patterns of names of test files, and of folders that pytest does not go into."""
    settings = pytest_settings(folder, version_of(folder, interpreter))
    names = setting(settings, "python_files") or USUAL_FILES
    return tuple(names), tuple(setting(settings, "norecursedirs"))


def version_of(folder: Path, interpreter: str | None) -> str:
    """The version of the pytest that runs the tests in ``folder``."""
    return probe(interpreter_for(interpreter, folder / "x.py").path).pytest or "8"


def modules_in(place: Path, tests: Iterable[Path] = ()) -> list[Path]:
    """The modules that tests may be about: the file ``place``, or those of that folder, without ``tests`` and their helpers.

    Raises `UserMistake` for a place that is not there, or is no Python.
    """
    if place.is_file():
        if place.suffix not in (".py", ".pyw"):
            raise UserMistake(f"{place} is no Python file", hint="--target is a Python file, or a folder of them")
        return [place.resolve()]
    if not place.is_dir():
        raise UserMistake(f"no such file or folder: {place}", hint="--target is a Python file, or a folder of them")
    folder = place.resolve()
    top = project_root(folder / "x.py")
    left_out = set(tests)
    found = [
        file
        for file in _python_files(folder, "name the code that the tests are about: --target FOLDER")
        if file not in left_out and not is_test(file, top) and file.name not in _NO_MODULES
    ]
    if not found:
        raise UserMistake(
            f"there is no module in {place}", hint="--target FILE or FOLDER: the code that the tests are about"
        )
    return found


def _python_files(folder: Path, mend: str) -> list[Path]:
    found = project_files(folder)
    if len(found) >= MOST_FILES:
        raise UserMistake(f"{folder} holds {MOST_FILES} Python files or more, which is too many at once", hint=mend)
    return found


def has_functions(module: Path) -> bool:
    """Whether the file defines a function or a method; False for one that cannot be read."""
    try:
        return _has_functions(module, module.stat().st_mtime_ns)
    except OSError:
        return False


@lru_cache(maxsize=4000)
def _has_functions(module: Path, changed: int) -> bool:
    try:
        return any(isinstance(node, _FUNCTIONS) for node in ast.walk(parse(module.read_bytes())))
    except UNREADABLE:
        return False


def survey(test: Path, modules: Sequence[Path], top: Path, runner: Runner, interpreter: str | None = None) -> Survey:
    """Run ``test`` once and see which files below the folder ``top`` its cases run; ``modules`` are those that count there.

    What keeps the file from being run, or collected, is told as ``trouble``. Raises `SandboxError` when nothing could be run.
    """
    near = by_imports(test, modules)
    try:
        plan, python = plan_of(test, (near or list(modules))[0], interpreter)
    except UserMistake as mistake:
        return Survey(trouble=mistake.message, hint=mistake.hint or "")
    seen = runner.execute(plan, Variation(survey=str(top)))
    cases = seen.run.cases
    if seen.run.verdict == "error" and all(case.phase == "collect" for case in cases):
        said = "; ".join(last_words(seen.run.log))  # where it did not come to the file: a conftest.py, an option
        if cases:
            said = failure_log(seen.run).partition("\n")[0].removeprefix("collection: ")
        name = test.relative_to(plan.top) if plan.top and test.is_relative_to(plan.top) else test
        return Survey(
            trouble=f"pytest could not collect it: {said or VERDICTS['error']}",
            hint=f"see `{python.path} -m pytest {name}`; what it needs must be installed in that Python",
        )
    return Survey(touched=dict(seen.touched))


def by_imports(test: Path, modules: Sequence[Path]) -> list[Path]:
    """Those of ``modules`` that ``test`` imports by name, or is named after; the likeliest first.

    Names are compared from every folder that a module may be imported from; relative imports count by the file's place.
    """
    imported = imports_of(test)
    beside = relative_imports(test)
    found = [
        module
        for module in modules
        if is_named_after(test, module)
        or module in beside
        or not imported.isdisjoint(names_of(module, project_root(module)))
    ]
    return sorted(found, key=lambda module: (not is_named_after(test, module), module.name == "__init__.py"))


def about(test: Path, modules: Sequence[Path], touched: Mapping[str, int]) -> list[Path]:
    """Which of ``modules`` the file ``test`` is about, the likeliest first, at most `MOST_MODULES`.

    First those that it imports or is named after and whose lines its cases ran (``touched``, as in `Survey`); where there are
    none, those that they only reach by way of others, the one of which they run most first. A module of which nothing runs
    (constants) counts where nothing else does. A package's ``__init__`` that only hands on names does not count.
    """
    named = by_imports(test, modules)
    ran = {module: lines for module in modules if (lines := touched.get(str(module), 0)) and not _hands_on(module)}
    direct = [module for module in named if module in ran]
    direct.sort(key=lambda module: (not is_named_after(test, module), -ran[module]))
    reached = sorted(ran, key=lambda module: -ran[module])
    return (direct or reached or named)[:MOST_MODULES]


def is_named_after(test: Path, module: Path) -> bool:
    """Whether the file name of ``test`` says ``module``: test_rates.py, or rates_test.py, for rates.py or the package rates."""
    stem = test.stem
    named = stem.removeprefix("test_") if stem.startswith("test_") else stem.removesuffix("_test")
    own = module.parent.name if module.name == "__init__.py" else module.stem
    return named.strip("_") == own.strip("_") != ""


def package_of(module: Path) -> Path:
    """The folder of the outermost package that ``module`` is of; its own folder where it is of none."""
    folder = module.parent
    while (folder.parent / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _hands_on(module: Path) -> bool:
    return module.name == "__init__.py" and not has_functions(module)
