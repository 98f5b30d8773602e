"""What is too slow is counted in steps: no clock, and so no busy machine, has a say in it."""

import pytest

from finetune.data.synthetic.program import Parameter
from finetune.data.synthetic.scenarios import play
from finetune.data.synthetic.steps import MADE_UP
from finetune.data.synthetic.tables import Row, call

ENDLESS = {
    "a loop": "def f(n):\n    while n:\n        n += 1\n",
    "a loop on one line": "def f(n):\n    return [n for n in iter(int, 1)]\n",
    "a generator": "def f(n):\n    while True:\n        yield n\n",
    "calls": "def f(n):\n    return f(n - 1) + f(n - 2) if n > -40 else 1\n",
    "exceptions handled": """\
def f(n):
    while True:
        try:
            raise ValueError
        except ValueError:
            n += 1
""",
}


def called(source):
    namespace = {}
    exec(compile(source, MADE_UP, "exec"), namespace)
    return call(namespace["f"], (1,), (Parameter("n", "int"),))


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS)
def test_what_does_not_end_is_left_out(source):
    assert called(source) is None
    with pytest.raises(ValueError, match="too slow"):
        play(source, "list(f(1))" if "yield" in source else "f(1)")


def test_a_machine_that_stands_still_in_between_changes_nothing():
    assert called("import time\ndef f(n):\n    time.sleep(0.6)\n    return n + 1\n") == Row((1,), 2)


def test_an_exception_is_a_row_of_its_own():
    assert called("def f(n):\n    raise KeyError(n)\n") == Row((1,), raises="KeyError", message="1")
