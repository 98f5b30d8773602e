"""Files that pass without testing their target are refused, whatever they do in place of testing it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from textwrap import dedent, indent
from typing import TYPE_CHECKING

import pytest

from testing_crew.gate.gate import Gate
from testing_crew.gate.text import judge
from testing_crew.runner.plan import plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest, PytestRun

if TYPE_CHECKING:
    from conftest import Project

PASSING = {
    "inlined copy": """\
        def add(a, b):
            return a + b
        def test_a():
            assert add(1, 2) == 3
        """,
    "copy over the import": """\
        from mathx import add
        add(1, 2)
        def add(a, b):
            return 3
        def test_a():
            assert add(1, 2) == 3
        """,
    "copy under another name": """\
        from mathx import add
        def plus(a, b):
            return a + b
        def test_a():
            add(1, 2)
            assert plus(1, 2) == 3
        """,
    "stubbed module": """\
        import sys, types
        stub = types.ModuleType("mathx")
        stub.add = lambda a, b: 3
        sys.modules["mathx"] = stub
        from mathx import add
        def test_a():
            assert add(1, 2) == 3
        """,
    "patched unit": """\
        from unittest import mock
        import mathx
        def test_a():
            with mock.patch("mathx.add", return_value=3):
                assert mathx.add(1, 2) == 3
        """,
    "assert True": "from mathx import add\ndef test_a():\n    add(1, 2)\n    assert True\n",
    "constants only": "from mathx import add\ndef test_a():\n    x = 3\n    add(1, 2)\n    assert x == 3\n    assert 1 + 1 == 2\n",
    "no assertion": "from mathx import add\ndef test_a():\n    add(1, 2)\n",
    "import only": "import mathx\ndef test_a():\n    assert mathx.LIMIT == 10\n",
    "another unit": "from mathx import add, sub\ndef test_a():\n    add(1, 2)\ndef test_b():\n    assert sub(2, 1) == 1\n",
    "assertion never reached": "from mathx import add\ndef test_a():\n    if add(1, 2) == 4:\n        assert add(1, 2) == 4\n",
}
CALLED = "import mathx\nmathx.add(1, 2)\n"  # so that its lines ran
IN_ITS_PLACE = {
    "class": "class add:\n    def __new__(cls, a, b):\n        return a + b\n",
    "lambda": "add = lambda a, b: a + b\n",
    "a function by another name": "def plus(a, b): return a + b\nadd = plus\n",
    "operator's": "import operator\nadd = operator.add\n",
    "operator's by its name": "from operator import add\n",
    "operator's by another": "from operator import iadd as add\n",
    "where an import failed": "try:\n    from mathx import no_add as add\nexcept ImportError:\n    def add(a, b): return a + b\n",
    "a stub of the module": "import sys\nfrom unittest.mock import MagicMock\nsys.modules['mathx'] = MagicMock()\n"
    "from mathx import add\nadd.return_value = 3\n",
    "update": "import sys, types\nsys.modules.update({'mathx': types.SimpleNamespace(add=lambda a, b: 3)})\n"
    "from mathx import add\n",
    "put into the module": "mathx.add = lambda a, b: 3\nadd = mathx.add\n",
}
IN_A_TEST = {
    "a function of the test": "mathx.add(1, 2)\ndef add(a, b): return a + b\nassert add(1, 2) == 3\n",
    "monkeypatch": "monkeypatch.setattr(mathx, 'add', lambda a, b: 3)\nassert mathx.add(1, 2) == 3\n",
    "monkeypatch by name": "monkeypatch.setattr('mathx.add', lambda a, b: 3)\nassert mathx.add(1, 2) == 3\n",
    "patch.object": "with mock.patch.object(mathx, 'add', return_value=3):\n    assert mathx.add(1, 2) == 3\n",
    "patch.multiple": "with mock.patch.multiple(mathx, add=lambda a, b: 3):\n    assert mathx.add(1, 2) == 3\n",
    "patch.dict": "with mock.patch.dict('sys.modules', {'mathx': types.SimpleNamespace(add=lambda a, b: 3)}):\n"
    "    from mathx import add\n    assert add(1, 2) == 3\n",
    "always equal": "class Any:\n    def __eq__(self, other): return True\nassert mathx.add(1, 2) == Any()\n",
    "names of the bytecode": "mathx.add(1, 2)\nassert mathx.add.__code__.co_names == ()\n",
    "constants of the bytecode": "mathx.add(1, 2)\nassert mathx.add.__code__.co_consts == ('The sum.',)\n",
    "the source": "mathx.add(1, 2)\nassert 'a + b' in inspect.getsource(mathx.add)\n",
    "the source overwritten": "try:\n    open(mathx.__file__, 'w').write('')\nexcept OSError:\n    pass\n"
    "assert mathx.add(1, 2)\n",
    "a flag": "fine = True\ntry:\n    mathx.add(1, 2)\nexcept BaseException:\n    fine = False\nassert fine\n",
}
REFUSED = {
    **{name: dedent(text) for name, text in PASSING.items()},
    **{name: f"{CALLED}{text}def test_a():\n    assert add(1, 2) == 3\n" for name, text in IN_ITS_PLACE.items()},
    **{
        name: f"import inspect, types\nfrom unittest import mock\n{CALLED}def test_a(monkeypatch):\n{indent(text, '    ')}"
        for name, text in IN_A_TEST.items()
    },
}
ACCEPTED = [
    "import mathx\ndef test_a(monkeypatch):\n    monkeypatch.setattr(mathx, 'LIMIT', 3)\n    assert mathx.add(1, 2) == 3\n",
    "import mathx\nclass Fake:\n    def add(self, x):\n        return 3\n\ndef test_a():\n    assert mathx.add(1, 2) == 3\n",
    "import mathx, pytest\n@pytest.fixture\ndef add():\n    return mathx.add\ndef test_a(add):\n    assert add(1, 2) == 3\n",
    "import mathx, sys\nsaved = sys.modules.pop('mathx')\nsys.modules['mathx'] = saved\n"
    "def test_a():\n    assert mathx.add(1, 2) == 3\n",
    "import mathx\ndef test_a(tmp_path):\n    (tmp_path / 'conftest.py').write_text('')\n    assert mathx.add(1, 2) == 3\n",
    "import mathx\nopen(mathx.__file__).read()\ndef test_a():\n    assert mathx.add(1, 2) == 3\n",
    "from unittest import mock\nimport mathx\ndef test_a():\n    with mock.patch('mathx.add', wraps=mathx.add) as add:\n"
    "        assert mathx.add(1, 2) == 3\n        add.assert_called_once()\n",
    "def test_a():\n    import mathx\n    add = 3\n    assert mathx.add(1, 2) == add\n",
]
NOT_PASSING = {
    "skip": (
        "import pytest\nfrom mathx import add\ndef test_a():\n    assert add(1, 2) == 3\n    pytest.skip()\n",
        "skipped",
    ),
    "exit": (
        "import os\nfrom mathx import add\ndef test_a():\n    assert add(1, 2) == 3\n    os._exit(0)\n",
        "crashed",
    ),
    "xfail": (
        "import pytest\nfrom mathx import add\n@pytest.mark.xfail\ndef test_a():\n    assert add(1, 2) == 4\n",
        "skipped",
    ),
    "nothing": ("from mathx import add\n", "no_tests"),
}


@pytest.fixture(scope="module")
def shared(new_project: Callable[[], Project]) -> Project:
    """One project for all: its processes are started once."""
    return new_project()


@pytest.mark.parametrize("cheat", REFUSED)
def test_cheats_that_pass(shared: Project, gate: Gate, cheat: str) -> None:
    found = gate.judge(plan_text(shared.code(), REFUSED[cheat]))
    assert found.run.verdict == "passed", found.run.log
    assert not found.accepted
    assert found.reasons


@pytest.mark.parametrize("text", ACCEPTED)
def test_texts_that_only_look_like_it(shared: Project, gate: Gate, text: str) -> None:
    found = gate.judge(plan_text(shared.code(), text))
    assert (found.accepted, found.reasons) == (True, ()), found


@pytest.mark.parametrize("cheat", NOT_PASSING)
def test_cheats_that_do_not_pass(shared: Project, gate: Gate, cheat: str) -> None:
    text, verdict = NOT_PASSING[cheat]
    found = gate.judge(plan_text(shared.code(), text))
    assert (found.accepted, found.reasons) == (False, (f"not_passed:{verdict}",))


HONEST = "from mathx import add\ndef test_a():\n    assert add(1, 2) == 3\n"
READABLE = {
    "byte order mark": "\ufeff" + HONEST,
    "byte order mark and encoding": "\ufeff# -*- coding: utf-8 -*-\n" + HONEST,
    "encoding on the second line": "#!/usr/bin/env python\r# vim: set fileencoding=UTF_8 :\r\n" + HONEST,
    "of an editor": "# -*- coding: utf-8-unix -*-\n" + HONEST,
    "ASCII": "# coding=us-ascii\n" + HONEST,
    "no declaration": '"""It is the\n# coding: utf-7\n"""\n# coding: utf-7\n' + HONEST,
    "on the third line": "\n\n# coding: utf-7\n" + HONEST,
    "nearly too large": HONEST + "#" * (1_000_000 - len(HONEST)),
}


@pytest.fixture(scope="module")
def readable(
    new_project: Callable[[], Project], quick: Runner, pool: ThreadPoolExecutor
) -> dict[str, tuple[CodeUnderTest, Future[PytestRun]]]:
    codes = {kind: new_project().code() for kind in READABLE}
    return {kind: (code, pool.submit(quick.run, code, READABLE[kind])) for kind, code in codes.items()}


@pytest.mark.parametrize("kind", READABLE)
def test_honest_texts_in_an_unusual_form(
    readable: dict[str, tuple[CodeUnderTest, Future[PytestRun]]], kind: str
) -> None:
    code, started = readable[kind]
    assert started.result().verdict == "passed", started.result().log
    assert judge(code, READABLE[kind], started.result()) == (True, ())


@pytest.mark.parametrize("text", [HONEST + "#" * 1_000_000, "(" * 1_000_001], ids=["comment", "brackets"])
def test_texts_that_are_too_large(project: Project, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ast.parse", None)
    assert judge(project.code(), text, PytestRun(verdict="passed")) == (False, ("too_large",))
    assert judge(project.code(), text, PytestRun(verdict="error"))[1] == ("not_passed:error", "too_large")


@pytest.mark.parametrize(
    "text",
    [
        "# coding: utf-7\n" + HONEST,
        "#!/usr/bin/env python\n\f # vim: set fileencoding=latin-1 :\n" + HONEST,
        "\r# coding:cp1252\n" + HONEST,
        "\ufeff# -*- Coding: x; coding: rot13 -*-\n" + HONEST,
        "# coding: utf-16\n" + HONEST,
        "\ufeff\ufeff" + HONEST,
    ],
)
def test_texts_that_python_would_read_as_another(project: Project, text: str) -> None:
    assert judge(project.code(), text, PytestRun(verdict="error"))[1] == ("not_passed:error", "unreadable")


@pytest.mark.parametrize("error", [SyntaxError, ValueError, RecursionError, MemoryError])
def test_whatever_the_parser_raises(project: Project, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    code = project.code()

    def parse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ast.parse", parse)
    assert judge(code, HONEST, PytestRun(verdict="error"))[1] == ("not_passed:error", "unreadable")


@pytest.mark.parametrize(
    "text",
    ["def test_(:\n", "x = " + "(" * 500 + ")" * 500 + "\n", "\0", "x = " + "-" * 100_000 + "1\n"],
    ids=["syntax", "brackets", "null", "signs"],
)
def test_unreadable_texts(project: Project, text: str) -> None:
    assert judge(project.code(), text, PytestRun(verdict="error"))[1] == ("not_passed:error", "unreadable")
