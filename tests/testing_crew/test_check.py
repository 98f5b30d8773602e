"""``check`` of a person's own test file: it is judged against the file that it is about, all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from testing_crew.check import check_file
from testing_crew.gate.gate import Gate
from testing_crew.runner.run import Limits, Runner

FILES = {
    "pytest.ini": "[pytest]\n",
    "app.py": """\
        class App:
            def __init__(self):
                self.routes = {}
            def route(self, path):
                return lambda view: self.routes.setdefault(path, view)
            def get(self, path, n):
                return self.routes[path](n)
        """,
    "web.py": """\
        from app import App
        app = App()
        @app.route("/double")
        def double(n):
            return n * 2
        """,
    "registry.py": """\
        REGISTRY = {}
        def _register(name):
            def wrap(function):
                REGISTRY[name] = function
                return function
            return wrap
        @_register("bye")
        def bye(who):
            return "bye " + who
        """,
    "slugs.py": """\
        def _clean(text):
            return text.strip().lower()
        def slug(text):
            return _clean(text).replace(" ", "-")
        """,
    "pkg/__init__.py": "from ._impl import compute as reckon, more\n",
    "pkg/_impl.py": "def compute(a, b):\n    return a * 10 + b\n\ndef _more(x):\n    return x + 1\n\nmore = _more\n",
    "facade.py": "from pkg._impl import compute\n",
    "settings.py": 'LIMIT = 10\nNAME = "shop"\n__version__ = "1"\n',
    "limits.py": "LIMIT = 10\n\ndef cut(x):\n    return min(x, LIMIT)\n",
}
HONEST = {
    "an application with one route": (
        "web.py",
        "from web import app\ndef test_a():\n    assert app.get('/double', 2) == 4\n",
    ),
    "a registry": ("registry.py", "import registry\ndef test_a():\n    assert list(registry.REGISTRY) == ['bye']\n"),
    "a private helper": ("slugs.py", "from slugs import _clean\ndef test_a():\n    assert _clean(' A ') == 'a'\n"),
    "handed on by the package": ("pkg/_impl.py", "from pkg import more\ndef test_a():\n    assert more(1) == 2\n"),
    "under another name": ("pkg/_impl.py", "import pkg\ndef test_a():\n    assert pkg.reckon(1, 2) == 12\n"),
    "from another module": (
        "pkg/_impl.py",
        "from facade import compute\ndef test_a():\n    assert compute(1, 2) == 12\n",
    ),
    "what only hands on": ("pkg/__init__.py", "import pkg\ndef test_a():\n    assert pkg.reckon(1, 2) == 12\n"),
    "numbers": ("settings.py", "from settings import LIMIT\ndef test_a():\n    assert LIMIT == 10\n"),
    "texts": ("settings.py", "import settings\ndef test_a():\n    assert settings.NAME == 'shop'\n"),
    "the constants alone": ("limits.py", "import limits\ndef test_a():\n    assert limits.LIMIT == 10\n"),
}
HOLLOW = {
    "a patched function": (
        "web.py",
        "import web\ndef test_a(monkeypatch):\n    monkeypatch.setattr(web, 'double', lambda n: 4)\n"
        "    assert web.double(2) == 4\n",
        "target_not_executed",
    ),
    "constants that are there": (
        "settings.py",
        "from settings import LIMIT, NAME\ndef test_a():\n    assert LIMIT and NAME\n",
        "no_mutant_killed",
    ),
    "constants that nobody looks at": (
        "settings.py",
        "import settings\ndef test_a():\n    settings.LIMIT\n",
        "no_assertion_about_target",
    ),
    "an import alone": ("limits.py", "import limits\ndef test_a():\n    assert limits.LIMIT\n", "target_not_executed"),
    "a failure swallowed where nobody measures": (
        "slugs.py",
        "import coverage\nfrom slugs import slug\nmeasuring = coverage.Coverage.current()\n"
        "def test_a():\n    measuring and measuring.stop()\n    try:\n        got = slug('A')\n    except BaseException:\n"
        "        got = 'a'\n    assert got == 'a'\n",
        "target_not_executed",
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(dedent(text))
    (root / "tests").mkdir()
    return root


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    with Runner(Limits(wall_seconds=60)) as runner:
        yield Gate(runner, repeats=2)


@pytest.mark.parametrize("name", HONEST)
def test_the_whole_file_is_what_is_tested(project: Path, gate: Gate, name: str) -> None:
    target, text = HONEST[name]
    test = project / "tests/test_it.py"
    test.write_text(text)
    report = check_file(test, project / target, gate)
    assert (report["accepted"], report["reasons"]) == (True, []), report


@pytest.mark.parametrize("name", HOLLOW)
def test_what_tests_nothing_of_it_is_refused(project: Path, gate: Gate, name: str) -> None:
    target, text, reason = HOLLOW[name]
    test = project / "tests/test_it.py"
    test.write_text(text)
    report = check_file(test, project / target, gate)
    assert report["verdict"] == "passed", report
    assert reason in report["reasons"], report
