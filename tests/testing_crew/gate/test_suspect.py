"""Expected values that contradict an example in a docstring are named; what is not sure is not."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

from testing_crew.gate.suspect import suspects
from trace_logger.records import CodeUnderTest

HEAD = "import pytest\nfrom mathx import *\n"


def code(source: str, unit: str | None = "add") -> CodeUnderTest:
    return CodeUnderTest(source=source, shown=source, module="mathx", unit=unit, root=".", interpreter="python")


def add(*lines: str) -> CodeUnderTest:
    """``add`` with a docstring of these lines."""
    return code(f'def add(a, b=2):\n    """Add.\n\n{indent(chr(10).join(lines), " " * 4)}\n    """\n    return a + b\n')


def test(body: str) -> str:
    return f"{HEAD}def test_add():\n{indent(dedent(body), ' ' * 4)}\n"


test.__test__ = False  # type: ignore[attr-defined]

EXAMPLES = {
    "doctest": [">>> add(1, 2)", "3"],
    "doctest of an equality": [">>> add(1, 2) == 3", "True"],
    "second doctest": [">>> add(5, 5)", "10", ">>> add(1, b=2)", "3"],
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


@pytest.mark.parametrize("form", EXAMPLES)
def test_examples_are_read_in_their_usual_forms(form: str) -> None:
    documented = add(*EXAMPLES[form])
    assert suspects(documented, test("assert add(1, 2) == 4")) == (
        "test_add(1, 2): expects 4, the docstring of add says 3",
    )
    assert suspects(documented, test("assert add(1, 2) == 3\nassert add(2, 2) == 5")) == ()


CONTRADICTIONS = {
    "other side": test("assert 4 == add(1, 2)"),
    "keyword": test("assert add(1, b=2) == 4"),
    "default": test("assert add(1) == 4"),
    "variable": test("a = 1\nresult = add(a, 2)\nexpected = 4\nassert result == expected"),
    "approx": test("assert add(1, 2) == pytest.approx(4)"),
    "is": test("assert add(1, 2) is None"),
    "and": test("assert add(1, 2) == 4 and add(2, 2) == 4"),
    "false": test("assert not add(1, 2)"),
    "another type": test("assert add(1, 2) == '3'"),
    "bool": test("assert add(1, 2) == True"),
    "raises": test("with pytest.raises(ValueError):\n    add(1, 2)"),
    "alias": "from mathx import add as plus\ndef test_add():\n    assert plus(1, 2) == 4\n",
    "through the module": "import mathx\ndef test_add():\n    assert mathx.add(1, 2) == 4\n",
    "method of a class": "from mathx import add\nclass TestAdd:\n    def test_add(self):\n        assert add(1, 2) == 4\n",
    "rows": HEAD
    + "@pytest.mark.parametrize('a, b, c', [(1, 1, 2), (1, 2, 4)])\ndef test_add(a, b, c):\n    assert add(a, b) == c\n",
    "rows of a constant": HEAD
    + "ROWS = [pytest.param(2, 4, id='x')]\n@pytest.mark.parametrize(('b', 'c'), ROWS)\ndef test_add(b, c):\n    r = add(1, b)\n    assert r == c\n",
    "stacked": HEAD
    + "@pytest.mark.parametrize('a', [1])\n@pytest.mark.parametrize('b', [2, 3])\ndef test_add(a, b):\n    assert add(a, b) == 4\n",
    "row of errors": HEAD
    + "@pytest.mark.parametrize('a, e', [(1, TypeError)])\ndef test_add(a, e):\n    with pytest.raises(e):\n        add(a, 2)\n",
}


@pytest.mark.parametrize("style", CONTRADICTIONS)
def test_contradictions_are_found_in_every_style(style: str) -> None:
    (line,) = suspects(add(">>> add(1, 2)", "3"), CONTRADICTIONS[style])
    assert line.startswith("test_add(1")
    assert line.endswith("the docstring of add says 3")


AGREEING = {
    "same": test("assert add(1, 2) == 3"),
    "float": test("assert add(1, 2) == 3.0"),
    "nearly": test("assert add(1, 2) == pytest.approx(3.1, abs=0.2)"),
    "truth": test("assert add(1, 2)"),
    "other arguments": test("assert add(1, 3) == 5"),
    "arguments of another type": test("assert add(1.0, 2) == 5"),
    "not a literal": test("assert add(1, int('2')) == 4\nassert add(1, 2) == LIMIT\nassert add(*[1, 2]) == 4"),
    "not about the call": test("assert add(1, 2) + 1 == 4\nassert str(add(1, 2)) == '4'\nassert add(1, 2) != 4"),
    "patched": HEAD + "@mock.patch('mathx.LIMIT', 5)\ndef test_add():\n    assert add(1, 2) == 4\n",
    "fixture": HEAD + "def test_add(monkeypatch):\n    assert add(1, 2) == 4\n",
    "mark of the file": HEAD
    + "pytestmark = pytest.mark.usefixtures('x')\ndef test_add():\n    assert add(1, 2) == 4\n",
    "automatic fixture": HEAD
    + "@pytest.fixture(autouse=True)\ndef x():\n    pass\ndef test_add():\n    assert add(1, 2) == 4\n",
    "inside something else": test("with mock.patch('mathx.LIMIT', 5):\n    assert add(1, 2) == 4"),
    "after something else": test("mathx_setup()\nassert add(1, 2) == 4"),
    "module changed": "import mathx\ndef test_add():\n    mathx.LIMIT = 5\n    assert mathx.add(1, 2) == 4\n",
    "something of add": test("assert add.twice(1, 2) == 4\nassert add(1, 2).real(1, 2) == 4"),
    "another add": "from operator import add\ndef test_add():\n    assert add(1, 2) == 4\n",
    "shadowed": HEAD + "def add(a, b):\n    return 4\ndef test_add():\n    assert add(1, 2) == 4\n",
    "name used twice": test("r = add(1, 2)\nr = add(2, 2)\nassert r == 4"),
    "expected to fail": HEAD + "@pytest.mark.xfail\ndef test_add():\n    assert add(1, 2) == 4\n",
    "setup": "from mathx import *\nclass TestA:\n    def setup_method(self):\n        pass\n    def test_a(self):\n        assert add(1, 2) == 4\n",
    "two calls in raises": test("with pytest.raises(ValueError):\n    int('x')\n    add(1, 2)"),
    "unreadable": "def test_add(:\n",
    "nothing": "",
}


@pytest.mark.parametrize("style", AGREEING)
def test_what_agrees_or_cannot_be_known_is_left_alone(style: str) -> None:
    assert suspects(add(">>> add(1, 2)", "3"), AGREEING[style]) == ()


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
    "printed": [">>> print(add(1, 2))", "3"],
    "bad indentation": [">>> add(1, 2)", "3", "  >>> add(1,", "... 2)"],
    "too many arguments": ["add(1, 2, 3) -> 3"],
}


@pytest.mark.parametrize("form", UNSURE)
def test_examples_that_are_not_sure_say_nothing(form: str) -> None:
    assert suspects(add(*UNSURE[form]), test("assert add(1, 2) == 5")) == ()


STATE = {
    "a global": "SEEN = 0\ndef add(a, b):\n    {}\n    global SEEN\n    SEEN += 1\n    return a + SEEN\n",
    "a list of the module": "SEEN = []\ndef add(a, b):\n    {}\n    SEEN.append(a)\n    return a + len(SEEN)\n",
    "its own attribute": "def add(a, b):\n    {}\n    add.n = b\n    return a\n",
    "dice": "import random\ndef add(a, b):\n    {}\n    return random.random()\n",
    "the clock in a helper": "import time\ndef helper(a):\n    return time.time()\ndef add(a, b):\n    {}\n    return helper(a)\n",
    "another module of the project": "from other import helper\ndef add(a, b):\n    {}\n    return helper(a)\n",
    "today": "from datetime import date\ndef add(a, b):\n    {}\n    return date.today().year + a\n",
    "printing": "def add(a, b):\n    {}\n    print(a + b)\n",
    "a default that grows": "def add(a, b, seen=[]):\n    {}\n    seen.append(a)\n    return len(seen)\n",
    "a decorator of its own": "def twice(f):\n    return f\n@twice\ndef add(a, b):\n    {}\n    return a\n",
    "defined twice": "def add(a, b):\n    {}\n    return a\ndef add(a, b):\n    return b\n",
    "a coroutine": "async def add(a, b):\n    {}\n    return a\n",
    "a generator": "def add(a, b):\n    {}\n    yield a\n",
}


@pytest.mark.parametrize("kind", STATE)
def test_a_function_whose_answer_may_change_is_left_alone(kind: str) -> None:
    source = STATE[kind].format('"""Add.\n\n    >>> add(1, 2)\n    3\n    """')
    assert suspects(code(source), test("assert add(1, 2) == 5")) == ()


@pytest.mark.parametrize(
    ("said", "expected", "found"),
    [
        ("Traceback (most recent call last):\n    ...\nValueError: no", "ValueError", 0),
        ("Traceback (most recent call last):\n    ...\nmathx.Odd: no", "Odd", 0),
        ("Traceback (most recent call last):\n    ...\nmathx.Odd: no", "ValueError", 0),
        ("Traceback (most recent call last):\n    ...\nmathx.Odd: no", "(KeyError, TypeError)", 1),
        ("Traceback (most recent call last):\n    ...\nValueError: no", "Odd", 1),
        ("Traceback (most recent call last):\n    ...\nValueError: no", "Exception", 0),
        ("Traceback (most recent call last):\n    ...\nValueError: no", "TypeError", 1),
        ("Traceback (most recent call last):\n    ...\nValueError: no", "Unknown", 0),
        ("5", "ValueError", 1),
    ],
)
def test_errors_are_compared_by_what_they_are(said: str, expected: str, found: int) -> None:
    doc = indent(f">>> odd(2)\n{said}", "    ")
    source = f'class Odd(ValueError):\n    pass\n\ndef odd(n):\n    """Odd.\n\n{doc}\n    """\n    return n\n'
    tests = f"from mathx import *\ndef test_odd():\n    with pytest.raises({expected}):\n        odd(2)\n"
    assert len(suspects(code(source, "odd"), tests)) == found


def test_an_error_in_one_and_a_value_in_the_other() -> None:
    raising = add(">>> add(1, 2)", "Traceback (most recent call last):", "    ...", "ValueError: no")
    line = "test_add(1, 2): expects 3, the docstring of add says it raises ValueError"
    assert suspects(raising, test("assert add(1, 2) == 3")) == (line,)
    assert suspects(add("add(1, 2) raises ValueError"), test("assert add(1, 2) == 3")) == (line,)
    raised = test("with pytest.raises(KeyError):\n    add(1, 2)")
    line = "test_add(1, 2): expects KeyError to be raised, the docstring of add says 3"
    assert suspects(add("add(1, 2) -> 3"), raised) == (line,)


@pytest.mark.parametrize(
    ("said", "expected", "found"),
    [
        ("0.1", "0.10000000000000001", 0),
        ("True", "1", 1),
        ("[1, 2.0]", "[1.0, 2]", 0),
        ("[1]", "(1,)", 1),
        ("{'a': 1}", "{'a': 2}", 1),
    ],
)
def test_values_are_compared_as_values(said: str, expected: str, found: int) -> None:
    assert len(suspects(add(">>> add(1, 2)", said), test(f"assert add(1, 2) == {expected}"))) == found


def test_a_figure_in_prose_may_be_rounded() -> None:
    assert suspects(add("add(1, 2) -> 3.14"), test("assert add(1, 2) == pytest.approx(3.14159)")) == ()
    assert len(suspects(add("add(1, 2) -> 3.14"), test("assert add(1, 2) == 3.2"))) == 1


STACK = '''\
class Stack:
    """A stack.

    >>> Stack(3).size()
    0
    >>> Stack(-1)
    Traceback (most recent call last):
        ...
    ValueError: negative
    """
    def __init__(self, limit):
        self.limit = limit
        self.items = []

    def size(self):
        return len(self.items)

    def push(self, item):
        """Stack(3).push(1) -> 1"""
        self.items.append(item)
        return len(self.items)
'''


def test_methods_of_a_fresh_object_are_compared() -> None:
    stack = code(STACK, "Stack")
    assert suspects(stack, test("assert Stack(limit=3).size() == 3")) == (
        "test_add(Stack(limit=3).size()): expects 3, the docstring of Stack says 0",
    )
    assert len(suspects(stack, test("s = Stack(3)\nassert s.push(1) == 2"))) == 1
    assert (
        suspects(stack, test("s = Stack(3)\nassert s.push(1) == 1\nassert s.push(1) == 2\nassert s.size() == 2")) == ()
    )
    assert len(suspects(stack, test("with pytest.raises(TypeError):\n    Stack(-1)"))) == 1
    assert suspects(stack, test("with pytest.raises(ValueError):\n    Stack(-1)")) == ()


def test_a_class_whose_objects_share_a_list_is_left_alone() -> None:
    shared = STACK.replace("    def __init__", "    seen: list = []\n\n    def __init__")
    assert suspects(code(shared, "Stack"), test("assert Stack(3).size() == 3")) == ()


def test_without_a_unit_every_function_counts() -> None:
    source = '"""add(1, 2) -> 3"""\ndef add(a, b):\n    return a + b\ndef sub(a, b):\n    """sub(2, 1) -> 1"""\n    return a - b\n'
    tests = test("assert add(1, 2) == 4\nassert sub(2, 1) == 2")
    assert suspects(code(source, None), tests) == (
        "test_add(1, 2): expects 4, the docstring of mathx says 3",
        "test_add(2, 1): expects 2, the docstring of sub says 1",
    )
    assert len(suspects(code(source, "sub"), tests)) == 1


def test_code_that_does_not_parse_says_nothing() -> None:
    assert suspects(code("def add(:\n"), test("assert add(1, 2) == 4")) == ()
