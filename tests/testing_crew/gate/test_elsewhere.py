"""Claims that stand outside of the test file: what a mutant proves outweighs what its text does not show, and cheats stay out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest

from testing_crew.gate.gate import Gate, Judgement
from testing_crew.mutation.operators import mutants
from testing_crew.mutation.trial import read_fate
from testing_crew.runner.plan import Variation, plan_file

if TYPE_CHECKING:
    from conftest import Project

SHOP = """\
import checking

def total(prices, discount=0):
    if discount < 0:
        raise ValueError("negative")
    return sum(prices) - discount

def each(items, call):
    for item in items:
        call(item * 2)

def safe(x):
    checking.must_be_small(x + 1)
    return x

def halves(x):
    yield x / 2
"""
FILES = {
    "shop.py": SHOP,
    "checking.py": "def must_be_small(x):\n    assert x < 100\n",
    "pytest.ini": "[pytest]\n",
    # An assertion library as they are: words that raise an error of its own, a helper that keeps failures until the end.
    "lib/claims/__init__.py": """\
        class Unmet(AssertionError):
            pass

        class expect:
            def __init__(self, value):
                self.value = value
            def to_be(self, wanted):
                __tracebackhide__ = True
                if self.value != wanted:
                    raise Unmet(f"{self.value} is not {wanted}")

        kept = []

        def softly(held, text):
            if not held:
                kept.append(text)
        """,
    "conftest.py": """\
        import sys, pathlib
        sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
        import pytest, claims

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            if claims.kept and call.when == "call" and report.passed:
                report.outcome, report.longrepr = "failed", "; ".join(claims.kept)
            claims.kept.clear()
            return report
        """,
    "tests/conftest.py": """\
        import hashlib, pathlib, pytest

        @pytest.fixture
        def checker():
            def check(result, wanted):
                assert result == wanted
            return check

        @pytest.fixture
        def later():
            box = []
            yield box
            assert box == [3]

        @pytest.fixture
        def unchanged():
            import shop
            digest = lambda: hashlib.sha256(pathlib.Path(shop.__file__).read_bytes()).hexdigest()
            before = digest(), pathlib.Path(shop.__file__).stat().st_mtime_ns
            yield
            assert before == (digest(), pathlib.Path(shop.__file__).stat().st_mtime_ns)
        """,
    "tests/helpers.py": """\
        import marshal, pathlib, zlib
        import shop

        def check_total(result, wanted):
            assert result == wanted

        def check_refused(call, *values):
            try:
                call(*values)
            except ValueError:
                return
            raise AssertionError("not refused")

        def must_not_fail(call, *values):
            try:
                return call(*values)
            except BaseException as error:
                raise AssertionError("it failed") from error

        def own_total(prices, discount=0):
            return sum(prices) - discount

        def pristine():
            names = {}
            exec(pathlib.Path(shop.__file__).read_text(), names)
            return names

        def check_bytecode():
            names = {}
            exec(compile(pathlib.Path(shop.__file__).read_bytes(), shop.__file__, "exec"), names)
            assert names["total"].__code__ == shop.total.__code__

        def check_constants():
            assert shop.total.__code__.co_consts == pristine()["total"].__code__.co_consts

        def check_names():
            assert {"sum", "ValueError"} == {*shop.total.__code__.co_names}
        """,
    "tests/base.py": """\
        class Contract:
            def make(self):
                raise NotImplementedError
            def test_sum(self):
                assert self.make()([1, 2]) == 3
        """,
}
HONEST = {
    "a helper": "from helpers import check_total\ndef test_a():\n    check_total(total([1, 2]), 3)\n",
    "a helper for errors": "from helpers import check_refused\ndef test_a():\n    check_refused(total, [1], -1)\n",
    "a base class": "from base import Contract\nclass TestTotal(Contract):\n    def make(self):\n        return total\n",
    "a checker from a fixture": "def test_a(checker):\n    checker(total([1, 2]), 3)\n",
    "after a fixture's yield": "def test_a(later):\n    later.append(total([1, 2]))\n",
    "an assertion library": "from claims import expect\ndef test_a():\n    expect(total([1, 2])).to_be(3)\n",
    "soft assertions": "from claims import softly\ndef test_a():\n    softly(total([1, 2]) == 3, 'sum')\n",
    "a generator": "from helpers import check_total\ndef test_a():\n    check_total(next(shop.halves(3)), 1.5)\n",
}
HOLLOW = {
    "nothing": "def test_a():\n    total([1, 2])\n",
    "a checksum of the source": "def test_a(unchanged):\n    total([1, 2])\n",
    "an assertion about a copy": "from helpers import check_total, own_total\n"
    "def test_a():\n    total([1, 2])\n    check_total(own_total([1, 2]), 3)\n",
    "only that it does not fail": "from helpers import must_not_fail\ndef test_a():\n    must_not_fail(total, [1, 2], 1)\n",
    "only that it does not fail, told by a flag": "def test_a():\n    fine = True\n    try:\n        total([1, 2], 1)\n"
    "    except BaseException:\n        fine = False\n    assert fine\n",
    "a comparison with the text on the disk": "from helpers import check_total, pristine\n"
    "def test_a():\n    same = total([1, 2])\n    check_total(same, pristine()['total']([1, 2]))\n",
    "bytecode compared": "from helpers import check_bytecode\ndef test_a():\n    total([1, 2])\n    check_bytecode()\n",
    "constants compared": "from helpers import check_constants\ndef test_a():\n    total([1, 2])\n    check_constants()\n",
    "how it is loaded": "import sys\nfrom helpers import check_total\ndef test_a():\n    total([1, 2])\n"
    "    check_total([type(f).__name__ for f in sys.meta_path].count('_Plain'), 0)\n",
    "names compared": "from helpers import check_names\ndef test_a():\n    total([1, 2])\n    check_names()\n",
}


@pytest.fixture(scope="module")
def shop(new_project: Callable[[], Project]) -> Project:
    made = new_project()
    for path, text in FILES.items():
        made.write(path, text)
    return made


def judged(gate: Gate, shop: Project, name: str, text: str) -> Judgement:
    file = shop.write(f"tests/test_{abs(hash(name))}.py", "import shop\nfrom shop import total\n" + text)
    return gate.judge(plan_file(file, shop.code("shop", None)))


@pytest.mark.parametrize("name", HONEST)
def test_claims_that_stand_elsewhere_count(gate: Gate, shop: Project, name: str) -> None:
    found = judged(gate, shop, name, HONEST[name])
    assert (found.accepted, found.reasons) == (True, ()), found


@pytest.mark.parametrize("name", HOLLOW)
def test_what_is_no_claim_about_the_target_does_not(gate: Gate, shop: Project, name: str) -> None:
    found = judged(gate, shop, name, HOLLOW[name])
    assert found.run.passed, found.run.log
    assert not {"no_assertion_about_target", "reads_bytecode", "notices_mutation"}.isdisjoint(found.reasons), found


def test_a_proof_may_be_outside_of_the_sample(gate: Gate, shop: Project) -> None:
    found = judged(replace(gate, mutants=1), shop, "sample", HONEST["a helper"])
    assert found.accepted, found


@pytest.mark.parametrize(
    ("changed", "text", "killed"),
    [
        ("x + 1", "def test_a():\n    shop.safe(98)\n", False),  # an assertion that the target runs into
        ("item * 2", "def test_a(checker):\n    shop.each([1], lambda x: checker(x, 2))\n", True),  # one that it calls
    ],
)
def test_an_assertion_that_came_through_the_target(
    gate: Gate, shop: Project, changed: str, text: str, killed: bool
) -> None:
    file = shop.write("tests/test_through.py", "import shop\n" + text)
    plan = plan_file(file, shop.code("shop", None))
    sources = [m.source for m in mutants(SHOP) if changed in m.text]
    fates = {read_fate(gate.runner.execute(plan, Variation(measure=False, source=source)).run) for source in sources}
    assert ("killed" in fates, "raised" in fates) == (killed, not killed)


FORMS = """\
from __future__ import annotations
import functools

def told(x):
    \'\'\'Said.\'\'\'
    return 10 // x

def only_said():
    \'\'\'Said.\'\'\'

def one(x): return x + 1

def each(n):
    yield from range(n)

async def later(x):
    return 10 // x

async def stream():
    yield 1

def caught(x):
    try:
        return told(x)
    except ZeroDivisionError:
        return -1

class Kept:
    def __init__(self, value): self.value = value
    @property
    def shown(self): return self.value
    @classmethod
    def make(cls): return cls(1)
    def __repr__(self): return super().__repr__()

@functools.lru_cache
def kept(x):
    global LAST
    LAST = x
    return x

less = lambda x, *y, **z: sorted(y, key=lambda v: v // x)
"""
FORMS_TEST = """\
import asyncio
import forms
def test_all():
    assert (forms.told(2), forms.told.__doc__, forms.only_said(), forms.one(1)) == (5, "Said.", None, 2)
    first = forms.each(3)
    assert next(first) == 0
    first.close()
    async def streamed():
        return [x async for x in forms.stream()]
    assert (asyncio.run(forms.later(2)), asyncio.run(streamed())) == (5, [1])
    assert (forms.caught(0), forms.Kept.make().shown, "Kept" in repr(forms.Kept(1))) == (-1, 1, True)
    assert (forms.kept(3), forms.LAST, forms.less(1, 3, 2)) == (3, 3, [2, 3])
"""


@pytest.mark.parametrize("form", ["restated", "guarded"])
def test_a_text_in_another_form_does_the_same(gate: Gate, shop: Project, form: Literal["restated", "guarded"]) -> None:
    shop.write("forms.py", FORMS)
    plan = plan_file(shop.write("tests/test_forms.py", FORMS_TEST), shop.code("forms", None))
    made = gate.runner.execute(plan, Variation(measure=False, source=FORMS, form=form))
    assert made.run.passed, made.run.log
    assert made.mutant is not None
    assert (made.mutant.loaded, made.mutant.looked, made.mutant.dissected) == (True, frozenset(), False)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups")
def test_a_claim_in_a_group(gate: Gate, shop: Project) -> None:
    text = (
        "import pytest\n\n@pytest.fixture\ndef one():\n    yield\n    assert total([1]) == 1\n\n"
        "@pytest.fixture\ndef two():\n    yield\n    assert total([2]) == 2\n\ndef test_a(one, two):\n    pass\n"
    )
    found = judged(gate, shop, "group", text)
    assert found.accepted, found
