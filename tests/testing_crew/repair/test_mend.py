import ast
import sys

import pytest

from testing_crew.repair.mend import mend
from trace_logger.records import CodeUnderTest

SOURCE = "def add(a, b):\n    return a + b\n\n\nclass Box:\n    pass\n"
CODE = CodeUnderTest(source=SOURCE, shown=SOURCE, module="shop.maths", unit="add", root=".", interpreter=sys.executable)
TEST = "from shop.maths import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"


@pytest.mark.parametrize(
    ("completion", "mended"),
    [
        (TEST, ()),
        (f"```python\n{TEST}```", ("markdown",)),
        (f"Sure! Here are the tests:\n\n```python\n{TEST}```\nHope this helps.", ("markdown",)),
        (f"```\n{TEST}", ("markdown",)),
        (f"Here you go\n{TEST}", ("markdown",)),
        (f"{TEST}\nThese tests cover the edges.", ("what cannot be read",)),
        (f"{TEST}\n\ndef test_more():\n    assert add(1,", ("what cannot be read",)),
        (f"{TEST}\n\n@pytest.mark.parametrize('a', [1, 2", ("what cannot be read",)),
        (f"{TEST}<｜end▁of▁sentence｜>", ()),
        (TEST.replace("shop.maths", "your_module"), ("import path of the target",)),
        (TEST.replace("shop.maths", ".maths"), ("import path of the target",)),
        (TEST.replace("from shop.maths import add\n", ""), ("import of the target",)),
    ],
)
def test_mechanical_faults_are_mended_and_the_tests_left_as_they_are(completion, mended):
    found = mend(completion, CODE)
    assert ast.dump(ast.parse(found.tests)) == ast.dump(ast.parse(TEST))
    assert found.mended == mended


TABLE = """import pytest
from shop.maths import add


@pytest.mark.parametrize("a, b, expected", [
    (1, 2, 3),
%s    (2, 2, 4),
])
def test_add(a, b, expected):
    assert add(a, b) == expected
"""


@pytest.mark.parametrize(
    ("rows", "mended"),
    [
        ("    (3694839230, 3694839230th),\n", "what cannot be read"),
        ("    ('a, 'b', 'c'),\n    (1, {'x': 0: 1}, 2),\n", "what cannot be read"),
        ("    (1, 2, 3),\n    (1,2,  3),\n", "repeated rows"),
    ],
)
def test_rows_that_say_nothing_are_left_out_and_the_others_stay(rows, mended):
    found = mend(TABLE % rows, CODE)
    assert ast.dump(ast.parse(found.tests)) == ast.dump(ast.parse(TABLE % ""))
    assert found.mended == (mended,)


RAISES = """

@pytest.mark.parametrize("a, b", [
    (1, None),
])
def test_add_raises(a, b):
    with pytest.raises(TypeError):
        add(a, b)
"""


def test_of_two_rows_that_contradict_each_other_the_one_that_names_an_exception_stays():
    found = mend((TABLE % "    (1, None, 2),\n    (None, 1, 2),\n") + RAISES, CODE)
    assert found.tests == (TABLE % "    (None, 1, 2),\n") + RAISES
    assert found.mended == ("rows that another contradicts",)


def test_a_test_that_cannot_be_read_goes_alone_with_what_stands_above_it():
    broken = '@pytest.mark.parametrize("a", [\n    1,\n    2\n]\ndef test_more(a):\n    assert add(a, ) = = 2\n\n\n'
    last = "def test_last():\n    assert add(0, 0) == 0\n"
    found = mend(f"{TEST}\n\n{broken}That was the second.\n\n\n{last}", CODE)
    assert found.tests == f"{TEST}\n\n{last}"


def test_rows_of_several_lines_and_other_lists_keep_what_they_repeat():
    rows = "    (1, 2, 3), (1, 2, 3),\n    (\n        1, 2, 3),\n"
    text = (
        TABLE % rows
    ) + "\n\ndef test_list():\n    assert [add(x, 1) for x in [\n        1,\n        1,\n    ]] == [2, 2]\n"
    assert mend(text, CODE).tests == text


def test_a_missing_import_of_pytest_is_put_in():
    text = TEST + "\n\ndef test_bad():\n    with pytest.raises(TypeError):\n        add(1)\n"
    found = mend(text, CODE)
    assert found.tests == "import pytest\n" + text
    assert found.mended == ("import pytest",)


def test_imports_go_after_future_and_docstring():
    text = '"""Doc."""\nfrom __future__ import annotations\n\n\ndef test_add():\n    assert add(1, 1) == 2\n'
    assert mend(text, CODE).tests.splitlines()[:3] == [
        '"""Doc."""',
        "from __future__ import annotations",
        "from shop.maths import add",
    ]


def test_a_wrong_module_that_is_used_by_its_attribute_is_put_right():
    found = mend("import solution\n\ndef test_add():\n    assert solution.add(1, 1) == 2\n", CODE)
    assert "import shop.maths as solution" in found.tests


def test_other_imports_of_the_same_statement_stay():
    found = mend("from solution import add, Box, helper\n\ndef test_add():\n    assert add(1, 1) == 2\n", CODE)
    assert "from shop.maths import add, Box\nfrom solution import helper" in found.tests


def test_names_of_other_modules_are_left_alone():
    text = "import math\nfrom os.path import join\nfrom shop.maths import add\n\n\ndef test_add():\n    assert add(1, 1) == 2\n"
    assert mend(text, CODE).tests == text


@pytest.mark.parametrize("imported", ["add", "adds"])
def test_a_misspelt_target_is_mended_in_the_import_alone(imported):
    text = f"from shop.maths import {imported}\n\n\ndef test_add():\n    assert adds(1, 1) == 2\n"
    found = mend(text, CODE)
    assert "from shop.maths import add as adds\n" in found.tests
    assert "    assert adds(1, 1) == 2" in found.tests
    assert found.mended == ("name of the target",)


def test_two_unknown_names_are_no_misspelling():
    text = "from shop.maths import add\n\n\ndef test_add():\n    assert plus(1, 1) == minus(3, 1)\n"
    assert mend(text, CODE).tests == text


def test_a_redefinition_is_not_hidden_by_an_import():
    text = "def add(a, b):\n    return a + b\n\n\ndef test_add():\n    assert add(1, 1) == 2\n"
    assert "import add" not in mend(text, CODE).tests


@pytest.mark.parametrize(
    "completion", ["", "   \n", "I cannot do that.", "```\n```", "hm", "import pytest\nfrom shop.maths import add\n"]
)
def test_an_answer_without_code_is_no_file(completion):
    assert mend(completion, CODE).tests == ""


def test_expected_values_and_inputs_are_never_touched():
    text = TEST.replace("== 3", "== 4  # wrong, and the model's own")
    assert "== 4  # wrong, and the model's own" in mend(f"```python\n{text}```", CODE).tests


def test_what_the_model_compares_with_stays_what_it_is():
    source = "def floor(x):\n    return int(x)\n"
    code = CODE.model_copy(update={"source": source, "shown": source, "module": "m", "unit": "floor"})
    for oracle in ("import math", "from math import floor as ref"):
        text = f"{oracle}\nfrom m import floor\n\n\ndef test_a():\n    assert floor(-2.5) == -3\n"
        assert mend(text, code) == mend(text, code).__class__(text, ())


def test_other_functions_of_the_target_are_no_misspelling():
    text = "def test_d():\n    assert Box(3, 2) == 1\n"
    assert "as Box" not in mend(text, CODE).tests


def test_strings_are_the_model_s_own():
    text = "from shop.maths import add\n\n\ndef test_a():\n    assert add('<|end|>x', '''\n```python\nx\n```\n''') == '<|end|>'\n"
    assert mend(text, CODE).tests == text
    assert mend(text + "<|end|>", CODE).tests == text


@pytest.mark.parametrize("odd", ["\x0c", "\x1c", "\u2028"])
def test_lines_are_counted_as_python_counts_them(odd):
    text = f"import os\nX = '''{odd}'''\nfrom wrong import add\n\n\ndef test_a():\n    assert add(1, 1) == 2\n"
    assert "from shop.maths import add" in mend(text, CODE).tests
    assert odd in mend(text, CODE).tests


def test_statements_that_share_a_line_all_stay():
    found = mend(
        "import pytest; from wrong import add\n\ndef test_a():\n    assert add(1, 1) == pytest.approx(2)\n", CODE
    )
    assert "import pytest\nfrom shop.maths import add" in found.tests


def test_an_answer_too_deep_to_parse_is_no_file():
    assert (
        mend("from shop.maths import add\n\ndef test_a():\n    assert " + "not " * 20000 + "add(1, 1)\n", CODE).tests
        == ""
    )
