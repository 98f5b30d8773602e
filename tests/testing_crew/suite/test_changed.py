from __future__ import annotations

import pytest
from repositories import Made, git, needs_git

from testing_crew.errors import UserMistake
from testing_crew.runner.run import Limits, Runner
from testing_crew.suite.changed import check_change
from testing_crew.suite.pair import Options

pytestmark = needs_git

RATES = """\
LIMIT = 10


def price(count, each):
    if count < 0:
        raise ValueError("no such count")
    return count * each


def tax(amount):
    return amount / 5
"""
TEST_RATES = """\
import pytest

from rates import price, tax


def test_price():
    assert price(2, 5) == 10
    assert price(3, 5) == 15


def test_no_such_count():
    with pytest.raises(ValueError, match="count"):
        price(-1, 5)
    assert price(0, 5) == 0


def test_tax():
    assert tax(10) == 2
    assert tax(25) == 5
"""
OTHER = "def far():\n    return 1\n"
TEST_OTHER = (
    "from other import far\n\n\ndef test_far():\n    assert far() is None  # fails, and is no part of any change\n"
)


@pytest.fixture(scope="module")
def runner():
    with Runner(Limits(wall_seconds=60)) as made:
        yield made


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    made = Made(tmp_path / "shop")
    files = {"rates.py": RATES, "test_rates.py": TEST_RATES, "other.py": OTHER, "test_other.py": TEST_OTHER}
    made.commit({**files, "pyproject.toml": "[project]\nname = 'shop'\n"})
    made.show()
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def check(made, runner):
    def checked(rev="HEAD", paths=(), target=None, **files):
        for name, text in files.items():
            (made.folder / f"{name}.py").write_text(text)
        return check_change(rev, paths, target, Options(mutants=20, repeats=5), runner)

    return checked


def told(report):
    return [(each.code, each.level, each.path, each.line) for each in report.findings]


def test_a_weakened_test_is_named_with_both_lines(check):
    report = check(
        test_rates=TEST_RATES.replace("assert tax(10) == 2\n    assert tax(25) == 5", "assert tax(10) is not None")
    )
    found = [each for each in report.findings if each.code == "weakened"]
    assert [(each.level, each.path, each.name) for each in found] == [
        ("error", "test_rates.py", "test_tax"),
        ("warning", "test_rates.py", "test_tax"),
    ]
    assert any("`assert tax(10) == 2` became `assert tax(10) is not None`" in each.message for each in found)
    assert not report.passed
    assert [each.path for each in report.tests] == ["test_rates.py"]
    assert ("hollow", "error", "test_rates.py", 17) in told(report)


def test_a_hollow_test_is_named_and_one_that_is_not_is_not(check):
    hollow = "\n\ndef test_more():\n    price(2, 2)\n    assert True\n\n\ndef test_tax_of_much():\n    assert tax(50) == 10\n"
    report = check(test_rates=TEST_RATES + hollow)
    assert told(report) == [("hollow", "error", "test_rates.py", 22)]
    assert report.findings[0].name == "test_more"
    assert not report.passed
    assert report.tests[0].accepted  # as a whole it is a good file


def test_code_changed_without_a_test_is_named(check):
    code = (
        RATES.replace("return amount / 5", "return round(amount / 5, 2)")
        + "\n\ndef gift(to):\n    return f'for {to}'\n"
    )
    report = check(rates=code)
    assert report.passed  # warnings alone
    assert report.tests == ()
    assert {(code, line) for code, _, _, line in told(report)} == {("unnoticed", 11), ("uncovered", 15)}
    (module,) = report.modules
    assert (module.path, module.tests, module.missed_lines) == ("rates.py", ("test_rates.py",), (15,))
    assert 0 < module.noticed < module.tried


def test_a_new_module_without_tests_is_named_by_its_functions(check):
    report = check(
        fees="def fee(amount):\n    return amount + 1\n\n\nclass Fee:\n    def of(self):\n        return 2\n"
    )
    assert [(each.code, each.path, each.name, each.line) for each in report.findings] == [
        ("no_tests", "fees.py", "fee", 1),
        ("no_tests", "fees.py", "Fee.of", 6),
    ]


def test_a_change_that_is_fine_passes(check):
    report = check(
        rates=RATES.replace("return amount / 5", "return amount / 4"),
        test_rates=TEST_RATES.replace("tax(10) == 2\n    assert tax(25) == 5", "tax(8) == 2\n    assert tax(20) == 5"),
    )
    assert (report.passed, told(report), report.rev) == (True, [], "HEAD")
    assert [each.path for each in report.tests] == ["test_rates.py"]
    assert [each.path for each in report.modules] == ["rates.py"]


def test_a_change_of_comments_runs_nothing(check):
    report = check(rates=RATES.replace("LIMIT = 10", "LIMIT = 10  # at most"), test_rates="# new\n" + TEST_RATES)
    assert (report.passed, report.tests, report.modules, report.findings) == (True, (), (), ())


def test_code_that_breaks_its_tests(check):
    report = check(rates=RATES.replace("amount / 5", "amount / 6"))
    assert told(report) == [("not_accepted", "error", "test_rates.py", None)]
    assert "test_tax" in report.findings[0].message
    assert not report.passed


def test_a_test_that_goes_with_its_function_is_a_note(check):
    report = check(
        rates=RATES.partition("\n\ndef tax")[0],
        test_rates=TEST_RATES.partition("\n\ndef test_tax")[0].replace("price, tax", "price"),
    )
    assert told(report) == [("weakened", "note", "test_rates.py", None)]
    assert report.passed


def test_a_copy_of_the_code_in_place_of_it_cheats(check):
    copy = RATES.partition("\n\ndef tax")[0] + "\n\ndef test_price():\n    assert price(2, 5) == 10\n"
    report = check(test_copied="import rates\n" + copy)
    (found,) = [each for each in report.findings if each.code == "cheats"]
    assert (found.path, found.level, found.reason) == ("test_copied.py", "error", "target_not_executed")


def test_a_test_file_and_a_module_that_are_gone(check, made):
    (made.folder / "test_rates.py").unlink()
    report = check()
    assert told(report) == [("weakened", "error", "test_rates.py", None)]
    assert "3 of its tests" in report.findings[0].message
    (made.folder / "rates.py").unlink()
    assert [level for _, level, _, _ in told(check())] == ["note"]


def test_a_module_that_is_still_imported(check, made):
    (made.folder / "rates.py").unlink()
    assert told(check()) == [("not_run", "error", "test_rates.py", None)]


def test_code_that_tests_reach_through_another_module(check, made):
    made.commit(
        {"shop/__init__.py": "from shop.inner import inner\n", "shop/inner.py": "def inner(n):\n    return n\n"}
    )
    made.commit(
        {
            "test_shop.py": "from shop import inner\n\n\ndef test_inner():\n    assert inner(2) == 3\n    assert inner(5) == 6\n"
        }
    )
    made.show()
    (made.folder / "shop" / "inner.py").write_text("def inner(n):\n    return n + 1\n")
    report = check()
    assert (told(report), report.modules[0].tests) == ([], ("test_shop.py",))


def test_only_the_tests_and_the_modules_asked_for_are_looked_at(check, made):
    (made.folder / "other.py").write_text("def far():\n    return 2\n")
    (made.folder / "rates.py").write_text(RATES.replace("return count * each", "return each * count"))
    report = check(target=made.folder / "rates.py")
    assert [each.path for each in report.modules] == ["rates.py"]
    with pytest.raises(UserMistake, match="no such file or folder"):
        check(paths=[made.folder / "nowhere"])


def test_a_module_in_the_place_of_a_test_narrows_the_look(check, made):
    (made.folder / "other.py").write_text("def far():\n    return 2\n")
    (made.folder / "rates.py").write_text(RATES.replace("return count * each", "return each * count"))
    report = check(paths=[made.folder / "rates.py"])
    assert ([each.path for each in report.modules], told(report)) == (["rates.py"], [])
    assert check(paths=[made.folder / "rates.py", made.folder / "other.py"]).tests[0].path == "test_other.py"


def test_a_change_is_asked_for_as_much_as_a_suite(made, runner):
    (made.folder / "rates.py").write_text(
        RATES + "\n\ndef gift(to):\n    return to + 'x'\n\n\ndef half(n):\n    return n / 2\n"
    )
    (made.folder / "test_more.py").write_text("from rates import half\n\n\ndef test_half():\n    assert half(4) == 2\n")
    options = Options(mutants=20, repeats=3, least_lines=0.9, least_noticed=0.9)
    report = check_change("HEAD", [], None, options, runner)
    below = [each.message for each in report.findings if each.code == "below"]
    assert ("of the changed lines run, and [check] least_lines asks for 90%" in below[1], len(below)) == (True, 2)
    assert below[0].startswith(f"{report.modules[0].noticed / report.modules[0].tried:.0%} of the small changes")
    assert not report.passed
    assert check_change("HEAD", [], None, Options(mutants=20, repeats=3), runner).passed


def test_what_was_found_of_a_change_is_kept(check, runner, monkeypatch):
    files = {
        "rates": RATES.replace("amount / 5", "(amount / 5)+ 0"),
        "test_rates": TEST_RATES + "\n\ndef test_more():\n    tax(5)\n",
    }
    first = check(**files)
    assert ("hollow", "error", "test_rates.py", 22) in told(first)
    monkeypatch.setattr(runner, "execute", None)  # nothing can be run
    again = check(**files)
    assert (told(again), again.modules) == (told(first), first.modules)


def test_what_is_staged_alone(made, runner):
    (made.folder / "test_mine.py").write_text("def test_mine():\n    assert True\n")
    (made.folder / "rates.py").write_text(RATES.replace("amount / 5", "amount / 6"))
    report = check_change("HEAD", [], None, Options(mutants=5, repeats=2), runner, staged=True)
    assert (report.tests, report.modules, report.findings) == ((), (), ())
    git(made.folder, "add", "rates.py")
    report = check_change("HEAD", [], None, Options(mutants=5, repeats=2), runner, staged=True)
    assert told(report) == [("not_accepted", "error", "test_rates.py", None)]
