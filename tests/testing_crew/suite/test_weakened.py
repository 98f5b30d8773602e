from __future__ import annotations

import pytest

from testing_crew.suite.weakened import weakened

HEAD = "import pytest\nfrom sums import add, sub, Stack\n\n\n"
ADD = "def test_add():\n    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n\n\n"
SUB = "def test_sub():\n    assert sub(5, 2) == 3\n\n\n"
RAISES = "def test_bad():\n    with pytest.raises(KeyError, match='no such'):\n        add(None, 2)\n\n\n"
ROWS = (
    "@pytest.mark.parametrize(('a', 'b', 'want'), [(1, 2, 3), (4, 5, 9), (7, 8, 15)])\n"
    "def test_rows(a, b, want):\n    assert add(a, b) == want\n\n\n"
)
CLASS = "class TestSums:\n    def test_add(self):\n        assert add(1, 2) == 3\n\n\n"


def found(old: str, new: str, *elsewhere: str) -> list[tuple[str, str]]:
    return [(each.kind, each.name) for each in weakened(HEAD + old, HEAD + new, [HEAD + text for text in elsewhere])]


LESS = {
    "a test is gone": (ADD + SUB, ADD, [("removed", "test_sub")]),
    "another took its place": (
        ADD + SUB,
        ADD + "def test_push():\n    assert Stack().push(5) == 2\n",
        [("removed", "test_sub")],
    ),
    "a name that is not collected": (ADD + SUB, ADD + SUB.replace("test_sub", "check_sub"), [("removed", "test_sub")]),
    "a class that is not collected": (CLASS, CLASS.replace("TestSums", "Sums"), [("removed", "TestSums.test_add")]),
    "del": (ADD + SUB, ADD + SUB + "del test_sub\n", [("removed", "test_sub")]),
    "another value": (ADD + SUB, ADD + SUB + "test_sub = None\n", [("removed", "test_sub")]),
    "the test is none": (ADD + SUB, ADD + SUB + "test_sub.__test__ = False\n", [("removed", "test_sub")]),
    "run as a script alone": (
        ADD + SUB,
        ADD + SUB.replace("test_sub", "check_sub") + "if __name__ == '__main__':\n    check_sub()\n",
        [("removed", "test_sub")],
    ),
    "an assertion is gone": (ADD, ADD.replace("    assert add(2, 2) == 4\n", ""), [("dropped", "test_add")]),
    "the last assertion is gone": (SUB, "def test_sub():\n    sub(5, 2)\n", [("dropped", "test_sub")]),
    "in for ==": (SUB, SUB.replace("== 3", "in (3, 4)"), [("weaker", "test_sub")]),
    "is not None": (SUB, SUB.replace("== 3", "is not None"), [("weaker", "test_sub")]),
    "truth alone": (SUB, SUB.replace(" == 3", ""), [("weaker", "test_sub")]),
    "its kind alone": (SUB, "def test_sub():\n    assert isinstance(sub(5, 2), int)\n", [("weaker", "test_sub")]),
    "or": (SUB, SUB.replace("== 3", "== 3 or True"), [("weaker", "test_sub")]),
    "with itself": (SUB, SUB.replace("== 3", "== sub(5, 2)"), [("weaker", "test_sub")]),
    "its length alone": (
        "def test_s():\n    assert Stack(3) == [1, 2, 3]\n",
        "def test_s():\n    assert len(Stack(3)) == 3\n",
        [("weaker", "test_s")],
    ),
    "by way of a name": (
        SUB,
        "def test_sub():\n    got = sub(5, 2)\n    assert got is not None\n",
        [("weaker", "test_sub")],
    ),
    "a tolerance widened": (
        "def test_a():\n    assert add(0.1, 0.2) == pytest.approx(0.3, abs=1e-6)\n",
        "def test_a():\n    assert add(0.1, 0.2) == pytest.approx(0.3, abs=0.5)\n",
        [("weaker", "test_a")],
    ),
    "a wider exception": (RAISES, RAISES.replace("KeyError", "Exception"), [("weaker", "test_bad")]),
    "one above it": (RAISES, RAISES.replace("KeyError", "LookupError"), [("weaker", "test_bad")]),
    "one of two": (RAISES, RAISES.replace("KeyError", "(KeyError, TypeError)"), [("weaker", "test_bad")]),
    "its message": (RAISES, RAISES.replace(", match='no such'", ""), [("weaker", "test_bad")]),
    "skipped": (SUB, "@pytest.mark.skip(reason='slow')\n" + SUB, [("skipped", "test_sub")]),
    "expected to fail": (SUB, "@pytest.mark.xfail\n" + SUB, [("skipped", "test_sub")]),
    "skipped inside": (SUB, SUB.replace("():\n", "():\n    pytest.skip('later')\n"), [("skipped", "test_sub")]),
    "skipped by a name": (
        SUB,
        "later = pytest.mark.skipif(True, reason='x')\n\n\n@later\n" + SUB,
        [("skipped", "test_sub")],
    ),
    "the file": (SUB, "pytestmark = pytest.mark.skip\n\n\n" + SUB, [("skipped", "")]),
    "the file, by a call": (SUB, "pytest.skip('later', allow_module_level=True)\n" + SUB, [("skipped", "")]),
    "the file, by an import": (SUB, "np = pytest.importorskip('numpy')\n\n\n" + SUB, [("skipped", "")]),
    "one more file": (
        "collect_ignore = ['a.py']\n",
        "collect_ignore = ['a.py', 'test_b.py']\n",
        [("skipped", "")],
    ),
    "the class": (CLASS, "@pytest.mark.skip\n" + CLASS, [("skipped", "TestSums")]),
    "the class is no test": (CLASS, CLASS.replace("Sums:\n", "Sums:\n    __test__ = False\n\n"), [("skipped", "TestSums")]),
    "an early return": (
        SUB,
        "def test_sub():\n    if not sub(1, 1):\n        return\n    assert sub(5, 2) == 3\n",
        [("skipped", "test_sub")],
    ),
    "under a condition": (
        SUB,
        "def test_sub():\n    if sub(5, 2):\n        assert sub(5, 2) == 3\n",
        [("weaker", "test_sub")],
    ),
    "rows": (ROWS, ROWS.replace(", (7, 8, 15)", ""), [("rows", "test_rows")]),
    "swallowed": (
        SUB,
        "def test_sub():\n    try:\n        assert sub(5, 2) == 3\n    except Exception:\n        pass\n",
        [("swallowed", "test_sub")],
    ),
    "in a helper of the tests": (
        "def check(got, want):\n    assert got == want\n\n\ndef test_sub():\n    check(sub(5, 2), 3)\n",
        "def check(got, want):\n    assert got is not None\n\n\ndef test_sub():\n    check(sub(5, 2), 3)\n",
        [("weaker", "check")],
    ),
    "unittest's": (
        "class TestU:\n    def test_sub(self):\n        self.assertEqual(sub(5, 2), 3)\n",
        "class TestU:\n    def test_sub(self):\n        self.assertTrue(sub(5, 2))\n",
        [("weaker", "TestU.test_sub")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LESS)
def test_what_is_checked_no_longer_is_named(case):
    old, new, expected = LESS[case]
    assert found(old, new) == expected


ENOUGH = {
    "renamed": (SUB, SUB.replace("test_sub", "test_difference")),
    "moved into a class": (ADD, "class TestAdd:\n    def test_add(self):\n        assert add(1, 2) == 3\n        assert add(2, 2) == 4\n"),
    "moved within the file": (ADD + SUB, SUB + ADD),
    "a comment": (SUB, SUB.replace("== 3", "== 3  # of course")),
    "a docstring": (SUB, SUB.replace("():\n", "():\n    '''Less.'''\n")),
    "more": (SUB, SUB + ADD),
    "stronger": (SUB.replace("== 3", "is not None"), SUB),
    "a weak one before an exact one": (
        "def test_sub():\n    got = sub(5, 2)\n    assert got is not None\n    assert got == 3\n",
        SUB,
    ),
    "another result": (SUB, SUB.replace("== 3", "== 4")),
    "the other way round": (SUB, "def test_sub():\n    assert 3 == sub(5, 2)\n"),
    "a name for the result": (SUB, "def test_sub():\n    got = sub(5, 2)\n    assert got == 3\n"),
    "out of unittest": (
        "class TestU:\n    def test_sub(self):\n        self.assertEqual(sub(5, 2), 3)\n        self.assertIsNone(sub(0, 0))\n",
        "class TestU:\n    def test_sub(self):\n        assert sub(5, 2) == 3\n        assert sub(0, 0) is None\n",
    ),
    "into rows": (
        "def test_a():\n    assert add(1, 2) == 3\n\n\ndef test_b():\n    assert add(4, 5) == 9\n\n\ndef test_c():\n    assert add(7, 8) == 15\n",
        ROWS,
    ),
    "rows of a name": (ROWS, "ROWS = [(1, 2, 3), (4, 5, 9), (7, 8, 15)]\n\n\n" + ROWS.replace("[(1, 2, 3), (4, 5, 9), (7, 8, 15)]", "ROWS")),
    "out of rows": (
        ROWS,
        "def test_rows():\n    for a, b, want in [(1, 2, 3), (4, 5, 9), (7, 8, 15)]:\n        assert add(a, b) == want\n",
    ),
    "split": (ADD, "def test_add():\n    assert add(1, 2) == 3\n\n\ndef test_more():\n    assert add(2, 2) == 4\n"),
    "into a helper": (
        SUB,
        "def check(got, want):\n    assert got == want\n\n\ndef test_sub():\n    check(sub(5, 2), 3)\n",
    ),
    "into a function that a test calls": (
        SUB,
        SUB.replace("test_sub", "check_sub") + "def test_all():\n    check_sub()\n",
    ),
    "decorated by hand": (SUB, SUB + "test_sub = pytest.mark.slow(test_sub)\n"),
    "into one": (ADD, "def test_add():\n    assert (add(1, 2), add(2, 2)) == (3, 4)\n"),
    "and": (ADD, "def test_add():\n    assert add(1, 2) == 3 and add(2, 2) == 4\n"),
    "a function with a new name": (SUB, SUB.replace("sub(5", "minus(5").replace("test_sub", "test_sub")),
    "a float": (
        "def test_a():\n    assert add(0.1, 0.2) == 0.3\n",
        "def test_a():\n    assert add(0.1, 0.2) == pytest.approx(0.3)\n",
    ),
    "a narrower exception": (RAISES.replace("KeyError", "Exception"), RAISES),
    "the message, asked of the exception": (
        RAISES,
        "def test_bad():\n    with pytest.raises(KeyError) as caught:\n        add(None, 2)\n    assert str(caught.value) == 'no such thing'\n",
    ),
    "the message, asked by a match": (
        "def test_bad():\n    with pytest.raises(KeyError) as caught:\n        add(None, 2)\n    assert str(caught.value) == 'no such thing'\n",
        RAISES,
    ),
    "rows that are made": (ROWS, ROWS.replace("[(1, 2, 3), (4, 5, 9), (7, 8, 15)]", "[(n, n, 2 * n) for n in range(9)]")),
    "a skip that stays": ("@pytest.mark.skip\n" + SUB, "@pytest.mark.skip(reason='slow')\n" + SUB),
    "a skip that goes": ("@pytest.mark.skip\n" + SUB, SUB),
    "a skip of the code's own": (
        "def test_s():\n    assert Stack().skip(2) == 2\n",
        "def test_s():\n    stack = Stack()\n    stack.skip(1)\n    assert Stack().skip(2) == 2\n",
    ),
    "a lint": (
        "def test_s():\n    assert add(1, 1) == True\n    assert not sub(1, 1) == None\n",
        "def test_s():\n    assert add(1, 1)\n    assert sub(1, 1) is not None\n",
    ),
    "no Python": (SUB, "def test_sub(:\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENOUGH)
def test_what_is_checked_as_before_or_better_is_not(case):
    assert found(*ENOUGH[case]) == []


def test_a_sentence_has_both_lines_and_the_place():
    (weak,) = weakened(HEAD + ADD + SUB, HEAD + ADD + SUB.replace("== 3", "is not None"))
    assert weak.says == (
        "`assert sub(5, 2) == 3` became `assert sub(5, 2) is not None`, which holds for nearly any result"
    )
    assert (weak.line, weak.uses) == (11, {"sub"})


def test_a_test_may_go_to_another_file():
    assert found(ADD + SUB, ADD, SUB.replace("test_sub", "test_minus")) == []
    assert found(ADD + SUB, ADD, "def test_other():\n    assert add(7, 7) == 14\n") == [("removed", "test_sub")]
