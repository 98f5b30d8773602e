from __future__ import annotations

import os

import pytest
from repositories import Made, git, needs_git

from testing_crew.errors import UserMistake
from testing_crew.suite.change import changes, compare
from testing_crew.suite.reading.git import repository

pytestmark = needs_git

SUMS = '''\
"""Sums."""

LIMIT = 10


def add(a, b):
    """The sum."""
    if a is None:
        raise ValueError("no number")
    total = a + b
    return total


class Stack:
    size = 3

    def push(self, item):
        self.items.append(item)
        return self
'''


def difference(new: str):
    return compare("sums.py", "modified", "sums.py", SUMS, new)


@pytest.mark.parametrize(
    ("old", "new", "lines", "names"),
    [
        ("    total = a + b", "    total = a - b", {10}, (("add", 10),)),
        ("LIMIT = 10", "LIMIT = 11", {3}, (("", 3),)),
        ("    size = 3", "    size = 4", {15}, (("Stack", 15),)),
        ("        return self", "        return item", {19}, (("Stack.push", 19),)),
        ("def add(a, b):", "def add(a, b=2):", {6}, (("add", 6),)),
        (
            '    if a is None:\n        raise ValueError("no number")\n',
            "",
            {8},
            (("add", 8),),
        ),  # what was taken out stood before it
        ("        self.items.append(item)\n", "", {18}, (("Stack.push", 18),)),
        ("    total = a + b\n", "    total = (\n        a\n        - b\n    )\n", {10, 11, 12, 13}, (("add", 10),)),
    ],
)
def test_the_changed_lines_and_what_they_stand_in(old, new, lines, names):
    found = difference(SUMS.replace(old, new))
    assert (found.lines, found.names) == (lines, names)


@pytest.mark.parametrize(
    "new",
    [
        SUMS.replace("LIMIT = 10", "LIMIT = 10  # at most"),
        SUMS.replace('"""The sum."""', '"""Their sum,\n\n    of course.\n    """'),
        SUMS.replace("    total", "\n\n    total"),
        SUMS.replace("a + b", "(a\n             + b)"),
        SUMS.replace('"no number"', "'no number'"),
        SUMS.replace('"""Sums."""\n', ""),
    ],
    ids=["a comment", "a docstring", "blank lines", "layout", "quotes", "the module's docstring"],
)
def test_what_changes_no_behaviour_is_no_change(new):
    found = difference(new)
    assert (found.lines, found.names, found.removed) == (frozenset(), (), frozenset())


def test_one_row_of_a_long_statement_is_one_line():
    old = "ROWS = [\n" + "".join(f"    ({n}, {n}),\n" for n in range(50)) + "]\n"
    assert compare("a.py", "modified", "a.py", old, old.replace("(7, 7)", "(7, 8)")).lines == {9}


def test_definitions_that_come_and_go():
    found = difference(
        SUMS.replace("def add(", "def plus(").replace("    def push(self, item):", "    def put(self, item):")
    )
    assert (found.added, found.removed) == ({"plus", "Stack.put"}, {"add", "Stack.push"})
    assert {name for name, _ in found.names} == {"plus", "Stack.put"}


def test_a_text_that_is_no_python_is_told_by_its_lines():
    found = difference(SUMS.replace("LIMIT = 10", "LIMIT = ("))
    assert (found.readable, found.lines, found.names) == (False, {3}, ())


@pytest.fixture
def made(tmp_path):
    made = Made(tmp_path / "a project")
    made.commit({"sums.py": SUMS, "moved.py": SUMS.replace("Stack", "Heap"), "gone.py": "x = 1\n", "read.md": "x"})
    made.commit({"sums.py": SUMS.replace("LIMIT = 10", "LIMIT = 9")}, branch="old", parents=None)
    made.show()
    return made


def of(made: Made, rev: str = "HEAD"):
    tree = repository(made.folder)
    return {each.path: each for each in changes(tree, tree.commit_of(rev))}


def test_staged_unstaged_untracked_moved_and_deleted_files(made):
    folder = made.folder
    (folder / "sums.py").write_text(SUMS.replace("a + b", "a - b"))
    (folder / "näme of it.py").write_text("def f():\n    return 1\n")
    (folder / "staged.py").write_text("def g():\n    return 1\n")
    git(folder, "add", "staged.py")
    (folder / "staged.py").write_text("def g():\n    return 2\n")
    (folder / "moved.py").rename(folder / "there.py")  # git does not know
    (folder / "there.py").write_text((folder / "there.py").read_text().replace("size = 3", "size = 4"))
    (folder / "gone.py").unlink()
    (folder / "read.md").write_text("y")
    (folder / "ignored.py").write_text("y = 1\n")
    (folder / ".gitignore").write_text("ignored.py\n")
    found = of(made)
    assert {path: each.status for path, each in found.items()} == {
        "sums.py": "modified",
        "näme of it.py": "added",
        "staged.py": "added",
        "there.py": "renamed",
        "gone.py": "deleted",
    }
    assert found["there.py"].was == "moved.py"
    assert found["there.py"].lines == {15}
    assert found["staged.py"].new.endswith("return 2\n")
    assert found["sums.py"].old == SUMS


def test_nothing_changed_or_only_comments(made):
    assert of(made) == {}
    (made.folder / "sums.py").write_text("# new\n" + SUMS)
    assert of(made) == {}


def test_a_branch_and_where_it_parted(made):
    git(made.folder, "checkout", "-q", "-b", "mine")
    (made.folder / "more.py").write_text("def more():\n    return 1\n")
    git(made.folder, "add", ".")
    git(made.folder, "commit", "-q", "-m", "more")
    made.commit({"sums.py": SUMS.replace("a + b", "b + a")}, branch="main")  # main went on
    assert set(of(made, "main")) == {"more.py", "sums.py"}
    assert set(of(made, "main...")) == set(of(made, "main...HEAD")) == {"more.py"}
    assert set(of(made, "HEAD~1")) == {"more.py"}
    git(made.folder, "tag", "v1")
    assert of(made, "v1") == {}
    with pytest.raises(UserMistake, match=r"(?s)working tree.*git switch main"):
        of(made, "mine...main")


def test_programs_that_the_settings_name_are_not_run(made, tmp_path):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{tmp_path / 'ran'}'\ncat\n")
    trap.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "diff.external",
        "filter.x.clean",
        "filter.x.process",
        "diff.x.textconv",
        "core.pager",
    ):
        git(made.folder, "config", key, trap)
    git(made.folder, "config", "filter.x.required", "true")
    (made.folder / ".gitattributes").write_text("*.py filter=x diff=x\n")
    (made.folder / "sums.py").write_text(SUMS.replace("a + b", "a - b"))
    os.utime(made.folder / "moved.py", (1, 1))  # looks changed
    assert set(of(made)) == {"sums.py"}
    assert not (tmp_path / "ran").exists()


def mistake(folder, rev: str = "HEAD") -> str:
    def compared():
        tree = repository(folder)
        return changes(tree, tree.commit_of(rev))

    with pytest.raises(UserMistake) as caught:
        compared()
    return str(caught.value)


def test_what_cannot_be_compared_is_told_with_what_mends_it(made, tmp_path, monkeypatch):
    assert "is not in a git repository" in mistake(tmp_path)
    assert "no commit yet" in mistake(Made(tmp_path / "empty").folder)
    said = mistake(made.folder, "mian")
    assert "no revision 'mian'" in said
    assert "main" in said
    assert "no revision '--output=x'" in mistake(made.folder, "--output=x")
    made.commit({"other.py": "x = 1\n"}, branch="apart", parents=[])
    assert "no commit in common" in mistake(made.folder, "apart...")
    assert "no folder" in mistake(tmp_path / "nowhere")
    assert "no files checked out" in mistake(made.folder / ".git")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git, which is not installed" in mistake(made.folder)


def test_a_shallow_clone_is_told_what_to_fetch(made, tmp_path):
    made.commit({"sums.py": "x = 1\n"}, branch="main")
    git(tmp_path, "clone", "-q", "--depth", "1", made.folder.as_uri(), "shallow")
    assert "git fetch --deepen" in mistake(tmp_path / "shallow", "HEAD~1")
    assert "origin old" in mistake(tmp_path / "shallow", "origin/old...")
