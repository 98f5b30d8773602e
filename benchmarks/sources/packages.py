"""Real packages: the functions and classes of pinned packages from PyPI, where they stand.

They are installed once, without what they depend on, into a folder of the workspace; pip fetches them, and nothing is sent.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.task import Outcome, Task
from testing_crew import TestingCrew
from testing_crew.errors import UserMistake
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.layout import unit_range
from testing_crew.project.targets import file_target
from testing_crew.repair.job import Job
from testing_crew.runner.plan import plan_file
from testing_crew.runner.run import Runner
from trace_logger.workspace import workspace

_SUITES: dict[Path, frozenset[int] | None] = {}
_LOCK = threading.Lock()
PACKAGES = Path(__file__).parents[1] / "real_packages.toml"


class Package(BaseModel):
    """A pinned package, and the files of it that are worked on, by their paths below the import root."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    modules: tuple[str, ...]

    @property
    def pin(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    package: tuple[Package, ...]


def read(path: Path = PACKAGES) -> tuple[Package, ...]:
    """The packages of a file like the one that ships. Raises UserMistake where it is none."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return _File.model_validate(tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()).package
    except OSError as error:
        raise UserMistake(f"{path} cannot be read: {error.strerror or error}") from None
    except (TOMLKitError, ValidationError, UnicodeDecodeError) as error:
        raise UserMistake(f"{path} is no list of packages: {error}", hint=f"see {PACKAGES}") from None


def load(path: Path | None, say: Callable[[str], None]) -> list[Task]:
    """A task for each function and class of the packages' modules; its group is the module.

    Raises UserMistake where a package or a module of it cannot be had.
    """
    packages = read(path or PACKAGES)
    site = installed(packages, say)
    tasks = []
    for package in packages:
        for name in package.modules:
            file = site / name
            if not file.is_file():
                raise UserMistake(f"{package.pin} has no {name}")
            for unit in file_target(file, interpreter_for(None, file)).units:
                key = f"{name}::{unit.unit}"
                tasks.append(Task(id=key, code=unit.source, file=str(file), unit=unit.unit, group=name))
    return tasks


def judge(crew: TestingCrew, task: Task, outcome: Outcome, job: Job) -> dict[str, float]:
    """``reached``: line coverage gained over nothing, 0 where no file was accepted. ``over_suite``: of the unit's lines that the
    package's own tests do not reach, the share that the accepted file does; where the package ships tests, and they miss some.
    """
    accepted = any(attempt.accepted for attempt in outcome.kept)
    if accepted and outcome.coverage is None:  # an enum, a record: no line of it could be reached
        return {}
    figures = {"reached": outcome.coverage or 0.0}
    missed = missed_by_suite(crew.runner, Path(task.file))
    lines = unit_range(task.code, task.unit)
    if missed is None or lines is None or not (left := {n for n in missed if lines[0] <= n <= lines[1]}):
        return figures
    kept = [attempt for attempt in outcome.kept if attempt.accepted]
    gained = left - set(kept[0].run.coverage.missed_lines) if kept else set()
    return figures | {"over_suite": len(gained) / len(left)}


def missed_by_suite(runner: Runner, file: Path) -> frozenset[int] | None:
    """The lines of a module that the tests beside it, where its package is installed, leave out; None where there are no tests.

    All files of tests are run that name the module, each by itself.
    """
    with _LOCK:
        if file not in _SUITES:
            top = file.parent
            while (top.parent / "__init__.py").is_file():
                top = top.parent
            about = [
                test
                for test in sorted(top.rglob("test*.py"))
                if file.stem in test.read_text(encoding="utf-8", errors="replace")
            ]
            _SUITES[file] = _missed(runner, file, about) if (top / "__init__.py").is_file() else None
        return _SUITES[file]


def _missed(runner: Runner, file: Path, tests: Sequence[Path]) -> frozenset[int] | None:
    whole = file_target(file, interpreter_for(None, file)).whole
    runs = [runner.execute(plan_file(test, whole)).run for test in tests]
    missed = [frozenset(run.coverage.missed_lines) for run in runs if run.coverage.line is not None]
    return frozenset.intersection(*missed) if missed else None


def installed(packages: Sequence[Package], say: Callable[[str], None]) -> Path:
    """The folder that they are importable from; pip makes it the first time. Raises UserMistake where pip cannot."""
    pins = [package.pin for package in packages]
    site = workspace() / "benchmarks" / f"site-{hashlib.sha256(' '.join(sorted(pins)).encode()).hexdigest()[:12]}"
    if site.is_dir():
        return site
    say(f"pip fetches {len(pins)} packages to {site}")
    try:
        site.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=site.parent, prefix=".site-"))
    except OSError as error:
        raise UserMistake(
            f"{site.parent} cannot be written: {error.strerror}", hint="set TESTING_CREW_HOME to another folder"
        ) from None
    try:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*command, "--target", str(made), *pins], capture_output=True, text=True, check=False)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise UserMistake(
                f"pip could not fetch the packages: {(said or ['it did not say why'])[-1]}",
                hint=f"they are listed in {PACKAGES}; --tasks FILE takes another list of that form",
            )
        made.rename(site)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return site
