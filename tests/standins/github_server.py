"""A stand-in for GitHub's REST API: what its documentation says of repositories, issues, pull requests and what is said of them.

Written to https://docs.github.com/en/rest (version 2022-11-28): lists are paged with Link headers and filtered by ``since``,
fields that may be null are, limits come with their headers. Faults come at the requests that a test names.

    with GitHubStandIn("octo-org/hello") as github:
        github.issue(1, comments=[comment(11, "alice", "Yes")])
        ... github.url
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from github_answers import Json, at, comment, reactions, review, review_comment, user

__all__ = ["TOKEN", "GitHubStandIn", "Json", "at", "comment", "reactions", "review", "review_comment", "user"]

TOKEN = "ghp_ThisIsNoRealTokenButLooksLikeOne0000"


class GitHubStandIn:
    """The server, as a context manager.

    ``requests`` keeps (path with query, headers) of each request. ``faults`` maps the number of a request, from 1, to what
    befalls it: a status, "limit", "secondary", "drop" (no answer), "half" (an answer cut off). From request ``dies_at`` on,
    none is answered. ``now`` is the server's clock. ``answers`` holds (status, headers, value) for a path, instead of its own.
    """

    def __init__(self, name: str = "octo-org/hello", *, licence: str | None = "MIT", private: bool = False) -> None:
        self.name, self.licence, self.private = name, licence, private
        self.items: dict[int, Json] = {}
        self.lists: dict[str, list[Json]] = {}
        self.pulls: dict[int, Json] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.faults: dict[int, int | str] = {}
        self.answers: dict[str, tuple[int, dict[str, str], Any]] = {}
        self.dies_at: int | None = None
        self.before: Callable[[int], object] = lambda number: None
        self.has_issues = True
        self.clock = 0.0  # seconds that this server's clock is ahead
        self.limited_until = 0.0
        handler = type("Handler", (_Handler,), {"github": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> GitHubStandIn:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def now(self) -> float:
        return time.time() + self.clock

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def issue(
        self, number: int, *, login: str | None = "alice", comments: list[Json] | None = None, **fields: Any
    ) -> Json:
        """Have an issue, created and updated ``number`` minutes into the year."""
        here = f"{self.url}/repos/{self.name}/issues/{number}"
        self.lists[f"issues/{number}/comments"] = comments or []
        self.items[number] = {
            "url": here,
            "id": 1000 + number,
            "node_id": "I_",
            "number": number,
            "title": f"Issue {number}",
            "user": user(login),
            "labels": [],
            "state": "open",
            "state_reason": None,
            "locked": False,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "comments": len(comments or []),
            "created_at": at(number),
            "updated_at": at(number),
            "closed_at": None,
            "author_association": "NONE",
            "active_lock_reason": None,
            "body": None,
            "reactions": reactions(),
            "performed_via_github_app": None,
            **fields,
        }
        return self.items[number]

    def pull(
        self,
        number: int,
        *,
        comments: list[Json] | None = None,
        reviews: list[Json] | None = None,
        remarks: list[Json] | None = None,
        commits: list[str] | None = None,
        merged: bool = False,
        all_commits: int | None = None,
        **fields: Any,
    ) -> Json:
        """Have a pull request; ``all_commits`` is how many it consists of, where the list names fewer."""
        item = self.issue(number, comments=comments, **fields)
        item["draft"] = False
        item["pull_request"] = {"url": f"{self.url}/repos/{self.name}/pulls/{number}", "merged_at": None}
        commits = ["c" * 40] if commits is None else commits
        self.lists[f"pulls/{number}/reviews"] = reviews or []
        self.lists[f"pulls/{number}/comments"] = remarks or []
        self.lists[f"pulls/{number}/commits"] = [
            {"sha": sha, "commit": {"message": "…"}, "parents": []} for sha in commits
        ]
        self.pulls[number] = {
            **{key: item[key] for key in item if key not in ("comments", "pull_request", "reactions")},
            "merged": merged,
            "merged_at": at(number + 3) if merged else None,
            "merged_by": user("maintainer-mia") if merged else None,
            "merge_commit_sha": "e" * 40,
            "mergeable": None,
            "rebaseable": None,
            "head": {"label": None, "ref": "topic", "sha": "c" * 40, "user": None, "repo": None},
            "base": {"ref": "main", "sha": "b" * 40},
            "comments": len(comments or []),
            "review_comments": len(remarks or []),
            "commits": len(commits) if all_commits is None else all_commits,
        }
        return item

    def limit(self, seconds: float) -> None:
        """Answer 403 to everything until ``seconds`` from now."""
        self.limited_until = self.now + seconds

    def wait(self, seconds: float) -> None:
        """Let the server's clock go on, and nothing else."""
        self.clock += seconds

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        """Status, headers and value for ``path``."""
        here = f"/repos/{self.name}"
        if path in self.answers:
            return self.answers[path]
        missing = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}
        if not (path == here or path.startswith(f"{here}/")):
            return 404, {}, missing
        below = path[len(here) :].strip("/")
        if not below:
            licence = {"key": self.licence.lower(), "spdx_id": self.licence, "node_id": "L_"} if self.licence else None
            return (
                200,
                {},
                {
                    "id": 1296269,
                    "name": self.name.partition("/")[2],
                    "full_name": self.name,
                    "owner": user(self.name.partition("/")[0]),
                    "private": self.private,
                    "has_issues": self.has_issues,
                    "license": licence,
                    "description": None,
                    "url": f"{self.url}{here}",
                },
            )
        if below in ("issues", "pulls"):
            if below == "issues" and not self.has_issues:
                return 410, {}, {"message": "Issues has been disabled in this repository.", "status": "410"}
            return self._page(path, query, self._listed(below, query))
        kind, _, number = below.partition("/")
        if kind == "pulls" and number.isdecimal() and int(number) in self.pulls:
            return 200, {}, self.pulls[int(number)]
        if below in self.lists:
            return self._page(path, query, self.lists[below])
        return 404, {}, missing

    def _listed(self, kind: str, query: dict[str, str]) -> list[Json]:
        found = list(self.items.values())
        if kind == "pulls":  # without the fields that only the list of issues has, or only the single answer
            found = [
                {k: v for k, v in each.items() if k not in ("comments", "pull_request")}
                for each in found
                if each["number"] in self.pulls
            ]
        found = [each for each in found if query.get("state", "open") in ("all", each["state"])]
        if kind == "issues":
            found = [each for each in found if each["updated_at"] > query.get("since", "")]
        key = {"updated": "updated_at"}.get(query.get("sort", ""), "created_at")
        return sorted(
            found, key=lambda each: (each[key], each["number"]), reverse=query.get("direction", "desc") == "desc"
        )

    def _page(self, path: str, query: dict[str, str], whole: list[Json]) -> tuple[int, dict[str, str], list[Json]]:
        size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
        last = max(-(-len(whole) // size), 1)
        links = []
        for name, number in (("prev", page - 1), ("next", page + 1), ("last", last), ("first", 1)):
            if 1 <= number <= last and number != page:
                links.append(f'<{self.url}{path}?{urlencode({**query, "page": number})}>; rel="{name}"')
        return 200, {"Link": ", ".join(links)} if links else {}, whole[(page - 1) * size : page * size]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    github: GitHubStandIn

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.github.now if timestamp is None else timestamp, usegmt=True)

    def do_GET(self) -> None:
        github = self.github
        github.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        number = len(github.requests)
        github.before(number)
        fault = github.faults.get(number)
        if fault == "drop" or (github.dies_at is not None and number >= github.dies_at):
            self.close_connection = True
            return
        if fault == "limit":
            github.limit(700)
        status, headers, value = self._answer(fault)
        left = "0" if github.now < github.limited_until else "4321"
        reset = str(int(max(github.limited_until, github.now + 60)))
        limits = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": left, "X-RateLimit-Reset": reset}
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        kind = "text/html" if isinstance(value, str) else "application/json; charset=utf-8"
        for name, content in {"Content-Type": kind, "Content-Length": str(len(body)), **limits, **headers}.items():
            self.send_header(name, content)
        self.end_headers()
        if fault == "half":
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def _answer(self, fault: int | str | None) -> tuple[int, dict[str, str], Any]:
        github = self.github
        given = self.headers.get("Authorization")
        if given is not None and given.partition(" ")[2] != TOKEN:
            return (
                401,
                {},
                {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"},
            )
        if github.now < github.limited_until:
            told = "API rate limit exceeded for 192.0.2.1. (But here's the good news: Authenticated requests get a higher limit.)"
            return 403, {}, {"message": told}
        if fault == "secondary":
            told = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            return 429, {"Retry-After": "45"}, {"message": told}
        if isinstance(fault, int):
            return fault, {}, f"<html><title>{fault}</title>Unicorn!</html>"
        if github.private and given is None:
            return 404, {}, {"message": "Not Found", "status": "404"}
        asked = urlsplit(self.path)
        return github.answer(asked.path, {name: values[-1] for name, values in parse_qs(asked.query).items()})
