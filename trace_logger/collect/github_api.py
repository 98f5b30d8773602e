"""GETs from GitHub's REST API by way of PyGithub: patient with limits and trouble, and aloud about it.

PyGithub itself would sleep through a limit without a word, and follow a link to another host of GitHub's domain, or to plain
HTTP, with the token. So it is asked for single answers only, always from the one server; when to ask again is decided here.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from trace_logger.errors import PlainError

if TYPE_CHECKING:
    from github.Requester import Requester

GITHUB = "https://api.github.com"
_HEADERS = {"X-GitHub-Api-Version": "2022-11-28"}
_LINK = re.compile(r'<([^>]+)>;\s*rel="(\w+)"')
_PAUSES = (2, 10, 30, 60)  # seconds before each further try
_GOES_ON = "what is collected is kept, and the same command goes on from there"


class GitHubError(PlainError):
    """GitHub refuses, has no such repository, or cannot be reached."""


class Gone(GitHubError):
    """What was asked for is not there (404), or not there any more (410)."""


class _Answer(NamedTuple):
    status: int  # 0 where none came
    headers: dict[str, Any]  # their names in lower case
    value: Any
    fault: str


class Api:
    """The API at ``server``; a context manager. ``token`` may be empty; it is sent to this server alone."""

    def __init__(
        self,
        server: str,
        token: str,
        *,
        say: Callable[[str], object],
        wait: Callable[[float], object],
        most_wait: float,
        pause: float,
    ) -> None:
        """Connect to nothing yet. Raises GitHubError for an address or a token that cannot be one, or without PyGithub."""
        try:
            from github import Auth, Github
        except ImportError:
            raise GitHubError(
                "reading GitHub needs PyGithub, which is not installed", hint='pip install "testing-crew[collect]"'
            ) from None
        at = urlsplit(server)
        if at.scheme != "https" and not (at.scheme == "http" and at.hostname in ("localhost", "127.0.0.1", "::1")):
            raise GitHubError(f"{server} is no address of a GitHub API", hint=f"it begins with https://, as {GITHUB}")
        if not re.fullmatch(r"[!-~]*", token):
            raise GitHubError("the token holds characters that no token has", hint="was it copied whole, and alone?")
        self._client = Github(
            auth=Auth.Token(token) if token else None,
            base_url=server.rstrip("/"),
            user_agent="testing-crew",
            timeout=30,
            per_page=100,
            retry=None,
            seconds_between_requests=pause,
        )
        self._requester: Requester = self._client.requester
        self._origin, self.host = (at.scheme, at.netloc), at.netloc
        self._say, self._wait, self._most_wait = say, wait, most_wait
        self._answered = False

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def pages(self, path: str, **parameters: str) -> Iterator[Any]:
        """Each page of a list, as the links of the one before lead to it."""
        page, links = self.ask(path, **{"per_page": "100", **parameters})
        yield page
        while "next" in links:
            page, links = self.ask(links["next"])
            yield page

    def ask(self, url: str, **parameters: str) -> tuple[Any, dict[str, str]]:
        """What there is at ``url`` (a path, or a link from an answer), and the answer's links by their names.

        Raises Gone for 404 and 410, GitHubError for a link to another server and where no good answer comes in the end.
        """
        if not url.startswith("/") and urlsplit(url)[:2] != self._origin:
            raise GitHubError(
                f"{self.host} leads on to another server, {urlsplit(url).netloc}, which was not asked",
                hint="the token goes to no other server; name that one with --server if you trust it",
            )
        tries = 0
        while (answer := self._once(url, parameters)).status != 200:
            tries += 1
            seconds = _limited(answer, tries)
            if 0 < answer.status < 500 and seconds is None:
                raise self._refusal(url, answer)
            if not answer.status and not self._answered:
                raise GitHubError(
                    f"{self.host} cannot be read: {answer.fault}",
                    hint="is there a network? Behind a proxy, set HTTPS_PROXY. What was collected earlier is kept",
                )
            if tries > len(_PAUSES):
                raise GitHubError(f"{self.host} was asked {tries} times in vain: {answer.fault}", hint=_GOES_ON)
            if seconds is not None:
                self._wait_for_limit(seconds)
            else:
                self._say(f"{self.host} has trouble ({answer.fault}); trying again in {_PAUSES[tries - 1]} seconds")
                self._wait(_PAUSES[tries - 1])
        return answer.value, {name: link for link, name in _LINK.findall(answer.headers.get("link", ""))}

    def _once(self, url: str, parameters: dict[str, str]) -> _Answer:
        try:
            status, headers, body = self._requester.requestJson("GET", url, dict(parameters), dict(_HEADERS))
        except RuntimeError as error:  # PyGithub follows a redirect within the server, and refuses any other
            raise GitHubError(
                f"{self.host} leads to another place: {error}", hint="name that one with --server"
            ) from None
        except (OSError, ValueError) as error:  # those of requests are OSErrors
            # Only the innermost cause says something: "HTTPSConnectionPool(…): Max retries … (Caused by X('…: why'))"
            return _Answer(0, {}, None, str(error).rpartition(": ")[2].rstrip("\"')") or type(error).__name__)
        try:
            value = json.loads(body)
        except ValueError:
            return _Answer(0 if status == 200 else status, headers, None, f"{status}, and no JSON")
        self._answered = True
        message = (value.get("message") or "") if isinstance(value, dict) else ""
        return _Answer(status, headers, value, f"{status} {' '.join(str(message).split())[:200]}".rstrip())

    def _refusal(self, url: str, answer: _Answer) -> GitHubError:
        path = urlsplit(url).path
        if answer.status in (404, 410):
            return Gone(f"there is nothing at {self.host}{path} ({answer.fault})", hint=_GOES_ON)
        if answer.status == 401:
            return GitHubError(
                f"{self.host} does not know the token ({answer.fault})",
                hint="set GITHUB_TOKEN to one that has not expired, or to none: public repositories need none",
            )
        return GitHubError(
            f"{self.host} refuses {path} ({answer.fault})", hint=f"the token may lack the right to read it; {_GOES_ON}"
        )

    def _wait_for_limit(self, seconds: float) -> None:
        length = f"{math.ceil(seconds / 60)} minutes" if seconds > 90 else f"{math.ceil(seconds)} seconds"
        if seconds > self._most_wait:
            raise GitHubError(f"GitHub's limit is reached, and holds for another {length}", hint=_GOES_ON)
        until = datetime.fromtimestamp(time.time() + seconds, timezone.utc)
        self._say(
            f"GitHub's limit is reached; going on at {until:%H:%M} UTC, in {length}. "
            "Ctrl-C is safe: what is collected is kept"
        )
        self._wait(seconds)


def _limited(answer: _Answer, tries: int) -> float | None:
    """The seconds to wait where the answer is that a limit is reached, as GitHub's documentation says; else None."""
    if answer.status not in (403, 429):
        return None
    after, reset = str(answer.headers.get("retry-after", "")), str(answer.headers.get("x-ratelimit-reset", ""))
    if after.isdecimal():
        return float(after)
    if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        sent = parsedate_tz(answer.headers.get("date"))  # the server's clock: this one may be wrong
        return max(float(reset) - (mktime_tz(sent) if sent else time.time()), 0.0) + 1
    return 60.0 * tries if answer.status == 429 or "rate limit" in answer.fault.lower() else None
