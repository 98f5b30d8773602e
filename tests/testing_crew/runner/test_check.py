"""A person's own test file, run where it stands."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing_crew.gate.text import judge
from testing_crew.runner.failures import failure_log
from testing_crew.runner.run import Runner

if TYPE_CHECKING:
    from conftest import Project

TESTS = """\
import pathlib
from mathx import add
from helper import three


def test_a(one):
    assert add(one, 2) == three
"""
CONFTEST = "import pytest\n@pytest.fixture\ndef one():\n    return 1\n"


@pytest.mark.parametrize("name", ["1 name-at all.py", "any.name.py", "checks.txt", "mathx.py"])
def test_any_file_name(project: Project, runner: Runner, name: str) -> None:
    project.write("tests/conftest.py", CONFTEST)
    project.write("tests/helper.py", "three = 3\n")
    path = project.write(f"tests/{name}", TESTS)
    code = project.code()
    before = sorted(project.root.rglob("*"))
    run = runner.check(path, code)
    assert run.verdict == "passed", run.log
    assert run.coverage.line == 1.0
    assert run.asserted_lines == (7,)
    assert judge(code, TESTS, run) == (True, ())
    assert sorted(project.root.rglob("*")) == before


def test_a_project_with_a_source_folder(project: Project, runner: Runner) -> None:
    project.write("pyproject.toml", "[tool.pytest.ini_options]\nmarkers = ['slow']\naddopts = '--strict-markers -x'\n")
    project.write("src/pkg/__init__.py", "")
    project.write("src/pkg/sums.py", "def add(a, b):\n    return a + b\n")
    project.write("conftest.py", CONFTEST)
    project.write("data.txt", "3")
    text = (
        "import pathlib, pytest\n"
        "from pkg.sums import add\n"
        "@pytest.mark.slow\n"
        "def test_a(one):\n"
        "    assert add(one, 2) == int(pathlib.Path('data.txt').read_text())\n"
    )
    path = project.write("tests/unit/test_sums.py", text)
    code = project.code().model_copy(
        update={
            "module": "pkg.sums",
            "path": str(project.root / "src/pkg/sums.py"),
            "root": str(project.root / "src"),
            "source": "def add(a, b):\n    return a + b\n",
        }
    )
    run = runner.check(path, code)
    assert run.verdict == "passed", run.log
    assert judge(code, text, run) == (True, ())


def test_passing_assertions_are_not_explained(project: Project, runner: Runner) -> None:
    """pytest computes no repr for an assertion that holds, and neither do we: a repr may do anything."""
    text = (
        "from mathx import add\n"
        "class Counter:\n"
        "    shown = 0\n"
        "    def __repr__(self):\n"
        "        Counter.shown += 1\n"
        "        return 'x'\n"
        "def test_a():\n"
        "    one = Counter()\n"
        "    assert add([one], [one]) == [one, one]\n"
        "    assert Counter.shown == 0\n"
    )
    run = runner.check(project.write("test_shown.py", text), project.code())
    assert (run.verdict, run.asserted_lines) == ("passed", (9, 10)), run.log


def test_a_unittest_file(project: Project, runner: Runner) -> None:
    text = (
        "import unittest\n"
        "from mathx import Stack\n"
        "class StackTest(unittest.TestCase):\n"
        "    def setUp(self):\n"
        "        self.stack = Stack()\n"
        "    def test_push(self):\n"
        "        self.stack.push(1)\n"
        "        self.assertEqual(self.stack.items, [1])\n"
        "    def test_pop(self):\n"
        "        with self.assertRaises(IndexError):\n"
        "            self.stack.pop()\n"
    )
    path = project.write("test_stack.py", text)
    code = project.code(unit="Stack")
    run = runner.check(path, code)
    assert run.verdict == "passed", run.log
    assert run.asserted_lines == (8, 10)
    assert judge(code, text, run) == (True, ())


PARALLEL = """\
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def square(x):
    return x * x


def squares(xs, method):
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        return list(pool.map(square, xs))
"""
PARALLEL_TEST = """\
import subprocess, sys, time
from multiprocessing import get_context
import pytest
from parallel import squares


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_squares(method):
    assert squares([1, 2, 3], method) == [1, 4, 9]


def test_a_program():
    said = subprocess.run([sys.executable, "-c", "import parallel; print(parallel.square(3))"], capture_output=True)
    assert said.stdout == b"9\\n"


def test_one_that_stays():
    process = get_context("spawn").Process(target=time.sleep, args=(600,), daemon=True)
    process.start()
    assert process.is_alive()
"""


def test_processes_that_import_their_parents_code_anew(project: Project, runner: Runner) -> None:
    project.write("parallel.py", PARALLEL)
    run = runner.check(project.write("test_parallel.py", PARALLEL_TEST), project.code("parallel", None))
    assert run.verdict == "passed", run.log
    assert _processes_that_know(project.root) == []


def _processes_that_know(folder: Path) -> list[str]:
    """The processes in whose environment ``folder`` stands."""
    found = []
    for process in Path("/proc").glob("[0-9]*") if sys.platform == "linux" else ():
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
    return found


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("conftest.py", "import nowhere_to_be_found\n", ["conftest.py:1", "No module named 'nowhere_to_be_found'"]),
        ("conftest.py", "def f(:\n", ['conftest.py", line 1', "SyntaxError: invalid syntax"]),
        ("conftest.py", "raise SystemExit('not without a database')\n", ["not without a database"]),
        ("conftest.py", "def pytest_configure():\n    raise ValueError('mine')\n", ["line 2", "ValueError: mine"]),
        ("pytest.ini", "[pytest]\nrequired_plugins = pytest-no-such>=3\n", ["required plugins: pytest-no-such>=3"]),
    ],
)
def test_what_pytest_says_last_is_told(project: Project, quick: Runner, file: str, text: str, said: list[str]) -> None:
    project.write(file, text)
    run = quick.check(project.write("test_sums.py", "def test_a():\n    assert True\n"), project.code())
    assert run.verdict in ("error", "crashed")
    for words in said:
        assert words in failure_log(run)
