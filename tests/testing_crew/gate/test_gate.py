"""The gate as a whole: what only further runs can tell of a test file that passes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from textwrap import dedent

import pytest

from testing_crew.gate.gate import Gate, hints
from testing_crew.mutation.fates import Fates, try_mutants
from testing_crew.runner.plan import plan_text
from testing_crew.runner.run import Limits, Runner
from trace_logger.records import CodeUnderTest

SOURCE = '''\
import enum

NAMES = {"a", "b", "c", "d", "e", "f"}
seen = []


def clamp(x, low, high):
    """Keep x between low and high.

    >>> clamp(5, 0, 3)
    3
    """
    if low > high:
        raise ValueError("empty range")
    if x < low:
        return low
    if x > high:
        return high
    return x


def first_name():
    return next(iter(NAMES))


def remember(x):
    seen.append(x)
    return len(seen)


def label(x):
    assert isinstance(x, int), "whole numbers only"
    text = "even" if x % 2 == 0 else "odd"
    return text


def head(items):
    return items[0]


class Colour(enum.Enum):
    RED = 1


class Counter:
    def __init__(self):
        self.count = 0

    def up(self, by=1):
        self.count += by
'''
HONEST = """\
import pytest
from mod import clamp


@pytest.mark.parametrize(("x", "expected"), [(5, 3), (-5, 0), (2, 2)])
def test_clamp(x, expected):
    assert clamp(x, 0, 3) == expected


def test_empty():
    with pytest.raises(ValueError):
        clamp(1, 3, 2)
"""


def code(unit: str | None) -> CodeUnderTest:
    return CodeUnderTest(source=SOURCE, shown=SOURCE, module="mod", unit=unit, root="", interpreter=sys.executable)


WARM = sys.platform.startswith("linux")


def _gate(warm: bool) -> Iterator[Gate]:
    with Runner(Limits(wall_seconds=30), warm=warm) as runner:
        yield Gate(runner, repeats=20 if warm else 5, mutants=None if warm else 6)


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    """The gate as it is here: it does not know how its runs are made."""
    yield from _gate(WARM)


@pytest.fixture(scope="module", params=[True, False] if WARM else [False], ids=["warm", "cold"])
def each_gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    """Warm and cold, for one test of each of its steps."""
    yield from _gate(request.param)


def test_an_honest_file_is_accepted(each_gate: Gate) -> None:
    found = each_gate.judge(plan_text(code("clamp"), HONEST))
    assert (found.accepted, found.reasons, found.suspects) == (True, (), ())
    assert found.stability is not None
    assert (found.stability.runs, found.stability.passed) == (each_gate.repeats, each_gate.repeats)
    assert found.stability.cold_passed
    assert found.mutants is not None
    assert found.mutants.killed > 2
    assert found.mutants.tried == (
        found.mutants.killed
        + found.mutants.raised
        + found.mutants.timed_out
        + found.mutants.survived
        + found.mutants.equivalent
    )


EQUALS_ALL = """

class Any:
    def __eq__(self, other):
        return True


ANY = [Any()]
"""
USES = "\n\ndef test_any():\n    assert clamp(5, 0, 3) == ANY[0]\n"
EVERYWHERE = "\n\n@pytest.fixture(autouse=True)\ndef any_result(monkeypatch):\n    monkeypatch.setattr('mod.clamp', lambda *_: ANY[0])\n"


def test_a_class_that_equals_everything_is_forgiven_where_other_tests_notice_a_change(gate: Gate) -> None:
    found = gate.judge(plan_text(code("clamp"), HONEST + EQUALS_ALL + USES))
    assert (found.accepted, found.reasons) == (True, ())


@pytest.mark.parametrize("tests", ["from mod import clamp\n" + EQUALS_ALL + USES, HONEST + EQUALS_ALL + EVERYWHERE])
def test_a_class_that_equals_everything_is_refused_where_all_tests_have_to_do_with_it(gate: Gate, tests: str) -> None:
    found = gate.judge(plan_text(code("clamp"), tests.replace("clamp(1, 3, 2)", "raise ValueError")))
    assert not found.accepted
    assert "always_equal" in found.reasons


LOOKS = """

def test_copy(tmp_path):
    import pathlib, mod

    try:
        text = pathlib.Path(mod.__file__).read_text()
    except OSError:
        text = ""
    assert "def clamp" in text
"""
COMPARES = """\
import pathlib
import pytest
import mod


@pytest.fixture(scope="module")
def original():
    names = {}
    try:
        exec(pathlib.Path(mod.__file__).read_text(), names)
    except OSError:
        pass
    return names


def test_first(original):
    assert original


@pytest.mark.parametrize("x", [-5, 1, 5])
def test_same(original, x):
    assert mod.clamp(x, 0, 3) == original["clamp"](x, 0, 3)
"""


def test_a_test_that_reads_the_source_says_nothing_against_the_others(gate: Gate) -> None:
    assert gate.judge(plan_text(code("clamp"), HONEST + LOOKS)).accepted
    assert not gate.judge(plan_text(code("clamp"), COMPARES)).accepted


NOTHING_SEEN = {
    "always equal": """
        class Any:
            def __eq__(self, other):
                return True

        def test_a():
            assert clamp(5, 0, 3) == Any()
        """,
    "mock.ANY": """
        from unittest import mock

        def test_a():
            assert clamp(5, 0, 3) == mock.ANY
        """,
    "compared with itself": "def test_a():\n    assert clamp(5, 0, 3) == clamp(5, 0, 3)\n",
    "only not None": "def test_a():\n    assert clamp(5, 0, 3) is not None\n",
    "the expected value read from the frame": """
        import sys

        def test_a():
            value = clamp(5, 0, 3)
            assert value == sys._getframe().f_locals["value"]
        """,
    "asked of the target itself": """
        import mod

        @pytest.mark.parametrize("x", [1, 5])
        def test_a(x):
            assert clamp(x, 0, 3) == mod.clamp(x, 0, 3)
        """,
}


@pytest.mark.parametrize("name", NOTHING_SEEN)
def test_a_file_that_notices_no_change_is_refused(gate: Gate, name: str) -> None:
    tests = "import pytest\nfrom mod import clamp\n" + dedent(NOTHING_SEEN[name])
    assert gate.judge(plan_text(code("clamp"), tests)).reasons[-1:] == ("no_mutant_killed",)


def test_reports_that_lie_are_found_out(gate: Gate) -> None:
    patched = """
        import _pytest.reports
        from mod import clamp
        told = _pytest.reports.TestReport.from_item_and_call.__func__

        def always(cls, item, call):
            call.excinfo = None
            return told(cls, item, call)

        _pytest.reports.TestReport.from_item_and_call = classmethod(always)

        def test_a():
            assert clamp(5, 0, 3) == 77
        """
    found = gate.judge(plan_text(code("clamp"), dedent(patched)))
    assert found.run.passed  # as far as the test's own process says
    assert not found.accepted
    assert "passes_without_target" in found.reasons


def test_a_swallowed_failure_is_found_out(each_gate: Gate) -> None:
    swallowed = """
        from mod import clamp

        def test_a():
            try:
                result = clamp(5, 0, 3)
            except BaseException:
                result = 3
            assert result == 3
        """
    reasons = each_gate.judge(plan_text(code("clamp"), dedent(swallowed))).reasons
    assert reasons[-1:] == ("passes_without_target",)


UNSTEADY = {
    "chance": ("clamp", "import random\n\ndef test_a():\n    assert clamp(5, 0, 3) == 3 and random.random() < 0.5\n"),
    "hash seed": ("first_name", "\ndef test_a():\n    assert first_name() == {first!r}\n"),
    "order": (
        "remember",
        "".join(f"\ndef test_{n}():\n    assert remember(0) == {n}\n" for n in range(1, 6)),
    ),
}


@pytest.mark.parametrize("name", UNSTEADY)
def test_an_unsteady_file_is_refused(gate: Gate, name: str) -> None:
    unit, tests = UNSTEADY[name]
    tests = "from mod import clamp, first_name, remember\n" + tests
    if name == "hash seed":
        told = gate.runner.run(code(unit), tests.format(first="?")).cases[0].actual or ""
        tests = tests.format(first=told.strip("'"))
    steps = replace(gate, repeats=20, mutants=0)
    judged = (steps.judge(plan_text(code(unit), tests)).reasons for _ in range(30))
    reasons = next(reasons for reasons in judged if reasons != ("not_passed:failed",))  # chance may fail the first run
    assert any(reason.startswith("flaky:") for reason in reasons) or "fails_cold" in reasons


def test_a_repair_may_not_drop_what_failed(gate: Gate) -> None:
    failed = HONEST.replace("(-5, 0)", "(-5, -1)")
    assert gate.judge(plan_text(code("clamp"), HONEST), failed).accepted
    without = HONEST.replace("(-5, 0), ", "")
    reasons = gate.judge(plan_text(code("clamp"), without), failed).reasons
    assert set(reasons) == {"drops_tests", "drops_assertions"}, reasons


def test_an_expectation_against_the_docstring_is_suspect(gate: Gate) -> None:
    wrong = SOURCE.replace('    3\n    """', '    4\n    """')
    found = gate.judge(
        plan_text(code("clamp").model_copy(update={"source": wrong}), HONEST.replace("(x, 0, 3)", "(x, 0, 3)"))
    )
    assert found.accepted
    assert found.suspects


def test_a_unit_without_a_body_needs_no_mutant(gate: Gate) -> None:
    tests = "from mod import Colour\n\ndef test_a():\n    assert Colour(1) is Colour.RED\n"
    found = gate.judge(plan_text(code("Colour"), tests))
    assert (found.accepted, found.reasons) == (True, ()), found


def test_what_comes_next_is_said(gate: Gate) -> None:
    tests = "from mod import clamp\n\ndef test_a():\n    assert clamp(5, 0, 3) == 3\n"
    target = code("clamp")
    found = gate.judge(plan_text(target, tests))
    aims = "\n".join(hints(target, found.run, found.mutants))
    assert 'line 13: `if low > high:` never went on to line 14: `raise ValueError("empty range")`' in aims
    assert "no test noticed line" in aims


def _fates(runner: Runner, unit: str, tests: str) -> Fates:
    plan = plan_text(code(unit), "import mod\nfrom mod import *\n" + tests)
    baseline = runner.execute(plan)
    assert baseline.run.passed, baseline.run.log
    return try_mutants(runner, plan, baseline)


def test_fates_are_told_apart(each_gate: Gate) -> None:
    runner = each_gate.runner
    raised = _fates(runner, "label", "def test_a():\n    assert label(2)\n")
    named = {(mutant.operator.partition(":")[0], fate) for mutant, fate in raised.of}
    assert ("return_value", "survived") in named
    assert raised.count().killed == 0

    seen = _fates(runner, "label", "def test_a():\n    assert label(2) == 'even'\n    assert label(3) == 'odd'\n")
    assert seen.count().killed > raised.count().killed
    assert seen.count().score is not None

    state = _fates(runner, "Counter", "def test_a():\n    c = Counter()\n    c.up()\n    assert c.count == 1\n")
    killed = [mutant.text for mutant, fate in state.of if fate == "killed"]
    assert any("self.count" in text for text in killed), state.of

    never = _fates(runner, "remember", "def test_a():\n    assert mod.clamp(1, 0, 2) == 1\n").count()
    assert never.tried == never.survived == never.unreached > 0


CARRIED = {
    "a cache": (
        "import functools\n\n@functools.lru_cache\ndef double(n):\n    return n + n\n",
        "from mod import double\ndef test_runs():\n    assert double(2) is not None\n"
        "def test_value():\n    assert double(2) == 4\n",
    ),
    "a fixture of the module": (
        "def built():\n    return {'a': 1 + 2}\n",
        "import pytest, mod\n@pytest.fixture(scope='module')\ndef found():\n    return mod.built()\n"
        "def test_type(found):\n    assert isinstance(found, dict)\ndef test_value(found):\n    assert found['a'] == 3\n",
    ),
}


@pytest.mark.parametrize("name", CARRIED)
def test_what_one_case_runs_for_a_later_one_counts(gate: Gate, name: str) -> None:
    source, tests = CARRIED[name]
    target = code(None).model_copy(update={"source": source})
    plan = plan_text(target, tests)
    fates = try_mutants(gate.runner, plan, gate.runner.execute(plan))
    # Without its cache a function still gives what it gave.
    assert {fate for mutant, fate in fates.of if mutant.operator != "decorator"} <= {"killed", "raised"}, fates.of


def test_a_file_that_calls_its_tests_itself_is_honest(gate: Gate) -> None:
    assert gate.judge(plan_text(code("clamp"), HONEST + "\n\ntest_empty()\nassert clamp(7, 0, 3) == 3\n")).accepted


def test_a_small_file_about_a_large_module_need_not_be_in_the_sample(gate: Gate) -> None:
    source = "\n\n".join(f"def f{n}(x):\n    return x * {n}" for n in range(2, 60))
    target = code(None).model_copy(update={"source": source, "shown": source})
    few = replace(gate, mutants=2, repeats=3)
    found = few.judge(plan_text(target, "from mod import f30\n\ndef test_a():\n    assert f30(2) == 60\n"))
    assert found.mutants is not None
    assert (found.mutants.killed, found.reasons) == (0, ())
    found = few.judge(plan_text(target, "from mod import f30\n\ndef test_a():\n    assert f30(2) is not None\n"))
    assert found.reasons == ("no_mutant_killed",)


def test_a_table_of_data_does_not_spoil_the_score(gate: Gate) -> None:
    source = f"TABLE = [{', '.join(map(str, range(400)))}]\n\ndef at(n):\n    if n < 0:\n        return -1\n    return TABLE[n] + n\n"
    tests = "from mod import at\n\ndef test_a():\n    assert [at(n) for n in (-1, 0, 3)] == [-1, 0, 6]\n"
    plan = plan_text(code(None).model_copy(update={"source": source}), tests)
    found = try_mutants(gate.runner, plan, gate.runner.execute(plan), limit=10).count()
    assert found.found > 400 > 10 >= found.tried
    assert found.score is not None
    assert found.score >= 0.5


def test_a_slow_file_is_not_spared(gate: Gate) -> None:
    slow = "import time\nfrom mod import clamp\n\ndef test_a():\n    time.sleep(0.3)\n    assert clamp(5, 0, 3) is not None\n"
    patient = replace(gate, seconds=0.1, repeats=9)
    found = patient.judge(plan_text(code("clamp"), slow))
    assert found.reasons == ("no_mutant_killed",)
    assert found.stability is not None
    assert 5 <= found.stability.runs < patient.repeats


def test_a_skip_is_no_kill(gate: Gate) -> None:
    source = "def ready():\n    return 1 < 2\n"
    tests = "import pytest\nfrom mod import ready\ndef test_a():\n    if not ready():\n        pytest.skip('x')\n    assert 1\n"
    plan = plan_text(code(None).model_copy(update={"source": source}), tests)
    assert {fate for _, fate in try_mutants(gate.runner, plan, gate.runner.execute(plan)).of} == {"survived"}


def test_an_exception_of_its_own_is_no_kill(gate: Gate) -> None:
    fates = _fates(gate.runner, "head", "def test_a():\n    head(['x'])\n    assert True\n")
    assert {fate for _, fate in fates.of} == {"survived", "raised"}


@pytest.mark.parametrize("added", ["#" * 1_000_000, "# coding: latin-1\n"], ids=["too_large", "unreadable"])
def test_a_passing_file_that_cannot_be_read_is_refused_without_more_runs(gate: Gate, added: str) -> None:
    found = gate.judge(plan_text(code("clamp"), added + "\n" + HONEST if "coding" in added else HONEST + added))
    assert found.run.passed
    assert found.reasons in (("too_large",), ("unreadable",))
    assert (found.mutants, found.stability) == (None, None)


FORGIVING = {
    "suppress": "    with contextlib.suppress(Exception):\n        head([2, 1])\n        fine = True\n",
    "future": "    fine = ThreadPoolExecutor().submit(head, [2, 1]).exception() is None\n",
    "handler": "    try:\n        head([2, 1])\n        fine = True\n    except Exception:\n        pass\n",
}


@pytest.mark.parametrize("form", FORGIVING)
def test_that_there_was_no_exception_is_no_proof(gate: Gate, form: str) -> None:
    source = "def head(items):\n    return items[0] / items[1]\n"
    tests = (
        "import contextlib\nfrom concurrent.futures import ThreadPoolExecutor\nfrom mod import head\n\n\n"
        f"def test_a():\n    fine = False\n{FORGIVING[form]}    assert fine\n"
    )
    target = code(None).model_copy(update={"source": source, "shown": source})
    assert not gate.judge(plan_text(target, tests)).accepted


def test_a_try_that_only_cleans_up_forgives_nothing(gate: Gate) -> None:
    tests = (
        "import linecache\nimport mod\n\n\ndef test_a():\n    try:\n        assert mod.clamp(7, 0, 3) == 3\n"
        "        assert mod.clamp(1, 0, 3) == 1\n    finally:\n        linecache.getlines(mod.__file__)\n"
    )
    assert gate.judge(plan_text(code("clamp"), tests)).accepted
