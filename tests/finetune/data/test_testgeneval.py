"""Modules of real projects with their test files: whole where they fit, else cut to one function or class."""

import ast

import pytest

from finetune.data.imports import point_at
from finetune.data.sources.testgeneval import prepare
from testing_crew import prompt

CODE = '''"""A till."""
from __future__ import annotations

import math

RATE = 0.2


def with_tax(price):
    """The price with tax."""
    return math.floor(price * (1 + RATE))


def total(prices):
    return sum(prices)


class Till:
    def __init__(self):
        self.sum = 0

    def add(self, price):
        self.sum += price
        return self
'''
TESTS = '''"""Tests of the till."""
import math
import time

import pytest
import shop
from shop import total
from shop.till import Till, with_tax as taxed
from .helpers import fake

LISTS = [[], [1, 2]]


@pytest.fixture
def till():
    return Till()


def test_till(till):
    assert till.add(2).sum == 2


class TestTotal:
    """About sums."""

    prices = [1, 2]

    def test_sum(self):
        assert total(self.prices) == 3

    def test_tax_too(self):
        assert taxed(total(self.prices)) == 3


# whole numbers
@pytest.mark.parametrize("prices", LISTS)
def test_total_of_lists(prices):
    assert shop.total(prices) == math.fsum(prices)


def test_tax():
    assert taxed(10) == 12


def test_elsewhere():
    assert fake(taxed(1)) == 1


def test_with_a_fixture_of_conftest(database):
    assert total(database) == 0


def test_quick():
    start = time.monotonic()
    total([1])
    assert time.monotonic() - start < 1
'''


def row(key="shop-1:till", **more):
    return {
        "repo": "shop",
        "base_commit": "c0ffee",
        "version": "1",
        "instance_id": "shop-1",
        "patch": "",
        "test_patch": "",
        "preds_context": "",
        "code_src": CODE,
        "test_src": TESTS,
        "code_file": "src/shop/till.py",
        "test_file": "tests/test_till.py",
        "local_imports": [],
        "id": key,
        "baseline_covs": {},
        **more,
    }


def test_a_pair_that_fits_is_one_row_without_tests_that_cannot_run_alone(built, jsonl):
    data = built(f"testgeneval:{jsonl([row(), row(), row('two', test_src='')])}")
    (made,) = data.train
    assert made.id == "testgeneval/shop-1:till"
    assert made.group == "shop:shop.till"
    assert made.prompt == prompt.generate(f"# module: shop.till\n{CODE}")
    names = {n.name for n in ast.walk(ast.parse(made.completion)) if isinstance(n, ast.FunctionDef)}
    assert names == {"till", "test_till", "test_sum", "test_tax_too", "test_total_of_lists", "test_tax"}
    (read,) = data.manifest["inputs"]
    assert read["dropped"] == {"repeated id": 1, "no full file": 1}


def test_cut_to_units_each_is_shown_alone_with_its_own_tests_and_passes(built, jsonl):
    rows = {r.id.split("#")[1]: r for r in built(f"testgeneval:{jsonl([row()])}?units=only", verify=True).train}
    assert set(rows) == {"with_tax", "total", "Till"}
    assert rows["total"].prompt == prompt.generate(
        "# module: shop.till\n# unit: total\ndef total(prices):\n    return sum(prices)\n"
    )
    assert rows["total"].completion == (
        "import math\nimport pytest\nfrom shop.till import total\n\nLISTS = [[], [1, 2]]\n\n\n"
        "class TestTotal:\n    prices = [1, 2]\n\n    def test_sum(self):\n        assert total(self.prices) == 3\n\n\n"
        '# whole numbers\n@pytest.mark.parametrize("prices", LISTS)\ndef test_total_of_lists(prices):\n'
        "    assert total(prices) == math.fsum(prices)\n"
    )
    assert "def till" in rows["Till"].completion
    assert not any(
        "test_tax_too" in r.completion for r in rows.values()
    )  # it is about two units, of which one is shown


def test_a_unit_gets_as_many_of_its_tests_as_fit(built, jsonl):
    many = "from shop.till import total\n" + "".join(
        f"\n\ndef test_total_{n}():\n    assert total([{n}, {n}, {n}, {n}]) == {4 * n}\n" for n in range(60)
    )
    small = built(f"testgeneval:{jsonl([row(test_src=many)])}", max_tokens=300)
    (made,) = small.train
    assert made.id.endswith("#total")
    assert 0 < made.completion.count("def test_") < 60
    assert "test_total_0" in made.completion


def test_unittest_is_said_in_pytests_style(built, jsonl):
    tests = (
        "import unittest\nfrom shop.till import Till\n\n\nclass TillTests(unittest.TestCase):\n    def setUp(self):\n"
        "        self.till = Till()\n\n    def test_add(self):\n        self.till.add(2)\n        self.assertEqual(self.till.sum, 2)\n\n"
        "    def test_words(self):\n        self.assertRaises(TypeError, self.till.add, 'x')\n"
    )
    (made,) = built(f"testgeneval:{jsonl([row(test_src=tests)])}", verify=True).train
    assert made.completion == (
        "import pytest\nfrom shop.till import Till\n\n\nclass TestTill:\n    def setup_method(self):\n        self.till = Till()\n\n"
        "    def test_add(self):\n        self.till.add(2)\n        assert self.till.sum == 2\n\n"
        "    def test_words(self):\n        with pytest.raises(TypeError):\n            self.till.add('x')\n"
    )


@pytest.mark.parametrize(
    ("tests", "wanted"),
    [
        (
            "import shop as s\nassert s.total(s.other) == 1\n",
            "import shop as s\n\nfrom shop.till import total\n\n\nassert total(s.other) == 1\n",
        ),
        (
            "from shop import till\nassert till.total('é') or till.total(1)\n",
            "from shop import till\n\nfrom shop.till import total\n\n\nassert total('é') or total(1)\n",
        ),
        ("from shop import total, other\n", "from shop import other\nfrom shop.till import total\n"),
        ("from shop import *\nassert total([1])\n", "from shop.till import total\n\n\nassert total([1])\n"),
        ("from shop.till import total\n", "from shop.till import total\n"),
        ("import shop\ntotal = shop.total([1])\n", "import shop\ntotal = shop.total([1])\n"),
        ("import shop\ndef a(total):\n    shop.total(1)\n", "import shop\ndef a(total):\n    shop.total(1)\n"),
    ],
)
def test_units_are_imported_from_the_module_that_is_shown(tests, wanted):
    assert point_at(tests, "shop.till", {"total"}) == wanted


def test_an_import_goes_below_the_docstring_and_what_must_come_first():
    tests = '"""Tests."""\nfrom __future__ import annotations\n\nimport shop\n\n\ndef test_total():\n    assert shop.total(1) == 2\n'
    made = prepare("def total(a):\n    return a + 1\n", tests, "shop.till")
    compile(made, "made", "exec", dont_inherit=True)
    assert "from shop.till import total" in made
    assert "assert total(1) == 2" in made
