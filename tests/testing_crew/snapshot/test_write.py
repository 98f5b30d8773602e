"""The tests that are written without a model, through the whole agent with real runs."""

import pytest

from testing_crew import prompt
from testing_crew.backends import open_backend
from testing_crew.backends.base import Sampling
from testing_crew.crew import TestingCrew


def final(source, name="units.py"):
    return list(TestingCrew("snapshot", traces=False).run(source, name))[-1]


CLAMP = """
def clamp(value: int, low: int, high: int) -> int:
    if low > high:
        raise ValueError("low is above high")
    return max(low, min(high, value))
"""


def test_results_are_taken_over_from_the_run_and_raising_calls_get_tests_of_their_own():
    found = final(CLAMP)
    assert found["success"], found["explained"]
    assert "with pytest.raises(ValueError):" in found["final_tests"]
    assert "None)" not in found["final_tests"].replace(CLAMP, "")


def test_lazy_results_are_listed():
    found = final("def pairs(items: list):\n    for a, b in zip(items, items[1:]):\n        yield a, b\n")
    assert found["success"], found["explained"]
    assert "list(pairs(items)) == expected" in found["final_tests"]


def test_an_exception_of_the_module_s_own_is_imported():
    code = """
class Empty(Exception):
    pass


def first(items: list):
    if not items:
        raise Empty("nothing")
    return items[0]
"""
    found = TestingCrew("snapshot", traces=False)
    tests = list(found.run(code, "units.py"))[-1]["final_tests"]
    assert "raises(Empty)" in tests


def test_a_class_is_tested_by_what_its_objects_show():
    code = """
class Till:
    def __init__(self, start: int = 0):
        self.total = start

    def add(self, amount: int):
        if amount < 0:
            raise ValueError("a till only takes")
        self.total += amount
        return self.total
"""
    found = final(code)
    assert found["success"], found["explained"]
    assert "obj.total" in found["final_tests"]


def test_what_the_docstring_says_is_not_replaced_by_what_the_code_does():
    code = """
def double(x: int) -> int:
    '''Twice the number.

    >>> double(3)
    6
    '''
    return x + x + 1
"""
    found = final(code)
    assert not found["success"]
    assert "(3, 6)" in found["final_tests"]


def test_the_same_prompt_has_the_same_answer_and_further_tests_are_none():
    backend = open_backend("snapshot")
    asked = prompt.generate("# module: m\n# unit: f\ndef f(x: int):\n    return x\n")
    assert backend.complete(asked, Sampling()).text == backend.complete(asked, Sampling(seed=5)).text
    assert backend.complete(prompt.complete("# module: m\n# unit: f\ndef f(x): ...", "x", "y"), Sampling()).text == ""
    assert len(backend.revision) == 12


@pytest.mark.parametrize(
    "code", ["", "no code at all (", "# module: m\n# unit: g\ndef f(x): ...\n", "# module: m\nX = 1\n"]
)
def test_what_cannot_be_read_gets_an_empty_answer(code):
    assert open_backend("snapshot").complete(prompt.generate(code), Sampling()).text == ""
