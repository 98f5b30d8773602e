"""Reports as a check makes them, with the files that they are about; some texts are hostile."""

from pathlib import Path

from testing_crew.mutation.operators import mutants
from testing_crew.suite.records import (
    Explained,
    FileReport,
    Finding,
    ModuleReport,
    SuiteReport,
    Survivor,
    TargetReport,
)
from trace_logger.records import Coverage, Mutants, Stability

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> @octocat #1 | `x` & ]]> \x1b[31m \u202eesrever --> www.a.example"
PRICES = '''\
"""Prices."""


def discount(price, percent):
    """The price after a discount."""
    if percent < 0 or percent > 100:
        raise ValueError("</script> & <b>percent</b>")
    return price - price * percent / 100


def total(prices, shipping=0):
    """All together."""
    return sum(
        prices,
        shipping,
    )


def label(price):
    """For a shelf."""
    if price == 0:
        return "free"
    return f"{price:.2f}"


def currency(code="EUR"):
    return {"EUR": "€", "USD": "$"}.get(code, code)
'''
WORDS = '''\
"""Words, with a space in the file's path."""


def shout(text):
    return text.upper() + "!"
'''
NOTHING = "def forgotten():\n    return 1\n"


def survivors(path, source, lines, unreached=()):
    """The first mutant on each of ``lines`` as one that went unnoticed; on several lines where there is such a one."""
    found = []
    for line in lines:
        of_line = [mutant for mutant in mutants(source) if mutant.line == line]
        mutant = max(of_line, key=lambda each: each.place[2] - each.place[0])
        first, column, last, before = mutant.place
        found.append(
            Survivor(
                path=path,
                line=first,
                last_line=last,
                column=column,
                before=before,
                after=mutant.edit.new,
                text=mutant.text,
                operator=mutant.operator,
                reached=line not in unreached,
            )
        )
    return tuple(found)


def unnoticed(survivor):
    return Finding(
        code="unnoticed",
        level="warning",
        path=survivor.path,
        line=survivor.line,
        last_line=survivor.last_line,
        message=f"no test noticed {survivor.text}",
        mend="assert the exact result for inputs where the change would show",
    )


def _files(root: Path) -> None:
    for path, text in {"shop/prices.py": PRICES, "shop/my words.py": WORDS, "shop/nothing.py": NOTHING}.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def suite(root: Path) -> SuiteReport:
    """A whole suite: a hollow file, an accepted one, a flaky one, one that cannot be run, and a module without tests."""
    _files(root)
    of_prices = survivors("shop/prices.py", PRICES, [6, 8, 13, 21, 27], unreached=[27])
    hollow = TargetReport(
        target="shop/prices.py",
        module="shop.prices",
        verdict="passed",
        accepted=False,
        reasons=(
            Explained(
                code="passes_without_target",
                says="it passes as well when every function of the code only raises an error",
                mend="call the code outside of a `try` that forgives everything, and assert what it returns",
            ),
            Explained(
                code="no_mutant_killed", says="no small change of the code made one of its assertions fail", mend=""
            ),
        ),
        coverage=Coverage(line=0.4, branch=0.25, missed_lines=(7, 22, 23, 27)),
        mutants=Mutants(found=14, tried=14, survived=12, equivalent=2),
        stability=Stability(runs=20, passed=20, cold_passed=True),
        survivors=of_prices,
        seconds=4.25,
    )
    good = TargetReport(
        target="shop/prices.py",
        module="shop.prices",
        verdict="passed",
        accepted=True,
        notes=("a test wrote to a file outside of its folder: " + HOSTILE,),
        coverage=Coverage(line=0.996, branch=0.9, missed_lines=(27,)),
        mutants=Mutants(found=14, tried=14, killed=7, survived=5, equivalent=2),
        stability=Stability(runs=20, passed=20, cold_passed=True),
        survivors=of_prices,
        seconds=3.5,
        cached=True,
    )
    words = TargetReport(
        target="shop/my words.py",
        module="shop.my words",
        verdict="failed",
        accepted=False,
        reasons=(Explained(code="not_passed", says="pytest did not pass it: a test failed", mend="mend the code"),),
        failures=(
            f"tests/test_words.py::test_shout[{HOSTILE}]",
            "  assert 'HI!' == " + "'" + "long" * 400 + "'",
        ),
    )
    flaky = TargetReport(
        target="shop/my words.py",
        module="shop.my words",
        verdict="passed",
        accepted=False,
        reasons=(Explained(code="flaky:17/20", says="it passed in 17 of 20 runs only", mend="depend on no clock"),),
        coverage=Coverage(line=1.0),
        mutants=Mutants(found=3, tried=3, killed=3),
        stability=Stability(runs=20, passed=17, cold_passed=True),
    )
    trouble = "tests/conftest.py cannot be imported: No module named 'requests'"
    return SuiteReport(
        root=str(root),
        made_by="testing-crew 0.1.0",
        passed=False,
        tests=(
            FileReport(path="tests/test_broken.py", accepted=False, trouble=trouble, hint="pip install requests"),
            FileReport(path="tests/test_hollow.py", accepted=False, targets=(hollow,)),
            FileReport(path="tests/test_words.py", accepted=False, targets=(words,)),
            FileReport(path="tests/test_flaky.py", accepted=False, targets=(flaky,)),
            FileReport(path="tests/test_prices.py", accepted=True, targets=(good, words)),
        ),
        modules=(
            ModuleReport(
                path="shop/prices.py",
                tests=("tests/test_hollow.py", "tests/test_prices.py"),
                missed_lines=(27,),
                tried=12,
                noticed=7,
                survivors=of_prices,
            ),
            ModuleReport(path="shop/my words.py", tests=("tests/test_words.py",), tried=3, noticed=3),
            ModuleReport(path="shop/nothing.py"),
        ),
        findings=(
            Finding(code="no_tests", level="warning", path="shop/nothing.py", message="no test file is about it"),
            *map(unnoticed, of_prices),
            Finding(
                code="not_accepted",
                level="error",
                path="tests/test_hollow.py",
                message=hollow.reasons[0].says,
                mend=hollow.reasons[0].mend,
                reason="passes_without_target",
            ),
            Finding(
                code="not_run", level="error", path="tests/test_broken.py", message=trouble, mend="pip install requests"
            ),
            Finding(
                code="not_accepted", level="error", path="tests/test_words.py", message=HOSTILE, reason="not_passed"
            ),
            Finding(
                code="not_accepted",
                level="error",
                path="tests/test_flaky.py",
                message="it passed in 17 of 20 runs only",
                reason="flaky:17/20",
            ),
            Finding(
                code="suspect",
                level="note",
                path="shop/my words.py",
                line=4,
                message="the docstring says 100%, and\nthe code: otherwise",
                name="shout",
            ),
        ),
        seconds=12.3,
        cached=1,
    )


def change(root: Path) -> SuiteReport:
    """What a change did: it weakened a file, added a hollow test, and changed a line that no test runs."""
    _files(root)
    (survivor,) = survivors("shop/prices.py", PRICES, [8])
    return SuiteReport(
        root=str(root),
        made_by="testing-crew 0.1.0",
        rev="main",
        passed=False,
        tests=(FileReport(path="tests/test_prices.py", accepted=True),),
        modules=(ModuleReport(path="shop/prices.py", missed_lines=(27,), tried=2, noticed=1, survivors=(survivor,)),),
        findings=(
            Finding(
                code="weakened",
                level="error",
                path="tests/test_prices.py",
                message="`assert discount(10, 50) == 5` is gone",
                mend="put it back",
            ),
            Finding(
                code="hollow",
                level="error",
                path="tests/test_prices.py",
                line=3,
                last_line=5,
                message="no change of `discount` makes it fail",
                name="test_discount",
            ),
            Finding(
                code="uncovered", level="warning", path="shop/prices.py", line=27, message="no test runs this line"
            ),
            unnoticed(survivor),
        ),
        seconds=3,
    )


def large(root: Path) -> SuiteReport:
    """Far more than a comment on GitHub takes."""
    base = suite(root)
    tests = tuple(
        FileReport(path=f"tests/test_{n}.py", accepted=False, trouble=f"{n} " + "why " * 60) for n in range(400)
    )
    findings = tuple(
        Finding(code="not_run", level="error", path=each.path, message=each.trouble, mend="mend it") for each in tests
    )
    return base.model_copy(update={"tests": tests, "findings": (*findings, *base.findings)})
