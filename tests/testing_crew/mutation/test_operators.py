"""Mutants as text: what each operator changes, that lines keep their numbers, what is left alone; no test is run."""

from __future__ import annotations

import bisect
import builtins
import collections
import contextlib
import dataclasses
import datetime
import enum
import inspect
import textwrap
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from testing_crew.mutation.operators import Mutant, disabled, mutants, sample
from testing_crew.runner.inside.watch import other as inside


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__testing_crew_other__", inside.other, raising=False)
    monkeypatch.setattr(builtins, "__testing_crew_disabled__", inside.TargetDisabled, raising=False)


def loaded(source: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "target"}
    exec(compile(source, "target.py", "exec", dont_inherit=True), space)
    return space


def said(source: str, call: str) -> object:
    """The value of ``call`` in ``source``, or the type of its exception."""
    try:
        return eval(call, loaded(source))
    except Exception as error:
        return type(error)


def by(operator: str, source: str, *, every: bool = False) -> list[Mutant]:
    found = mutants(source, every=every)
    assert all(m.source.count("\n") == source.count("\n") + (not source.endswith("\n")) for m in found)
    return [m for m in found if m.operator.startswith(operator)]


CASES = [
    ("binary:Add->Sub", "def f(a, b):\n    return a + b\n", "f(3, 2)", 5, 1),
    ("binary:Mul->FloorDiv", "def f(a, b):\n    return a * b\n", "f(6, 2)", 12, 3),
    ("comparison:Lt->LtE", "def f(a):\n    return a < 3\n", "f(3)", False, True),
    ("comparison:Lt->GtE", "def f(a):\n    return a < 3\n", "f(1)", True, False),
    ("comparison:Is->IsNot", "def f(a):\n    return a is None\n", "f(1)", False, True),
    ("membership:In->NotIn", "def f(a):\n    return a in (1, 2)\n", "f(1)", True, False),
    ("membership:NotIn->In", "def f(a):\n    return (a) not in (1, 2)\n", "f(1)", False, True),
    ("unary:USub->nothing", "def f(a):\n    return -a\n", "f(1)", -1, 1),
    ("unary:Not->nothing", "def f(a):\n    return not a\n", "f(True)", False, True),
    ("boolean:True->False", "def f():\n    return True\n", "f()", True, False),
    ("boolean:and->or", "def f(a, b):\n    return a and b\n", "f(0, 2)", 0, 2),
    ("loop:break->continue", "def f():\n    for n in 1, 2:\n        break\n    return n\n", "f()", 1, 2),
    (
        "loop:none",
        "def f(a):\n    n = 0\n    for n in (\n        a\n    ):\n        pass\n    return n\n",
        "f([4])",
        4,
        0,
    ),
    ("number", "def f(a=(\n    # seven\n    7)): return a\n", "f()", 7, 8),
    ("decorator", "def d(f): return lambda: 2\n@d\ndef f():\n    return 1\n", "f()", 2, 1),
    ("exception", "def f():\n    try: [][0]\n    except (KeyError, IndexError): return 1\n", "f()", 1, IndexError),
    ("augmented:Add->Sub", "def f(a):\n    a += 1\n    return a\n", "f(5)", 6, 4),
    ("condition", "def f(a):\n    if 0: pass\n    elif (a\n     or 0): return 1\n    return 2\n", "f(1)", 1, 2),
    ("condition", "def f(a):\n    return 1 if a else 2\n", "f(1)", 1, 2),
    ("condition", "def f(a):\n    return [n for n in a if n]\n", "f([0, 1])", [1], [0]),
    ("return_value", "def f(a):\n    return (a\n        + [1])\n", "f([7])", [7, 1], [1]),
    ("return_value", "def f(a):\n    return a, 2\n", "f(1)", (1, 2), (2, 2)),
    ("yield_value", "def f(a):\n    yield a, 1\n", "list(f(1))", [(1, 1)], [(2, 1)]),
    ("state", "def f(d, x):\n    d['a'] = x\n    return d\n", "f({}, 1.5)", {"a": 1.5}, {"a": 2.5}),
    ("state", "def f(d, x):\n    d[0], y = x, 1\n    return d\n", "f({}, 1.5)", {0: 1.5}, {0: 2.5}),
    ("state", "n = 0\ndef f(x):\n    global n\n    n = x\n    return n\n", "f(True)", True, False),
    ("state", "def f(x):\n    x[0] += x[1]\n    return x\n", "f([1, 1])", [2, 1], [3, 1]),
    ("statement", "def f(a):\n    a.extend(\n        [1]\n    );  a.sort()\n    return a\n", "f([2])", [1, 2], [2]),
    ("statement", "def f(d):\n    del d[0]\n    return d\n", "f([1])", [], [1]),
    ("raise", "def f():\n    raise ValueError(\n        'no')\n", "f()", ValueError, None),
    ("string", "def f():\n    return'a' 'b'\n", "f()", "ab", "abx"),
    ("string", "def f(x):\n    match x:\n        case 'a': return 1\n", "f('a')", 1, None),
]


@pytest.mark.parametrize(("operator", "source", "call", "before", "after"), CASES)
def test_each_operator_changes_what_is_said(
    operator: str, source: str, call: str, before: object, after: object
) -> None:
    assert said(source, call) == before
    found = by(operator, source)
    assert found
    assert after in [said(mutant.source, call) for mutant in found]
    assert not any(mutant.equivalent for mutant in found)


AWKWARD = {
    "CRLF": "def f(a):\r\n    if a:\r\n        return (a +\r\n            1)\r\n    return 'x'\r\n",
    "tabs": "class A:\n\tdef f(self):\n\t\tself.x = 1 + 2; self.y = [1]\n\t\treturn self.x\n",
    "unicode": "def f(naïve):\n    ß = '→'; return naïve + len(ß + '日本') if ß is naïve else [naïve]\n",
    "async": "async def f(a):\n    async for x in a:\n        await x.send(1)\n        yield x\n    async with a as b: b[0] = x\n",
    "match": "def f(x):\n    match x:\n        case {'a': 1, **r} if r: return -1\n        case [1 | 2, *_] | (-3): return x < 2\n    return x\n",
    "walrus": "def f(a):\n    while (n := a.pop()) and a: print(n, end='')\n    if m := n: return (k := m)\n",
    "f-strings": "def f(a, b):\n    return f'{a + 1:>{b}} {a and \"x\"!r}' f\"{a}\" 'tail' if a else f'''{\n  b}'''\n",
    "one-liners": "def f(x): return x\ndef g(): 'doc'; x = 1; return x;\nclass A: n = 1; m: int = 2\nif 1: x = 2\nelse: x = 3",
    "no last line break": "def f(a):\n    a += 1\n    raise ValueError(\n        a)",
    "parameters": "def f(a, /, b: int | None = 1, *, c=2, **d) -> int | str: return [*d, a * b, (lambda *x, y=3: x)]\n",
    "continued": "def f(a):\n    x = a \\\n        + 1\n    return x \\\n        is not \\\n        None\n",
    "decorators": "import functools\n@functools.lru_cache(\n    maxsize=2,\n)  # cached\n# so\n@property\ndef f(x): return not x\n",
    "generator": "def f(a):\n    x = yield\n    y = yield a\n    return (yield a, x)\n",
    "dotted except": "import json\ntry: x = 1\nexcept json.JSONDecodeError as e: x = 2\nexcept (OSError, json.A): pass\n",
    "form feed": "x = 1\n\x0c\ndef f():\n    return x - 0.5e400 + 1_0 + 2j + 0xFF\n",
    "nested": "def f(a):\n    class B:\n        y = 'k'\n        def g(self): return a['k']\n    def h(): nonlocal a; a = B().y\n    return h\n",
}


@pytest.mark.parametrize("source", AWKWARD.values(), ids=AWKWARD)
def test_awkward_sources(source: str) -> None:
    found = mutants(source)
    assert len(found) > 1
    assert len({mutant.source for mutant in found}) == len(found)
    assert {mutant.source for mutant in found} <= {mutant.source for mutant in mutants(source, every=True)}
    for mutant in mutants(source, every=True):
        compile(mutant.source, "target.py", "exec")
        assert len(mutant.source.splitlines()) == len(source.splitlines())
        assert "\n" not in mutant.text
        assert len(mutant.text) < 260
    raising = disabled(source)
    if raising is not None:
        compile(raising, "target.py", "exec")
        assert raising.count("\n") == len(source.split("\n")) - source.endswith("\n")


@pytest.mark.parametrize("module", [textwrap, bisect, contextlib])
def test_real_modules(module: ModuleType) -> None:
    source = inspect.getsource(module)
    found = mutants(source)
    assert len(found) > len(source.splitlines()) / 4
    assert [m.line for m in found] == sorted(m.line for m in found)
    for mutant in found:
        compile(mutant.source, "target.py", "exec")
        assert len(mutant.source.splitlines()) == len(source.splitlines())
    raising = disabled(source)
    assert raising is not None
    assert len(raising.splitlines()) == len(source.splitlines())
    loaded(raising.replace("__testing_crew_disabled__", "Exception"))


@pytest.mark.parametrize("source", ["", "\n", "# nothing\n", "def (", "x = \x00", "'''", "def f():\n  x\n y\n"])
def test_nothing_to_change(source: str) -> None:
    assert mutants(source) == []
    assert disabled(source) is None


def test_what_is_left_alone() -> None:
    source = (
        '"""doc 1"""\nfrom __future__ import annotations\nfrom typing import TYPE_CHECKING, overload\n'
        '__all__ = ["f"] + ["g"]\nif TYPE_CHECKING:\n    X = 1 + 2\n'
        'x: "int | str"\n@overload\ndef f(a: int | None) -> int | str:\n    """doc 2"""\n    ...\n'
        'def g(a: "list[1]"):\n    "doc 3"\n    f"{a}"\n    log.debug("said %s", a)\n'
        'if __name__ == "__main__":\n    f(1 + 1)\n'
    )
    assert mutants(source) == []
    assert by("binary", source, every=True)  # cosmic-ray itself goes everywhere
    message = "def f(a):\n    if a > 1:\n        raise ValueError('a message', 1)\n    assert a, 'another'\n"
    assert not [m for m in mutants(message) if m.operator == "string"]


def test_every_has_all_replacements() -> None:
    source = "def f(a, b):\n    return a * b\n"
    assert len(by("binary", source)) == 1
    assert len(by("binary", source, every=True)) == 11
    assert len(by("comparison", "x = 1\ny = x < x\n", every=True)) == 7
    assert len(by("number", "x = 1\n", every=True)) == 2


def test_lines_of_a_unit() -> None:
    source = "import d\n\n@d.c\ndef f(a):\n    return (\n        a + 1\n    )\n\ndef g(a):\n    return a + 1\n"
    assert {mutant.line for mutant in mutants(source, (4, 7))} == {3, 5}
    assert {mutant.line for mutant in mutants(source, (9, 10))} == {10}
    texts = {mutant.operator: mutant.text for mutant in mutants(source, (4, 7))}
    assert texts["binary:Add->Sub"] == "line 5: `return ( a + 1 )` -> `return ( a - 1 )`"
    assert texts["return_value"] == "line 5: `return ( a + 1 )` -> `return ( other_value(a + 1) )`"
    assert texts["decorator"] == "line 3: `@d.c` -> nothing"
    (cut,) = by("binary", f"x = [{'0x1, ' * 40}y + z{', 0x1' * 40}]\n")
    assert ("y + z" in cut.text, "y - z" in cut.text, len(cut.text) < 260) == (True, True, True)


def test_equivalent_ones_are_marked() -> None:
    assert [m.equivalent for m in by("number", "x = 1e30\n")] == [True]
    assert [m.equivalent for m in by("binary", "x = 2 ** 2\n")] == [True]
    assert [m.equivalent for m in by("binary", "x = 0.0 * 1\ny = 2 * 3\n")] == [True, False]
    assert sample(by("number", "x = 1e30\n"), 9) == []


def test_a_sample_is_fair_and_the_same_each_time() -> None:
    found = mutants(inspect.getsource(textwrap))
    chosen = sample(found, 30)
    assert chosen == sample(found, 30)
    assert chosen != sample(found, 30, seed=1)
    assert len(chosen) == 30
    assert [found.index(mutant) for mutant in chosen] == sorted(found.index(mutant) for mutant in chosen)
    assert len(sample(found, 10_000)) == sum(not mutant.equivalent for mutant in found)
    assert sample(found, 0) == []


ROWS = ", ".join(map(str, range(900)))
CODE = "".join(f"\ndef f{n}(a):\n    return a + {n}\n" for n in range(30))
DATA = {
    "a list": f"TABLE = [{ROWS}]\n",
    "a dict of lists": f"TABLE = {{'a': [\n{ROWS}\n], 'b': 1}}\n",
    "rows": "TABLE = [" + "".join(f"row({n}, {n}),\n" for n in range(300)) + "]\n",
    "constants": "".join(f"C{n} = {n}\n" for n in range(300)),
    "an enum": "class E(Enum):\n" + "".join(f"    C{n} = {n}\n" for n in range(300)),
    "in a function": f"def table():\n    return ({ROWS})\n",
}


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_data_does_not_drown_the_functions(data: str) -> None:
    source = data + CODE
    first = data.count("\n") + 1
    for limit, least in ((30, 22), (100, 60), (10_000, 60)):
        lines = [mutant.line for mutant in sample(mutants(source), limit)]
        of_code = [line for line in lines if line > first]
        assert len(of_code) >= least
        assert 0 < len(lines) - len(of_code) <= len(lines) / 4 + 1
        assert len(set(of_code)) >= min(limit // 2, 30)  # not all from a few of the functions
    assert len(sample(mutants(data), 30)) >= 5
    assert len(mutants(source)) == len(mutants(data)) + len(mutants(CODE))


def test_data_counts_by_table() -> None:
    source = f"A = [{ROWS}]\nB = 1\nC = 2\n" + CODE
    assert {mutant.line for mutant in sample(mutants(source), 30)} >= {1, 2, 3}
    table = "OPERATORS = {" + "".join(f"'{n}': lambda a: a + {n},\n" for n in range(100)) + "}\n"
    assert len(sample(mutants(table + CODE), 100)) == 100  # what a lambda does is no data


@pytest.mark.parametrize("data", [DATA["a list"], DATA["in a function"]], ids=["module", "function"])
def test_finding_the_mutants_of_a_table_does_not_compile_all_of_it_each_time(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = 0

    def counted(source: Any, *arguments: Any, **more: Any) -> Any:
        nonlocal compiled
        compiled += len(source) if isinstance(source, str) else 0
        return compile(source, *arguments, **more)

    monkeypatch.setattr("testing_crew.mutation.text.compile", counted, raising=False)
    assert len(mutants(data)) >= 900
    assert compiled < 20 * len(data)


DISABLED = '''\
import functools

def one(x): return x  # now
def two(x): "doc"; y = x; return y;

class A:
    @property
    def three(self):
        """Doc."""
        @functools.cache
        def inner():
            yield 1
        return """
    """

    @staticmethod
    async def four(): ...

def five():
    """Doc alone."""

def six():
    yield [n
           for n in "ab"]

seven = lambda: 7
'''


def test_disabled() -> None:
    raising = disabled(DISABLED)
    assert raising is not None
    assert len(raising.splitlines()) == len(DISABLED.splitlines())
    space = loaded(raising)
    a = space["A"]
    with pytest.raises(inside.TargetDisabled):
        a.four().send(None)
    for call in (lambda: space["one"](1), lambda: space["two"](1), lambda: a().three, space["five"], space["six"]):
        with pytest.raises(inside.TargetDisabled) as caught:
            call()
        assert caught.traceback[-1].lineno + 1 in {3, 4, 10, 20, 23}
    assert space["seven"]() == 7
    assert (a.three.__doc__, space["two"].__doc__) == ("Doc.", "doc")
    part = disabled(DISABLED, (6, 17))
    assert part is not None
    assert loaded(part)["one"](1) == 1
    assert disabled(DISABLED, (25, 26)) is None


class Point(NamedTuple):
    name: object
    x: int


@dataclasses.dataclass(frozen=True)
class Record:
    what: object
    count: int = dataclasses.field(default=0)

    def __post_init__(self) -> None:
        if self.count > 5:
            raise ValueError


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Mask(enum.IntFlag):
    A = 1
    B = 2


class Name(str):
    __slots__ = ()


class Bag(list):  # type: ignore[type-arg]
    pass


class Hostile(int):
    def __new__(cls, *_: object) -> Hostile:
        raise ZeroDivisionError


NAN, INF = float("nan"), float("inf")
TODAY = datetime.datetime(2024, 2, 29, 12)
VALUES: list[Any] = [
    *(True, 3, -1.5, NAN, INF, 1e300, 2j, complex(NAN, 0), "", "abc", Name("abc"), b"", b"ab", bytearray(b"a")),
    *([], [1, 2], [NAN], Bag([1]), (), (None,), (1, "a"), range(0), range(3), collections.deque([1])),
    *(set(), {1, 2}, frozenset({"a"}), {}, {"a": 1}, collections.OrderedDict(a=1), collections.Counter("a")),
    *(Point(None, 1), Record(None, 1), Record(Point((1, 2), 3)), Colour.BLUE, Mask.A, Mask.A | Mask.B, Mask(0)),
    *(Decimal("1.5"), Decimal("Infinity"), Fraction(1, 3), PurePosixPath("a/b.txt"), PurePosixPath("/")),
    *(TODAY, TODAY.date(), TODAY.time(), datetime.datetime.max, datetime.timedelta.max),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_another_value_of_the_same_type(value: Any) -> None:
    before, count = repr(value), inside.changed
    found = inside.other(value)
    assert type(found) is type(value)
    assert found != value
    assert repr(found) != before
    assert (repr(value), inside.changed) == (before, count + 1)


@pytest.mark.parametrize("value", [None, ..., NotImplemented, int, len, object(), Point, inside])
def test_values_without_another(value: object) -> None:
    count = inside.changed
    assert inside.other(value) is value
    hostile = int.__new__(Hostile, 3)
    assert inside.other(hostile) is hostile
    assert inside.other(Record(None, 5)) == Record(None, 5)
    assert inside.changed == count


def test_a_generator_loses_its_first_element() -> None:
    count = inside.changed
    assert list(inside.other(n for n in "")) == []
    assert inside.changed == count
    assert list(inside.other(n for n in "abc")) == ["b", "c"]
    assert inside.changed == count + 1
