"""``testing-crew check --diff``: the command, on a small repository."""

from __future__ import annotations

import json

import command_line
import pytest
from repositories import Made, needs_git

pytestmark = needs_git

SUMS = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n"
TEST_SUMS = (
    "from sums import add, sub\n\n\ndef test_add():\n    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n\n\n"
    "def test_sub():\n    assert sub(5, 2) == 3\n    assert sub(5, 5) == 0\n"
)
BRIEF = ["--mutants", "20", "--repeats", "5"]


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    made = Made(tmp_path / "project")
    made.commit({"sums.py": SUMS, "test_sums.py": TEST_SUMS, "pyproject.toml": "[project]\nname = 'project'\n"})
    made.show()
    monkeypatch.chdir(made.folder)
    return made


def test_a_change_that_weakens_a_test_adds_a_hollow_one_and_has_untested_code(made):
    weaker = TEST_SUMS.replace("assert sub(5, 5) == 0", "assert sub(5, 5) is not None")
    (made.folder / "test_sums.py").write_text(weaker + "\n\ndef test_more():\n    add(1, 1)\n")
    (made.folder / "sums.py").write_text(SUMS + "\n\ndef half(a):\n    return a / 2\n")
    done = command_line.run("check", "--diff", *BRIEF)
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert "test_sums.py:11: test_sub: `assert sub(5, 5) == 0` became `assert sub(5, 5) is not None`" in said
    assert "test_sums.py:14: test_more: it notices nothing" in said
    assert "sums.py:10: no test runs this changed line: `return a / 2`" in said
    found = json.loads(command_line.run("check", "--diff", "HEAD", "--json", *BRIEF).stdout)
    assert (found["rev"], found["passed"], found["cached"]) == ("HEAD", False, 1)
    assert {each["code"] for each in found["findings"]} == {"weakened", "hollow", "uncovered"}


def test_a_change_of_comments_passes_and_runs_nothing(made):
    (made.folder / "sums.py").write_text("# Sums.\n" + SUMS)
    done = command_line.run("check", "--diff", "main", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["passed"], found["tests"], found["modules"]) == (0, True, [], [])


def test_what_cannot_be_compared_is_told_in_plain_words(made, tmp_path, monkeypatch):
    done = command_line.run("check", "--diff", "mian")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no revision 'mian'" in done.stderr
    assert "main" in done.stderr
    monkeypatch.chdir(tmp_path)
    done = command_line.run("check", "--diff", "HEAD")
    assert done.returncode == 2
    assert "is not in a git repository" in done.stderr


def test_a_change_that_is_well_tested_is_told_by_its_figures_and_in_several_reports(made):
    (made.folder / "sums.py").write_text(SUMS.replace("a + b", "b + a"))
    files = ["--output", "crew.md", "--output", "json=crew.txt"]
    done = command_line.run("check", "--diff", "sums.py", *BRIEF, *files)
    assert done.returncode == 0, done.stderr
    found = json.loads((made.folder / "crew.txt").read_text())["modules"][0]
    assert found["tried"] == found["noticed"] > 0
    assert f"1 module changed, {found['tried']} of {found['tried']} changes noticed" in done.stdout
    assert "nothing to check" not in done.stdout
    assert (made.folder / "crew.md").read_text().startswith("<!-- testing-crew -->")
    printed = command_line.run("check", "--diff", *BRIEF, *files, "--format", "json")
    assert json.loads(printed.stdout)["modules"][0] == found  # and nothing else is printed there
