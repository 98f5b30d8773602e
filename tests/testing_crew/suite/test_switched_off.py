"""Ways of switching tests off without touching what they say: each is told, and none passes."""

from __future__ import annotations

import pytest
from repositories import Made, git, needs_git

from testing_crew.runner.run import Limits, Runner
from testing_crew.suite.changed import check_change
from testing_crew.suite.pair import Options
from testing_crew.suite.reading.settings import switched_off, values_of

pytestmark = needs_git

FILES = {
    "calc.py": "def add(a, b):\n    return a + b\n\n\ndef sign(x):\n    if x > 0:\n        return 1\n    return -1\n",
    "tests/test_calc.py": (
        "from calc import add, sign\n\n\ndef test_add():\n    assert add(1, 2) == 3\n\n\n"
        "def test_sign():\n    assert sign(3) == 1\n    assert sign(-3) == -1\n"
    ),
    "tests/test_help.py": "from calc import add\nfrom helpers import same\n\n\ndef test_add():\n    same(add(1, 2), 3)\n",
    "tests/helpers.py": "def same(a, b):\n    assert a == b\n",
    "pyproject.toml": "[project]\nname = 'calc'\n",
}


@pytest.fixture(scope="module")
def runner():
    with Runner(Limits(wall_seconds=60)) as made:
        yield made


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    made = Made(tmp_path / "project")
    made.commit(FILES)
    made.show()
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def check(made, runner):
    def checked(files, **more):
        for name, text in files.items():
            (made.folder / name).write_text(text)
        return check_change("HEAD", [], None, Options(mutants=5, repeats=2), runner, **more)

    return checked


def told(report):
    return {(each.code, each.level, each.path, each.name) for each in report.findings}


def test_a_conftest_that_skips_one_test(check):
    skips = "def pytest_collection_modifyitems(items):\n    for item in items:\n        if item.name == 'test_sign':\n"
    report = check({"tests/conftest.py": f"import pytest\n\n\n{skips}            item.add_marker(pytest.mark.skip)\n"})
    assert ("weakened", "error", "tests/test_calc.py", "test_sign") in told(report)
    assert not any(each.name == "test_add" for each in report.findings)
    assert {each.path for each in report.tests} == {"tests/test_calc.py", "tests/test_help.py"}
    assert not report.passed


def test_a_fixture_for_all_that_takes_the_codes_place(check):
    patch = "@pytest.fixture(autouse=True)\ndef place(monkeypatch):\n    monkeypatch.setattr('test_calc.add', lambda a, b: 3)\n"
    report = check({"tests/conftest.py": f"import pytest\n\n\n{patch}"})
    assert ("hollow", "error", "tests/test_calc.py", "test_add") in told(report)
    assert not report.passed


def test_a_fixture_that_no_test_asks_for_is_no_reason_to_run_anything(check):
    report = check({"tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef place():\n    return 1\n"})
    assert (report.passed, report.tests, report.findings) == (True, (), ())


def test_options_that_leave_tests_out(check):
    report = check({"pyproject.toml": FILES["pyproject.toml"] + "[tool.pytest.ini_options]\naddopts = '-k sign'\n"})
    (found,) = [each for each in report.findings if each.path == "pyproject.toml"]
    assert (found.level, found.line, "`-k sign`" in found.message) == ("error", 4, True)
    assert ("weakened", "error", "tests/test_calc.py", "test_add") in told(report)


def test_settings_of_something_else_are_no_change(check):
    report = check({"pyproject.toml": FILES["pyproject.toml"] + "version = '2'\n[tool.pytest.ini_options]\n"})
    assert (report.passed, report.tests, report.findings) == (True, (), ())


def test_a_test_file_under_a_name_that_is_not_collected(check, made):
    git(made.folder, "mv", "tests/test_calc.py", "tests/calc_tests.py")
    report = check({})
    assert told(report) == {("weakened", "error", "tests/calc_tests.py", "")}
    assert "2 of its tests: test_add, test_sign" in report.findings[0].message
    git(made.folder, "mv", "tests/calc_tests.py", "tests/test_sums.py")
    assert (check({}).findings, check({}).passed) == ((), True)


def test_a_helper_of_the_tests_that_checks_nothing_any_more(check):
    report = check({"tests/helpers.py": "def same(a, b):\n    pass\n"})
    assert ("weakened", "error", "tests/helpers.py", "same") in told(report)
    assert [each.path for each in report.tests] == ["tests/test_help.py"]
    assert any(each.code == "hollow" and each.name == "test_add" for each in report.findings)
    assert not report.passed


def test_a_stand_in_for_the_code_in_the_test_file(check):
    text = FILES["tests/test_calc.py"].replace(
        "sign\n\n", "sign\nfrom unittest.mock import Mock\n\nadd = Mock(return_value=3)\n", 1
    )
    report = check({"tests/test_calc.py": text})
    assert told(report) == {("hollow", "error", "tests/test_calc.py", "test_add")}
    assert "it runs no line of calc.py" in report.findings[0].message


def test_a_test_that_is_taken_away_as_the_file_is_read(check):
    report = check({"tests/test_calc.py": FILES["tests/test_calc.py"] + "\n\nglobals().pop('test_sign')\n"})
    assert told(report) == {("weakened", "error", "tests/test_calc.py", "test_sign")}


def test_a_hollow_test_beside_one_that_is_skipped(check):
    more = "\n\nimport pytest\n\n\ndef test_later():\n    pytest.skip('later')\n\n\ndef test_more():\n    add(2, 2)\n"
    report = check({"tests/test_calc.py": FILES["tests/test_calc.py"] + more})
    assert ("hollow", "error", "tests/test_calc.py", "test_more") in told(report)


def test_what_is_not_looked_at_is_said(check, made, monkeypatch):
    monkeypatch.setattr("testing_crew.suite.changed.MOST_AFFECTED", 1)
    made.commit({f"tests/test_{n}.py": FILES["tests/test_help.py"] for n in range(3)})
    made.show()
    report = check({"tests/helpers.py": "def same(a, b):\n    assert a == b, (a, b)\n"})
    assert len(report.tests) == 1
    (note,) = [each for each in report.findings if each.level == "note"]
    assert (note.path, "3 further test files" in note.message) == ("tests/helpers.py", True)


PYTEST = "[pytest]\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "addopts = -q -m 'not slow'\n", ["addopts"]),
        ("addopts = -k sign\n", "addopts = -k sign -q\n", []),
        ("", "addopts = --ignore=tests/test_a.py\n", ["addopts"]),
        ("", "addopts = -kadd\n", ["addopts"]),
        ("", "python_files = check_*.py\n", ["python_files"]),
        ("", "python_files = test_*.py check_*.py\n", []),
        ("", "testpaths = src\n", ["testpaths"]),
        ("testpaths = src\n", "testpaths = src tests\n", []),
        ("", "norecursedirs = tests\n", ["norecursedirs"]),
        ("", "python_functions = check\n", ["python_functions"]),
        ("", "python_classes = Test Suite\n", []),
    ],
)
def test_settings_that_collect_less(tmp_path, old, new, said):
    before, now = (values_of({"pytest.ini": PYTEST + text}, "8.0") for text in (old, new))
    found = switched_off(before, now, tmp_path, [tmp_path / "tests" / "test_a.py", tmp_path / "a.py"])
    assert [each.key for each in found] == said


def test_a_new_file_of_settings_takes_the_place_of_the_old_one(tmp_path):
    project = {"pyproject.toml": "[tool.pytest.ini_options]\npython_files = ['check_*.py']\n"}
    before, now = values_of(project, "8.0"), values_of({**project, "pytest.ini": PYTEST}, "8.0")
    (found,) = switched_off(before, now, tmp_path, [tmp_path / "check_a.py", tmp_path / "test_a.py"])
    assert "1 test files no longer: check_a.py" in found.says
