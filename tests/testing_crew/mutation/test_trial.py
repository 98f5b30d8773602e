"""Mutants tried in forks of one run have the fates that runs of their own give them, or are left to these."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from testing_crew.mutation.fates import Fate, try_mutants
from testing_crew.mutation.operators import Mutant, mutants
from testing_crew.mutation.trial import Trial
from testing_crew.runner.plan import Change, Plan, plan_text
from testing_crew.runner.run import Execution, Limits, Runner
from trace_logger.records import CodeUnderTest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks of warm runs need Linux")

SOURCE = """\
from __future__ import annotations

import functools
from bisect import bisect_left

LIMIT = 10
_seen: list[int] = []


def shout(function):
    @functools.wraps(function)
    def wrapper(*values):
        return function(*values) + "!"

    return wrapper


@shout
def greet(name):
    return "hello " + name


@functools.lru_cache(maxsize=None)
def square(x):
    return x * x


def within(x, limit=LIMIT):
    if x > limit:
        raise ValueError(f"{x} is too much")
    return bisect_left([1, 3, 5], x)


def counted(items):
    total = 0
    for item in items:
        total += item
        yield total


def adder(step):
    def add(x):
        return x + step

    return add


plus_two = adder(2)
double = lambda x: x * 2  # noqa: E731
half, third = (lambda x: x / 2), (lambda x: x / 3)


class Box:
    colour = "red"

    def __init__(self, *items):
        self.items = list(items)

    @property
    def size(self):
        return len(self.items)

    @staticmethod
    def of(count):
        return Box(*range(count))

    def __private(self):
        return self.colour + "ish"

    def shade(self):
        return self.__private()


def table():
    return {"a": 1}


TABLE = table()


def look_up(name):
    return TABLE[name]


def remember(x):
    _seen.append(x)
    return len(_seen)


def one_line(x): return x + 1


def unused(x):
    return x - 1


def loop(x):
    while x > 0:
        x -= 1
    return x
"""
TESTS = """\
import pytest

from target import (
    Box, counted, double, greet, half, look_up, loop, one_line, plus_two, remember, square, third, within
)


def test_greet():
    assert greet("you") == "hello you!"


def test_square():
    assert square(3) == 9


def test_square_again():
    assert square(3) > 0


def test_within():
    assert within(3) == 1
    with pytest.raises(ValueError):
        within(11)


def test_counted():
    assert list(counted([1, 2, 3])) == [1, 3, 6]


def test_functions():
    assert plus_two(1) == 3
    assert double(4) == 8
    assert half(4) == 2
    assert third(9) == 3
    assert one_line(1) == 2


def test_box(tmp_path):
    (tmp_path / "x").write_text("x")
    assert Box(1, 2).size == 2
    assert Box.of(3).items == [0, 1, 2]
    assert Box().shade() == "redish"


def test_state():
    assert look_up("a") == 1
    assert remember(1) == 1


def test_loop():
    assert loop(2) == 0
"""


LINES = """
    def f(x):
        y = x + 1
        z = y * 2
        w = z - 3
        return w
    """


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(Limits(wall_seconds=60), workers=2) as made:
        yield made


def planned(source: str, tests: str) -> Plan:
    source = dedent(source)
    code = CodeUnderTest(source=source, shown=source, module="target", root="", interpreter=sys.executable)
    return plan_text(code, dedent(tests))


def both_ways(runner: Runner, plan: Plan) -> tuple[dict[Mutant, Fate], dict[Mutant, Fate]]:
    """What forks tell, and what runs of their own tell of the same mutants."""
    baseline = runner.execute(plan)
    assert baseline.run.passed, baseline.run.log
    trial = Trial(runner, plan, baseline)
    with runner.side_by_side() as pool:
        forked = trial.together(mutants(plan.code.source), None, lambda more: None)
        reached = [mutant for mutant in forked if trial.cases(mutant)]
        alone = dict(zip(reached, pool.map(trial.alone, reached), strict=True))
    return {mutant: forked[mutant] for mutant in reached}, alone


def forks_refuse(runner: Runner, source: str, tests: str) -> bool:
    plan = planned(source, tests)
    assert runner.execute(plan).run.passed
    made = runner.execute_changes(plan, plan.code.source, [Change(0, 0, "", None, 5.0)]).runs
    return made == [None]


def test_forks_and_runs_agree_on_every_mutant_that_forks_tell(runner: Runner) -> None:
    plan = planned(SOURCE, TESTS)
    forked, alone = both_ways(runner, plan)
    assert {mutant.text: fate for mutant, fate in forked.items()} == {m.text: fate for m, fate in alone.items()}
    told = "\n".join(mutant.text for mutant in forked)
    for line in (
        "return x * x",
        "return function(*values)",
        "total += item",
        "return len(self.items)",
        "return self.colour",
    ):
        assert line in told
    for line in ("LIMIT = 10", 'colour = "red"', '{"a": 1}', "def one_line"):  # what an import runs
        assert line not in told
    assert {"killed", "raised", "survived"} <= set(forked.values())


def test_all_fates_are_those_of_runs_of_their_own(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(SOURCE, TESTS)
    baseline = runner.execute(plan)
    told: list[tuple[int, int]] = []
    quick = try_mutants(runner, plan, baseline, tell=lambda done, of: told.append((done, of)))
    monkeypatch.setattr(runner, "warm", False)  # one run after another, each in a process of its own
    slow = try_mutants(runner, plan, baseline, limit=20)
    known, again = (
        dict(quick.of),
        {mutant: fate for mutant, fate in slow.of if fate != "timed_out"},
    )  # of a busy machine
    assert len(again) > 10
    assert {mutant.text: known[mutant] for mutant in again} == {mutant.text: fate for mutant, fate in again.items()}
    assert told[-1] == (len(quick.of), len(quick.of))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "a thread"),
        ("import subprocess\nsleeper = subprocess.Popen(['sleep', '60'])", "a process"),
        ("file = open(__file__)", "an open file, whose place all forks would share"),
    ],
)
def test_a_target_that_holds_what_forks_would_share_is_left_to_runs_of_their_own(
    runner: Runner, state: str, says: str
) -> None:
    source = f"{state}\n\n\ndef f(x):\n    return x + 1\n"
    assert forks_refuse(runner, source, "from target import f\n\n\ndef test_f():\n    assert f(1) == 2\n"), says


def test_what_one_fork_writes_or_starts_is_gone_in_the_next(runner: Runner) -> None:
    plan = planned(
        """
        def f(x):
            y = x + 1
            return y
        """,
        """
        import os, pathlib, subprocess, tempfile
        from target import f

        def test_f():
            place = pathlib.Path(tempfile.gettempdir())
            (place / "left").touch(exist_ok=False)
            (pathlib.Path.home() / "folder").mkdir()
            subprocess.Popen(["sleep", "60"], start_new_session=True)
            assert len([name for name in os.listdir("/proc") if name.isdigit()]) < 8
            assert f(1) == 2
        """,
    )
    start = plan.code.source.index("x + 1")
    same = Change(start, start, "", None, 10.0)
    other = Change(start, start + 5, "x + 2", None, 10.0)
    made = runner.execute_changes(plan, plan.code.source, [same, other, same, same, other]).runs
    assert [run.run.verdict if run else None for run in made] == ["passed", "failed", "passed", "passed", "failed"]


def test_a_file_that_a_fork_changed_is_not_met_by_the_next(runner: Runner) -> None:
    plan = planned(
        "def f(x):\n    return x + 1\n",
        """
        import pathlib
        from target import f

        def test_f():
            note = pathlib.Path(__file__).with_name("note.txt")
            assert note.read_text() == "as it was"
            note.write_text("another")
            assert f(1) == 2
        """,
    )
    plan = plan_text(plan.code, plan.tests, {"target.py": plan.code.source, "note.txt": "as it was"})
    start = plan.code.source.index("x + 1")
    change = Change(start, start + 5, "x + 1", None, 10.0)
    made = runner.execute_changes(plan, plan.code.source, [change, change]).runs
    assert made == [
        None,
        None,
    ]  # the first run of all, without a change, has spoilt it: each has to have its own folder


def test_tests_that_know_a_fork_are_left_to_runs_of_their_own(runner: Runner) -> None:
    plan = planned(
        LINES,
        """
        import os
        from target import f

        COLLECTED_BY = os.getpid()

        def test_f():
            assert f(1) > -100 or os.getpid() != COLLECTED_BY
            assert os.getpid() == COLLECTED_BY, "in a fork"
        """,
    )
    changes = [Change(0, 0, "", None, 5.0)]
    assert runner.execute_changes(plan, plan.code.source, changes).runs == [None]
    fates = try_mutants(runner, plan, runner.execute(plan)).count()
    assert fates.killed == 0
    assert fates.survived > 0


def test_tests_that_fail_in_some_forks_only_get_no_credit_for_it(runner: Runner) -> None:
    plan = planned(
        LINES,
        """
        import os
        from target import f

        COLLECTED_BY = os.getpid()

        def test_f():
            f(1)
            in_a_fork = os.getpid() != COLLECTED_BY
            if in_a_fork:
                assert os.getpid() <= COLLECTED_BY + 2  # the first of them has no change
        """,
    )
    fates = try_mutants(runner, plan, runner.execute(plan)).count()
    assert fates.killed == 0
    assert fates.survived > 0


def test_a_loop_without_an_end_costs_one_mutant_alone(runner: Runner) -> None:
    plan = planned(
        "def f(x):\n    while x > 0:\n        x -= 1\n    return x\n",
        "from target import f\n\n\ndef test_f():\n    assert f(3) == 0\n",
    )
    start = plan.code.source.index("x -= 1")
    endless = Change(start, start + 6, "x += 1", None, 1.0)
    fine = Change(start, start + 6, "x -= 1", None, 5.0)
    made = runner.execute_changes(plan, plan.code.source, [endless, fine]).runs
    assert [run.run.verdict if run else None for run in made] == ["timeout", "passed"]


def test_a_change_that_ends_the_interpreter_is_no_word_on_the_others(runner: Runner) -> None:
    plan = planned(
        "import os\n\n\ndef f(x):\n    return x + 1\n",
        "from target import f\n\n\ndef test_f():\n    assert f(3) == 4\n",
    )
    start = plan.code.source.index("return x + 1")
    ends = Change(start, start + 12, "os._exit(0)", None, 5.0)
    broken = Change(start, start + 12, "return (", None, 5.0)
    other = Change(start, start + 12, "return x + 2", None, 5.0)
    made = runner.execute_changes(plan, plan.code.source, [ends, broken, other]).runs
    assert isinstance(made[0], Execution)
    assert made[0].run.verdict == "crashed"
    assert made[1] is None
    assert made[2] is not None
    assert made[2].run.verdict == "failed"


def test_a_target_beside_a_package_is_changed_in_place_too(runner: Runner, tmp_path: Path) -> None:
    from testing_crew.check import plan_of

    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").write_text("from shop.prices import net\n")
    (tmp_path / "shop/prices.py").write_text("def net(x):\n    y = x * 2\n    z = y - 1\n    return z + 3\n")
    (tmp_path / "test_shop.py").write_text("import shop\n\n\ndef test_net():\n    assert shop.net(2) == 6\n")
    plan, _ = plan_of(tmp_path / "test_shop.py", tmp_path / "shop/prices.py")
    forked, alone = both_ways(runner, plan)
    assert forked == alone
    assert "killed" in forked.values()


PORT = """
    import socket
    from target import f

    def test_f():
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 45671))
            listening.listen()
            assert f(1) == 2
    """
LEAVES = """
    import pathlib, tempfile
    from target import f

    def test_f():
        note = pathlib.Path(tempfile.gettempdir()) / "note"
        assert not note.exists()
        if f(1) != 2:
            note.write_text("left behind")
    """


@pytest.mark.parametrize(("tests", "fate"), [(PORT, "failed"), (LEAVES, "passed")])
def test_forks_side_by_side_do_not_meet(runner: Runner, tests: str, fate: str) -> None:
    plan = planned("def f(x):\n    return x + 1\n", tests)
    start = plan.code.source.index("x + 1")
    same, other = Change(start, start + 5, "x + 1", None, 10.0), Change(start, start + 5, "x + 3", None, 10.0)
    made = runner.execute_changes(plan, plan.code.source, [same, other, same, same, other, same, other, same]).runs
    expected = ["passed", fate, "passed", "passed", fate, "passed", fate, "passed"]
    assert [run.run.verdict if run else None for run in made] == expected


def test_a_test_that_loads_the_target_anew_sees_the_change(runner: Runner) -> None:
    plan = planned(
        "def f(x):\n    return x + 1\n",
        """
        import importlib, target

        def test_f():
            assert importlib.reload(target).f(1) == 2
        """,
    )
    start = plan.code.source.index("x + 1")
    made = runner.execute_changes(plan, plan.code.source, [Change(start, start + 5, "x + 3", None, 10.0)]).runs
    assert [run.run.verdict if run else None for run in made] == ["failed"]


def test_a_slow_fixture_makes_no_mutant_run_out_of_time(runner: Runner) -> None:
    plan = planned(
        """
        def f(x):
            y = x + 1
            z = y * 2
            return z
        """,
        """
        import time
        import pytest
        from target import f

        @pytest.fixture(scope="module")
        def slow():
            time.sleep(1.3)

        def test_first(slow):
            pass

        def test_f(slow):
            assert f(1) > 0
        """,
    )
    fates = try_mutants(runner, plan, runner.execute(plan)).count()
    assert fates.timed_out == 0
    assert fates.survived > 0


def test_a_function_that_was_never_defined_keeps_no_other_from_forks(runner: Runner) -> None:
    source = (
        "try:\n    from math import floor\nexcept ImportError:\n\n    def floor(x):\n        return int(x)\n\n\n"
        + SOURCE
    )
    plan = planned(source.replace("from __future__ import annotations\n", ""), TESTS)
    forked, _ = both_ways(runner, plan)
    assert len(forked) > 20
