"""Files that pass honestly and pin nothing: comparisons that always hold, assertions whose failure is lost."""

from __future__ import annotations

import pytest

from .conftest import WAYS, Case, World, test_contained_and_told, test_refused  # noqa: F401


def weak(test: str, verdicts: str = "passed", before: str = "") -> Case:
    """A file that passes honestly and pins nothing."""
    lines = "".join(f"    {line}\n" for line in test.splitlines())
    return Case(f"{before}def test_a():\n{lines}", verdicts, refused=True)


@pytest.fixture(scope="module")
def way() -> str:
    """One way is enough: what these files do not check they do not check however they are run."""
    return WAYS[0]


CASES = {
    # -- tests that see how they are run
    "a mutant told by who loads it": weak(
        "assert same(add(1, 2))",
        before="KINDS = [type(f).__name__ for f in sys.meta_path]\ndef same(value):\n    return KINDS.count('_Plain') == 0\n",
    ),
    # -- comparisons that always hold
    "an object equal to all": weak(
        "assert add(1, 2) == Yes()", before="class Yes:\n    def __eq__(self, other):\n        return True\n"
    ),
    "mock.ANY": weak("assert add(1, 2) == ANY", before="from unittest.mock import ANY\n"),
    "an int equal to all": weak(
        "assert add(Int(1), Int(2)) == 99",
        before="class Int(int):\n    def __add__(self, other):\n        return self\n    def __eq__(self, other):\n        return True\n    __hash__ = int.__hash__\n",
    ),
    "approx that is always near": weak(
        "assert add(1, 2) == pytest.approx(4)",
        before="type(pytest.approx(4)).__eq__ = lambda s, o: True\n",
    ),
    "anything goes": weak("assert add(1, 2) == pytest.approx(50, abs=1000)"),
    "a tautology": weak("assert add(1, 2) == add(1, 2)"),
    "or else": weak("assert add(1, 2) == 4 or True"),
    "a tuple": weak("assert (add(1, 2) == 4, 'wrong')"),
    "not None": weak("assert add(1, 2) is not None"),
    "of its type": weak("assert isinstance(add(1, 2), int)"),
    "the expected value from the frame": weak(
        "result = add(1, 2)\nassert result == peek()",
        before="def peek():\n    return sys._getframe(1).f_locals['result']\n",
    ),
    "the expected value from the other side": weak(
        "assert Peek() == add(1, 2)",
        before="class Peek:\n    def __eq__(self, other):\n        self.value = other\n        return self.value == other\n",
    ),
    "the expected value from the target": weak("expected = mathx.add(1, 2)\nassert add(1, 2) == expected"),
    "the text of the target": weak("import inspect\nadd(1, 2)\nassert 'return a + b' in inspect.getsource(add)"),
    "the bytecode of the target": weak(
        "add(1, 2)\nassert len(add.__code__.co_code) > 4 and add.__code__.co_names == ()"
    ),
    "the file of the target": weak(
        "import hashlib\nadd(1, 2)\nassert len(hashlib.sha256(pathlib.Path(mathx.__file__).read_bytes()).hexdigest()) == 64"
    ),
    # -- assertions whose failure is lost
    "an assertion in a thread": weak(
        "thread = threading.Thread(target=check)\nthread.start()\nthread.join()",
        before="def check():\n    assert add(1, 2) == 4\n",
    ),
    "an assertion in a child": weak(
        "if os.fork() == 0:\n    try:\n        assert add(1, 2) == 4\n    finally:\n        os._exit(0)\nos.wait()"
    ),
    "an assertion that is forgiven": weak(
        "with Forgive():\n    assert add(1, 2) == 4",
        before="class Forgive:\n    def __enter__(self): pass\n    def __exit__(self, *error): return True\n",
    ),
    "a test that is forgiven": Case(
        "def forgive(test):\n    def test_a():\n        try:\n            test()\n        except BaseException:\n            pass\n    return test_a\n"
        "@forgive\ndef test_a():\n    assert add(1, 2) == 4\n",
        "passed",
    ),
    "an expected assertion": weak(
        "with pytest.raises(Wrong):\n    assert add(1, 2) == 444", before="Wrong = AssertionError\n"
    ),
    "an assertion in a finalizer": weak(
        "Late()", "passed failed", before="class Late:\n    def __del__(self):\n        assert add(1, 2) == 4\n"
    ),
    "a generator that nobody asks": weak("check()", before="def check():\n    yield\n    assert add(1, 2) == 4\n"),
    "assertEqual that does nothing": Case(
        "import unittest\nclass TestAdd(unittest.TestCase):\n    def assertEqual(self, *values):\n        pass\n"
        "    def test_a(self):\n        self.assertEqual(add(1, 2), 4)\n",
        "passed",
    ),
    "a failure of the target that is expected": weak("with pytest.raises(Exception):\n    add(1)"),
}
