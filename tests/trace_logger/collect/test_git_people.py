"""A history full of names, addresses and logins: none of them is in its data set, but where code was written so."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pygit2")
from repositories import PEOPLE, Made, collect, steps

BOB = "Bob Builder <bob@example.org>"
ALICE, BOBS, CAROL = (PEOPLE.of(each) for each in ("alice@example.org", "bob@example.org", "carol-9"))


@pytest.fixture
def made(made: Made) -> Made:
    made.git.remotes.create("origin", "https://github.com/octo/repo.git")
    return made


def test_people_of_later_commits_are_known_in_earlier_ones(made: Made, out: Path) -> None:
    one = made.commit(message="Thanks, Bob Builder\n\nas Alice Example said, https://github.com/octo/repo/pull/1")
    made.commit(author=BOB)
    collect(made.folder, out)
    found = steps(out)[one]
    assert found.title == f"Thanks, {BOBS}"
    assert found.body == f"as {ALICE} said, https://github.com/octo/repo/pull/1"


def test_merges_and_branches(made: Made, out: Path) -> None:
    first = made.commit({"a": "1\n"})
    aside = made.commit({"b": "1\n"}, branch="carol-9/fix", parents=[first])
    merge = made.commit({"b": "1\n"}, "Merge pull request #2 from carol-9/fix", parents=[first, aside])
    manifest, _ = collect(made.folder, out)
    found = steps(out)
    assert found[merge].title == f"Merge pull request #2 from {CAROL}/fix"
    assert found[aside].branches == (f"{CAROL}/fix",)
    assert manifest.branches == {"main": merge, f"{CAROL}/fix": aside}
    kept = (out / "steps.jsonl").read_text() + (out / "manifest.json").read_text()
    assert "carol" not in kept


def test_diffs_lose_addresses_and_lists_of_people(made: Made, out: Path) -> None:
    code = 'def f():\n    """Ask bob@example.org."""\n    # or alice@example.org\n    return "bob@example.org"\n'
    one = made.commit({"a.py": code, "docs/AUTHORS.rst": "Bob Builder\n", "x.txt": "x@y.T\n"})
    two = made.commit({"docs/AUTHORS.rst": None, "team": "Bob Builder\n"})
    collect(made.folder, out)
    a, authors, x = steps(out)[one].versions
    assert f'+    return "{BOBS}"' in a.diff
    (said,) = a.annotated
    assert (said.docstring, said.code) == (f"Ask {BOBS}.", f'def f():\n    return "{BOBS}"')
    assert said.annotations[0].annotation == f"or {ALICE}"
    assert (authors.about_people, authors.diff, authors.lines_added, authors.too_long) == (True, "", 1, False)
    assert not a.about_people
    assert x.diff.endswith("+x@y.T\n")
    (renamed,) = steps(out)[two].versions
    assert (renamed.path, renamed.about_people, renamed.diff) == ("team", True, "")
    assert "Bob" not in (out / "steps.jsonl").read_text()


def test_bots_can_be_told_from_people(made: Made, out: Path) -> None:
    bot = made.commit(author="dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>")
    collect(made.folder, out)
    assert steps(out)[bot].actor == PEOPLE.of("dependabot[bot]")
    assert steps(out)[bot].actor.startswith("bot-")


def test_a_licence_beside_another(made: Made, out: Path) -> None:
    made.commit(
        {
            "COPYING": "GNU GENERAL PUBLIC LICENSE\nVersion 3",
            "COPYING.LESSER": "GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3",
        }
    )
    assert collect(made.folder, out)[0].licence == "LGPL-3.0-only"
