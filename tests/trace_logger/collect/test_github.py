from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from github_example import ADDRESSES, HERE, LOGINS, NAME, PEOPLE, collect, fill, steps
from github_server import TOKEN, GitHubStandIn, at, comment, review_comment

from trace_logger.collect.dataset import DataSet, read_manifest
from trace_logger.collect.github import GitHubError
from trace_logger.collect.records import Feedback, Manifest


@pytest.fixture
def github() -> Iterator[GitHubStandIn]:
    with GitHubStandIn(NAME) as standin:
        yield standin


def test_issues(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    collect(github, tmp_path)
    found = steps(tmp_path)
    issue = found["issue/1"]
    alice, bob, ghost = PEOPLE.of("alice"), PEOPLE.of("bob"), PEOPLE.of("ghost")
    assert (issue.kind, issue.repository, issue.licence, issue.actor) == ("issue", HERE, "MIT", alice)
    assert (issue.title, issue.labels, issue.state) == (f"@{alice}: the cart is wrong", ("bug",), "closed")
    assert issue.body == f"Ask @{bob}.\nOr {PEOPLE.of('carol@example.org')}\n\n```python\n@property\n```"
    times = ("2024-01-01T00:01:00+00:00", "2024-01-01T00:01:00+00:00", "2024-01-01T01:30:00+00:00")
    assert (issue.created_at, issue.updated_at, issue.closed_at) == times
    first, second, third = issue.feedback
    assert first == Feedback(
        id="comment/11",
        kind="comment",
        actor=bob,
        created_at="2024-01-01T00:05:00+00:00",
        updated_at="2024-01-01T00:05:00+00:00",
        body=f"Yes, @{alice}",
        reactions=(("+1", 2), ("heart", 1)),
    )
    assert (second.actor, second.body, second.reactions) == (ghost, "", ())
    assert (third.actor, third.updated_at) == (ghost, "2024-01-01T00:09:00+00:00")
    assert (found["issue/2"].actor, found["issue/2"].body, found["issue/2"].closed_at) == (ghost, "", None)


def test_pull_requests(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    manifest, new = collect(github, tmp_path)
    found = steps(tmp_path)
    pull = found["pull_request/3"]
    mia = PEOPLE.of("maintainer-mia")
    assert (pull.kind, pull.actor, pull.state, pull.merged_as) == (
        "pull_request",
        PEOPLE.of("carol"),
        "closed",
        "e" * 40,
    )
    assert (pull.commits, pull.complete) == (("c" * 40, "d" * 40), True)
    said = {each.id: each for each in pull.feedback}
    assert list(said) == ["review/32", "review/34", "review_comment/36", "review/33", "review_comment/37", "comment/31"]
    asked = said["review/32"]
    assert (asked.kind, asked.state, asked.actor, asked.commit) == ("review", "CHANGES_REQUESTED", mia, "c" * 40)
    assert asked.created_at == "2024-01-01T00:06:00+00:00"
    assert (said["review/33"].state, said["review/33"].body) == ("APPROVED", "")
    remark, answer = said["review_comment/36"], said["review_comment/37"]
    assert (remark.path, remark.line, remark.commit, remark.in_reply_to) == ("shop/cart.py", 1, "c" * 40, None)
    assert remark.diff_hunk == "@@ -1,2 +1,2 @@\n-@property\n+@cached\n def total(self):"
    assert (answer.in_reply_to, answer.line) == ("review_comment/36", 1)
    assert said["comment/31"].body == f"Signed-off-by: {PEOPLE.of('bob')}"
    other = found["pull_request/4"]
    assert (other.merged_as, other.complete) == (None, False)
    assert (manifest.steps, manifest.feedback, new) == ({"issue": 2, "pull_request": 2}, 9, 4)
    assert (manifest.licence, manifest.sources) == ("MIT", ("github",))
    assert manifest.notes == ("GitHub: 1 pull requests have more commits than the API names",)
    assert read_manifest(tmp_path) == manifest


def test_nobody_is_named_and_the_token_goes_to_the_api_alone(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    told: list[str] = []
    collect(github, tmp_path, say=told.append)
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir()).decode()
    for secret in (*LOGINS, *ADDRESSES, TOKEN):
        assert secret not in kept
    assert all(headers["authorization"] == f"token {TOKEN}" for _, headers in github.requests)
    assert told == []


def test_no_more_is_asked_than_there_is(github: GitHubStandIn, tmp_path: Path) -> None:
    for number in range(1, 131):
        github.issue(number)
    progress: list[tuple[int, int | None]] = []
    _, new = collect(github, tmp_path, tell=lambda done, of: progress.append((done, of)))
    assert new == len(steps(tmp_path)) == 130
    assert len(github.requests) == 4  # the repository, how many, two pages
    assert (progress[0], progress[-1]) == ((0, 130), (130, 130))


def test_pages_within_one_second(github: GitHubStandIn, tmp_path: Path) -> None:
    for number in range(1, 251):
        github.issue(number, updated_at=at(1))
    github.issue(251, comments=[comment(1000 + n, "bob", f"{n}", n) for n in range(130)])
    collect(github, tmp_path)
    assert set(steps(tmp_path)) == {f"issue/{number}" for number in range(1, 252)}
    assert [each.body for each in steps(tmp_path)["issue/251"].feedback] == [str(n) for n in range(130)]


def test_what_is_updated_meanwhile_moves_nothing_out_of_sight(github: GitHubStandIn, tmp_path: Path) -> None:
    for number in range(1, 151):
        github.issue(number)

    def touch(request: int) -> None:
        if request == 4:  # before the second page
            for number in range(1, 11):
                github.items[number].update(updated_at=at(200 + number), title="Anew")

    github.before = touch
    collect(github, tmp_path)
    found = steps(tmp_path)
    assert len(found) == 150
    assert found["issue/1"].title == "Anew"


def test_interrupted_at_any_request_it_goes_on(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    for number in range(5, 9):
        github.issue(number, comments=[comment(100 + number, "bob", "Hm")])
    collect(github, tmp_path / "whole")
    count = len(github.requests)
    for dies_at in range(2, count + 1):
        folder = tmp_path / str(dies_at)
        github.requests.clear()
        github.dies_at = dies_at
        with pytest.raises(GitHubError, match=r"in vain(?s:.*)is kept, and the same command goes on"):
            collect(github, folder)
        kept = steps(folder) if folder.exists() else {}
        github.requests.clear()
        github.dies_at = None
        _, new = collect(github, folder)
        assert steps(folder) == steps(tmp_path / "whole")
        assert new == 8 - len(kept)
        for each in kept:
            assert not [path for path in github.paths if f"/{each.rpartition('/')[2]}/" in path]


def test_killed_while_a_line_was_written(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    collect(github, tmp_path)
    whole = steps(tmp_path)
    file = tmp_path / "steps.jsonl"
    file.write_bytes(file.read_bytes()[:-40])
    assert collect(github, tmp_path)[1] == 1
    assert steps(tmp_path) == whole


def test_ctrl_c_while_it_waits(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    github.faults = {6: "limit"}

    def ctrl_c(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(github, tmp_path, wait=ctrl_c)
    assert set(steps(tmp_path)) == {"issue/1", "issue/2"}
    github.clock = 800
    collect(github, tmp_path)
    assert len(steps(tmp_path)) == 4


def test_made_again_it_brings_what_was_updated(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    collect(github, tmp_path)
    github.issue(1, title="Solved", updated_at=at(500))
    github.issue(9)
    github.requests.clear()
    manifest, new = collect(github, tmp_path)
    assert new == 2
    assert steps(tmp_path)["issue/1"].title == "Solved"
    assert manifest.steps == {"issue": 3, "pull_request": 2}
    assert len(github.requests) == 3


def test_a_limit_on_the_number_of_steps(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    assert collect(github, tmp_path, limit=1)[1] == 1
    assert set(steps(tmp_path)) == {"issue/1"}
    assert collect(github, tmp_path, limit=2)[1] == 2
    assert set(steps(tmp_path)) == {"issue/1", "issue/2", "pull_request/3"}


def test_another_sources_manifest_stands(github: GitHubStandIn, tmp_path: Path) -> None:
    with DataSet(tmp_path, HERE) as data:
        data.finish(
            Manifest(repository=HERE, sources=("git",), branches={"main": "a" * 40}, notes=("shallow", "GitHub: old"))
        )
    manifest, _ = collect(github, tmp_path)
    assert (manifest.branches, manifest.notes, manifest.sources) == (
        {"main": "a" * 40},
        ("shallow",),
        ("git", "github"),
    )


def test_code_and_lists_of_people_in_remarks(github: GitHubStandIn, tmp_path: Path) -> None:
    hunk = "@@ -1 +1 @@\n+carol@example.org"
    remarks = [
        review_comment(n, "bob", "Hm", path=path, diff_hunk=hunk) for n, path in enumerate(("setup.py", "docs/AUTHORS"))
    ]
    github.pull(1, remarks=remarks, labels=[{"name": "for @alice"}])
    collect(github, tmp_path)
    pull = steps(tmp_path)["pull_request/1"]
    assert [each.diff_hunk for each in pull.feedback] == [hunk.replace(ADDRESSES[0], PEOPLE.of(ADDRESSES[0])), ""]
    assert pull.labels == (f"for @{PEOPLE.of('alice')}",)


def test_bots_can_be_told_from_people(github: GitHubStandIn, tmp_path: Path) -> None:
    copilot = {"user": {"login": "Copilot", "type": "Bot"}}
    github.issue(1, login="dependabot[bot]", comments=[comment(2, None, "Done", **copilot), comment(3, "bob", "Yes")])
    collect(github, tmp_path)
    issue = steps(tmp_path)["issue/1"]
    assert [each.actor.partition("-")[0] for each in (issue, *issue.feedback)] == ["bot", "bot", "person"]


def test_links_to_the_repository_stand(github: GitHubStandIn, tmp_path: Path) -> None:
    github.issue(1, body=f"{HERE}/issues/2, https://github.com/bob/hello, https://github.com/bob")
    collect(github, tmp_path)
    bob = PEOPLE.of("bob")
    said = steps(tmp_path)["issue/1"].body
    assert said == f"{HERE}/issues/2, https://github.com/{bob}/hello, https://github.com/{bob}"


@pytest.mark.parametrize("licence", ["NOASSERTION", None])
def test_a_licence_that_github_does_not_know_is_none(tmp_path: Path, licence: str | None) -> None:
    with GitHubStandIn(NAME, licence=licence) as github:
        github.issue(1)
        manifest, _ = collect(github, tmp_path)
    assert (manifest.licence, steps(tmp_path)["issue/1"].licence) == (None, None)


def test_of_no_repository_nothing_is_left_behind(github: GitHubStandIn, tmp_path: Path) -> None:
    with pytest.raises(GitHubError, match="no repository octo-org/nothing"):
        collect(github, tmp_path / "data", name="octo-org/nothing")
    assert not (tmp_path / "data").exists()
    collect(github, tmp_path / "data", name=NAME)  # one without an issue is a data set
    assert steps(tmp_path / "data") == {}
