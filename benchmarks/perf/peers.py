"""What other tools for mutants say of a module, and how fast: ``testing-crew check``, mutmut, pytest-gremlins, cosmic-ray.

Each runs as its users run it: whole processes, all of its default mutants, one test file, a copy of the project that it has not
seen before, two workers where it can have them. Rates are mutants with a fate for each second of wall time.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from testing_crew.project.imports import package_root

VERSIONS = {"mutmut": "3.8.1", "pytest-gremlins": "1.12.2", "cosmic-ray": "8.7.0"}
MOST_SECONDS = 3600.0  # of one run of a tool


@dataclass(frozen=True)
class Answer:
    """What one run of a tool said: how many mutants met each fate, and the seconds of wall time.

    ``killed`` is by a test that fails for any reason; ``no_tests``: survived since no test runs it, and not run. ``other`` are
    those without a difference and those that the tool could not try. ``of`` are all that it would have tried, where only a
    sample was; ``search`` the part of ``seconds`` that finding them took, which a sample does not make shorter. ``trouble`` is
    why there is no answer.
    """

    killed: int = 0
    survived: int = 0
    timed_out: int = 0
    no_tests: int = 0
    other: int = 0
    seconds: float = 0.0
    of: int | None = None
    search: float = 0.0
    note: str = ""
    trouble: str = ""

    @property
    def tried(self) -> int:
        return self.killed + self.survived + self.timed_out + self.no_tests + self.other

    @property
    def score(self) -> float | None:
        """The share of 1 that was noticed, of those that could be; None where there were none."""
        known = self.tried - self.other
        return (self.killed + self.timed_out) / known if known else None

    @property
    def rate(self) -> float | None:
        """Mutants a second; of a sample, what all would have had. None without mutants."""
        if not self.tried:
            return None
        share = self.tried / self.of if self.of else 1.0
        return self.tried / (self.seconds - self.search * (1 - share))

    def __str__(self) -> str:
        if self.trouble or self.rate is None or self.score is None:
            return f"no answer: {self.trouble or 'no mutants'}"
        whole = f"a sample of {self.tried} of its {self.of} mutants" if self.of else f"{self.tried} mutants"
        fates = f"{self.killed} killed, {self.survived} survived, {self.timed_out} timeout, {self.no_tests} no tests"
        other = f", {self.other} other" if self.other else ""
        said = (
            f"{whole}: {fates}{other}; score {self.score:.1%}; {self.seconds:.1f} s, {self.rate:.2f} mutants a second"
        )
        notes = [self.note] if self.note else []
        if not (self.killed or self.timed_out or self.of):
            notes.append("none killed: it does not take effect on this layout")
        return "; ".join([said, *notes])


class Tool(Protocol):
    """One tool. ``run`` is given a copy of a project of its own, and the module and its test file relative to it."""

    name: str

    def run(self, project: Path, target: Path, tests: Path) -> Answer: ...


def scripts_of(tool: str, folder: Path) -> Path:
    """The folder of the programs of ``tool`` in a virtual environment of its own under ``folder``; made where it is missing."""
    home = folder.resolve() / tool
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        wanted = [f"{tool}=={VERSIONS[tool]}", f"pytest=={version('pytest')}"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
    asked = [str(python), "-c", f"import importlib.metadata as m; print(m.version({tool!r}))"]
    found = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    assert found == VERSIONS[tool], f"{home} has {tool} {found}; {VERSIONS[tool]} is wanted: remove the folder"
    return python.parent


def environment(*paths: Path) -> dict[str, str]:
    """Ours for a tool, with ``paths`` to import from and nothing else; bytecode is written, as it is by default."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, **({"PYTHONPATH": os.pathsep.join(map(str, paths))} if paths else {})}


def timed(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> tuple[Any, float]:
    """What became of a process, and the seconds of wall time that it took."""
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=MOST_SECONDS
    )
    return done, time.perf_counter() - began


def last_words(done: Any) -> str:
    """The last line that says something, of what a process said."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", f"{done.stdout}\n{done.stderr}")]
    said = [line for line in lines if re.search(r"\w\w", line)]
    return f"exit status {done.returncode}, {said[-1] if said else 'nothing said'}"


def place(target: Path, tests: Path) -> tuple[Path, Path, Path]:
    """The folder of the project of a module and its test file, absolute, and both relative to it."""
    tops = [target.parent, tests.parent, package_root(target)[0], package_root(tests)[0]]
    project = Path(os.path.commonpath(tops))
    return project, target.relative_to(project), tests.relative_to(project)


def copied(project: Path, folder: Path) -> Path:
    """A copy of ``project`` in ``folder``, without what earlier runs left in it."""
    left_out = shutil.ignore_patterns("__pycache__", ".git", ".pytest_cache", "mutants", ".coverage*")
    return Path(shutil.copytree(project, folder / project.name, ignore=left_out))


def compare(
    tools: Sequence[Tool], target: Path, tests: Path, pairs: int, tell: Callable[[str], None]
) -> dict[str, list[Answer]]:
    """``pairs`` answers of each of ``tools`` on one module, by its name, in turn, so that all meet the same load.

    Each gets a copy of the project with its bytecode, as after a run of the tests; ``tell`` hears of each answer.
    """
    project, module, file = place(target, tests)
    answers: dict[str, list[Answer]] = {tool.name: [] for tool in tools}
    with tempfile.TemporaryDirectory() as folder:
        first = copied(project, Path(folder) / "first")
        plain = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
        timed(plain, first, environment(package_root(first / module)[0]))[0].check_returncode()
        for number in range(pairs):
            for tool in tools:
                copy = Path(shutil.copytree(first, Path(folder) / f"{tool.name}-{number}" / project.name))
                answers[tool.name].append(tool.run(copy, module, file))
                tell(f"{project.name}/{module.as_posix()}, {tool.name}: {answers[tool.name][-1]}")
                shutil.rmtree(copy.parent)
    return answers


def ratios(ours: Sequence[Answer], theirs: Sequence[Answer]) -> list[float]:
    """How many times as many mutants a second we try, for each pair of runs in which both had an answer."""
    pairs = (
        (one.rate, other.rate) for one, other in zip(ours, theirs, strict=True) if not (one.trouble or other.trouble)
    )
    return [one / other for one, other in pairs if one and other]


def spread(found: Sequence[float]) -> str:
    """``3.21 (n = 3, 3.01 to 3.40)``: the median, how many there are, the least and the greatest."""
    if not found:
        return "no pair of runs with an answer from both"
    return f"{statistics.median(found):.2f} (n = {len(found)}, {min(found):.2f} to {max(found):.2f})"


def against(
    tools: Sequence[Tool], files: Sequence[tuple[Path, Path]], pairs: int, tell: Callable[[str], None]
) -> tuple[dict[str, float], dict[str, Any]]:
    """The figures and the details of the first of ``tools`` against each of the others, over pairs of a module and its tests."""
    ours, *theirs = (tool.name for tool in tools)
    found: dict[str, list[float]] = {name: [] for name in theirs}
    details: dict[str, Any] = {}
    for target, tests in files:
        answers = compare(tools, target, tests, pairs, tell)
        module = f"{target.parent.name}/{target.name}"
        details |= {f"{module}, {name}": [str(each) for each in said] for name, said in answers.items()}
        for name, kept in found.items():
            each = ratios(answers[ours], answers[name])
            details[f"{module}, mutants a second against {name}"] = spread(each)
            kept += each
    details |= {f"all modules, against {name} {VERSIONS[name]}": spread(each) for name, each in found.items()}
    return {
        f"mutants_per_second_vs_{name.replace('-', '_')}": statistics.median(each)
        for name, each in found.items()
        if each
    }, details
