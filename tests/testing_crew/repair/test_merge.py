import ast

from testing_crew.repair.merge import merge

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


def run(files, tmp_path):
    """Run the merged file for real; returns pytest's last line."""
    import sys

    import children

    (tmp_path / "m.py").write_text("def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n")
    (tmp_path / "test_it.py").write_text(merge(files))
    done = children.run([sys.executable, "-m", "pytest", "-q", "test_it.py"], cwd=tmp_path)
    return done.stdout.strip().splitlines()[-1]


def test_aliases_that_clash(tmp_path):
    files = [
        f"from m import {f} as func\n\n\ndef test_{f}():\n    assert func(3, 1) == {v}\n"
        for f, v in (("add", 4), ("sub", 2))
    ]
    assert "2 passed" in run(files, tmp_path)


def test_async_tests_and_names_already_numbered():
    files = ["async def test_a():\n    assert 1\n\n\ndef test_b():\n    assert 1\n"]
    files += ["async def test_a():\n    assert 2\n\n\ndef test_b():\n    assert 2\n\n\ndef test_b_2():\n    assert 3\n"]
    names = [n.name for n in ast.parse(merge(files)).body]
    assert len(names) == len(set(names)) == 5


def test_a_function_s_own_names_are_not_renamed(tmp_path):
    one = "value = 1\n\n\ndef test_a():\n    assert value == 1\n"
    two = (
        "import pytest\nvalue = 2\n\n\ndef make(value):\n    return value\n\n\n"
        "@pytest.mark.parametrize('value', [5])\ndef test_b(value):\n    assert make(value=value) == 5\n\n\n"
        "def test_c():\n    assert value == 2\n"
    )
    assert "3 passed" in run([one, two], tmp_path)


def test_fixtures_named_in_strings(tmp_path):
    one = "import pytest\nseen = []\n\n\n@pytest.fixture\ndef env():\n    seen.append(1)\n\n\ndef test_a(env):\n    assert seen == [1]\n"
    two = (
        "import pytest\nmarks = []\n\n\n@pytest.fixture\ndef env():\n    marks.append(2)\n\n\n"
        "@pytest.mark.usefixtures('env')\ndef test_b():\n    assert marks == [2]\n"
    )
    assert "2 passed" in run([one, two], tmp_path)


def test_statements_that_share_a_line_and_odd_line_ends():
    text = merge(["import os\n\x0c\ndef test_a():\n    assert 1\n", "X = 1; Y = 2\n"])
    assert [type(n).__name__ for n in ast.parse(text).body] == ["Import", "FunctionDef", "Assign", "Assign"]
