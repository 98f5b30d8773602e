import ast
import sys

import pytest

from testing_crew.mend import mend
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
        (f"{TEST}\nThese tests cover the edges.", ("unfinished end",)),
        (f"{TEST}\n\ndef test_more():\n    assert add(1,", ("unfinished end",)),
        (f"{TEST}\n\n@pytest.mark.parametrize('a', [1, 2", ("unfinished end",)),
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


@pytest.mark.parametrize("imported", ["add", "sum_up"])
def test_a_misspelt_target_is_mended_in_the_import_alone(imported):
    text = f"from shop.maths import {imported}\n\n\ndef test_add():\n    assert sum_up(1, 1) == 2\n"
    found = mend(text, CODE)
    assert "from shop.maths import add as sum_up\n" in found.tests
    assert "    assert sum_up(1, 1) == 2" in found.tests
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
