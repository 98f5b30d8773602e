"""Ordinary honest styles of testing are accepted, each by the whole gate."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from testing_crew.gate.gate import Gate
from testing_crew.runner.plan import plan_text

if TYPE_CHECKING:
    from conftest import Project

STYLES = {
    "module attribute": ("add", "import mathx\ndef test_a():\n    assert mathx.add(1, 2) == 3\n"),
    "alias": ("add", "from mathx import add as plus\ndef test_a():\n    assert plus(1, 2) == 3\n"),
    "module from package": ("double", "from pkg import deep\ndef test_a():\n    assert deep.double(2) == 4\n"),
    "handed on by the package": ("double", "from pkg import double\ndef test_a():\n    assert double(2) == 4\n"),
    "dotted": ("double", "import pkg.deep\ndef test_a():\n    assert pkg.deep.double(2) == 4\n"),
    "star": ("add", "from mathx import *\ndef test_a():\n    assert add(1, 2) == 3\n"),
    "imported in the test": ("add", "def test_a():\n    from mathx import add\n    assert add(1, 2) == 3\n"),
    "import_module": (
        "add",
        """\
        import importlib
        mathx = importlib.import_module("mathx")
        add = mathx.add
        def test_a():
            assert add(1, 2) == 3
        """,
    ),
    "loaded by path": (
        "add",
        """\
        import importlib.util, pathlib, sys
        spec = importlib.util.spec_from_file_location("mathx", pathlib.Path.cwd() / "mathx.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["mathx"] = module
        spec.loader.exec_module(module)
        def test_a():
            assert module.add(1, 2) == 3
        """,
    ),
    "result in a variable": (
        "add",
        """\
        from mathx import add
        def test_a():
            total = add(1, 2)
            doubled = [total * 2]
            for value in doubled:
                assert value == 6
        """,
    ),
    "value named as the unit": (
        "area",
        """\
        import shapes
        def test_a():
            area = shapes.area(3)
            expected_area = 9
            assert area == expected_area
        """,
    ),
    "oracle of the same name": (
        "floor",
        """\
        import shapes
        from math import floor
        def test_a():
            assert shapes.floor(2.5) == floor(2.5)
        """,
    ),
    "parametrized": (
        "add",
        """\
        import pytest
        from mathx import add
        @pytest.mark.parametrize("a, b, expected", [(1, 2, 3), (0, 0, 0)])
        def test_a(a, b, expected):
            assert add(a, b) == expected
        """,
    ),
    "table of callables": (
        "add",
        """\
        import pytest
        import mathx
        @pytest.mark.parametrize("function, expected", [(mathx.add, 5), (mathx.sub, 1)])
        def test_a(function, expected):
            assert function(3, 2) == expected
        """,
    ),
    "raises": (
        "div",
        """\
        import pytest
        from mathx import div
        def test_a():
            with pytest.raises(ValueError, match="zero") as caught:
                div(1, 0)
            assert "division" in str(caught.value)
            assert div(4, 2) == 2
        """,
    ),
    "raises as a call": (
        "div",
        "import pytest\nfrom mathx import div\ndef test_a():\n    pytest.raises(ValueError, div, 1, 0)\n    assert div(4, 2) == 2\n",
    ),
    "try and fail": (
        "div",
        """\
        import pytest
        from mathx import div
        def test_a():
            try:
                div(1, 0)
                pytest.fail("no error")
            except ValueError:
                pass
            assert div(4, 2) == 2
        """,
    ),
    "if and raise": (
        "add",
        """\
        from mathx import add
        def test_a():
            if add(1, 2) != 3:
                raise AssertionError("wrong")
        """,
    ),
    "mutation": (
        "push",
        "from mathx import push\ndef test_a():\n    items = []\n    push(items, 1)\n    assert items == [1]\n",
    ),
    "callback": (
        "each",
        """\
        import shapes
        def test_a():
            seen = []
            def note(x):
                seen.append(x)
            shapes.each([1, 2], note)
            assert seen == [1, 2]
        """,
    ),
    "output": (
        "hello",
        """\
        from mathx import hello
        def test_a(capsys):
            hello("you")
            out, _ = capsys.readouterr()
            assert out == "hello you\\n"
        """,
    ),
    "written file": (
        "save",
        """\
        from mathx import save
        def test_a(tmp_path):
            target = tmp_path / "mathx.py"
            target.write_text("old")
            save(target, "new")
            assert target.read_text() == "new"
        """,
    ),
    "state of the module": (
        "set_level",
        """\
        from shapes import set_level, get_level
        def test_a():
            set_level(3)
            assert get_level() == 3
        """,
    ),
    "environment": (
        "mark",
        """\
        import os
        import shapes
        def test_a(monkeypatch):
            monkeypatch.delenv("MARK", raising=False)
            shapes.mark()
            assert os.environ["MARK"] == "yes"
        """,
    ),
    "class with fixture": (
        "Stack",
        """\
        import pytest
        from mathx import Stack
        @pytest.fixture
        def stack():
            made = Stack()
            made.push(1)
            yield made
        class TestStack:
            def test_a(self, stack):
                assert not stack.empty
            def test_b(self, stack):
                assert stack.pop() == 1
                assert stack.items == []
        """,
    ),
    "setup method": (
        "Stack.push",
        """\
        from mathx import Stack
        class TestStack:
            def setup_method(self):
                self.stack = Stack()
            def test_a(self):
                self.stack.push(4)
                assert self.stack.items == [4]
        """,
    ),
    "helper with the assertion": (
        "add",
        """\
        from mathx import add
        def check(value, expected):
            assert value == expected
        def test_a():
            check(add(1, 2), 3)
        """,
    ),
    "helper that calls": (
        "add",
        """\
        from mathx import add
        def total(*values):
            result = 0
            for value in values:
                result = add(result, value)
            return result
        def test_a():
            assert total(1, 2, 3) == 6
        """,
    ),
    "decorator": (
        "traced",
        """\
        from shapes import traced
        def test_a():
            @traced
            def f(x):
                return x
            assert f(2) == 2
        """,
    ),
    "property check": (
        "add",
        """\
        import itertools
        from mathx import add
        def test_a():
            assert all(add(a, b) == add(b, a) for a, b in itertools.product(range(3), repeat=2))
        """,
    ),
    "async": (
        "later",
        "import asyncio\nfrom mathx import later\ndef test_a():\n    assert asyncio.run(later(1)) == 1\n",
    ),
    "dependency patched": (
        "now",
        """\
        from unittest import mock
        import shapes
        @mock.patch("shapes.time.time", return_value=5)
        def test_a(clock):
            assert shapes.now() == 5
            clock.assert_called_once_with()
        def test_b(monkeypatch):
            monkeypatch.setattr(shapes.time, "time", lambda: 6)
            assert shapes.now() == 6
        """,
    ),
    "dependency stubbed": (
        "now",
        """\
        import sys
        import shapes
        def test_a(monkeypatch):
            monkeypatch.setitem(sys.modules, "numpy", None)
            monkeypatch.setattr(shapes.time, "time", lambda: 6)
            assert shapes.now() == 6
        """,
    ),
    "reimported": (
        "add",
        """\
        import importlib, sys
        def test_a():
            sys.modules.pop("mathx", None)
            assert importlib.import_module("mathx").add(1, 2) == 3
            del sys.modules["mathx"]
        """,
    ),
    "representation": (
        "Stack",
        "from mathx import Stack\ndef test_a():\n    assert 'Stack' in repr(Stack()) and Stack().empty\n",
    ),
    "through another function": (
        "traced",
        "import shapes\ndef test_a():\n    assert shapes.floor_traced(2.5) == 2\n",
    ),
    "enumeration": ("Colour", "from shapes import Colour\ndef test_a():\n    assert Colour(1) is Colour.RED\n"),
    "whole module": (
        None,
        "import mathx\ndef test_a():\n    assert mathx.Stack().empty\n    assert mathx.add(1, 1) == 2\n",
    ),
}
SHAPES = """\
import enum, os, time

LEVEL = 0


class Colour(enum.Enum):
    RED = 1


def area(x):
    return x * x


def floor(x):
    return int(x)


def each(items, callback):
    for item in items:
        callback(item)


def set_level(value):
    global LEVEL
    LEVEL = value


def get_level():
    return LEVEL


def mark():
    os.environ["MARK"] = "yes"


def traced(function):
    def inner(*args):
        return function(*args)

    return inner


def floor_traced(x):
    return traced(floor)(x)


def now():
    return time.time()
"""


@pytest.fixture(scope="module")
def shared(new_project: Callable[[], Project]) -> Project:
    """One project for all: its processes are started once."""
    made = new_project()
    made.write("shapes.py", SHAPES)
    made.write("pkg/__init__.py", "from pkg.deep import double\n")
    made.write("pkg/deep.py", "def double(x):\n    return 2 * x\n")
    return made


@pytest.mark.parametrize("style", STYLES)
def test_honest_styles_are_accepted(shared: Project, gate: Gate, style: str) -> None:
    unit, indented = STYLES[style]
    text = dedent(indented)
    code = shared.code("pkg.deep" if "pkg" in text else "shapes" if "shapes" in text else "mathx", unit)
    found = gate.judge(plan_text(code, text))
    assert (found.accepted, found.reasons) == (True, ()), found
