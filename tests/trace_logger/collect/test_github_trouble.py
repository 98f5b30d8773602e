from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from github_example import NAME, collect, fill, steps
from github_server import TOKEN, GitHubStandIn

from trace_logger.collect.github import GitHubError


@pytest.fixture
def github() -> Iterator[GitHubStandIn]:
    with GitHubStandIn(NAME) as standin:
        yield standin


def test_a_rate_limit_is_waited_for_and_said(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    github.clock = -5000  # the machine's own clock is wrong: what counts is the server's
    github.faults = {5: "limit", 9: "secondary"}
    waits: list[float] = []
    told: list[str] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        github.wait(seconds)

    collect(github, tmp_path, wait=wait, say=told.append)
    assert len(steps(tmp_path)) == 4
    assert waits == [pytest.approx(701, abs=2), 45]
    assert "GitHub's limit is reached; going on at " in told[0]
    assert " UTC, in 12 minutes. Ctrl-C is safe: what is collected is kept" in told[0]
    assert "in 45 seconds" in told[1]


def test_a_limit_that_holds_too_long_ends_it(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    github.faults = {5: "limit"}
    with pytest.raises(GitHubError, match=r"another 12 minutes(?s:.*)is kept"):
        collect(github, tmp_path, most_wait=600)
    assert set(steps(tmp_path)) == {"issue/1", "issue/2"}


@pytest.mark.parametrize("trouble", [502, 503, "drop", "half"])
def test_trouble_that_passes(github: GitHubStandIn, tmp_path: Path, trouble: int | str) -> None:
    fill(github)
    github.faults = {5: trouble, 6: trouble}
    waits: list[float] = []
    told: list[str] = []
    collect(github, tmp_path, wait=waits.append, say=told.append)
    assert len(steps(tmp_path)) == 4
    assert waits == [2, 10]
    assert "has trouble" in told[0]
    assert told[0].endswith("trying again in 2 seconds")


def test_no_network_is_told_at_once(tmp_path: Path) -> None:
    with GitHubStandIn(NAME) as github:
        pass
    waits: list[float] = []
    with pytest.raises(GitHubError, match=r"127.0.0.1:\d+ cannot be read: .*refused(?s:.*)network"):
        collect(github, tmp_path, wait=waits.append)
    assert waits == []


@pytest.mark.parametrize("token", [TOKEN, None])
def test_no_such_repository(github: GitHubStandIn, tmp_path: Path, token: str | None) -> None:
    with pytest.raises(GitHubError, match="no repository octo-org/other, or") as caught:
        collect(github, tmp_path, name="octo-org/other", token=token)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("name", ["hello", "a/b/c", "octo-org/..", "", "https://github.com/octo-org/hello"])
def test_what_is_no_name(github: GitHubStandIn, tmp_path: Path, name: str) -> None:
    with pytest.raises(GitHubError, match="OWNER/NAME"):
        collect(github, tmp_path, name=name)
    assert github.requests == []


@pytest.mark.parametrize(
    ("token", "why"), [("ghp_wrong", "does not know the token"), ("ghp_two\nlines", "no token has")]
)
def test_a_token_that_is_none(github: GitHubStandIn, tmp_path: Path, token: str, why: str) -> None:
    with pytest.raises(GitHubError, match=why) as caught:
        collect(github, tmp_path, token=token)
    assert "ghp_" not in str(caught.value)


def test_a_token_may_end_in_a_newline(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    assert collect(github, tmp_path, token=f"{TOKEN}\n")[1] == 4


@pytest.mark.parametrize("token", [None, "", " "])
def test_without_a_token(github: GitHubStandIn, tmp_path: Path, token: str | None) -> None:
    fill(github)
    told: list[str] = []
    assert collect(github, tmp_path, token=token, say=told.append)[1] == 4
    assert not [headers for _, headers in github.requests if "authorization" in headers]
    assert len(told) == 1
    assert "60 requests an hour" in told[0]


def test_disabled_issues_leave_the_pull_requests(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    github.has_issues = False
    manifest, _ = collect(github, tmp_path)
    assert set(steps(tmp_path)) == {"pull_request/3", "pull_request/4"}
    assert len(steps(tmp_path)["pull_request/3"].feedback) == 6
    assert "GitHub: issues are disabled" in manifest.notes
    assert collect(github, tmp_path)[1] == 0


def test_an_empty_repository(tmp_path: Path) -> None:
    with GitHubStandIn(NAME, licence=None) as github:
        manifest, new = collect(github, tmp_path)
    assert (manifest.steps, manifest.licence, manifest.notes, new) == ({}, None, (), 0)


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_gone_meanwhile_is_passed_over(github: GitHubStandIn, tmp_path: Path, status: int) -> None:
    fill(github)
    for path in ("issues/1/comments", "pulls/3"):
        github.answers[f"/repos/{NAME}/{path}"] = (status, {}, {"message": "This issue was deleted"})
    manifest, new = collect(github, tmp_path)
    assert set(steps(tmp_path)) == {"issue/2", "pull_request/4"}
    assert new == 2
    assert "GitHub: 2 issues or pull requests were gone when they were asked for" in manifest.notes


def test_a_right_that_the_token_lacks(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    refused = {"message": "Resource not accessible by personal access token"}
    github.answers[f"/repos/{NAME}/pulls/3"] = (403, {}, refused)
    with pytest.raises(GitHubError, match=r"refuses .*not accessible by personal access token(?s:.*)right to read"):
        collect(github, tmp_path)
    assert set(steps(tmp_path)) == {"issue/1", "issue/2"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("status", [200, 301, 302, 307])
def test_the_token_goes_to_no_other_server(github: GitHubStandIn, tmp_path: Path, host: str, status: int) -> None:
    with GitHubStandIn(NAME) as other:
        fill(github)
        fill(other)
        there = f"{other.url.replace('127.0.0.1', host)}/repos/{NAME}/issues/1/comments?page=2"
        headers = {"Link": f'<{there}>; rel="next"'} if status == 200 else {"Location": there}
        github.answers[f"/repos/{NAME}/issues/1/comments"] = (status, headers, [])
        with pytest.raises(GitHubError) as caught:
            collect(github, tmp_path)
        assert other.requests == []
    assert TOKEN not in str(caught.value)


def test_a_repository_that_was_renamed(github: GitHubStandIn, tmp_path: Path) -> None:
    fill(github)
    github.answers["/repos/octo-org/old"] = (
        301,
        {"Location": f"{github.url}/repos/{NAME}"},
        {"message": "Moved Permanently"},
    )
    assert collect(github, tmp_path, name="octo-org/old")[1] == 4


@pytest.mark.parametrize("server", ["http://ghe.example.org/api/v3", "ghe.example.org", "ftp://localhost"])
def test_the_token_is_not_sent_in_the_open(tmp_path: Path, github: GitHubStandIn, server: str) -> None:
    with pytest.raises(GitHubError, match="begins with https://"):
        collect(github, tmp_path, server=server)


@pytest.mark.parametrize("answer", ["<html>A page</html>", {"hello": "world"}, []])
def test_a_server_that_is_no_github(github: GitHubStandIn, tmp_path: Path, answer: Any) -> None:
    github.answers[f"/repos/{NAME}"] = (200, {}, answer)
    with pytest.raises(GitHubError, match=r"no JSON|no GitHub API"):
        collect(github, tmp_path)


def test_without_pygithub(github: GitHubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "github", None)
    with pytest.raises(GitHubError, match=r"testing-crew\[collect\]"):
        collect(github, tmp_path)
