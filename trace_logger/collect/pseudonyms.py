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

from trace_logger.errors import PlainError
from trace_logger.workspace import workspace

_ADDRESS = re.compile(r"\w[\w.+'-]*@[\w-]+(?:\.[\w-]+)+")
_NOREPLY = re.compile(r"(?:\d+\+)?([\w-]+(?:\[bot\])?)@users\.noreply\.github\.com", re.IGNORECASE)
# "Signed-off-by: A Name <a@b.c>": the name before an address, in any of git's trailers
_TRAILER = re.compile(
    r"^([A-Z][\w-]*-by|Author|Cc|From):[ \t]*([^<\n]*?)[ \t]*<([^>\n]*)>", re.MULTILINE | re.IGNORECASE
)
# GitHub's "@login", maybe at the end of a sentence; not an address, not a decorator ("@pytest.fixture")
_MENTION = re.compile(r"(?<![\w`/.@])@([A-Za-z\d](?:[A-Za-z\d]|-(?=[A-Za-z\d])){0,38})(?![\w@(/]|\.\w)")
_DECORATOR = re.compile(r"^\s*@[\w.]+(?:\(.*\))?\s*$")
_DECORATED = re.compile(r"\s*(?:async\s+def|def|class)\b")


class Pseudonyms:
    """Gives people other names; ``key`` decides which."""

    def __init__(self, key: bytes) -> None:
        self._key = key

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

    def of(self, known_by: str) -> str:
        """The name of whoever is known by this address or login; GitHub's address for a login is that login."""
        login = _NOREPLY.fullmatch(known_by.strip())
        who = (login[1] if login else known_by).strip().casefold()
        return f"person-{hmac.new(self._key, who.encode(), hashlib.sha256).hexdigest()[:12]}"

    def within(self, text: str) -> str:
        """``text`` with the people that it names (in trailers, by address, by ``@login``) under their pseudonyms.

        A name in running prose stays: nothing tells that it is one.
        """
        text = _TRAILER.sub(lambda found: f"{found[1]}: {self.of(found[3])}", text)
        text = _ADDRESS.sub(lambda found: self.of(found[0]), text)
        lines = text.split("\n")
        # A decorator stands above what it decorates; "@login" may have a line of its own, too.
        decorator = [False] * len(lines)
        for n in reversed(range(len(lines) - 1)):
            below = decorator[n + 1] or _DECORATED.match(lines[n + 1])
            decorator[n] = bool(below and _DECORATOR.match(lines[n]))
        fenced = False
        for n, line in enumerate(lines):
            fenced ^= line.lstrip().startswith("```")
            if not (fenced or decorator[n] or line.startswith(("    ", "\t"))):
                lines[n] = _MENTION.sub(lambda found: f"@{self.of(found[1])}", line)
        return "\n".join(lines)
