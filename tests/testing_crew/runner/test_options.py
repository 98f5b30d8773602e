"""The project's own pytest options hold in every run, but for those that cannot, which are named."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing_crew.project.options import project_options
from testing_crew.project.targets import file_whole
from testing_crew.runner.failures import failure_log
from testing_crew.runner.plan import plan_file, plan_text
from testing_crew.runner.run import Runner

if TYPE_CHECKING:
    from conftest import Project


@pytest.mark.parametrize(
    ("addopts", "kept", "left_out"),
    [
        ("-W error -ra", "-W error -ra", ""),
        ("-m 'not network' --strict-markers", "-m|not network|--strict-markers", ""),
        (
            "-p no:randomly -p tests.fixtures --asyncio-mode=auto",
            "-p no:randomly -p tests.fixtures --asyncio-mode=auto",
            "",
        ),
        ("-n auto --dist loadfile -v", "-v", "-n auto|--dist loadfile"),
        ("-n4 -q -vn2", "-q", "-n4|-vn2"),
        (
            "--cov=pkg --cov-report term-missing --cov tests --cov-branch -l",
            "-l",
            "--cov=pkg|--cov-report term-missing|--cov tests|--cov-branch",
        ),
        ("-xvs --maxfail=1 --lf --junitxml=a.xml", "-vs", "-x|--maxfail=1|--lf|--junitxml=a.xml"),
        ("--doctest-modules tests --ignore tests/old", "--doctest-modules --ignore tests/old", ""),
        ("--ds conf.settings --env staging", "--ds conf.settings", ""),
    ],
)
@pytest.mark.parametrize("form", ["toml", "toml list", "native toml", "ini", "setup.cfg"])
def test_which_are_kept(tmp_path: Path, addopts: str, kept: str, left_out: str, form: str) -> None:
    name, text = {
        "toml": ("pyproject.toml", f'[tool.pytest.ini_options]\naddopts = "{addopts}"\n'),
        "toml list": ("pyproject.toml", f"[tool.pytest.ini_options]\naddopts = {shlex.split(addopts)}\n"),
        "native toml": ("pytest.toml", f"[pytest]\naddopts = {shlex.split(addopts)}\n"),
        "ini": ("tox.ini", f"[pytest]\naddopts =\n    {addopts}\n"),
        "setup.cfg": ("setup.cfg", f"[tool:pytest]\naddopts = {addopts}\n"),
    }[form]
    (tmp_path / name).write_text(text)
    (tmp_path / "tests").mkdir()
    conftest = tmp_path / "tests" / "conftest.py"
    conftest.write_text("def pytest_addoption(parser):\n    parser.addoption('--env', default='')\n")
    found = project_options(tmp_path / name, tmp_path, [conftest])
    assert found.kept == tuple(kept.split("|") if "|" in kept else kept.split())
    assert found.left_out == tuple(left_out.split("|") if left_out else ())
    assert found.late == (("--env", "staging") if "--env" in addopts else ())
    assert found.paths == (("tests",) if "--doctest-modules" in addopts else ())


WARNS = "import warnings\n\n\ndef add(a, b):\n    warnings.warn('old')\n    return a + b\n"
TESTS = """\
import pytest
from mathx import add


@pytest.mark.network
def test_elsewhere():
    assert False


def test_add(three, env):
    assert env == "staging"
    assert add(1, 2) == three
"""
CONFTEST = """\
import pytest


def pytest_addoption(parser):
    parser.addoption("--env", default="none")


@pytest.fixture
def env(request):
    return request.config.getoption("--env")
"""
FIXTURES = "import pytest\n\n\n@pytest.fixture\ndef three():\n    return 3\n"
KEPT = "-m 'not network' -p tests.fixtures --env staging -x -n 2 --cov=mathx"


@pytest.mark.parametrize(
    ("addopts", "source", "tests", "verdict", "said"),
    [
        (
            "-W error",
            WARNS,
            "from mathx import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
            "failed",
            "UserWarning: old",
        ),
        (KEPT, None, TESTS, "passed", ""),
        (
            "-k nothing",
            None,
            "def test_a():\n    pass\n",
            "skipped",
            "own pytest options deselect every test of the file (1)",
        ),
        ("--no-such-option", None, "def test_a():\n    pass\n", "error", "unrecognized arguments: --no-such-option"),
    ],
)
def test_a_file_meets_the_options_of_its_project(
    project: Project, runner: Runner, addopts: str, source: str | None, tests: str, verdict: str, said: str
) -> None:
    if source:
        project.write("mathx.py", source)
    project.write("pytest.ini", f"[pytest]\nmarkers = network\naddopts = {addopts}\n")
    project.write("tests/__init__.py", "")
    project.write("tests/conftest.py", CONFTEST)
    project.write("tests/fixtures.py", FIXTURES)
    plan = plan_file(project.write("tests/test_mathx.py", tests), project.code())
    run = runner.execute(plan).run
    assert run.verdict == verdict, run.log
    assert said in failure_log(run) + run.log
    plain = runner.execute_cold(plan, plain=True).run
    assert (plain.exit_code == 0) == (verdict == "passed"), plain.log
    if addopts == KEPT:
        assert plan.options.left_out == ("-x", "-n 2", "--cov=mathx")
        assert run.warm == runner.warm
        # Generated tests stand where no conftest.py is read, so an option that only it defines cannot be given.
        alone = runner.run(
            project.code(), "from mathx import add\n\n\ndef test_add(three):\n    assert add(1, 2) == three\n"
        )
        assert alone.passed, alone.log


@pytest.mark.parametrize(
    ("files", "target", "test", "said"),
    [
        (
            {"pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['.']\n"},
            "app/email.py",
            "tests/test_a.py",
            "app.email",
        ),
        ({"pyproject.toml": "", "app/http.py": ""}, "app/rates.py", "app/test_a.py", "rates"),
        (
            {"pyproject.toml": "", "app/calendar.py": "", "tests/conftest.py": "import sys\nsys.path.append('app')\n"},
            "app/rates.py",
            "tests/test_a.py",
            "rates",
        ),
    ],
)
def test_a_module_named_like_one_of_the_library_hides_it_no_more_than_in_the_projects_own_run(
    project: Project, runner: Runner, files: dict[str, str], target: str, test: str, said: str
) -> None:
    for name, text in files.items():
        project.write(name, text)
    project.write(target, "def add(a, b):\n    return a + b\n")
    text = f"from {said} import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
    path = project.write(test, text)
    whole = file_whole(project.root / target, project.code().interpreter, path)
    for plan in (plan_file(path, whole), plan_text(whole, text)):
        run = runner.execute(plan).run
        assert run.passed, run.log
        assert runner.execute_cold(plan, plain=True).run.exit_code == 0
