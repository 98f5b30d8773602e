"""Examples in docstrings that the code contradicts are named; what is not sure is not. All of a table are asked in one run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent

import pytest

from testing_crew.gate.examples import contradictions
from testing_crew.runner.plan import plan_text
from testing_crew.runner.run import Limits, Runner
from trace_logger.records import CodeUnderTest


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(Limits(wall_seconds=60)) as made:
        yield made


def said(runner: Runner, source: str, unit: str | None = None) -> tuple[str, ...]:
    code = CodeUnderTest(source=source, shown=source, module="mathx", unit=unit, root="", interpreter=sys.executable)
    return contradictions(runner, plan_text(code, "def test_a():\n    pass\n"))


def functions(table: Mapping[str, Sequence[str]], body: str) -> str:
    """A module with an ``add`` for each row, documented by its lines: add0, add1, …"""
    made = []
    for number, lines in enumerate(table.values()):
        text = indent("\n".join(lines).replace("add(", f"add{number}("), "    ")
        made.append(f'def add{number}(a, b=2):\n    """Add.\n\n{text}\n    """\n    {body}\n')
    return "\n\n".join(made)


EXAMPLES = {
    "doctest": [">>> add(1, 2)", "3"],
    "doctest of an equality": [">>> add(1, 2) == 3", "True"],
    "second doctest": [">>> type(add(5, 5))", "<class 'int'>", ">>> add(1, b=2)", "3"],
    "with a name": [">>> total = add(1, 2)", ">>> total", "3"],
    "printed": [">>> print(add(1, 2))", "3"],
    "equality": ["add(1, 2) == 3"],
    "arrow": ["add(1, 2) -> 3"],
    "unicode arrow": ["- `add(1, 2)` → `3`"],
    "fat arrow": ["Example: add(1, 2) => 3."],
    "comment": ["    add(1,2) # 3"],
    "comment with an arrow": ["add(1, 2)  # => 3"],
    "returns": ["e.g. add(1, 2) returns 3."],
    "module": ["mathx.add(1, 2) -> 3"],
    "default filled in": ["add(a=1) -> 3"],
}


STATEMENT = 'class Cache:\n    """Keeps.\n\n    >>> c = Cache({})\n    >>> c.size\n    {}\n    """\n\n    def __init__(self, size):\n        if size {} 1:\n            raise ValueError(size)\n        self.size = size\n'


def test_a_statement_that_the_code_cannot_do_is_told(runner: Runner) -> None:
    assert said(runner, STATEMENT.format(1, 1, "<")) == ()
    assert said(runner, STATEMENT.format(1, 1, ">=")) == (
        "c = Cache(1) raises ValueError, the docstring of Cache says nothing of that",
    )
    alone = 'def check(n):\n    """Check.\n\n    >>> check(3)\n    """\n    if n {} 3:\n        raise KeyError(n)\n'
    assert said(runner, alone.format("!=")) == ()
    assert said(runner, alone.format("==")) == (
        "check(3) raises KeyError, the docstring of check says nothing of that",
    )
    # what the example itself does wrong, or needs from elsewhere, is not the code's doing
    assert said(runner, 'def f():\n    """F.\n\n    >>> f()[3]\n    >>> f(1, 2)\n    """\n    return []\n') == ()
    assert (
        said(runner, 'def f():\n    """F.\n\n    >>> f(missing)\n    >>> open("nothing")\n    """\n    return []\n')
        == ()
    )


def test_examples_are_read_in_their_usual_forms(runner: Runner) -> None:
    assert said(runner, functions(EXAMPLES, "return a + b")) == ()
    wrong = said(runner, functions(EXAMPLES, "return a + b + 1"))
    assert len(wrong) == len(EXAMPLES), wrong
    assert wrong[0] == "add0(1, 2) gives 4, the docstring of add0 says 3"
    assert wrong[1] == "add1(1, 2) == 3 gives False, the docstring of add1 says True"


UNSURE = {
    "directive": [">>> add(1, 2)  # doctest: +SKIP", "3"],
    "ellipsis": [">>> add(1, 2)", "[1, ..., 3]"],
    "no literal": ["add(1, 2) -> int", "add(1, 2) -> 3 or 5", "add(1, 2) is 3"],
    "no call with literals": ["add(a, b) -> 3", "add(1, x) -> 3"],
    "an enumeration": ["add(1, 2) returns 3, 5"],
    "prose before it": ["it is wrong that add(1, 2) == 3"],
    "doubtful heading": ["Known bug:", "", "add(1, 2) -> 3"],
    "condition": ["When LIMIT is set:", "    add(1, 2) -> 3"],
    "two that disagree": ["add(1, 2) -> 3", "add(1, 2) -> 4"],
    "another function": ["sub(1, 2) -> 3"],
    "bad indentation": [">>> add(1, 2)", "3", "  >>> add(1,", "... 2)"],
    "a file": [">>> add(open('there.txt'))", "3"],
}
CHANGING = {
    "dice": "import random\n    return random.random()",
    "the clock": "import time\n    return time.time()",
    "today": "from datetime import date\n    return date.today().year",
    "a set": "return list({'a', 'b', 'c', 'd', 'e', 'f'})",
    "an object": "return object()",
    "another module": "from other import helper\n    return helper(a)",
}


def test_examples_that_are_not_sure_say_nothing(runner: Runner) -> None:
    assert said(runner, functions(UNSURE, "return 17")) == ()


@pytest.mark.parametrize("kind", CHANGING)
def test_what_comes_out_another_way_each_time_is_left_alone(runner: Runner, kind: str) -> None:
    assert said(runner, functions({kind: [">>> add(1, 2)", "3"]}, CHANGING[kind])) == ()


AGREEING = [
    ("0.1", "0.10000000000000001"),
    ("1", "1.0"),
    ("[1, 2.0]", "[1.0, 2]"),
    ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
    ("{1, 2}", "{2, 1}"),
]
DIFFERING = [("True", "1"), ("[1]", "(1,)"), ("{'a': 1}", "{'a': 2}"), ("'3'", "3"), ("3", "None"), ("0.1", "0.11")]


def test_values_are_compared_as_values(runner: Runner) -> None:
    def asked(pairs: list[tuple[str, str]]) -> tuple[str, ...]:
        made = [
            f'def f{n}():\n    """\n    >>> f{n}()\n    {doc}\n    """\n    return {value}\n'
            for n, (doc, value) in enumerate(pairs)
        ]
        return said(runner, "\n\n".join(made))

    assert asked(AGREEING) == ()
    assert [line.partition("(")[0] for line in asked(DIFFERING)] == [f"f{n}" for n in range(len(DIFFERING))]


def test_a_figure_in_prose_may_be_rounded(runner: Runner) -> None:
    assert said(runner, functions({"pi": ["add(1, 2) -> 3.14"]}, "return 3.14159")) == ()
    assert len(said(runner, functions({"pi": ["add(1, 2) -> 3.14"]}, "return 3.2"))) == 1


RAISES = ["Traceback (most recent call last):", "    ...", "ValueError: no"]


def test_errors_are_compared_with_values(runner: Runner) -> None:
    documented = {"doctest": [">>> add(1, 2)", *RAISES], "prose": ["add(1, 2) raises ValueError"]}
    assert said(runner, functions(documented, "raise ValueError('another word')")) == ()
    assert said(runner, functions(documented, "raise TypeError")) == ()  # it may be a kind of the other
    assert said(runner, functions(documented, "return 3")) == (
        "add0(1, 2) gives 3, the docstring of add0 says raises ValueError",
        "add1(1, 2) gives 3, the docstring of add1 says raises ValueError",
    )
    assert said(runner, functions({"value": ["add(1, 2) -> 3"]}, "raise KeyError(a)")) == (
        "add0(1, 2) raises KeyError, the docstring of add0 says 3",
    )


STACK = '''\
class Stack:
    """A stack.

    >>> s = Stack(3)
    >>> s.push(1)
    1
    >>> s.push(1)
    2
    """
    def __init__(self, limit):
        self.items = []

    def push(self, item):
        """Stack(3).push(1) -> 1"""
        self.items.append(item)
        return len(self.items)
'''


def test_examples_of_a_class_are_run_in_their_order(runner: Runner) -> None:
    assert said(runner, STACK, "Stack") == ()
    assert said(runner, STACK.replace("len(self.items)", "len(self.items) % 2"), "Stack") == (
        "s.push(1) gives 0, the docstring of Stack says 2",
    )
    assert said(runner, STACK.replace("len(self.items)", "0"), "Stack") == (
        "s.push(1) gives 0, the docstring of Stack says 1",
        "Stack(3).push(1) gives 0, the docstring of push says 1",
    )


def test_only_the_unit_s_own_examples_count(runner: Runner) -> None:
    source = (
        '"""add(1, 2) -> 4"""\n\ndef add(a, b):\n    return a + b\n\n\n'
        'def sub(a, b):\n    """sub(2, 1) -> 2"""\n    return a - b\n'
    )
    assert said(runner, source, "sub") == ("sub(2, 1) gives 1, the docstring of sub says 2",)
    assert said(runner, source, "add") == ("add(1, 2) gives 3, the docstring of mathx says 4",)
    assert len(said(runner, source)) == 2


def test_code_that_does_not_parse_says_nothing(runner: Runner) -> None:
    assert said(runner, "def add(:\n") == ()
