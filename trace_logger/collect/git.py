"""Steps from a git repository: each commit with its author, message, and what it made of every file.

The repository is only read, by libgit2: no hook, filter or fetch runs, and no file of the user's tree is touched. A repository
may be bare or shallow; what a shallow clone lacks is said, and comes when the same collection is made of a whole one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from trace_logger.collect.annotated import annotated
from trace_logger.collect.dataset import DataSet
from trace_logger.collect.licences import is_licence, licence_of
from trace_logger.collect.people import lists_people, message_of, signed
from trace_logger.collect.pseudonyms import Pseudonyms
from trace_logger.collect.records import Annotated, Change, Manifest, Step, Version
from trace_logger.errors import PlainError

if TYPE_CHECKING:
    import pygit2

_LONGEST_DIFF = 4000  # lines added and taken away; a longer one is generated, or a vendored copy
_LONGEST_TEXT = 400_000  # bytes of a file that is looked into
_SUBMODULE = 0o160000
_FSCK = "git fsck tells what is damaged"
_CHANGES: dict[str, Change] = {"A": "added", "D": "deleted", "R": "renamed"}


class GitError(PlainError):
    """A repository that cannot be read."""


def open_repository(path: Path) -> pygit2.Repository:
    """The repository at, or above, ``path``. Raises GitError where there is none, or it may not be read."""
    try:
        import pygit2
    except ImportError:
        raise GitError(
            "reading git needs pygit2, which is not installed", hint='pip install "testing-crew[collect]"'
        ) from None
    try:
        found = pygit2.discover_repository(str(path.expanduser()))
        if found is None:
            raise GitError(f"{path} is not in a git repository", hint="name the folder that holds .git, or a bare one")
        return pygit2.Repository(found)
    except (pygit2.GitError, KeyError, OSError) as error:
        hint = _FSCK
        if "owner" in str(error) or "owned" in str(error):
            hint = f"if you trust it: git config --global --add safe.directory {path.resolve()}"
        elif "unsupported" in str(error) or "unknown object format" in str(error):
            hint = "it is in a form that libgit2 does not read; a clone of it in git's usual form will do"
        raise GitError(f"the repository at {path} cannot be read: {error}", hint=hint) from None


def name_of(repository: pygit2.Repository) -> str:
    """What the repository is called: where it was cloned from, without a password, else its folder's name."""
    names = list(repository.remotes.names())
    chosen = "origin" if "origin" in names else names[0] if names else None
    url = repository.remotes[chosen].url if chosen else None
    if url and "://" in url:
        parts = urlsplit(url)
        if parts.scheme != "file":
            return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.removesuffix(".git"), "", ""))
    elif url and (there := re.fullmatch(r"(?:[^@/]+@)?([\w.-]+):(?!\\)(.+?)(?:\.git)?/?", url)):
        return f"https://{there[1]}/{there[2]}"
    place = Path(repository.workdir or repository.path)
    return place.name.removesuffix(".git") if place.name not in ("", ".git") else place.parent.name


def collect_git(
    repository: pygit2.Repository,
    data: DataSet,
    people: Pseudonyms,
    *,
    limit: int | None = None,
    tell: Callable[[int, int], object] = lambda done, of: None,
) -> tuple[Manifest, int]:
    """Add the commits that any branch reaches and ``data`` has not, oldest first; with ``limit`` the latest alone.

    Returns the manifest, and how many steps came new. Raises GitError where there is no commit.
    """
    tips = _tips(repository)
    if not tips:
        raise GitError(f"{name_of(repository)} has no commit yet: there is nothing to collect")
    order = _walk(repository, tips, limit)
    edge = _edge(repository)
    reached = set(order)
    people = people.of_history(data.repository)
    _meet(repository, order, people)
    tips = {people.branch(name): commit for name, commit in tips.items()}
    at_tip: dict[str, list[str]] = {}
    for branch, commit in tips.items():
        at_tip.setdefault(commit, []).append(branch)
    newest = order[-1] if repository.head_is_unborn else str(repository.head.target)
    licence = licence_of(_top(repository, newest))
    todo = [each for each in order if not data.known.get(each, False) and not (each in edge and each in data.known)]
    for number, commit_id in enumerate(todo):
        tell(number, len(todo))
        step = _step(repository, commit_id, people, commit_id in edge)
        told = {"repository": data.repository, "licence": licence, "branches": tuple(at_tip.get(commit_id, ()))}
        data.add(step.model_copy(update=told))
    tell(len(todo), len(todo))
    gone = sum(1 for each in data.known if re.fullmatch(r"[0-9a-f]{40,64}", each) and each not in reached)
    notes = (
        [f"shallow: what {len(edge)} commits changed cannot be known; git fetch --unshallow brings it"] if edge else []
    )
    if gone and limit is None:
        notes.append(
            f"{gone} steps are of commits that no branch reaches any more: history was rewritten; they are kept"
        )
    missing = sum(not data.known[each] for each in order if each not in edge)
    if missing:
        notes.append(f"{missing} commits lack files that this clone does not hold (a partial clone)")
    notes += [note for note in data.manifest.notes if note.startswith("GitHub: ")]
    made = Manifest(repository=data.repository, licence=licence, sources=("git",), branches=tips, notes=tuple(notes))
    return data.finish(made), len(todo)


def _tips(repository: pygit2.Repository) -> dict[str, str]:
    """Each branch, here and at its remotes, with the commit at its tip; a detached HEAD is one, too."""
    tips: dict[str, str] = {}
    for name in repository.references:
        if not name.startswith(("refs/heads/", "refs/remotes/")) or name.endswith("/HEAD"):
            continue
        try:
            tips[name.split("/", 2)[2]] = str(repository.references[name].peel().id)
        except Exception:  # a reference to what is not there: libgit2 raises several kinds
            continue
    if repository.head_is_detached:
        tips["HEAD"] = str(repository.head.target)
    return tips


def _walk(repository: pygit2.Repository, tips: dict[str, str], limit: int | None) -> list[str]:
    """The ids of all commits that ``tips`` reach, parents before children."""
    import pygit2
    from pygit2.enums import SortMode

    walker = repository.walk(None, SortMode.TOPOLOGICAL | SortMode.TIME)
    try:
        for tip in dict.fromkeys(tips.values()):
            walker.push(tip)
        return [str(commit.id) for commit in itertools.islice(walker, limit)][::-1]
    except (pygit2.GitError, KeyError, ValueError, OSError) as error:
        raise GitError(f"the history cannot be followed: {error}", hint=_FSCK) from None


def _edge(repository: pygit2.Repository) -> set[str]:
    """The commits at which a shallow clone ends: their parents are not here, so what they changed cannot be told."""
    file = Path(repository.path) / "shallow"
    return set(file.read_text(encoding="ascii").split()) if repository.is_shallow and file.is_file() else set()


def _top(repository: pygit2.Repository, commit_id: str) -> dict[str, str]:
    """The files at the top that tell of a licence."""
    files = [each for each in tree_of(repository, commit_id) if each.type_str == "blob" and is_licence(each.name)]
    return {each.name: text_of(repository, str(each.id)) or "" for each in files}


def _meet(repository: pygit2.Repository, order: list[str], people: Pseudonyms) -> None:
    """Have ``people`` know all of the history's before any of its words is kept."""
    for commit_id in order:
        commit: Any = repository[commit_id]
        people.know(*signed(commit.author))
        people.know(*signed(commit.committer))
        people.know_merged(message_of(commit))


def tree_of(repository: pygit2.Repository, commit_id: str) -> Any:
    """A commit's tree, as pygit2 has it. Raises KeyError where the clone does not hold the commit."""
    commit: Any = repository[commit_id]
    return commit.tree


def text_of(repository: pygit2.Repository, blob_id: str | None) -> str | None:
    """A file's text by its id; None where it is not here, too long, or no text in UTF-8."""
    blob: Any = repository.get(blob_id) if blob_id else None
    if blob is None or blob.type_str != "blob" or blob.size > _LONGEST_TEXT:
        return None
    try:
        return str(blob.data.decode("utf-8")).removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None


def _step(repository: pygit2.Repository, commit_id: str, people: Pseudonyms, at_edge: bool) -> Step:
    import pygit2

    commit: Any = repository[commit_id]
    title, _, body = people.within(message_of(commit).strip()).partition("\n")
    author = people.of_author(*signed(commit.author))
    committer = people.of_author(*signed(commit.committer))
    parents = tuple(str(each) for each in commit.parent_ids)
    complete = not at_edge
    versions: tuple[Version, ...] = ()
    if len(parents) < 2 and not at_edge:
        try:
            versions = tuple(_versions(repository, commit, people))
        except (pygit2.GitError, KeyError, ValueError, OSError) as error:
            complete = False  # where the clone does not hold it
            if not isinstance(error, KeyError) and "object not found" not in str(error):
                raise GitError(f"commit {commit_id} cannot be read: {error}", hint=_FSCK) from None
    return Step(
        id=commit_id,
        repository="",
        kind="merge" if len(parents) > 1 else "commit",
        actor=author,
        committer=committer if committer != author else None,
        created_at=_time(commit.author.time),
        updated_at=_time(commit.committer.time),
        title=title.strip(),
        body=body.strip(),
        parents=parents,
        complete=complete,
        versions=versions,
    )


def _versions(repository: pygit2.Repository, commit: Any, people: Pseudonyms) -> Iterator[Version]:
    from pygit2.enums import DiffFind

    parent = tree_of(repository, str(commit.parent_ids[0])) if commit.parent_ids else None
    diff: Any = parent.diff_to_tree(commit.tree) if parent else commit.tree.diff_to_tree(swap=True)
    diff.find_similar(DiffFind.FIND_RENAMES)  # whatever the user's diff.renames says
    for patch in diff:
        delta = patch.delta
        change = _CHANGES.get(delta.status_char(), "changed")
        submodule = _SUBMODULE in (int(delta.new_file.mode), int(delta.old_file.mode))
        _, added, deleted = patch.line_stats
        too_long = added + deleted > _LONGEST_DIFF
        path, after = delta.new_file.path, _known(delta.new_file.id)
        about_people = lists_people(path) or lists_people(delta.old_file.path)
        shown = not (delta.is_binary or submodule or too_long or about_people)
        notes: tuple[Annotated, ...] = ()
        if shown and path.endswith(".py") and change != "deleted":
            source = text_of(repository, after)
            lines = {line.new_lineno for hunk in patch.hunks for line in hunk.lines if line.origin == "+"}
            notes = tuple(annotated(people.code(source), lines)) if source and lines else ()
        yield Version(
            path=path,
            old_path=delta.old_file.path if change == "renamed" else None,
            change=change,
            before=_known(delta.old_file.id),
            after=after if change != "deleted" else None,
            binary=bool(delta.is_binary) and not submodule,
            submodule=submodule,
            too_long=too_long,
            about_people=about_people,
            lines_added=added,
            lines_deleted=deleted,
            diff=people.code((patch.data or b"").decode("utf-8", "replace")) if shown else "",
            annotated=notes,
        )


def _known(blob_id: Any) -> str | None:
    return str(blob_id) if set(str(blob_id)) != {"0"} else None


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):  # a clock that was wrong when it was committed
        return datetime.fromtimestamp(0, timezone.utc).isoformat(timespec="seconds")


def files_of(repository: pygit2.Repository, commit_id: str) -> list[str]:
    """The paths of a commit's files."""
    return [path.as_posix() for path, _ in _files(tree_of(repository, commit_id), PurePosixPath())]


def check_out(repository: pygit2.Repository, commit_id: str, folder: Path) -> None:
    """Write the files of a commit below ``folder``, which is not the user's tree; links and submodules are left out.

    Raises KeyError where the clone does not hold a file, OSError where it cannot be written.
    """
    for path, entry in _files(tree_of(repository, commit_id), PurePosixPath()):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(entry.data)


def _files(tree: Any, at: PurePosixPath) -> Iterator[tuple[PurePosixPath, Any]]:
    for entry in tree:
        # Names that git itself refuses, but that a made-up tree may hold: they would lead out of the folder.
        if entry.name in ("", ".", "..", ".git") or "/" in entry.name or "\\" in entry.name:
            continue
        if entry.type_str == "tree":
            yield from _files(entry, at / entry.name)
        elif entry.type_str == "blob" and int(entry.filemode) != 0o120000:
            yield at / entry.name, entry
