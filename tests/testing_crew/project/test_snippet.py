import sys

import children
import pytest

from testing_crew.project import snippet

SOURCE = "from __future__ import annotations\n\n\ndef test_connection(x):\n    return x + 1\n\n\ndef twice(x):\n    return 2 * x\n"
TESTS = (
    "from __future__ import annotations\nimport pytest\nimport tasks\nfrom tasks import twice as double\n\n\n"
    "def test_twice():\n    assert double(2) == tasks.twice(2) == 4\n"
)


def test_the_file_handed_out_runs_on_its_own_and_carries_the_snippet_word_for_word(tmp_path):
    text = snippet.attach(TESTS, SOURCE, "tasks")
    assert SOURCE.strip() in text
    file = tmp_path / "test_x.py"
    file.write_text(text)
    done = children.run([sys.executable, "-m", "pytest", "-q", str(file)], cwd=tmp_path)
    assert "1 passed" in done.stdout  # and test_connection, the code under test, is not collected


def test_detach_gives_back_the_part_below_the_header():
    assert "def test_twice" in snippet.detach(snippet.attach(TESTS, SOURCE, "tasks"))
    assert "return x + 1" not in snippet.detach(snippet.attach(TESTS, SOURCE, "tasks"))
    assert snippet.detach(TESTS) == TESTS


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a/prices.py", "prices"),
        ("src/utils/__init__.py", "snippet"),
        ("json.py", "snippet"),
        ("my-mod.py", "my_mod"),
        ("2x.py", "snippet"),
    ],
)
def test_module_names(file, name):
    assert snippet.module_name(file) == name


def test_code_stands_in_a_file_only_when_all_of_it_does(tmp_path):
    file = tmp_path / "m.py"
    file.write_text("import os\n\n\ndef f(x):  # a comment\n    return x\n")
    assert snippet.stands_in(file, "def f(x):\n    return x\n")
    assert not snippet.stands_in(file, "def f(x):\n    return x + 1\n")
    assert not snippet.stands_in(file, "def f(x):\n    return x\n\n\ndef g():\n    pass\n")
    assert not snippet.stands_in(tmp_path / "none.py", "def f(x):\n    return x\n")
