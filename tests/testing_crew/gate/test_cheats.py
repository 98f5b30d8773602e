"""Files that pass without testing their target are rejected, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from testing_crew.gate.text import judge
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest, PytestRun

if TYPE_CHECKING:
    from conftest import Project

PASSING = {
    "inlined copy": (
        """\
        def add(a, b):
            return a + b
        def test_a():
            assert add(1, 2) == 3
        """,
        {"redefines_target", "target_not_imported", "target_not_executed", "no_assertion_about_target"},
    ),
    "copy over the import": (
        """\
        from mathx import add
        add(1, 2)
        def add(a, b):
            return 3
        def test_a():
            assert add(1, 2) == 3
        """,
        {"redefines_target"},
    ),
    "copy under another name": (
        """\
        from mathx import add
        def plus(a, b):
            return a + b
        def test_a():
            add(1, 2)
            assert plus(1, 2) == 3
        """,
        {"no_assertion_about_target"},
    ),
    "stubbed module": (
        """\
        import sys, types
        stub = types.ModuleType("mathx")
        stub.add = lambda a, b: 3
        sys.modules["mathx"] = stub
        from mathx import add
        def test_a():
            assert add(1, 2) == 3
        """,
        {"stubs_module", "target_not_imported", "target_not_executed"},
    ),
    "patched unit": (
        """\
        from unittest import mock
        import mathx
        def test_a():
            with mock.patch("mathx.add", return_value=3):
                assert mathx.add(1, 2) == 3
        """,
        {"patches_target", "target_not_executed"},
    ),
    "assert True": (
        "from mathx import add\ndef test_a():\n    add(1, 2)\n    assert True\n",
        {"no_assertion_about_target"},
    ),
    "constants only": (
        "from mathx import add\ndef test_a():\n    x = 3\n    add(1, 2)\n    assert x == 3\n    assert 1 + 1 == 2\n",
        {"no_assertion_about_target"},
    ),
    "no assertion": ("from mathx import add\ndef test_a():\n    add(1, 2)\n", {"no_assertion_about_target"}),
    "import only": (
        "import mathx\ndef test_a():\n    assert mathx.LIMIT == 10\n",
        {"target_not_executed", "no_assertion_about_target"},
    ),
    "another unit": (
        "from mathx import add, sub\ndef test_a():\n    add(1, 2)\ndef test_b():\n    assert sub(2, 1) == 1\n",
        {"no_assertion_about_target"},
    ),
    "assertion never reached": (
        "from mathx import add\ndef test_a():\n    if add(1, 2) == 4:\n        assert add(1, 2) == 4\n",
        {"no_assertion_about_target"},
    ),
}
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
TEXTS = {
    "redefines_target": [
        "class add:\n    pass\n",
        "add = lambda a, b: a + b\n",
        "def plus(a, b): return a + b\nadd = plus\n",
        "import operator\nadd = operator.add\n",
        "from operator import add\n",
        "from operator import iadd as add\n",
        "import operator as add\n",
        "try:\n    from mathx import add\nexcept ImportError:\n    def add(a, b): return a + b\n",
        "def test_a():\n    def add(a, b): return a + b\n    assert add(1, 2) == 3\n",
    ],
    "stubs_module": [
        "import sys\nfrom unittest.mock import MagicMock\nsys.modules['mathx'] = MagicMock()\n",
        "import sys\nsys.modules.update({'mathx': object()})\n",
        "import sys\nsys.modules.setdefault('mathx', object())\n",
        "import sys\nfor name in ['mathx']:\n    sys.modules[name] = object()\n",
        "from unittest import mock\nwith mock.patch.dict('sys.modules', {'mathx': object()}):\n    pass\n",
        "import sys\nfrom unittest import mock\nwith mock.patch.dict(sys.modules, mathx=object()):\n    pass\n",
        "import sys\ndef test_a(monkeypatch):\n    monkeypatch.setitem(sys.modules, 'mathx', object())\n",
    ],
    "patches_target": [
        "import mathx\ndef test_a(monkeypatch):\n    monkeypatch.setattr(mathx, 'add', lambda a, b: 3)\n",
        "def test_a(monkeypatch):\n    monkeypatch.setattr('mathx.add', lambda a, b: 3)\n",
        "import mathx\nmathx.add = lambda a, b: 3\n",
        "import mathx\nsetattr(mathx, 'add', lambda a, b: 3)\n",
        "from unittest.mock import patch\nimport mathx\n@patch.object(mathx, 'add')\ndef test_a(add_mock):\n    pass\n",
        "from unittest.mock import patch\n@patch('mathx.add')\ndef test_a(add_mock):\n    pass\n",
        "from unittest import mock\nimport mathx\nwith mock.patch.multiple(mathx, add=lambda a, b: 3):\n    pass\n",
        "import mathx\ndef test_a(mocker):\n    mocker.patch(f'{mathx.__name__}.add')\n",
    ],
    "edits_source": [
        "import mathx\nopen(mathx.__file__, 'w').write('')\n",
        "import mathx, pathlib\npath = pathlib.Path(mathx.__file__)\npath.write_text('')\n",
        "import inspect, mathx, os\nos.remove(inspect.getsourcefile(mathx))\n",
        "from pathlib import Path\nPath('conftest.py').write_text('')\n",
        "from pathlib import Path\n(Path(__file__).parent / 'conftest.py').write_text('')\n",
        "with open('mathx.py', mode='a') as file:\n    file.write('')\n",
    ],
}
FREE = [
    "import mathx\ndef test_a(mocker):\n    mocker.patch('mathx.add', wraps=mathx.add)\n",
    "import mathx\ndef test_a(monkeypatch):\n    monkeypatch.setattr(mathx, 'LIMIT', 3)\n",
    "import mathx\nclass Fake:\n    def add(self, x):\n        pass\n",
    "import mathx, pytest\n@pytest.fixture\ndef add():\n    return mathx.add\n",
    "import mathx, sys\nsaved = sys.modules.pop('mathx')\nsys.modules['mathx'] = saved\n",
    "import mathx\ndef test_a(tmp_path):\n    (tmp_path / 'conftest.py').write_text('')\n",
    "import mathx, tempfile, pathlib\nwith tempfile.TemporaryDirectory() as d:\n    pathlib.Path(d, 'mathx.py').write_text('')\n",
    "import mathx\nopen(mathx.__file__).read()\n",
    "from pkg.mathx import add\n",
    "from .mathx import add\n",
    "def test_a():\n    import mathx\n    add = 3\n    assert mathx.add(1, 2) == add\n",
]


@pytest.fixture(scope="module")
def runs(
    new_project: Callable[[], Project], quick: Runner, pool: ThreadPoolExecutor
) -> dict[str, tuple[CodeUnderTest, Future[PytestRun]]]:
    started = {}
    for cheat, (text, _) in {**PASSING, **NOT_PASSING}.items():
        code = new_project().code()
        started[cheat] = (code, pool.submit(quick.run, code, dedent(text)))
    return started


@pytest.mark.parametrize("cheat", PASSING)
def test_cheats_that_pass(runs: dict[str, tuple[CodeUnderTest, Future[PytestRun]]], cheat: str) -> None:
    text, reasons = PASSING[cheat]
    code, started = runs[cheat]
    assert started.result().verdict == "passed", started.result().log
    accepted, found = judge(code, dedent(text), started.result())
    assert not accepted
    assert set(found) == reasons


@pytest.mark.parametrize("cheat", NOT_PASSING)
def test_cheats_that_do_not_pass(runs: dict[str, tuple[CodeUnderTest, Future[PytestRun]]], cheat: str) -> None:
    text, verdict = NOT_PASSING[cheat]
    code, started = runs[cheat]
    assert judge(code, text, started.result()) == (False, (f"not_passed:{verdict}",))


@pytest.mark.parametrize(("reason", "text"), [(reason, text) for reason, texts in TEXTS.items() for text in texts])
def test_texts_that_replace_the_target(project: Project, reason: str, text: str) -> None:
    accepted, found = judge(project.code(), text, PytestRun(verdict="failed"))
    assert not accepted
    assert found == ("not_passed:failed", reason)


@pytest.mark.parametrize("text", FREE)
def test_texts_that_only_look_like_it(project: Project, text: str) -> None:
    assert judge(project.code(), text, PytestRun(verdict="failed"))[1] == ("not_passed:failed",)


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


@pytest.mark.parametrize("error", [SyntaxError, ValueError, RecursionError, MemoryError, SystemError])
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
