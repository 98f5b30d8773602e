"""Git repositories made in code: each commit is written as git itself writes it, with whatever author, date and encoding."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import children
import pygit2
import pytest
from pygit2.enums import FileMode, ObjectType

from trace_logger.collect.dataset import DataSet, read_steps
from trace_logger.collect.git import collect_git, name_of, open_repository
from trace_logger.collect.pseudonyms import Pseudonyms
from trace_logger.collect.records import Manifest, Step

PEOPLE = Pseudonyms(b"k" * 32)
AUTHOR = "Alice Example <alice@example.org>"
SECRETS = ("Alice", "alice@", "Bob", "bob@")  # what must not be found in a data set
_START = 1_700_000_000  # the first commit's time; each later one is an hour after the one before
LINK, SUBMODULE = FileMode.LINK, FileMode.COMMIT
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="runs the program git")


class Made:
    """A repository, bare or with a work tree that `show` fills; a branch is the list of its commits."""

    def __init__(self, folder: Path, *, bare: bool = False) -> None:
        self.folder = folder
        self.git = pygit2.init_repository(str(folder), bare=bare, initial_head="main")
        self._time = _START
        self._trees: dict[str, Any] = {}

    def commit(
        self,
        files: Mapping[str, Any] | None = None,
        message: str | bytes = "Change it",
        *,
        branch: str = "main",
        parents: list[str] | None = None,
        author: str = AUTHOR,
        date: str | None = None,
        encoding: str = "",
    ) -> str:
        """A commit at the tip of ``branch``; ``files``: text, bytes, (mode, text or id), or None for one that goes."""
        reference = f"refs/heads/{branch}"
        if parents is None:
            parents = [str(self.git.references[reference].target)] if reference in self.git.references else []
        index = pygit2.Index()
        if parents:
            index.read_tree(self.git[self._trees[parents[0]]])
        for path, content in (files or {}).items():
            if content is None:
                index.remove(path)
                continue
            mode, content = content if isinstance(content, tuple) else (FileMode.BLOB, content)
            text = content.encode() if isinstance(content, str) else content
            blob = pygit2.Oid(hex=content) if mode == SUBMODULE else self.git.create_blob(text)
            index.add(pygit2.IndexEntry(path, blob, mode))
        self._time += 3600
        tree = index.write_tree(self.git)
        lines = [f"tree {tree}", *(f"parent {each}" for each in parents)]
        lines += [f"{who} {author} {date or f'{self._time} +0100'}" for who in ("author", "committer")]
        lines += [f"encoding {encoding}"] if encoding else []
        said = message.encode() if isinstance(message, str) else message
        made = str(self.git.write(ObjectType.COMMIT, "\n".join(lines).encode() + b"\n\n" + said))
        self._trees[made] = tree
        self.git.references.create(reference, made, force=True)
        return made

    def show(self) -> None:
        """Write the files of ``main`` to the work tree, as a checkout does."""
        self.git.checkout("refs/heads/main")


def git(folder: Path, *words: object) -> str:
    """What the program git says, without the user's settings; the test has failed where it does not succeed."""
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0"}
    me = [
        word
        for key in ("user.name=Alice Example", "user.email=alice@example.org", "protocol.file.allow=always")
        for word in ("-c", key)
    ]
    done = children.run(["git", *me, *map(str, words)], cwd=folder, env={**os.environ, **alone})
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def collect(folder: Path, out: Path, **options: Any) -> tuple[Manifest, int]:
    """Collect the repository in ``folder`` into ``out``; ``options`` are those of `collect_git`."""
    repository = open_repository(folder)
    with DataSet(out, name_of(repository)) as data:
        return collect_git(repository, data, PEOPLE, **options)


def steps(out: Path) -> dict[str, Step]:
    """The steps in ``out`` by their ids."""
    return {step.id: step for step in read_steps(out)}


def state_of(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``, its .git included, with what is in it."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def a_shop(folder: Path) -> tuple[Made, dict[str, str]]:
    """A project whose history has each kind of lesson, and commits without one; they are found by their names."""
    made = Made(folder)
    price, split, clip, far = (f"tests/test_{name}.py" for name in ("price", "split", "clip", "far"))
    return made, {
        "start": made.commit(
            {
                "shop/__init__.py": "",
                "shop/price.py": PRICE.format("price * count"),
                "shop/split.py": SPLIT.format("part"),
                "shop/clip.py": CLIP.format("max(low, value)"),
                "shop/far.py": FAR.format("", 1),
                price: TEST_PRICE.format("10.0"),
                split: TEST_SPLIT,
                far: TEST_FAR.format(1),
            },
            "Begin",
        ),
        "repair": made.commit(
            {"shop/price.py": PRICE.format("price * count * 2"), price: TEST_PRICE.format("20.0")}, "Prices are doubled"
        ),
        "fix": made.commit(
            {"shop/split.py": SPLIT.format("part.strip()"), split: TEST_SPLIT + TEST_BLANKS}, "Blanks are no part of it"
        ),
        "test first": made.commit({clip: TEST_CLIP}, "Say what clip is to do"),
        "code later": made.commit({"shop/clip.py": CLIP.format("min(high, max(low, value))")}, "Clip at the top, too"),
        "nothing": made.commit(
            {"shop/price.py": PRICE.format("2 * price * count"), price: TEST_PRICE.format("20.0") + "# that is all\n"},
            "The other way round",
        ),
        "lacking": made.commit(
            {"shop/far.py": FAR.format("import no_such_package_anywhere\n\n\n", 2), far: TEST_FAR.format(2)}, "Further"
        ),
    }


PRICE = "def price(price, count):\n    return {}\n"
SPLIT = "def split(text):\n    return [{} for part in text.split(',')]\n"
CLIP = "def clip(value, low, high):\n    return {}\n"
FAR = "{}def far():\n    return {}\n"
TEST_PRICE = """\
from shop.price import price


def test_total():
    assert price(5.0, 2) == {}


def test_none():
    assert price(5.0, 0) == 0
"""
TEST_SPLIT = """\
from shop.split import split


def test_two():
    assert split("a,b") == ["a", "b"]
"""
TEST_BLANKS = """

def test_blanks():
    assert split("a, b") == ["a", "b"]
"""
TEST_CLIP = """\
from shop.clip import clip


def test_low():
    assert clip(-1, 0, 9) == 0


def test_high():
    assert clip(10, 0, 9) == 9
"""
TEST_FAR = "from shop.far import far\n\n\ndef test_far():\n    assert far() == {}\n"
