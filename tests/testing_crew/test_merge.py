import ast

from testing_crew.merge import merge

A = "import pytest\nfrom m import a\n\n\n@pytest.fixture\ndef box():\n    return [1]\n\n\n# about a\ndef test_it(box):\n    assert a(box) == 1\n"
B = "import pytest\nfrom m import b\n\n\n@pytest.fixture\ndef box():\n    return [2]\n\n\ndef test_it(box):\n    assert b(box) == 2\n"


def functions(text):
    return [n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]


def test_imports_come_once_and_clashing_names_are_told_apart():
    text = merge([A, B])
    assert text.count("import pytest") == 1
    assert functions(text) == ["box", "test_it", "box_2", "test_it_2"]
    assert "def test_it_2(box_2):\n    assert b(box_2) == 2" in text


def test_imports_from_one_module_stand_in_one_line():
    text = merge(["import b\nfrom m import x\n", "import a\nfrom m import y as z, x\n"])
    assert text == "import a\nimport b\nfrom m import x, y as z\n"


def test_comments_of_a_test_come_with_it():
    assert "# about a\ndef test_it(box)" in merge([A, B])


def test_a_file_merged_with_itself_is_not_doubled():
    assert functions(merge([A, A])) == ["box", "test_it"]


def test_three_files_with_the_same_name_run_as_three_tests():
    files = [f"from m import f\n\n\ndef test_f():\n    assert f({i}) == {i}\n" for i in range(3)]
    assert functions(merge(files)) == ["test_f", "test_f_2", "test_f_3"]


def test_future_imports_stay_first():
    assert merge(["import os\n", "from __future__ import annotations\nX = 1\n"]).startswith(
        "from __future__ import annotations\n"
    )


def test_constants_that_differ_are_renamed_with_their_uses():
    text = merge(
        [
            "ROWS = [1]\n\n\ndef test_a():\n    assert ROWS == [1]\n",
            "ROWS = [2]\n\n\ndef test_b():\n    assert ROWS == [2]\n",
        ]
    )
    space: dict = {}
    exec(text, space)
    space["test_a"]()
    space["test_b"]()
