"""Steps from GitHub's REST API: each issue and pull request with what was said of it.

What was updated least recently comes first, and is on disk before the next is asked for: a collection that was interrupted
goes on, and one that is made again brings what was updated since. The code in a remark's hunk is kept as it is,
but for addresses.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from trace_logger.collect.dataset import DataSet
from trace_logger.collect.github_api import GITHUB, Api, GitHubError, Gone
from trace_logger.collect.people import lists_people
from trace_logger.collect.pseudonyms import Pseudonyms
from trace_logger.collect.records import Feedback, FeedbackKind, Manifest, Step
from trace_logger.records import utc_now

__all__ = ["GitHubError", "collect_github"]

_NAME = re.compile(r"[A-Za-z\d][A-Za-z\d_-]*/(?!\.{1,2}$)[A-Za-z\d._-]+")
_NOTE = "GitHub: "  # begins each of the manifest's notes that are made here
_LIST = {"state": "all", "sort": "updated", "direction": "asc"}


def collect_github(
    name: str,
    data: DataSet,
    people: Pseudonyms,
    *,
    token: str | None,
    server: str = GITHUB,
    limit: int | None = None,
    tell: Callable[[int, int | None], object] = lambda done, of: None,
    say: Callable[[str], object] = lambda line: None,
    wait: Callable[[float], object] = time.sleep,
    most_wait: float = 3900.0,
    pause: float = 0.25,
) -> tuple[Manifest, int]:
    """Add the issues and pull requests of ``name`` (OWNER/NAME) that ``data`` has not, or that were updated since.

    With ``limit`` at most so many, those first that were updated least recently. ``tell`` is given how many were gone through,
    and of how many where that is known; ``say`` a line for a person. Where a rate limit is reached, ``wait`` is called with
    the seconds that GitHub tells, if they are no more than ``most_wait``; ``pause`` seconds lie between two requests.

    Returns the manifest, and how many steps came new. Raises GitHubError, after which all that was added stands.
    """
    if not _NAME.fullmatch(name):
        raise GitHubError(f"{name!r} names no repository on GitHub", hint="give it as OWNER/NAME")
    token = (token or "").strip()
    with Api(server, token, say=say, wait=wait, most_wait=most_wait, pause=pause) as api:
        repository = _repository(api, name, token)
        if not token:
            say("without a token GitHub answers 60 requests an hour; with one, set as GITHUB_TOKEN, 5000")
        licence = _licence((repository.get("license") or {}).get("spdx_id"))
        people = people.of_history(data.repository, name, repository["full_name"])
        # Its name is another than was asked for where it was renamed.
        reader = _Reader(api, f"/repos/{repository['full_name']}", data.repository, licence, people)
        enabled, total = reader.count()
        kept = {step.id: step.updated_at for step in data.steps()}
        new = gone = 0
        for done, entry in enumerate(reader.issues() if enabled else reader.pulls()):
            tell(done, total)
            if new == limit:
                break
            if kept.get(_id(entry)) == _when(entry["updated_at"]):
                continue
            try:
                step = reader.step(entry)
            except Gone:
                gone += 1
                continue
            data.add(step)
            new += 1
        else:
            tell(total or 0, total)
    cut = sum(not complete for each, complete in data.known.items() if each.startswith("pull_request/"))
    notes = [note for note in data.manifest.notes if not note.startswith(_NOTE)]  # another source's stand
    notes += [] if enabled else [f"{_NOTE}issues are disabled"]
    notes += [f"{_NOTE}{gone} issues or pull requests were gone when they were asked for"] if gone else []
    notes += [f"{_NOTE}{cut} pull requests have more commits than the API names"] if cut else []
    told = {"licence": _licence(data.manifest.licence) or licence, "sources": ("github",), "notes": tuple(notes)}
    return data.finish(data.manifest.model_copy(update={**told, "collected_at": utc_now()})), new


def _repository(api: Api, name: str, token: str) -> dict[str, Any]:
    try:
        found, _ = api.ask(f"/repos/{name}")
    except Gone:
        raise GitHubError(
            f"{api.host} has no repository {name}, or " + ("the token may not see it" if token else "it is private"),
            hint="look at its name; a token for a private one needs the right to read its issues and pull requests",
        ) from None
    if not isinstance(found, dict) or "full_name" not in found:
        raise GitHubError(f"{api.host} is no GitHub API: it tells nothing of {name}", hint=f"GitHub's own is {GITHUB}")
    return found


class _Reader:
    """Makes steps of what the API tells of the repository at the path ``here``."""

    def __init__(self, api: Api, here: str, repository: str, licence: str | None, people: Pseudonyms) -> None:
        self._api, self._here, self._repository, self._licence, self._people = api, here, repository, licence, people

    def count(self) -> tuple[bool, int | None]:
        """Whether issues are enabled, and how many issues and pull requests there are, where that is told."""
        try:
            first, links = self._api.ask(f"{self._here}/issues", **_LIST, per_page="1")
        except Gone:
            return False, None
        last = re.search(r"[?&]page=(\d+)", links.get("last", ""))
        return True, int(last[1]) if last else None if "next" in links else len(first)

    def pulls(self) -> Iterator[dict[str, Any]]:
        """Each pull request, as the list of issues would tell of it."""
        for page in self._api.pages(f"{self._here}/pulls", **_LIST):
            for entry in page:
                yield {**entry, "pull_request": {}}

    def issues(self) -> Iterator[dict[str, Any]]:
        """Each issue and pull request, least recently updated first.

        One that is updated meanwhile moves to the end, and what follows it moves up, past the edge of a page. So the next
        page is asked for by time; by its number only where a whole page was updated at the same time.
        """
        path = f"{self._here}/issues"
        seen: set[tuple[int, str]] = set()
        since = ""
        page, links = self._api.ask(path, **_LIST, per_page="100")
        while True:
            for entry in page:
                if (version := (entry["number"], entry["updated_at"])) not in seen:
                    seen.add(version)
                    yield entry
            if "next" not in links or not page:
                return
            # From a second earlier: the documentation says "after", and several may have been updated within that second.
            last = datetime.fromisoformat(_when(page[-1]["updated_at"])) - timedelta(seconds=1)
            later = last.strftime("%Y-%m-%dT%H:%M:%SZ")
            if later > since:
                since = later
                page, links = self._api.ask(path, **_LIST, per_page="100", since=since)
            else:
                page, links = self._api.ask(links["next"])

    def step(self, entry: dict[str, Any]) -> Step:
        """The issue or pull request that a list tells of in ``entry``. Raises Gone where it was deleted or moved."""
        number = entry["number"]
        pull = self._api.ask(f"{self._here}/pulls/{number}")[0] if "pull_request" in entry else None
        counts = entry if pull is None else pull
        feedback: list[Feedback] = []
        commits: tuple[str, ...] = ()
        if counts["comments"]:
            feedback += self._feedback("comment", f"issues/{number}/comments")
        if pull is not None:
            commits = tuple(each["sha"] for each in self._list(f"pulls/{number}/commits"))
            feedback += self._feedback("review", f"pulls/{number}/reviews")
            if pull["review_comments"]:
                feedback += self._feedback("review_comment", f"pulls/{number}/comments")
        return Step(
            id=_id(entry),
            repository=self._repository,
            licence=self._licence,
            kind="issue" if pull is None else "pull_request",
            actor=self._actor(entry),
            created_at=_when(entry["created_at"]),
            updated_at=_when(entry["updated_at"]),  # the list's: the next collection compares it
            closed_at=_when(entry["closed_at"]) if entry["closed_at"] else None,
            title=self._text(entry["title"]),
            body=self._text(entry["body"]),
            state=entry["state"],
            labels=tuple(self._text(label["name"]) for label in entry["labels"]),
            commits=commits,
            merged_as=pull["merge_commit_sha"] if pull and pull["merged"] else None,  # else of a merge that was tried
            complete=pull is None or len(commits) >= pull["commits"],  # the API names no more than 250
            feedback=tuple(sorted(feedback, key=lambda each: each.created_at)),
        )

    def _feedback(self, kind: FeedbackKind, path: str) -> Iterator[Feedback]:
        for said in self._list(path):
            at = said.get("created_at") or said.get("submitted_at")
            if not at:  # a review that is not handed in yet: its author alone is told of it
                continue
            answered = said.get("in_reply_to_id")
            reactions = (said.get("reactions") or {}).items()
            yield Feedback(
                id=f"{kind}/{said['id']}",
                kind=kind,
                actor=self._actor(said),
                created_at=_when(at),
                updated_at=_when(said["updated_at"]) if said.get("updated_at") else None,
                body=self._text(said["body"]),
                state=said.get("state") or "",
                path=said.get("path"),
                # As they were when it was said, like the hunk: later commits may have moved the line, or taken it away.
                line=said.get("original_line") or said.get("line"),
                commit=said.get("original_commit_id") or said.get("commit_id"),
                diff_hunk="" if lists_people(said.get("path")) else self._people.code(said.get("diff_hunk") or ""),
                in_reply_to=f"{kind}/{answered}" if answered else None,
                reactions=tuple(
                    (name, count) for name, count in reactions if name not in ("url", "total_count") and count
                ),
            )

    def _list(self, path: str) -> Iterator[dict[str, Any]]:
        for page in self._api.pages(f"{self._here}/{path}"):
            yield from page

    def _actor(self, said: dict[str, Any]) -> str:
        user = said.get("user") or {}
        login = user.get("login") or "ghost"  # as GitHub calls who has left
        self._people.know("", login)
        return self._people.of(login, bot=user.get("type") == "Bot")

    def _text(self, text: str | None) -> str:
        return self._people.within((text or "").replace("\r\n", "\n"))


def _licence(spdx: str | None) -> str | None:
    return None if spdx in ("NOASSERTION", "NONE", "Other") else spdx  # GitHub found a licence, and does not know it


def _id(entry: dict[str, Any]) -> str:
    return f"{'pull_request' if 'pull_request' in entry else 'issue'}/{entry['number']}"


def _when(text: str) -> str:
    """A time of the API's, ``2024-01-31T12:00:00Z``, as the data set has it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc).isoformat(timespec="seconds")
