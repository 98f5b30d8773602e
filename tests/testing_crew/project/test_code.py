import ast
import json
import sys

import pytest

from testing_crew.errors import UserMistake
from testing_crew.project import code

MODULE = '''"""A shop."""
import re
import os.path as osp
from math import floor, ceil

LIMIT = 3
UNUSED = 4
_PATTERN = re.compile("x")


def _helper(x):
    return floor(x) + LIMIT


def price(x):
    """A price."""
    return _helper(x)


class Cart:
    def total(self):
        return _PATTERN.pattern


try:
    import fast
except ImportError:
    def slow(x):
        return osp.join("a", x)
'''


def names(source):
    return [u.name for u in code.find_units(ast.parse(source))]


def test_units_are_the_public_functions_and_classes_in_order():
    assert names(MODULE) == ["price", "Cart", "slow"]


def test_private_ones_count_where_nothing_is_public():
    assert names("def _a(): pass\n\nX = 1\n") == ["_a"]


def test_a_unit_is_shown_with_what_it_uses_and_nothing_else():
    shown = code.render(MODULE, "shop", "price")
    assert shown.startswith("# module: shop\n# unit: price\nfrom math import floor\n")
    assert "LIMIT = 3" in shown
    assert "def _helper" in shown
    for absent in ("UNUSED", "ceil", "Cart", "import re"):
        assert absent not in shown
    ast.parse(shown)


def test_a_definition_under_try_is_shown_at_the_margin():
    assert "\ndef slow(x):\n    return osp.join" in code.render(MODULE, "shop", "slow")


@pytest.mark.parametrize(
    "branch",
    [
        "if True:\n    LIMIT = (\n        1,\n    )\n",
        "if False: pass\nelse: LIMIT = (1,)\n",
        "try:\n\tLIMIT = (1,)\nfinally: pass\n",
    ],
)
def test_a_constant_under_a_branch_is_shown_at_the_margin(branch):
    shown = code.render(branch + "\n\ndef f():\n    return LIMIT\n", "m", "f")
    space: dict = {}
    exec(shown, space)
    assert space["f"]() == (1,)


def test_helpers_are_left_out_when_there_is_no_room():
    assert "_helper(x):" not in code.render(MODULE, "shop", "price", max_chars=10)


def test_shown_code_of_every_unit_of_our_own_modules_parses():
    for file in ("testing_crew/repair/mend.py", "testing_crew/project/code.py", "trace_logger/records.py"):
        for unit in code.load_units(code.Path(file), sys.executable):
            ast.parse(unit.shown)


@pytest.mark.parametrize(
    ("text", "said"),
    [("def f(:\n", "line 1: not valid Python"), ("x = 1\n", "no function or class"), ("\0", "not valid Python")],
)
def test_what_cannot_be_tested_is_told_plainly(tmp_path, text, said):
    file = tmp_path / "m.py"
    file.write_text(text)
    with pytest.raises(UserMistake, match=said):
        code.load_units(file, sys.executable)


def test_code_for_a_later_python_is_no_syntax_error(tmp_path):
    file, later = tmp_path / "box.py", tmp_path / "python"
    file.write_text("class Box[T] of the year 2100:\n    pass\n")
    facts = {"executable": str(later), "python": [3, 99, 0], "pytest": "9.2.0", "places": [], "user_base": None}
    reads = f"case \"$*\" in *ast.parse*) grep -q 'year 2100';; *) echo '{json.dumps(facts)}';; esac"
    later.write_text(f"#!/bin/sh\n{reads}\n")
    later.chmod(0o755)
    with pytest.raises(UserMistake, match=r"box.py, line 1: .*needs a later one, such as the Python 3.99") as told:
        code.load_units(file, str(later))
    assert f"{later} -m pip install testing-crew" in str(told.value)
    file.write_text("def f(:\n")
    with pytest.raises(UserMistake, match="not valid Python"):
        code.load_units(file, str(later))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"# -*- coding: latin-1 -*-\nx = '\xe9'\n", "# -*- coding: utf-8 -*-\nx = 'é'\n"),
        (b"#!python\n# coding=cp1252 coding=x\n'\x80'\n", "#!python\n# coding=utf-8 coding=x\n'€'\n"),
        (b"\xef\xbb\xbf# coding: utf-8\n", "# coding: utf-8\n"),
        (b"# \xc3\xa9\n\n# coding: latin-1\n", "# é\n\n# coding: latin-1\n"),
    ],
)
def test_a_declared_encoding_is_obeyed(tmp_path, written, read):
    (tmp_path / "x.py").write_bytes(written)
    assert code.read_source(tmp_path / "x.py") == read


def test_an_encoding_that_hides_code_from_a_reader_is_refused(tmp_path):
    file = tmp_path / "x.py"
    file.write_bytes(b"# coding: utf-7\nx = 1  # +AA0-x = 2\n")
    with pytest.raises(UserMistake, match="another program"):
        code.read_source(file)


def test_a_file_that_is_no_text_is_told_plainly(tmp_path):
    file = tmp_path / "m.py"
    file.write_bytes(b"\xff\xfe\x00def")
    with pytest.raises(UserMistake, match="cannot be read"):
        code.load_units(file, sys.executable)


@pytest.mark.parametrize("after", ["f = cached(f)\n", "try:\n    from _m import f\nexcept ImportError:\n    pass\n"])
def test_a_name_bound_again_still_shows_the_definition(after):
    assert "def f(x):" in code.render(
        f"def cached(g):\n    return g\n\n\ndef f(x):\n    return x\n\n\n{after}", "m", "f"
    )


def test_what_does_not_run_on_import_is_no_unit():
    assert names("def f(): pass\n\nif __name__ == '__main__':\n    def helper(): pass\n") == ["f"]
