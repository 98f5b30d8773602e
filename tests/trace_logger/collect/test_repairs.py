"""Commits that may hold a lesson: their three kinds, and which file a test is about."""

from __future__ import annotations

from typing import Any

import pytest

from trace_logger.collect.records import Change, Step, Version
from trace_logger.collect.repairs import Candidate, candidates, is_code, is_test, targets

SUMS = "from shop.sums import add\n"
TREE = ["shop/__init__.py", "shop/sums.py", "shop/other.py", "tests/test_sums.py", "setup.py"]


class History:
    """Commits, each the child of the one before; a file's text is told by its id."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.texts: dict[str | None, str] = {}
        self.commit(**{"README.md": "begin"})

    def commit(self, change: Change = "changed", changes: dict[str, Any] | None = None, **files: str) -> str:
        name = f"{len(self.steps):012x}".ljust(40, "0")
        versions = []
        for path, text in files.items():
            self.texts[f"{name}:{path}"] = text
            versions.append(Version(path=path, change=change, before="b", after=f"{name}:{path}"))
        fields: dict[str, Any] = {
            "id": name,
            "repository": "shop",
            "kind": "commit",
            "actor": "person-1",
            "created_at": "2024",
            "title": name,
            "parents": (self.steps[-1].id,) if self.steps else (),
            "versions": tuple(versions),
        }
        self.steps.append(Step.model_validate({**fields, **(changes or {})}))
        return name

    def found(self, **options: int) -> list[Candidate]:
        return candidates(self.steps, self.texts.get, lambda commit: TREE, **options)


@pytest.fixture
def history() -> History:
    return History()


def test_code_and_test_in_one_commit(history: History) -> None:
    commit = history.commit(**{"shop/sums.py": "", "shop/other.py": "", "tests/test_sums.py": SUMS, "docs/x.py": ""})
    (found,) = history.found()
    assert found == Candidate(
        id=f"{commit[:12]} tests/test_sums.py shop/sums.py",
        kind="fix_with_test",
        commit=commit,
        before=history.steps[0].id,
        tests_from=commit,
        test="tests/test_sums.py",
        target="shop/sums.py",
    )


def test_a_test_first_and_the_code_within_ten_commits(history: History) -> None:
    first = history.commit(change="added", **{"tests/test_sums.py": SUMS})
    for _ in range(9):
        history.commit(**{"README.md": ""})
    later = history.commit(**{"shop/sums.py": ""})
    (found,) = history.found()
    assert (found.kind, found.commit, found.tests_from) == ("test_then_fix", later, first)
    too_late = history.commit(**{"shop/sums.py": "again"})
    assert too_late not in [each.commit for each in history.found()]
    assert not history.found(window=9)


def test_a_test_alone(history: History) -> None:
    commit = history.commit(**{"tests/test_sums.py": SUMS})
    (found,) = history.found()
    assert (found.kind, found.commit, found.tests_from, found.target) == ("test_repair", commit, commit, "shop/sums.py")


def test_the_latest_come_first_and_all_tests_of_a_commit(history: History) -> None:
    one = history.commit(**{"shop/sums.py": "", "tests/test_sums.py": SUMS})
    two = history.commit(**{"shop/sums.py": "", "a/test_sums.py": "import shop.sums", "b/sums_test.py": "x"})
    found = [(each.commit, each.test) for each in history.found()]
    assert found == [(two, "b/sums_test.py"), (two, "a/test_sums.py"), (one, "tests/test_sums.py")]


@pytest.mark.parametrize(
    "files",
    [
        {"docs/sums.py": "", "tests/test_sums.py": SUMS.replace("sums", "nothing")},
        {"tests/conftest.py": "", "shop/sums.py": ""},
        {"tests/test_sums.py": "import os\nassert os\n".replace("os", "json"), "setup.py": ""},
        {"shop/sums.py": "", "shop/other.py": ""},
        {"tests/test_far.py": "import far", "shop/sums.py": "", "shop/other.py": ""},
    ],
)
def test_no_lesson(history: History, files: dict[str, str]) -> None:
    history.commit(**files)
    assert not [each for each in history.found() if each.kind != "test_repair"]


def test_steps_that_are_left_out(history: History) -> None:
    files = {"shop/sums.py": "", "tests/test_sums.py": SUMS}
    history.commit(change="deleted", **files)
    history.commit(change="added", **files)  # code that came with its test: there is nothing before it
    for changes in ({"complete": False}, {"kind": "merge"}, {"kind": "issue"}, {"parents": ()}):
        history.commit(changes=changes, **files)
    assert not history.found()


def test_a_step_that_came_again_stands_where_it_stood(history: History) -> None:
    history.commit(change="added", **{"tests/test_sums.py": SUMS})
    history.commit(**{"shop/sums.py": "", "tests/test_sums.py": SUMS + "\n"})
    history.commit(**{"tests/test_sums.py": SUMS})
    history.commit(**{"shop/sums.py": "2"})
    whole = history.found()
    assert [each.kind for each in whole] == ["test_then_fix", "test_repair", "fix_with_test"]
    for number in range(1, 5):
        moved = history.steps[number]
        again = [*(step for step in history.steps if step.id != moved.id), moved]
        assert candidates(again, history.texts.get, lambda commit: TREE) == whole
    assert candidates(history.steps[::-1], history.texts.get, lambda commit: TREE) == whole


def test_a_long_history_is_no_trouble() -> None:
    history = History()
    for _ in range(3000):
        history.commit(**{"README.md": ""})
    history.commit(**{"shop/sums.py": "", "tests/test_sums.py": SUMS})
    assert len(candidates(history.steps[::-1], history.texts.get, lambda commit: TREE)) == 1


@pytest.mark.parametrize(
    ("test", "text", "paths", "expected"),
    [
        ("tests/test_x.py", "from shop.sums import add", ["shop/sums.py", "shop/other.py"], ["shop/sums.py"]),
        ("tests/test_x.py", "from shop import sums", ["shop/sums.py", "shop/other.py"], ["shop/sums.py"]),
        ("tests/test_x.py", "from shop import (\n    other as o,\n    sums,\n)", ["shop/sums.py"], ["shop/sums.py"]),
        ("tests/test_x.py", "import os, shop.sums as s", ["shop/sums.py"], ["shop/sums.py"]),
        ("tests/test_x.py", "def test():\n    from shop.sums import add", ["shop/sums.py"], ["shop/sums.py"]),
        ("tests/test_x.py", "from shop.sums import *", ["src/shop/sums.py"], ["src/shop/sums.py"]),
        ("tests/test_x.py", "from shop.sums import add", ["lib/shop/sums.py"], ["lib/shop/sums.py"]),
        ("tests/test_x.py", "from shop.sums import add", ["parts/a/shop/sums.py"], ["parts/a/shop/sums.py"]),
        ("tests/test_x.py", "import shop", ["shop/__init__.py"], ["shop/__init__.py"]),
        ("tests/test_x.py", "from shop import add", ["src/shop/__init__.py"], ["src/shop/__init__.py"]),
        ("shop/test_x.py", "from .sums import add", ["shop/sums.py", "shop/other.py"], ["shop/sums.py"]),
        ("shop/tests/test_x.py", "from .. import sums", ["shop/sums.py"], ["shop/sums.py"]),
        ("tests/test_sums.py", "x = 1", ["shop/sums.py", "shop/other.py"], ["shop/sums.py"]),
        ("tests/sums_test.py", "x = 1", ["shop/sums.py"], ["shop/sums.py"]),
        ("tests/test_x.py", "import shop", ["shop/deep/sums.py"], ["shop/deep/sums.py"]),
        ("tests/test_x.py", "import shop", ["shop/deep/sums.py", "shop/b.py"], []),
        ("tests/test_x.py", "# from shop.sums import add", ["shop/sums.py"], []),
        ("tests/test_x.py", "import sumsum", ["shop/sums.py"], []),
        ("tests/test_b.py", "import shop.a, shop.b", ["shop/a.py", "shop/b.py"], ["shop/b.py", "shop/a.py"]),
    ],
)
def test_what_a_test_is_about(test: str, text: str, paths: list[str], expected: list[str]) -> None:
    assert targets(test, text, paths) == expected


def test_what_is_a_test_and_what_is_code() -> None:
    assert all(map(is_test, ("test_a.py", "tests/a_test.py")))
    assert not any(map(is_test, ("tests/conftest.py", "a.py", "test_a.txt", "testa.py", "latest.py")))
    assert all(map(is_code, ("a.py", "src/shop/__init__.py", "shop/latest.py")))
    no_code = ("test_a.py", "tests/helper.py", "conftest.py", "setup.py", "docs/conf.py", "noxfile.py", "a.pyi", "a.md")
    assert not any(map(is_code, no_code))
