"""What a run is to do, before it is known where its files will lie: one test file, in view of one target."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from testing_crew.errors import UserMistake
from testing_crew.project.code import read_source
from testing_crew.project.imports import import_places, package_root, project_root
from testing_crew.project.layout import conftests_above, hides_library, module_file, pytest_settings, top_of, unit_range
from testing_crew.project.options import NO_OPTIONS, Options, project_options, python_path
from testing_crew.project.python import Interpreter, inspect_interpreter
from testing_crew.runner import sandbox as box
from trace_logger.records import CodeUnderTest

TEST_NAME = "test_generated.py"
_PYTEST = (
    "--verbosity=-1",
    "--tb=short",
    "--color=no",
    "--no-header",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:testing_crew",  # our own plugin, which would judge the run that judges
    "-o",
    "addopts=",
    "-o",
    "log_file=",
)
_DEFAULT_NAMES = ("-o", "python_functions=test", "-o", "python_classes=Test")


@dataclass(frozen=True)
class Plan:
    """A run that may be made many times, in many folders.

    ``files`` lie below the run's own folder, where the test is too unless ``test`` is an absolute path. ``target`` and
    ``root`` are None when they are the run's own. ``top`` is the folder in which the project's own runs are made; with
    ``in_place`` it bounds where ``conftest.py`` is looked for, else that is the run's own folder. ``path`` comes first in what
    can be imported, ``behind`` last. ``mode`` is an import mode of pytest's that holds whatever the project says.
    """

    code: CodeUnderTest
    interpreter: Interpreter
    files: Mapping[str, bytes]
    test: str
    tests: str
    target: Path | None
    root: Path | None
    beside: bool
    path: tuple[Path, ...] = ()
    behind: tuple[Path, ...] = ()
    top: Path | None = None
    in_place: bool = False
    mode: str | None = None
    settings: Path | None = None
    conftests: bool = False
    options: Options = NO_OPTIONS

    @cached_property
    def range(self) -> tuple[int, int] | None:
        """The unit's lines in its source; None for all of it."""
        return unit_range(self.code.source, self.code.unit)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """The paths that the run must be able to read, beside its own folder."""
        places = [*(p for p in (self.root, self.top, self.settings, self.target) if p is not None)]
        if self.top is not None and Path(self.test).is_relative_to(self.top):
            places.append(self.top / Path(self.test).relative_to(self.top).parts[0])  # where all of the top is too much
        elif (test := Path(self.test)).is_absolute():  # written elsewhere, with what lies beside it
            places.append(test if test.parent == Path.home() else test.parent)
        return box.needed_paths([*map(str, places), self.interpreter.executable, *self.interpreter.places])

    def place(self, work: Path) -> Placed:
        """The plan with ``work`` as the run's own folder."""
        top = self.top or work
        options = [*self.options.kept, *_PYTEST, "--rootdir", str(top)]
        options += ["--confcutdir", str(top if self.in_place else work), "-c", str(self.settings or os.devnull)]
        options += [f"--import-mode={self.mode}"] if self.mode else []
        options += () if self.in_place else _DEFAULT_NAMES
        path = [*([work] if self.beside else []), *self.path]
        return Placed(
            test=work / self.test,  # an absolute path stays what it is
            target=self.target or work / module_file(self.code.module),
            cwd=top,
            path=tuple(dict.fromkeys(map(str, path))),
            behind=tuple(map(str, self.behind)),
            options=tuple(options),
            late=self.options.late if self.in_place else (),
        )


@dataclass(frozen=True)
class Placed:
    """A plan in its place: ``options`` are pytest's, ``late`` those that it knows once it has loaded ``conftest.py`` files."""

    test: Path
    target: Path
    cwd: Path
    path: tuple[str, ...]
    behind: tuple[str, ...]
    options: tuple[str, ...]
    late: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """``wall_seconds`` bounds the whole run, and ``output_bytes`` is what is kept of stdout and stderr together.

    ``cpu_seconds``, ``memory_bytes`` and ``file_bytes`` (the size of one file) hold for each process of the run, as far as
    the system knows such a limit; ``processes`` is the number of processes and threads. In a sandbox, a run is also held to
    ``memory_bytes`` and ``processes`` by all of its processes together, root's too: looked at every 40 ms. ``disk_bytes``
    bounds all that a warm run in namespaces of its own writes; /dev/shm and temporary files are disk, though they lie in memory.
    ``pass_env`` names the variables of the environment that a run gets besides the few that it needs.
    """

    wall_seconds: float = 30
    cpu_seconds: int = 30
    memory_bytes: int = 2 * 1024**3
    output_bytes: int = 256 * 1024
    file_bytes: int = 64 * 1024**2
    processes: int = 128
    disk_bytes: int = 256 * 1024**2
    pass_env: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """The characters of a text from ``start`` to before ``end`` become ``new``, with as many line breaks.

    ``cases`` are the names of those that are run (None: all), which may take ``seconds``; where they pass, all are run.
    """

    start: int
    end: int
    new: str
    cases: frozenset[str] | None
    seconds: float

    @property
    def fields(self) -> tuple[Any, ...]:
        """All of it, in order, for JSON."""
        cases = None if self.cases is None else sorted(self.cases)
        return self.start, self.end, self.new, cases, self.seconds


@dataclass(frozen=True)
class Variation:
    """How one run of a plan differs from the plainest one.

    ``measure``: note coverage and claims. ``source``: the target's text, in memory, in place of its file's. ``form``: how that
    is taken: as it is, by other bytecode, or with a note of what leaves it (`inside.mutant`). ``only``: the names of the cases
    to run. ``stop_first``: end with the first failure. ``shuffle``: a seed for the order of the cases. ``wall_seconds``: less
    time than the limits give. ``survey``: a folder, of whose files is noted how many lines the cases run (`Execution.touched`).
    ``changes`` of ``source``, to be tried each in a fork of this run, at most ``jobs`` at once (`Runner.execute_changes`).
    """

    measure: bool = True
    source: str | None = None
    form: Literal["plain", "restated", "guarded"] = "plain"
    only: frozenset[str] | None = None
    stop_first: bool = False
    shuffle: int | None = None
    hash_seed: int = 0
    wall_seconds: float | None = None
    survey: str | None = None
    changes: tuple[Change, ...] = ()
    jobs: int = 1

    def settings(self, plan: Plan, placed: Placed, report: str) -> dict[str, Any]:
        """What the plugin in the child is told."""
        return {
            "report": report,
            "module": plan.code.module,
            "target": os.path.realpath(placed.target),
            "test": os.path.realpath(placed.test),
            "range": plan.range,
            "measure": self.measure,
            "source": self.source,
            "form": self.form,
            "only": None if self.only is None else sorted(self.only),
            "stop_first": self.stop_first,
            "shuffle": self.shuffle,
            "survey": None if self.survey is None else os.path.realpath(self.survey),
            "changes": [each.fields for each in self.changes],
            "jobs": self.jobs,
        }


PLAINEST = Variation()


def plan_text(code: CodeUnderTest, tests: str, files: Mapping[str, str] | None = None) -> Plan:
    """A run of the text ``tests`` against ``code``.

    ``files`` (relative path → text) are put beside the tests, before the project in what can be imported. Without them
    (None), code that stands in no file is written there under its module's name. Raises `UserMistake` for an interpreter, a
    root or a path that cannot be used.
    """
    interpreter = inspect_interpreter(code.interpreter)
    beside = dict(files or {})
    if files is None and code.path is None:
        beside = {module_file(code.module): code.source}
    root = _root(code)
    top = _top(root, code)
    settings = pytest_settings(top, interpreter.pytest) if top else None
    path, behind = _path(root, top, {*import_places(interpreter), *python_path(settings)})
    return Plan(
        code=code,
        interpreter=interpreter,
        files={**{_relative(name): _bytes(text) for name, text in beside.items()}, TEST_NAME: _bytes(tests)},
        test=TEST_NAME,
        tests=tests,
        target=Path(os.path.abspath(code.path)) if code.path else None,
        root=root,
        beside=bool(beside) or root is None,
        path=path,
        behind=behind,
        top=top,
        settings=settings,
        options=_options(settings, top, []) if top else NO_OPTIONS,
    )


def plan_file(test_path: Path, code: CodeUnderTest) -> Plan:
    """A run of a person's own test file where it stands, with its ``conftest.py`` and whatever its name.

    A file that pytest cannot import (its name does not end in ``.py``, or has another dot) is run from a copy, with copies of
    the ``conftest.py`` files above it. Raises `UserMistake` as `plan_text` does, and for a test file that is not there or cannot
    be read as Python.
    """
    test = Path(os.path.abspath(test_path))
    if not test.is_file():
        raise UserMistake(f"There is no test file at {test_path}.")
    interpreter = inspect_interpreter(code.interpreter)
    root = _root(code)
    settings = pytest_settings(test.parent, interpreter.pytest)
    top = top_of(root or test.parent, settings, test, project_root(test))
    options = _options(settings, top, conftests := conftests_above(test, top))
    files = {} if code.path else {module_file(code.module): _bytes(code.source)}
    name, mode = str(test), None
    bases = {
        package_root(file)[0] for file in (test, *conftests)
    }  # which pytest puts on the path itself, when it gets there
    more: list[Path] = []
    if test.suffix != ".py" or "." in test.stem:
        files |= {conftest.relative_to(top).as_posix(): conftest.read_bytes() for conftest in conftests}
        name = (test.parent.relative_to(top) / TEST_NAME).as_posix()
        files[name] = test.read_bytes()
        more = [package_root(test)[0]]
    elif test.stem == code.module.partition(".")[0]:
        mode = "importlib"  # as a module of that name it would hide the target
        more = [package_root(test)[0]]
    elif "--import-mode=importlib" in options.kept:
        bases = set()
    path, behind = _path(root, top, {*import_places(interpreter), *python_path(settings), *bases})
    return Plan(
        code=code,
        interpreter=interpreter,
        files=files,
        test=name,
        tests=read_source(test),
        target=Path(os.path.abspath(code.path)) if code.path else None,
        root=root,
        beside=code.path is None,
        path=tuple(dict.fromkeys([*path, *more])),
        behind=behind,
        top=top,
        in_place=True,
        mode=mode,
        settings=settings,
        conftests=bool(conftests),
        options=options,
    )


def _options(settings: Path | None, top: Path, conftests: list[Path]) -> Options:
    # pytest loads those in the top folder and in its folders of tests whatever the test file is
    return project_options(settings, top, [*conftests, *top.glob("conftest.py"), *top.glob("test*/conftest.py")])


def _path(root: Path | None, top: Path | None, reached: set[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """What comes first and last on the path: the top, as in ``python -m pytest``, and the root where nothing else leads there.

    A root whose modules would hide the standard library's comes last: a project's own run never begins with it.
    """
    if top is None or root is None:
        return (), ()
    if root == top or root.resolve() in reached:
        return (top,), ()
    return ((top,), (root,)) if hides_library(root) else ((top, root), ())


def _root(code: CodeUnderTest) -> Path | None:
    root = Path(os.path.abspath(code.root))
    if code.path is None and not (code.root and root.is_dir()):
        return None  # a snippet needs no project
    if not root.is_dir():
        raise UserMistake(f"There is no folder at {code.root}, which should be the root of {code.module}.")
    return root


def _top(root: Path | None, code: CodeUnderTest) -> Path | None:
    if root is None or code.path is None:
        return root
    top = project_root(Path(code.path))
    return top if root.is_relative_to(top) else root


def _relative(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts or os.path.isabs(path):
        raise UserMistake(f"A file of a run must have a relative path inside its folder, not {path!r}.")
    return "/".join(parts)


def _bytes(text: str) -> bytes:
    # Lone surrogates in a model's answer become bytes that Python refuses, which is the truth about such a file.
    return text.encode("utf-8", "surrogatepass")
