"""Coverage of the unit: lines of function bodies only, with coverage.py and without."""

from __future__ import annotations

import shutil
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing_crew.project.layout import pytest_settings, top_of, unit_range
from testing_crew.runner.inside.watch.lines import Body
from testing_crew.runner.run import Runner

if TYPE_CHECKING:
    from conftest import Project

TARGET = '''\
"""A module."""
import enum
from functools import lru_cache

FACTOR = 2


@lru_cache(maxsize=None)
def grade(score, *, scale=FACTOR):
    """A grade.

    In words.
    """
    found: str
    if score < 0:
        raise ValueError(
            "negative"
        )
    try:
        score = int(score)
    except TypeError:
        return None
    match score:
        case 0:
            return "none"
        case _:
            pass
    return "good" if score > 5 else "fair"


def one(x): return x


@lru_cache
def two(x): return [
    x]


class Colour(enum.Enum):
    RED = 1


class Box:
    """A box."""

    lid = True

    def open(self):
        return self.lid

    def close(self):
        def inner():
            return 1

        return inner
'''


@pytest.fixture
def without_coverage(tmp_path: Path) -> str:
    """An interpreter with pytest and nothing else."""
    venv.create(tmp_path / "env", symlinks=True, with_pip=False)
    (packages,) = (tmp_path / "env").glob("lib/python*/site-packages")
    ours = Path(pytest.__file__).parent.parent
    for name in (
        "pytest",
        "pytest-[0-9]*",
        "_pytest",
        "pluggy",
        "iniconfig",
        "packaging",
        "pygments",
        "exceptiongroup",
        "tomli",
        "py.py",
    ):
        for found in ours.glob(name):
            if found.is_dir():
                shutil.copytree(found, packages / found.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(found, packages)
    return str(tmp_path / "env" / "bin" / "python")


def lines(text: str, *wanted: str) -> tuple[int, ...]:
    return tuple(n for n, line in enumerate(text.splitlines(), 1) if line.strip() in wanted)


def test_only_function_bodies_count(project: Project, runner: Runner) -> None:
    project.write("target.py", TARGET)
    tests = "import target\ndef test_a():\n    assert target.grade(7) == 'good'\n    assert target.Box().open()\n"
    run = runner.run(project.code("target", "grade"), tests)
    missed = lines(TARGET, "raise ValueError(", "except TypeError:", "return None", 'return "none"')
    assert run.coverage.missed_lines == missed
    assert run.coverage.line is not None
    assert 0.5 < run.coverage.line < 1
    assert run.coverage.branch == 0.5
    assert {arc[0] for arc in run.coverage.missed_branches} == set(lines(TARGET, "if score < 0:", "case 0:"))
    whole = runner.run(project.code("target", None), tests)
    assert set(missed) < set(whole.coverage.missed_lines)
    assert not set(lines(TARGET, "FACTOR = 2", "RED = 1", "lid = True", "def open(self):")) & set(
        whole.coverage.missed_lines
    )
    assert set(lines(TARGET, "def one(x): return x", "def two(x): return [")) <= set(whole.coverage.missed_lines)


UNITS: list[tuple[str, str, float | None]] = [
    ("one", "1", 0.0),
    ("one", "target.one(1)", 1.0),
    ("two", "target.two(1)", 1.0),
    ("Colour", "target.Colour.RED", None),
    ("Box.close", "target.Box().close()", 2 / 3),
]


def test_units_of_every_shape(project: Project, quick: Runner, pool: ThreadPoolExecutor) -> None:
    project.write("target.py", TARGET)

    def measured(case: tuple[str, str, float | None]) -> tuple[str, float | None]:
        unit, call, _ = case
        run = quick.run(project.code("target", unit), f"import target\ndef test_a():\n    assert {call}\n")
        return run.verdict, run.coverage.line

    assert list(pool.map(measured, UNITS)) == [("passed", expected) for _, _, expected in UNITS]


def test_lines_without_coverage_py(project: Project, runner: Runner, without_coverage: str) -> None:
    project.write("target.py", TARGET)
    tests = (
        "import pytest, target\n"
        "def test_a():\n"
        "    with pytest.raises(ValueError):\n"
        "        target.grade(-1)\n"
        "    assert target.grade(7) == 'good'\n"
    )
    run = runner.run(project.code("target", "grade", interpreter=without_coverage), tests)
    assert run.verdict == "passed", run.log
    assert run.coverage.missed_lines == lines(TARGET, "except TypeError:", "return None", 'return "none"')
    assert run.coverage.branch is None
    assert run.asserted_lines == (3, 5)


def test_a_file_that_imports_nothing_covers_nothing(project: Project, runner: Runner) -> None:
    run = runner.run(project.code(), "def test_a():\n    assert 1 + 1 == 2\n")
    assert (run.verdict, run.coverage.line, run.target_origin) == ("passed", 0.0, None)


def test_body_lines_without_a_run(tmp_path: Path) -> None:
    path = tmp_path / "target.py"
    path.write_text(TARGET)
    body = Body(str(path), *(unit_range(TARGET, "grade") or (None, None)))
    shown = {line.strip() for n, line in enumerate(TARGET.splitlines(), 1) if n in body.statements}
    assert "found: str" not in shown
    assert "In words." not in shown
    assert {"if score < 0:", "case 0:", "except TypeError:", "pass"} <= shown
    assert Body(str(path), *(unit_range(TARGET, "Colour") or (0, 0))).statements == {}


def test_unit_range() -> None:
    source = "if True:\n    def f():\n        pass\nelse:\n    f = None\nclass A:\n    def f(self):\n        pass\n"
    assert unit_range(source, "A.f") == (7, 8)
    assert unit_range(source, "f") == (5, 5)
    assert unit_range(source, "A.g") is None
    assert unit_range(source, None) is None
    assert unit_range("def (", "f") is None


def test_settings_are_found_in_the_project_only(tmp_path: Path) -> None:
    inner = tmp_path / "src" / "pkg"
    inner.mkdir(parents=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert pytest_settings(inner, "8.0.0") == tmp_path / "pytest.ini"
    (tmp_path / "src" / "pyproject.toml").write_text("[project]\n")
    assert pytest_settings(inner, "8.0.0") is None
    (tmp_path / "src" / "pyproject.toml").write_text("[project]\n[tool.pytest]\n")
    assert pytest_settings(inner, "9.0.0") == tmp_path / "src" / "pyproject.toml"
    assert top_of(tmp_path / "src", None, tmp_path / "tests" / "test_a.py", tmp_path / "src") == tmp_path
    assert top_of(Path("/usr"), None, tmp_path / "test_a.py", Path("/usr")) == tmp_path
