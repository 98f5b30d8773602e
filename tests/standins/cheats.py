"""Test files for `mathx.add` that pass without testing it, or say nothing of it, and some that only look so."""

from textwrap import dedent, indent

MATHX = """\
'''Sums.'''
LIMIT = 10


def add(a, b):
    '''The sum.'''
    return a + b


def sub(a, b):
    return a - b
"""
HONEST = "from mathx import add\ndef test_a():\n    assert add(1, 2) == 3\n"
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
ONLY_LOOK_LIKE_IT = [
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
