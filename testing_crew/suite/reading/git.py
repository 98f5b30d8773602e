"""What git says of a working tree: asked of the program ``git``, which runs nothing that the repository's settings name.

No hook, filter, text converter, pager, file watcher or transport is started, and no file of the repository is written.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import shutil
import subprocess
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from testing_crew.errors import UserMistake
from testing_crew.suite.reading.settings import SETTINGS

_QUIET = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "protocol.allow": "never",  # a clone that left objects out would fetch them
    "diff.renameLimit": "2000",
}
_MOST_NAMES = 5
_REGULAR = ("100644", "100755")
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_CONFIG_PARAMETERS", "GIT_EXTERNAL_DIFF")
_WITHOUT = "without --diff, all tests are checked: testing-crew check PATH"


@dataclass(frozen=True)
class Entry:
    """A Python file, or one of `SETTINGS`, that differs.

    ``old`` is what git calls its old text, ``was`` where that lay; both None for a new one.
    Paths are relative to the top of the repository, with forward slashes; ``path`` is None where the file is gone.
    """

    path: str | None
    was: str | None
    old: str | None


@dataclass(frozen=True)
class Repository:
    """The work tree at ``top``."""

    top: Path
    environment: Mapping[str, str]

    def commit_of(self, rev: str) -> str:
        """The commit that the working tree is compared with; for ``A...`` and ``A...HEAD`` where A and HEAD parted.

        Raises `UserMistake` for what is no revision here, and says what there is.
        """
        if self._commit("HEAD") is None:
            raise UserMistake(
                f"{self.top} has no commit yet, so there is nothing to compare with",
                hint=f"git commit first; {_WITHOUT}",
            )
        first, dots, last = re.fullmatch(r"(.*?)(?:(\.\.\.?)(.*))?", rev, re.DOTALL).groups()  # type: ignore[union-attr]
        base = self._known(first or "HEAD", rev)
        if dots and last and self._known(last, rev) != self._commit("HEAD"):
            raise UserMistake(
                f"--diff {rev}: what is checked is the working tree, and {last} is not what it was made from",
                hint=f"git switch {last}, then --diff {first}{dots}",
            )
        if dots != "...":
            return base
        found = self._run("merge-base", base, "HEAD")
        if found.returncode == 0:
            return found.stdout.decode().split()[0]
        if self._is_shallow():
            raise UserMistake(
                f"--diff {rev}: where {first} and HEAD parted is not in this clone, which is shallow",
                hint="git fetch --deepen=200 (again until it is there), or git fetch --unshallow; "
                "actions/checkout: fetch-depth: 0",
            )
        raise UserMistake(f"--diff {rev}: {first} and HEAD have no commit in common", hint=f"--diff {first}")

    def changed(self, commit: str, *, staged: bool = False) -> list[Entry]:
        """The Python files, and those of `SETTINGS`, that differ from those of ``commit``; what git ignores is left out.

        They are those of the working tree, or with ``staged`` those that are staged: no file that git does not know.
        """
        found = self._must(
            "diff", "--raw", "-z", "--find-renames", "--no-abbrev", "--no-ext-diff", "--no-textconv", "--no-color",
            "--ignore-submodules=all", *(["--cached"] if staged else []), commit, "--",
        )  # fmt: skip
        entries: dict[str, Entry] = {}
        words = iter(os.fsdecode(found).split("\0"))
        for head in words:
            if not head.startswith(":"):
                break
            old_mode, mode, old, _, status = head[1:].split(" ")
            first = next(words)
            last = next(words) if status[0] in "RC" else first
            path = last if status[0] != "D" and mode in _REGULAR else None
            was = first if status[0] not in "ACU" and old_mode in _REGULAR else None
            entries[last] = Entry(_wanted(path), _wanted(was), old if _wanted(was) else None)
        for path in filter(_wanted, [] if staged else self.untracked()):
            gone = entries.get(path, Entry(None, None, None))  # where it was taken out of the index alone
            entries[path] = Entry(path, gone.was, gone.old)
        return [each for each in entries.values() if each.path or each.was]

    def untracked(self) -> list[str]:
        """The files that git does not know, but for those that it ignores."""
        return os.fsdecode(self._must("ls-files", "-z", "--others", "--exclude-standard")).rstrip("\0").split("\0")

    def texts(self, names: Iterable[str]) -> dict[str, str]:
        """The text of each object of ``names``, in one go."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        answer = io.BytesIO(self._must("cat-file", "--batch", given="\n".join(wanted).encode() + b"\n"))
        found = {}
        for name in wanted:
            words = answer.readline().split()
            if len(words) < 3:
                raise UserMistake(
                    f"{self.top}: git does not have the old text of a changed file ({name[:12]})",
                    hint="git fetch --refetch for a clone that left files out; git fsck tells what is damaged",
                )
            found[name] = decoded(answer.read(int(words[2])))
            answer.read(1)
        return found

    def _known(self, name: str, rev: str) -> str:
        found = None if name.startswith("-") else self._commit(name)
        if found is not None:
            return found
        said = f"--diff {rev}: there is no revision {name!r} in {self.top}"
        names = self._must("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes", "refs/tags")
        there = os.fsdecode(names).splitlines()
        near = difflib.get_close_matches(name, there, _MOST_NAMES, 0.5) or there[:_MOST_NAMES]
        said += f"; there is {', '.join([*near, 'HEAD'])}"
        hint = "git branch --all and git log say what there is"
        if self._is_shallow():
            branch = name.removeprefix("origin/")
            hint = (
                "this clone is shallow: git fetch --deepen=200, or git fetch --unshallow"
                if re.fullmatch(r"[0-9a-f]{7,64}|HEAD.*|.*[~^@].*", name)
                else f"this clone is shallow: git fetch --depth=200 origin {branch}:refs/remotes/origin/{branch}; "
                "actions/checkout: fetch-depth: 0"
            )
        elif f"origin/{name}" in there:
            hint = f"--diff origin/{name}"
        raise UserMistake(said, hint=hint)

    def _commit(self, name: str) -> str | None:
        if not name or "\0" in name:
            return None
        found = self._run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return found.stdout.decode().strip() if found.returncode == 0 else None

    def _is_shallow(self) -> bool:
        return self._run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"

    def _must(self, *words: str, given: bytes = b"") -> bytes:
        done = self._run(*words, given=given)
        if done.returncode != 0:
            raise UserMistake(f"git {words[0]} failed in {self.top}: {_said(done)}", hint="git fsck; git status")
        return done.stdout

    def _run(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return _git(self.top, self.environment, *words, given=given)


def repository(folder: Path) -> Repository:
    """The one whose work tree ``folder`` lies in. Raises `UserMistake` where there is none, or git is not installed."""
    if shutil.which("git") is None:
        raise UserMistake("--diff asks the program git, which is not installed here", hint=f"install git; {_WITHOUT}")
    if not folder.is_dir():
        raise UserMistake(f"there is no folder {folder}")
    plain = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    plain |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    quiet = _with(plain, _QUIET)
    found = _git(folder, quiet, "rev-parse", "--show-toplevel")
    if found.returncode != 0:
        said = _said(found)
        if "dubious ownership" in said:
            raise UserMistake(
                f"git does not read the repository at {folder}, since another user owns it",
                hint=f"if you trust it: git config --global --add safe.directory {folder}",
            )
        if "must be run in a work tree" in said:
            raise UserMistake(f"{folder} has no files checked out", hint="name a folder of a checkout")
        raise UserMistake(f"{folder} is not in a git repository, so nothing can be compared", hint=_WITHOUT)
    top = Path(os.fsdecode(found.stdout).rstrip("\n"))
    # Files that look changed are read through the filters that the settings name: their programs are named away.
    named = _git(top, quiet, "config", "-z", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process|required)$")
    keys = [key for key in os.fsdecode(named.stdout).split("\0") if key]
    return Repository(top, _with(quiet, {key: "false" if key.endswith(".required") else "" for key in keys}))


def decoded(raw: bytes) -> str:
    """Python source as text, its encoding line and byte order mark obeyed, all lines ended by LF; what is wrong in it marked."""
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
        text = raw.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        text = raw.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _with(environment: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """``environment`` with ``settings`` as git takes them from there, where a key may have any character."""
    count = int(environment.get("GIT_CONFIG_COUNT") or 0)
    words = {"GIT_CONFIG_COUNT": str(count + len(settings))}
    for number, (key, value) in enumerate(settings.items(), count):
        words |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {**environment, **words}


def _git(
    folder: Path, environment: Mapping[str, str], *words: str, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["git", "--no-pager", *words], cwd=folder, env=environment, input=given, capture_output=True, check=False
    )


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return " ".join(done.stderr.decode("utf-8", "replace").split())[:300]


def _wanted(path: str | None) -> str | None:
    return path if path is not None and (path.endswith(".py") or path.rpartition("/")[2] in SETTINGS) else None
