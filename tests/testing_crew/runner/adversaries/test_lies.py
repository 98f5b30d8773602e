"""Files that want to be told as passed, or to be accepted, without testing their target.

A report comes from inside the test's own process, so it can be forged there: what is asked of these is that they are not
accepted.
"""

from __future__ import annotations

from .conftest import Case, World, test_contained_and_told, test_refused  # noqa: F401

ANY = "passed failed error crashed skipped no_tests"
WRONG = "def test_a():\n    assert add(1, 2) == 4\n"


def lie(text: str, verdicts: str = ANY, test: str = WRONG, **more: object) -> Case:
    """``text``, then a test that fails; by whatever ``text`` does it may be told as passed, but not accepted."""
    return Case(f"{text}\n{test}", verdicts, refused=True, **more)  # type: ignore[arg-type]


# What makes a report out of thin air: every case passed, every line of the target reached.
FORGE = """\
def forged(path, **more):
    line = next(n for n, text in enumerate(open(__file__), 1) if text.startswith("    assert add("))
    case = {"node": "test_a", "function": "test_a", "outcome": "passed", "line": line}
    report = {"cases": [case], "collected": 1, "asserted": [line], "origin": mathx.__file__, "exit": 0, "internal": None,
              "coverage": {"line": 1.0}, "errnos": [], "reached": {"6": ["test_a"]}, "touched": {}, "stopped": False, "mutant": None}
    names = REPORT_FIELDS
    with open(path, "w") as file:
        json.dump({name: value for name, value in report.items() if name in names}, file)
    os._exit(0)
"""
PROBE = """\
def probe():
    gc.unfreeze()
    return next(one for one in gc.get_objects() if type(one).__name__ == "Probe" and hasattr(one, "report_path"))
"""
PLUGIN = """\
import types
class Evil:
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def {hook}:
        {body}
"""


def forging(find: str) -> Case:
    """A test that finds the report's path and writes a report of its own there, then leaves before its assertion."""
    lines = "".join(f"    {line}\n" for line in find.splitlines())
    from testing_crew.runner.verdict import Report

    return Case(
        FORGE.replace("REPORT_FIELDS", repr(sorted(Report.model_fields)))
        + f"{PROBE}\ndef found():\n{lines}\ndef test_a():\n    add(1, 2)\n    forged(found())\n    assert add(1, 2) == 4\n",
        ANY,
        refused=True,
    )


def hooked(hook: str, *body: str) -> Case:
    """A plugin registered at run time, in a fixture, whose ``hook`` makes the outcome a good one."""
    text = PLUGIN.format(hook=hook, body="\n        ".join(body))
    return lie(
        text + "@pytest.fixture(autouse=True)\ndef evil(request):\n    request.config.pluginmanager.register(Evil())\n"
    )


CASES = {
    # -- pytest's own reporters
    "TestReport made good": lie(
        "from _pytest.reports import TestReport\nreal = TestReport.__init__\n"
        "def fake(self, *a, **k):\n    real(self, *a, **k)\n    self.outcome, self.longrepr = 'passed', None\n"
        "TestReport.__init__ = fake\n"
    ),
    "TestReport from another item": lie(
        "from _pytest.reports import TestReport\nreal = TestReport.from_item_and_call\n"
        "def fake(item, call):\n    call.excinfo = None\n    return real(item, call)\n"
        "TestReport.from_item_and_call = staticmethod(fake)\n"
    ),
    "an outcome that is always good": lie(
        "from _pytest.reports import BaseReport\nfrom _pytest.reports import TestReport\n"
        "TestReport.outcome = property(lambda self: 'passed', lambda self, value: None)\nTestReport.failed = BaseReport.failed = False\n"
    ),
    "a makereport hook": hooked(
        "pytest_runtest_makereport(self, item, call)",
        "report = yield",
        "report.outcome = 'passed'",
        "report.longrepr = None",
        "return report",
    ),
    "a pyfunc_call hook": hooked(
        "pytest_pyfunc_call(self, pyfuncitem)", "try:", "    return (yield)", "except BaseException:", "    return True"
    ),
    "a logreport hook": hooked("pytest_runtest_logreport(self, report)", "report.outcome = 'passed'", "return (yield)"),
    "a runtest_call hook": hooked(
        "pytest_runtest_call(self, item)", "try:", "    yield", "except BaseException:", "    pass"
    ),
    "a sessionfinish hook": hooked(
        "pytest_sessionfinish(self, session, exitstatus)",
        "session.testsfailed = 0",
        "session.exitstatus = 0",
        "return (yield)",
    ),
    "a plugin of the file's own": lie(
        "import types\nevil = types.ModuleType('evil')\n"
        "def pytest_runtest_makereport(item, call):\n    call.excinfo = None\n"
        "evil.pytest_runtest_makereport = pytest.hookimpl(tryfirst=True)(pytest_runtest_makereport)\n"
        "sys.modules['evil'] = evil\npytest_plugins = ['evil']\n"
    ),
    "CallInfo that forgives": lie(
        "from _pytest.runner import CallInfo\nreal = CallInfo.from_call.__func__\n"
        "def fake(cls, func, *a, **k):\n    call = real(cls, func, *a, **k)\n    call.excinfo = None\n    return call\n"
        "CallInfo.from_call = classmethod(fake)\n"
    ),
    "call_and_report replaced": lie(
        "import _pytest.runner as runner\nreal = runner.call_and_report\n"
        "def fake(item, when, *a, **k):\n    if when == 'call':\n        item.runtest = lambda: add(1, 2)\n    return real(item, when, *a, **k)\n"
        "runner.call_and_report = fake\n"
    ),
    "runtest replaced": lie("from _pytest.python import Function\nFunction.runtest = lambda self: add(1, 2)\n"),
    "the test function replaced": lie(
        "@pytest.fixture(autouse=True)\ndef evil(request):\n    request.node.obj = lambda: add(1, 2)\n"
    ),
    "a hook caller replaced": lie(
        "@pytest.fixture(autouse=True)\ndef evil(request):\n    hook = request.config.hook\n"
        "    real = hook.pytest_runtest_makereport\n    def fake(item, call):\n        call.excinfo = None\n"
        "        return real(item=item, call=call)\n    hook.pytest_runtest_makereport = fake\n"
    ),
    "the session's count": lie(
        "from _pytest.main import Session\nSession.testsfailed = property(lambda s: 0, lambda s, v: None)\n"
        "Session.exitstatus = property(lambda s: 0, lambda s, v: None)\n",
        "crashed failed",
    ),
    "no test left": lie(
        "@pytest.fixture(autouse=True)\ndef evil(request):\n    yield\n    del request.session.items[1:]\n",
        "crashed error",
        test="def test_good():\n    assert add(1, 2) == 3\n" + WRONG,
    ),
    "an xfail mark at run time": lie(
        "@pytest.fixture(autouse=True)\ndef evil(request):\n    request.applymarker(pytest.mark.xfail)\n", "skipped"
    ),
    "an int that is nought": lie("import builtins\nbuiltins.int = lambda *a: 0\n", "crashed error failed"),
    "sys.exit replaced": lie(
        "import builtins\nsys.exit = lambda *a: os._exit(0)\nbuiltins.SystemExit = type('S', (BaseException,), {'__init__': lambda s, *a: os._exit(0)})\n",
        "crashed failed error",
    ),
    "a good exit at exit": lie("import atexit\natexit.register(os._exit, 0)\n", "crashed"),
    "a good exit when the session ends": hooked("pytest_sessionfinish(self, session)", "yield", "os._exit(0)"),
    "a good exit of the parent": lie(
        "def test_first():\n    if os.fork():\n        os.wait()\n        os._exit(0)\n    for one in gc.get_objects():\n"
        "        if isinstance(one, pytest.Session):\n            one.items[1:] = []\n"
    ),
    # -- the plugin that reports
    "the probe's cases": lie(
        PROBE + "import atexit\n@pytest.fixture(autouse=True, scope='session')\ndef evil(request):\n    yield\n"
        "    for case in probe().cases.values():\n        case['outcome'] = 'passed'\n    request.session.testsfailed = 0\n"
    ),
    "the probe by its name": lie(
        "@pytest.fixture(autouse=True)\ndef evil(request):\n"
        "    for name, plugin in request.config.pluginmanager.list_name_plugin():\n"
        "        if hasattr(plugin, 'report_path'):\n            def fake():\n                for case in plugin.cases.values():\n"
        "                    case.pop('done', None)\n                    case['outcome'] = 'passed'\n                request.session.testsfailed = 0\n"
        "                request.session.exitstatus = 0\n            plugin._mark_unfinished = fake\n"
    ),
    "the probe unregistered": lie(
        "@pytest.fixture(autouse=True)\ndef evil(request):\n"
        "    for name, plugin in request.config.pluginmanager.list_name_plugin():\n"
        "        if 'crew' in name:\n            request.config.pluginmanager.unregister(plugin)\n",
        "crashed error failed",
    ),
    "json.dump replaced": lie(
        "real = json.dump\ndef fake(report, file, **k):\n"
        "    if isinstance(report, dict) and 'cases' in report:\n"
        "        report['exit'], report['asserted'] = 0, list(range(99))\n        for case in report['cases']:\n            case['outcome'] = 'passed'\n"
        "    real(report, file, **k)\njson.dump = fake\n"
        "from _pytest.main import Session\nSession.exitstatus = property(lambda s: 0, lambda s, v: None)\n"
    ),
    "the report replaced at the last moment": lie(
        "real = os.replace\ndef fake(source, target):\n    text = open(source).read().replace('\"failed\"', '\"passed\"').replace('\"exit\": 1', '\"exit\": 0').replace('\"asserted\": []', '\"asserted\": ' + str(list(range(99))))\n"
        "    open(source, 'w').write(text)\n    real(source, target)\n    os._exit(0)\nos.replace = fake\n"
    ),
    "a report forged where one looks around": forging(
        "return next(pathlib.Path(os.environ['TMPDIR']).parent.glob('report-*')) / 'report.json'"
    ),
    "a report forged by way of the environment": forging(
        "text = open('/proc/self/environ').read() + open(f'/proc/{os.getppid()}/environ').read()\n"
        "import re\nreturn re.search(r'[^\"\\0]*report[^\"\\0]*\\.json', text)[0]"
    ),
    "a report forged by way of the heap": forging("return probe().report_path"),
    "a report forged by way of the frames": forging(
        "frame = sys._getframe()\nwhile frame:\n    for value in list(frame.f_locals.values()):\n"
        "        for one in [value, *(value if isinstance(value, list) else [])]:\n"
        "            for owner in (one, getattr(one, 'plugin', None)):\n"
        "                if hasattr(owner, 'report_path'):\n                    return owner.report_path\n    frame = frame.f_back"
    ),
    "a report forged by way of the plugins": forging(
        "import _pytest.config\ngc.unfreeze()\nfor one in gc.get_objects():\n    if isinstance(one, _pytest.config.PytestPluginManager):\n"
        "        for name, plugin in one.list_name_plugin():\n            if hasattr(plugin, 'report_path'):\n                return plugin.report_path"
    ),
    # -- another target, or another machinery
    "a stub of the target, hidden": lie(
        "import types\nstub = types.ModuleType('mathx')\nstub.__file__ = mathx.__file__\nstub.add = lambda a, b: 4\n"
        "vars(sys)['mod' + 'ules']['ma' + 'thx'] = stub\nfrom mathx import add\n"
    ),
    "an import hook": lie(
        "import importlib.abc, importlib.machinery\n"
        "class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'mathx':\n            return importlib.machinery.ModuleSpec(name, self, origin=mathx.__file__)\n"
        "    def exec_module(self, module):\n        module.__file__ = mathx.__file__\n        module.add = lambda a, b: 4\n"
        "sys.meta_path.insert(0, Finder())\nsys.modules.pop('mathx')\nfrom mathx import add\n"
    ),
    "another folder first": lie(
        "path = pathlib.Path('/tmp/first')\npath.mkdir()\n(path / 'mathx.py').write_text('def add(a, b):\\n    return 4\\n')\n"
        "sys.path.insert(0, str(path))\nsys.modules.pop('mathx')\nfrom mathx import add\n"
    ),
    "other code in the target": lie("add.__code__ = (lambda a, b: 4).__code__\n"),
    "other names in the target": lie("mathx.__dict__['a' + 'dd'] = lambda a, b: 4\nadd = getattr(mathx, 'add')\n"),
    "an assertion that is none": lie(
        "import builtins\nbuiltins.AssertionError = pytest.skip.Exception\nAssertionError = pytest.skip.Exception\n",
        "skipped failed",
    ),
    "a stub of pytest": lie(
        "sys.modules['pytest'] = sys.modules['_pytest'] = sys.modules['_pytest.runner'] = None\n",
        "failed error crashed",
    ),
    "a stub of json": lie(
        "sys.modules['json'] = None\njson.dump = json.dumps = lambda *a, **k: None\n", "failed error crashed"
    ),
    "tracing switched off": lie("sys.settrace(None)\nthreading.settrace(None)\n", "failed"),
    "tracing switched off for good": Case(
        "sys.settrace(None)\nthreading.settrace(None)\nsys.settrace = lambda *a: None\n"
        "def test_a():\n    sys.settrace(None)\n    assert add(1, 2) == 3\n",
        "passed",
        refused=None,
    ),
    "coverage switched off": Case(
        "def test_a():\n    import coverage\n    if coverage.Coverage.current():\n        coverage.Coverage.current().stop()\n"
        "    assert add(1, 2) == 3\n",
        "passed",
        refused=None,
    ),
    "an encoding that hides code": Case(
        "# coding: unicode_escape\nfrom mathx import add\nfrom mathx import add as real\n"
        "text = '\\u0027; add = lambda a, b: [4, real(a, b)][0]; text = \\u0027'\ndef test_a():\n    assert add(1, 2) == 4\n",
        ANY,
        raw=True,
    ),
    "a source encoding that hides a line": Case(
        "# coding: utf-7\nfrom mathx import add\n# +AAo-def add(a, b): return 4\ndef test_a():\n    assert add(1, 2) == 4\n",
        ANY,
        raw=True,
    ),
    "assertions left out": lie(
        "import builtins\nexec(compile('def test_c():\\n    add(1, 2)\\n    assert add(1, 2) == 4', 'x', 'exec', optimize=2))\n",
        "passed",
        test="",
    ),
}
