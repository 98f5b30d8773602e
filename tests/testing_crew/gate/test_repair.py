"""A repair may change how a thing is checked; it may not check less."""

from __future__ import annotations

import pytest

from testing_crew.gate.repair import dropped

TESTS, ASSERTIONS, WEAKER = "drops_tests", "drops_assertions", "weakens_assertions"
TWO = """\
def test_a():
    assert f(1) == 2

def test_b():
    assert f(2) == 5
"""
ROWS = """\
@pytest.mark.parametrize("x, expected", [(1, 2), (2, 5), (3, 4)])
def test_f(x, expected):
    assert f(x) == expected
"""
ONE = "def test_a():\n    assert f(1) == 2\n"
RAISES = "def test_a():\n    with pytest.raises(ValueError):\n        f(1)\n"

HONEST = {
    "another expected value": (ONE, "def test_a():\n    assert f(1) == 3\n"),
    "another input": (ONE, "def test_a():\n    assert f(2, 0) == 2\n"),
    "the row mended": (ROWS, ROWS.replace("(2, 5)", "(2, 3)")),
    "the row raises": (
        ROWS,
        ROWS.replace("(2, 5), ", "") + "def test_raises():\n    with pytest.raises(ValueError):\n        f(2)\n",
    ),
    "a value that was an error": (RAISES, ONE),
    "a value where an error is": (ONE, RAISES),
    "another error": (RAISES, RAISES.replace("ValueError", "TypeError")),
    "renamed": (TWO, TWO.replace("test_a", "test_one").replace("test_b", "test_two")),
    "merged into rows": (
        TWO,
        "@pytest.mark.parametrize('x, y', [(1, 2), pytest.param(2, 3, id='two')])\ndef test_f(x, y):\n    assert f(x) == y\n",
    ),
    "merged into one": (TWO, "def test_f():\n    assert f(1) == 2\n    assert f(2) == 3\n"),
    "merged into one statement": (TWO, "def test_f():\n    assert f(1) == 2 and f(2) == 3\n"),
    "merged into lists": (TWO, "def test_f():\n    assert [f(1), f(2)] == [2, 3]\n"),
    "merged into a loop": (
        TWO,
        "def test_f():\n    for x, y in [(1, 2), (2, 3)]:\n        assert f(x) == y\n",
    ),
    "merged into all": (TWO, "def test_f():\n    assert all(f(x) == y for x, y in {1: 2, 2: 3}.items())\n"),
    "split": (ROWS, "\n".join(f"def test_{n}():\n    assert f({n}) == {n + 1}\n" for n in (1, 2, 3))),
    "stacked": (
        "@pytest.mark.parametrize('x', [1, 2])\n@pytest.mark.parametrize('y', (3, 4))\ndef test_f(x, y):\n    assert f(x, y) == 1\n",
        "@pytest.mark.parametrize('x, y', [(1, 3), (1, 4), (2, 3), (2, 4)])\ndef test_f(x, y):\n    assert f(x, y) == 1\n",
    ),
    "rows given a name": (
        ROWS,
        "CASES = [(1, 2), (2, 3), (3, 4)]\n@pytest.mark.parametrize('x, y', CASES)\ndef test_f(x, y):\n    assert f(x) == y\n",
    ),
    "rows that contradict each other": (
        ROWS.replace("(2, 5)", "(1, 3)"),
        ROWS.replace("(2, 5), ", ""),
    ),
    "rows from elsewhere": (
        "@pytest.mark.parametrize('x', cases())\ndef test_f(x):\n    assert f(x) == 1\n",
        "@pytest.mark.parametrize('x', cases())\ndef test_f(x):\n    assert f(x) == 2\n",
    ),
    "moved into a helper": (
        TWO,
        "def check(x, y):\n    assert f(x) == y\ndef test_f():\n    check(1, 2)\n    check(2, 3)\n",
    ),
    "taken out of a helper": (
        "def check(x, y):\n    assert f(x) == y\ndef test_f():\n    check(1, 2)\n    check(2, 5)\n",
        TWO.replace("5", "3"),
    ),
    "into a class": (
        TWO,
        "class TestF:\n    def test_a(self):\n        assert f(1) == 2\n    def test_b(self):\n        assert f(2) == 3\n",
    ),
    "out of unittest": (
        "class FTest(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 2)\n        self.assertTrue(f(2))\n",
        "def test_a():\n    assert f(1) == 3\n    assert f(2)\n",
    ),
    "a fixture for the check": (
        "def test_a():\n    s = S()\n    assert s.n == 0\n    s.add(1)\n    assert s.n == 2\n",
        "@pytest.fixture\ndef s():\n    made = S()\n    assert made.n == 0\n    return made\ndef test_a(s):\n    s.add(1)\n    assert s.n == 1\n",
    ),
    "a chain": (
        "def test_a():\n    assert f(1) >= 0\n    assert f(1) <= 3\n",
        "def test_a():\n    assert 0 <= f(1) <= 4\n",
    ),
    "approx": ("def test_a():\n    assert f(1) == 0.3\n", "def test_a():\n    assert f(1) == pytest.approx(0.3)\n"),
    "two of one name": (ONE + ONE.replace("2", "3"), ONE),
    "two of one name, one renamed": (ONE + ONE.replace("2", "3"), ONE + "def test_c():\n    assert f(2) == 3\n"),
    "a type beside the value": (ONE, "def test_a():\n    r = f(1)\n    assert isinstance(r, int)\n    assert r == 3\n"),
    "truth instead of True": (
        "def test_a():\n    assert is_even(2) == True\n    assert is_even(3) is False\n",
        "def test_a():\n    assert is_even(2)\n    assert not is_even(3)\n",
    ),
    "nothing instead of a value": (ONE, "def test_a():\n    assert f(1) is None\n"),
    "something instead of nothing": (
        "def test_a():\n    assert f(1) is None\n",
        "def test_a():\n    assert f(1) is not None\n",
    ),
    "parts compared at once": (
        "def test_a():\n    a, b = f(1)\n    assert a == 1\n    assert b == 2\n",
        "def test_a():\n    assert f(1) == (1, 3)\n",
    ),
    "the message as a match": (
        "def test_a():\n    with pytest.raises(ValueError) as e:\n        f(1)\n    assert 'no' in str(e.value)\n",
        "def test_a():\n    with pytest.raises(ValueError, match='bad'):\n        f(1)\n",
    ),
    "try and fail": (
        "def test_a():\n    try:\n        f(1)\n    except ValueError:\n        pass\n    else:\n        pytest.fail()\n",
        RAISES,
    ),
    "assert True taken out": (ONE + "    assert True\n", ONE.replace("2", "3")),
    "a fresh object": (
        "def test_a():\n    assert build() == Thing()\n",
        "def test_a():\n    assert isinstance(build(), Thing)\n",
    ),
    "branches made two tests": (
        """\
@pytest.mark.parametrize("x, y", [(1, 2), (2, ValueError)])
def test_f(x, y):
    if y is ValueError:
        with pytest.raises(y):
            f(x)
    else:
        assert f(x) == y
""",
        ONE + RAISES.replace("test_a", "test_b"),
    ),
    "no test before": ("x = 1\n", ONE),
    "nothing to compare with": ("def test_a(:\n", "x = 1\n"),
    "a test without a check gets one": ("def test_a():\n    f(1)\n" + ONE.replace("_a", "_b"), TWO),
    "two that are now the same": (ONE + ONE.replace("_a", "_b").replace("2", "3"), ONE + ONE.replace("_a", "_b")),
}

DISHONEST = {
    "the failing test gone": (TWO, ONE, {TESTS, ASSERTIONS}),
    "commented out": (TWO, ONE + "# def test_b(): assert f(2) == 5\n", {TESTS, ASSERTIONS}),
    "a test without checks gone": (ONE + "def test_b():\n    f(2)\n", ONE, {TESTS}),
    "no longer collected": (TWO, TWO.replace("test_b", "_test_b"), {TESTS, ASSERTIONS}),
    "a name taken twice": (TWO, TWO.replace("test_b", "test_a"), {TESTS, ASSERTIONS}),
    "class no longer collected": (
        "class TestF:\n    def test_a(self):\n        assert f(1) == 2\n",
        "class F:\n    def test_a(self):\n        assert f(1) == 2\n",
        {TESTS, ASSERTIONS},
    ),
    "the row gone": (ROWS, ROWS.replace("(2, 5), ", ""), {TESTS, ASSERTIONS}),
    "the same row again": (ROWS, ROWS.replace("(2, 5)", "(1, 2)"), {TESTS, ASSERTIONS}),
    "a layer of rows gone": (
        "@pytest.mark.parametrize('x', [1, 2])\n@pytest.mark.parametrize('y', (3, 4))\ndef test_f(x, y):\n    assert f(x, y) == 1\n",
        "@pytest.mark.parametrize('x', [1, 2])\ndef test_f(x):\n    assert f(x, 3) == 1\n",
        {TESTS, ASSERTIONS},
    ),
    "a loop shorter": (
        "def test_f():\n    for x in [1, 2, 3]:\n        assert f(x) == x\n",
        "def test_f():\n    for x in [1, 3]:\n        assert f(x) == x\n",
        {ASSERTIONS},
    ),
    "one assertion gone": ("def test_a():\n    assert f(1) == 2\n    assert f(2) == 5\n", ONE, {ASSERTIONS}),
    "half of an and gone": ("def test_a():\n    assert f(1) == 2 and f(2) == 5\n", ONE, {ASSERTIONS}),
    "the same again": (
        "def test_a():\n    assert f(1) == 2\n    assert f(2) == 5\n",
        ONE + "    assert f(1) == 2\n",
        {ASSERTIONS},
    ),
    "a copy of another test": (TWO, ONE + ONE.replace("_a", "_c"), {TESTS, ASSERTIONS}),
    "one gone, another longer": (
        "def test_a():\n    s = S()\n    assert s.n == 1\n    assert s.f(1) == 2\n",
        "def test_a():\n    s = S()\n    assert s.n == [1, 2, 3]\n",
        {ASSERTIONS},
    ),
    "fewer numbers": (
        "@pytest.mark.parametrize('n', range(5))\ndef test_f(n):\n    assert f(n) == n\n",
        "@pytest.mark.parametrize('n', range(2))\ndef test_f(n):\n    assert f(n) == n\n",
        {TESTS, ASSERTIONS},
    ),
    "swallowed": (
        ONE,
        "def test_a():\n    try:\n        assert f(1) == 2\n    except AssertionError:\n        pass\n",
        {ASSERTIONS},
    ),
    "helper swallowed": (
        "def check(x):\n    assert x == 2\ndef test_a():\n    check(f(1))\n",
        "def check(x):\n    assert x == 2\ndef test_a():\n    try:\n        check(f(1))\n    except Exception:\n        pass\n",
        {ASSERTIONS},
    ),
    "suppressed": (ONE, "def test_a():\n    with suppress(AssertionError):\n        assert f(1) == 2\n", {ASSERTIONS}),
    "emptied helper": (
        "def assert_two(x):\n    assert x == 2\ndef test_a():\n    assert_two(f(1))\n",
        "def assert_two(x):\n    pass\ndef test_a():\n    assert_two(f(1))\n",
        {ASSERTIONS},
    ),
    "only if it holds": (ONE, "def test_a():\n    if f(1) == 2:\n        assert f(1) == 2\n", {ASSERTIONS, WEAKER}),
    "never": (ONE, "def test_a():\n    if False:\n        assert f(1) == 2\n", {ASSERTIONS}),
    "after the end": (ONE, "def test_a():\n    f(1)\n    return\n    assert f(1) == 2\n", {ASSERTIONS}),
    "in a function not called": (ONE, "def test_a():\n    def inner():\n        assert f(1) == 2\n", {ASSERTIONS}),
    "over no rows": (ONE, "def test_a():\n    for x in []:\n        assert f(x) == 2\n", {ASSERTIONS}),
    "assert True": (ONE, "def test_a():\n    f(1)\n    assert True\n", {ASSERTIONS, WEAKER}),
    "or True": (ONE, "def test_a():\n    assert f(1) == 2 or True\n", {ASSERTIONS, WEAKER}),
    "a tuple": (ONE, "def test_a():\n    assert (f(1) == 2, 'two')\n", {ASSERTIONS, WEAKER}),
    "not None": (ONE, "def test_a():\n    assert f(1) is not None\n", {WEAKER}),
    "or not None": (ONE, "def test_a():\n    assert f(1) == 2 or f(1) is not None\n", {WEAKER}),
    "its type": (ONE, "def test_a():\n    assert isinstance(f(1), int)\n", {WEAKER}),
    "its exact type": (ONE, "def test_a():\n    assert type(f(1)) is int\n", {WEAKER}),
    "has an attribute": (ONE, "def test_a():\n    assert hasattr(f(1), 'real')\n", {WEAKER}),
    "callable": (ONE, "def test_a():\n    assert callable(f) is True\n", {WEAKER}),
    "with itself": (ONE, "def test_a():\n    expected = f(1)\n    assert f(1) == expected\n", {WEAKER}),
    "anything": (ONE, "def test_a():\n    assert f(1) == mock.ANY\n", {WEAKER}),
    "anything else": (ONE, "def test_a():\n    assert f(1) != 2\n", {WEAKER}),
    "any error": (RAISES, RAISES.replace("ValueError", "Exception"), {WEAKER}),
    "any error for a value": (ONE, RAISES.replace("ValueError", "Exception"), {WEAKER}),
    "an error of its own": (ONE, RAISES.replace("f(1)", "raise ValueError"), {ASSERTIONS, WEAKER}),
    "rows weakened": (ROWS, ROWS.replace("f(x) == expected", "f(x) is not None"), {WEAKER}),
    "one row weakened": (
        ROWS,
        ROWS.replace("(2, 5), ", "") + "def test_two():\n    assert isinstance(f(2), int)\n",
        {WEAKER},
    ),
    "a predicate weakened": (
        "def test_a():\n    assert is_even(2)\n",
        "def test_a():\n    assert is_even(2) is not None\n",
        {WEAKER},
    ),
    "unittest weakened": (
        "class FTest(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 2)\n",
        "class FTest(unittest.TestCase):\n    def test_a(self):\n        self.assertIsNotNone(f(1))\n",
        {WEAKER},
    ),
}


@pytest.mark.parametrize("repair", HONEST)
def test_an_honest_repair_drops_nothing(repair: str) -> None:
    assert list(dropped(*HONEST[repair])) == []


@pytest.mark.parametrize("repair", DISHONEST)
def test_what_a_repair_drops_is_named(repair: str) -> None:
    failed, repaired, reasons = DISHONEST[repair]
    found = list(dropped(failed, repaired))
    assert set(found) == reasons
    assert len(found) == len(reasons)


@pytest.mark.parametrize("text", [pair[1] for pair in HONEST.values()] + [case[0] for case in DISHONEST.values()])
def test_a_file_that_stays_as_it_is_drops_nothing(text: str) -> None:
    assert list(dropped(text, text)) == []
