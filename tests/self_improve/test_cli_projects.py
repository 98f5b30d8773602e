"""What ``write`` leaves in a project runs with the project's own plain ``python -m pytest``, and so does all that was there."""

import json
import os
import sys

import children
import command_line
import pytest

from self_improve.cli.writing import place
from self_improve.cli.writing.place import Tried, put
from self_improve.cli.writing.plan import plan
from testing_crew.errors import UserMistake
from testing_crew.runner.run import Runner

CODE = "def add(a, b):\n    return a + b\n"
TOML = {"pyproject.toml": "[project]\nname = 'x'\n"}


def claims_about(module):
    return f"from {module} import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    return root


def lay(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def write(*arguments):
    with open("../script.json", "w") as file:
        json.dump({"": [claims_about("module_of_no_such_name")] * 9}, file)
    asked = ("write", *arguments, "--model", "scripted:../script.json", "--max-iterations", "1", "--json")
    done = command_line.run(*asked, seconds=1500)
    return done.returncode, json.loads(done.stdout)["results"]


def test_the_projects_own_run_takes_what_is_written(project):
    there = {
        # a folder without __init__.py, with a module that would hide the standard library's
        "app/email.py": CODE,
        "tests/test_email.py": claims_about("app.email"),
        # another module's tests have the name
        "a/utils.py": CODE,
        "tests/test_utils.py": claims_about("a.utils"),
        # pytest has a module of the name already
        "tests/unit/test_calc.py": claims_about("calc"),
        # neither installed nor on the path
        "src/pkg/__init__.py": "",
    }
    targets = {
        "app/rates.py": "tests/test_rates.py",
        "b/utils.py": "tests/test_b_utils.py",
        "calc.py": "tests/test_project_calc.py",
        "my-app/prices.py": "tests/test_prices.py",
        "src/pkg/taxes.py": "tests/test_taxes.py",
    }
    lay(project, {**TOML, "pytest.ini": "[pytest]\naddopts = -W error\n", **there, **dict.fromkeys(targets, CODE)})
    code, results = write(*targets)
    assert (code, [result["reasons"] for result in results]) == (0, [[]] * len(targets)), results
    assert [result["test_file"] for result in results] == [str(project / name) for name in targets.values()]
    assert {name: (project / name).read_text() for name in there} == there
    assert "from app.rates import add" in (project / "tests" / "test_rates.py").read_text()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pytest", "-q"]
    again = children.run(command, env=environment)
    assert "8 passed" in again.stdout
    for target, written in targets.items():  # each is known as its own target's from now on
        with pytest.raises(UserMistake, match=f"already there: {project / written}"):
            plan([project / target], None, "tests", None, force=False)


@pytest.mark.parametrize(
    ("conftest", "mine", "reason", "said"),
    [
        (
            "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef all_set():\n    raise RuntimeError('not set up')\n",
            None,
            "written_file:error",
            "RuntimeError: not set up",
        ),
        (
            "def pytest_collection_modifyitems(items):\n    assert len({i.path for i in items}) < 2, 'one file only'\n",
            "# mine\n",
            "breaks_suite",
            "one file only",
        ),
    ],
)
def test_what_it_would_not_take_is_not_left_there(project, conftest, mine, reason, said):
    lay(project, {**TOML, "conftest.py": conftest, "rates.py": CODE, "checks/test_a.py": "def test_a():\n    pass\n"})
    if mine:
        lay(project, {"tests/test_rates.py": mine})
    tried = put_tests_of(project / "rates.py")
    assert tried.reasons == (reason,)
    assert said in "\n".join(tried.said)
    left = project / "tests"
    assert (left / "test_rates.py").read_text() == mine if mine else not left.exists()


def put_tests_of(target):
    (planned,), _ = plan([target], None, "tests", None, force=True)
    with Runner() as runner:
        return put(planned, claims_about("rates"), "# header\n", runner)


def test_what_a_killed_process_had_put_aside_is_there_again(tmp_path):
    file = tmp_path / "test_a.py"
    file.write_text("untried")
    (tmp_path / ".test_a.py.before").write_text("mine")
    with place._put_back(file):
        file.write_text("another")
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["test_a.py"]


def test_a_suite_that_was_broken_before_is_no_reason(project):
    broken = "import nothing_of_that_name\n"
    lay(project, {**TOML, "rates.py": CODE, "tests/test_a.py": broken, "tox.ini": "[pytest]\naddopts = -n 4 -x -v\n"})
    assert put_tests_of(project / "rates.py") == Tried((), (), ("-n 4", "-x"))
    assert (project / "tests" / "test_rates.py").read_text() == "# header\n" + claims_about("rates")


@pytest.mark.parametrize(
    ("files", "target", "name"),
    [
        ({}, "b/utils.py", "test_utils.py"),
        ({"tests/test_utils.py": claims_about("a.utils")}, "b/utils.py", "test_b_utils.py"),
        ({"tests/test_utils.py": claims_about("b.utils")}, "b/utils.py", "already there"),
        (
            {"tests/test_utils.py": "# Written by testing-crew with m for b/utils.py; trace t\n"},
            "b/utils.py",
            "already there",
        ),
        ({"tests/test_utils.py": "# Written by testing-crew with m for a/utils.py\n"}, "b/utils.py", "test_b_utils.py"),
        ({"tests/test_utils.py": "import os\n"}, "b/utils.py", "already there"),
        (
            {"tests/test_utils.py": claims_about("a.utils"), "tests/test_b_utils.py": claims_about("b.utils")},
            "b/utils.py",
            "already there",
        ),
        ({"tests/unit/test_utils.py": claims_about("a.utils")}, "b/utils.py", "test_b_utils.py"),
        ({"tests/unit/test_utils.py": "", "tests/unit/__init__.py": ""}, "b/utils.py", "test_utils.py"),
        ({"tests/unit/test_utils.py": "", "tests/__init__.py": ""}, "b/utils.py", "test_utils.py"),
    ],
)
def test_where_the_tests_of_a_module_go(project, files, target, name):
    lay(project, {**TOML, "a/utils.py": CODE, "b/utils.py": CODE, **files})
    if name == "already there":
        with pytest.raises(UserMistake, match=name):
            plan([project / target], None, "tests", None, force=False)
    else:
        (planned,), _ = plan([project / target], None, "tests", None, force=True)
        assert planned.test_file == project / "tests" / name


def test_a_file_may_be_written_outside_the_folder_of_what_it_tests(project):
    """No file says where this project begins: then it is the module's own folder, and the tests are beside it."""
    lay(project, {"code/rates.py": CODE})
    (planned,), _ = plan([project / "code" / "rates.py"], project / "kept", "tests", None, force=False)
    with Runner() as runner:
        assert put(planned, claims_about("rates"), "# header\n", runner) == Tried((), (), ())
    assert (project / "kept" / "test_rates.py").is_file()
