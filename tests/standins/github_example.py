"""A repository on the stand-in for GitHub with a bit of everything, and what collecting it brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from github_server import TOKEN, GitHubStandIn, at, comment, reactions, review, review_comment

from trace_logger.collect.dataset import DataSet, read_steps
from trace_logger.collect.github import collect_github
from trace_logger.collect.pseudonyms import Pseudonyms
from trace_logger.collect.records import Manifest, Step

NAME = "octo-org/hello"
HERE = f"https://github.com/{NAME}"
PEOPLE = Pseudonyms(b"k" * 32)
LOGINS = ("alice", "bob", "carol", "maintainer-mia", "dependabot[bot]")
ADDRESSES = ("carol@example.org", "12+bob@users.noreply.github.com")


def collect(github: GitHubStandIn, folder: Path, **options: Any) -> tuple[Manifest, int]:
    """Collect into ``folder``; waiting lets the server's clock go on. ``options`` are those of `collect_github`."""
    given = {"token": TOKEN, "server": github.url, "wait": github.wait, "pause": 0.0, **options}
    with DataSet(folder, HERE) as data:
        return collect_github(given.pop("name", NAME), data, PEOPLE, **given)


def steps(folder: Path) -> dict[str, Step]:
    return {step.id: step for step in read_steps(folder)}


def fill(github: GitHubStandIn) -> None:
    """A bit of everything."""
    github.issue(
        1,
        title="@alice: the cart is wrong",
        body="Ask @bob.\r\nOr carol@example.org\n\n```python\n@property\n```",
        labels=[{"id": 1, "name": "bug", "color": "f00"}],
        state="closed",
        closed_at=at(90),
        comments=[
            comment(11, "bob", "Yes, @alice", reactions=reactions(up=2, heart=1)),
            comment(12, None, None, 6),
            comment(13, "ghost", "cc @maintainer-mia\n", 7, updated_at=at(9)),
        ],
    )
    github.issue(2, login=None)
    github.pull(
        3,
        login="carol",
        merged=True,
        state="closed",
        closed_at=at(8),
        commits=["c" * 40, "d" * 40],
        comments=[comment(31, "dependabot[bot]", "Signed-off-by: Bob <12+bob@users.noreply.github.com>", 9)],
        reviews=[
            review(32, "maintainer-mia", "CHANGES_REQUESTED", "See below"),
            review(33, "maintainer-mia", "APPROVED", None, 8),
            review(34, None, "COMMENTED", "", 7),
            review(35, "alice", "PENDING", "not said yet"),
        ],
        remarks=[
            review_comment(36, "maintainer-mia", "Why @cached?"),
            review_comment(37, "carol", "Fast", 8, in_reply_to_id=36, line=4),
        ],
    )
    github.pull(4, login="dependabot[bot]", all_commits=300)
