"""Names for people that tell them apart, and do not tell who they are.

A pseudonym is an HMAC-SHA256 of what a person is known by, under a key that is made once, kept in the workspace and goes into
no data set. So one person is the same in all data sets of one workspace, and nobody without the key can try names.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Iterable

from trace_logger.collect import people
from trace_logger.errors import PlainError
from trace_logger.workspace import workspace

_NOREPLY = re.compile(r"(?:\d+\+)?([\w-]+(?:\[bot\])?)@users\.noreply\.github\.com", re.IGNORECASE)


class Pseudonyms:
    """Gives people other names; ``key`` decides which. ``own`` are repositories (owner/name) to which links stand."""

    def __init__(self, key: bytes, own: Iterable[str] = ()) -> None:
        self._key = key
        self._own = frozenset("/".join(each.split("/")[-2:]).casefold() for each in own)
        self._known = people.Known()

    @classmethod
    def of_workspace(cls) -> Pseudonyms:
        """With the workspace's key, made (mode 0600) where there is none. Raises PlainError where it cannot be kept."""
        file = workspace() / "pseudonyms.key"
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not file.exists():
                descriptor, part = tempfile.mkstemp(dir=file.parent)  # mode 0600
                with os.fdopen(descriptor, "wb") as made:
                    made.write(secrets.token_bytes(32))
                with contextlib.suppress(FileExistsError):  # another process was quicker
                    os.link(part, file)
                os.unlink(part)
            key = file.read_bytes()
        except OSError as error:
            raise PlainError(
                f"the key of the pseudonyms, {file}, cannot be kept: {error.strerror or error}",
                hint="set TESTING_CREW_HOME to a folder of yours",
            ) from None
        if len(key) < 16:
            raise PlainError(
                f"{file} is cut short, so people cannot be given their names again",
                hint="move it away: a new one is made, and people have other names in what is collected from then on",
            )
        return cls(key)

    def of_history(self, *own: str) -> Pseudonyms:
        """The same names, for the history of the repositories ``own``: of its people nobody is known yet."""
        return Pseudonyms(self._key, own)

    def of(self, known_by: str, *, bot: bool = False) -> str:
        """The name of whoever is known by this address or login; GitHub's address for a login is that login.

        A bot's ("name[bot]") begins with ``bot-``, so that bots can be told from people.
        """
        who = _login(known_by.strip()).strip().casefold()
        kind = "bot" if bot or who.endswith("[bot]") else "person"
        return f"{kind}-{hmac.new(self._key, who.encode(), hashlib.sha256).hexdigest()[:12]}"

    def of_author(self, name: str, address: str) -> str:
        """The name of a commit's author or committer."""
        return self.of(people.who(name, address))

    def know(self, name: str, known_by: str) -> None:
        """Somebody of this history: a full name, and what its branches begin with, are replaced from now on."""
        if not people.who(name, known_by).endswith("[bot]"):
            self._known.add(name, _login(known_by).partition("@")[0], self.of_author(name, known_by))

    def know_merged(self, message: str) -> None:
        """Whose branches a merge names."""
        for login in people.logins_of_merges(message):
            self.know("", login)

    def within(self, text: str) -> str:
        """``text`` with the people that it names under their pseudonyms.

        They are found in trailers, by address, by ``@login``, in links to GitHub, in titles of merges, and by the full names
        of those that are known. Another name in running prose stays: nothing tells that it is one.
        """
        text = people.trailers(text, lambda said: self._known.named(said) or self.of(said))
        text = people.logins(text, self.of, self._known.branch, self._own)
        text = self._known.names(people.addresses(text, self.of))
        return people.mentions(text, self.of)

    def branch(self, name: str) -> str:
        """A branch's name without the people in it."""
        return self._known.branch(self._known.names(people.addresses(name, self.of)))

    def code(self, text: str) -> str:
        """Code, or a diff, without addresses; all else stays as it was written."""
        return people.addresses(text, self.of, code=True)


def _login(known_by: str) -> str:
    login = _NOREPLY.fullmatch(known_by)
    return login[1] if login else known_by
