"""A whole suite judged: what is accepted and why not, what nobody notices, what is taken from the cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testing_crew.errors import UserMistake
from testing_crew.runner.run import Limits, Runner
from testing_crew.suite.judge import check_suite
from testing_crew.suite.pair import Options
from testing_crew.suite.records import SuiteReport

SHOP = "def add(a, b):\n    return a + b\n\n\ndef worth(a):\n    if a > 10:\n        return 2 * a\n    return a\n"
FILES = {
    "pyproject.toml": "",
    "setup.py": "def nothing():\n    pass\n",
    "shop.py": SHOP,
    "cart.py": "from shop import add\n\n\ndef total(items):\n    return add(sum(items), 0)\n",
    "lonely.py": "def alone():\n    return 1\n",
    "behind.py": "def hidden(x):\n    return x + 1\n",
    "front.py": "import behind\n\n\ndef shown(x):\n    return behind.hidden(x) * 2\n",
    "tests/test_shop.py": "from shop import add, worth\n\n\ndef test_add():\n    assert add(1, 2) == 3\n\n\n"
    "def test_worth():\n    assert worth(20) == 40\n    assert worth(3) == 3\n",
    "tests/test_cart.py": "from cart import total\n\n\ndef test_total():\n    assert total([1, 2]) is not None\n",
    "tests/test_front.py": "from front import shown\n\n\ndef test_shown():\n    assert shown(1) == 4\n",
    "tests/test_broken.py": "import not_there\n\n\ndef test_a():\n    assert True\n",
    "tests/test_nothing.py": "def test_a():\n    assert 1 + 1 == 2\n",
}
FEW = Options(mutants=20, repeats=3, traces=False)


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root.resolve()


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(Limits(wall_seconds=60), sandbox="limits") as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("home")
        patch.setenv("TESTING_CREW_HOME", str(place))
        yield place


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay(tmp_path_factory.mktemp("suite"), FILES)


@pytest.fixture(scope="module")
def heard() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def report(root: Path, home: Path, runner: Runner, heard: list[tuple[str, int, int]]) -> SuiteReport:
    return check_suite([root], None, FEW, runner, tell=lambda *told: heard.append(told))


def file_of(report: SuiteReport, name: str) -> Any:
    return next(each for each in report.tests if each.path == f"tests/{name}.py")


def module_of(report: SuiteReport, name: str) -> Any:
    return next(each for each in report.modules if each.path == f"{name}.py")


def kinds(report: SuiteReport, path: str) -> list[tuple[str, str]]:
    return [(each.code, each.level) for each in report.findings if each.path == path]


def test_a_file_is_judged_against_what_it_is_about(report, root):
    assert (report.root, report.rev, report.complete) == (str(root), None, True)
    shop = file_of(report, "test_shop")
    assert shop.accepted
    assert [(each.target, each.module, each.accepted) for each in shop.targets] == [("shop.py", "shop", True)]
    assert shop.main.mutants.killed > 3
    assert shop.main.stability.passed == shop.main.stability.runs == 3


def test_a_hollow_file_is_refused_and_says_why(report):
    cart = file_of(report, "test_cart")
    assert not cart.accepted
    assert [reason.code for reason in cart.main.reasons] == ["no_mutant_killed"]
    assert ("not_accepted", "error") in kinds(report, "tests/test_cart.py")
    found = next(each for each in report.findings if each.code == "not_accepted")
    assert (found.reason, found.line) == ("no_mutant_killed", None)
    assert "no small change of the code" in found.message
    assert found.mend


def test_a_file_that_cannot_be_run_loses_nothing_else(report):
    broken = file_of(report, "test_broken")
    assert "No module named 'not_there'" in broken.trouble
    assert broken.hint
    assert not broken.targets
    assert kinds(report, "tests/test_broken.py") == [("not_run", "error")]
    nothing = file_of(report, "test_nothing")
    assert "about no module" in nothing.trouble


def test_the_weakest_comes_first(report):
    accepted = [each.accepted for each in report.tests]
    assert accepted == sorted(accepted)
    assert {each.path for each in report.tests[:2]} == {"tests/test_broken.py", "tests/test_nothing.py"}
    assert not report.passed


def test_a_module_behind_another_is_judged_with_the_file_that_runs_it(report):
    front = file_of(report, "test_front")
    assert [each.target for each in front.targets] == ["front.py", "behind.py"]
    assert module_of(report, "behind").tests == ("tests/test_front.py",)


def test_a_module_without_tests_is_found_and_what_builds_the_project_is_none(report):
    assert kinds(report, "lonely.py") == [("no_tests", "warning")]
    assert "setup.py" not in {each.path for each in report.modules}


def test_what_no_file_notices_is_told_at_its_line(report):
    shop = module_of(report, "shop")
    assert shop.tests == ("tests/test_shop.py",)
    assert shop.missed_lines == ()
    assert (shop.lines, shop.branches) == (1.0, 1.0)
    assert 0 < shop.noticed < shop.tried == shop.noticed + len(shop.survivors)
    told = [each for each in report.findings if each.code == "unnoticed" and each.path == "shop.py"]
    assert [each.line for each in told] == [each.line for each in shop.survivors]
    assert 6 in {each.line for each in told}  # `a > 10` is tried with 20 and 3 only


def test_all_files_are_told_of_while_it_goes_on(report, heard):
    assert {what for what, _, _ in heard} >= {each.path for each in report.tests}
    first = [(done, of) for _, done, of in heard if of == 5]
    assert first[0][0] == 0
    assert first[-1] == (5, 5)


def test_what_has_not_changed_is_not_run_again(report, root, runner, home):
    again = check_suite([root], None, FEW, runner)
    pairs = sum(len(each.targets) for each in report.tests)
    assert again.cached == pairs
    assert again.seconds < report.seconds / 3
    plain = {"seconds": 0.0, "cached": False}
    assert [_without(each, plain) for each in again.tests] == [_without(each, plain) for each in report.tests]
    assert again.modules == report.modules
    assert again.findings == report.findings
    assert report.cached == 0
    for entry in home.glob("checks/found/*/*.json"):
        entry.write_text(json.dumps({"report": {"verdict": 1}, "fates": 3}))  # of another version, say
    test = root / "tests/test_front.py"
    assert check_suite([test], root / "front.py", FEW, runner).cached == 0


def _without(file: Any, plain: dict[str, Any]) -> Any:
    return file.model_copy(update={"targets": tuple(each.model_copy(update=plain) for each in file.targets)})


def test_another_file_may_notice_what_the_own_one_does_not(tmp_path, home, runner):
    root = lay(
        tmp_path,
        {
            "pyproject.toml": "",
            "shop.py": SHOP,
            "cart.py": "import shop\n\n\ndef dear(a):\n    b = shop.worth(a)\n    return b\n",
            "tests/test_shop.py": "from shop import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
            "tests/test_cart.py": "from cart import dear\n\n\ndef test_dear():\n"
            "    assert [dear(a) for a in (9, 10, 11, 20)] == [9, 10, 22, 40]\n",
        },
    )
    report = check_suite([root], None, FEW, runner)
    shop = module_of(report, "shop")
    assert shop.tests == ("tests/test_shop.py",)
    assert len(file_of(report, "test_shop").main.survivors) > 5
    assert shop.survivors == ()
    assert shop.missed_lines == ()
    assert report.passed


def test_a_target_leaves_out_what_is_about_something_else(report, root, home, runner):
    one = check_suite([root / "tests"], root / "front.py", FEW, runner)
    assert [each.path for each in one.tests] == ["tests/test_front.py"]
    assert [each.path for each in one.modules] == ["front.py"]
    shop = root / "tests/test_shop.py"
    with pytest.raises(UserMistake, match="none of the 1 test files is about"):
        check_suite([shop], root / "lonely.py", FEW, runner)


def test_what_is_below_a_threshold_is_an_error(report, root, home, runner):
    tests = [root / "tests/test_shop.py", root / "tests/test_front.py"]
    asked = replace(FEW, least_noticed=0.95, least_lines=0.9)
    found = check_suite(tests, root, asked, runner)
    below = {(each.path, each.level) for each in found.findings if each.code == "below"}
    assert ("shop.py", "error") in below
    assert ("lonely.py", "error") in below
    assert ("front.py", "error") not in below
    assert not found.passed
    (noticed,) = [each for each in found.findings if each.code == "below" and each.path == "shop.py"]
    assert "least_noticed asks for 95%" in noticed.message


def test_a_suite_without_code_is_told(tmp_path, home, runner):
    root = lay(tmp_path, {"pyproject.toml": "", "tests/test_a.py": "def test_a():\n    assert True\n"})
    with pytest.raises(UserMistake, match="there is no module in"):
        check_suite([root / "tests"], None, FEW, runner)
