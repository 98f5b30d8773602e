"""Repositories of every kind: bare, shallow, partial, damaged, with others in them; and places where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pygit2")
from repositories import Made, collect, git, needs_git, state_of, steps

from trace_logger.collect.git import GitError, check_out, open_repository


def test_from_a_folder_within_and_from_a_bare_one(many: list[str], made: Made, tmp_path: Path) -> None:
    (made.folder / "deep" / "er").mkdir(parents=True)
    collect(made.folder / "deep" / "er", tmp_path / "one")
    bare = Made(tmp_path / "repo.git", bare=True)
    bare.commit({"a": "1\n"})
    assert list(steps(tmp_path / "one")) == many
    manifest, new = collect(bare.folder, tmp_path / "two")
    assert (manifest.repository, new) == ("repo", 1)


def test_no_repository_an_empty_one_and_a_damaged_one(made: Made, tmp_path: Path, out: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(GitError, match=r"not in a git repository(?s:.*)\.git"):
            open_repository(place)
    with pytest.raises(GitError, match="repo has no commit yet"):
        collect(made.folder, out)
    assert not out.exists()
    commits = [made.commit({"a": str(n)}) for n in range(3)]
    loose = made.folder / ".git" / "objects" / commits[1][:2] / commits[1][2:]
    loose.chmod(0o644)
    loose.write_bytes(b"junk")
    with pytest.raises(GitError, match=r"cannot be followed(?s:.*)git fsck"):
        collect(made.folder, out)
    loose.unlink()
    with pytest.raises(GitError, match=r"cannot be followed(?s:.*)git fsck"):
        collect(made.folder, out)


def test_a_damaged_file_is_told_and_what_was_read_stands(made: Made, out: Path) -> None:
    first, second = made.commit({"a": "1\n"}), made.commit({"a": "2\n"})
    blob = str(made.git.create_blob(b"2\n"))
    loose = made.folder / ".git" / "objects" / blob[:2] / blob[2:]
    loose.chmod(0o644)
    loose.write_bytes(b"junk")
    with pytest.raises(GitError, match=rf"{second} cannot be read(?s:.*)git fsck"):
        collect(made.folder, out)
    assert list(steps(out)) == [first]


@needs_git
def test_a_form_of_repository_that_is_not_read(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "repo")
    git(tmp_path / "repo", "config", "core.repositoryformatversion", "1")
    git(tmp_path / "repo", "config", "extensions.unheard", "true")
    with pytest.raises(GitError, match=r"unheard\n.*usual form"):
        open_repository(tmp_path / "repo")


@needs_git
def test_a_shallow_clone_is_completed_later(made: Made, many: list[str], tmp_path: Path, out: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=3", made.folder.as_uri(), tmp_path / "clone")
    manifest, new = collect(tmp_path / "clone", out)
    edge = steps(out)[many[-3]]
    assert (new, edge.complete, edge.versions, edge.title) == (3, False, (), "Number 5")
    assert [note for note in manifest.notes if note.startswith("shallow: what 1 commits") and "--unshallow" in note]
    assert len(manifest.notes) == 1
    assert collect(tmp_path / "clone", out)[1] == 0  # the edge is not read again and again
    git(tmp_path / "clone", "fetch", "-q", "--unshallow")
    manifest, new = collect(tmp_path / "clone", out)
    assert (new, manifest.steps, manifest.notes) == (6, {"commit": 8}, ())
    edge = steps(out)[many[-3]]
    assert (edge.complete, [v.path for v in edge.versions], edge.parents) == (True, ["f5.py"], (many[-4],))


@needs_git
def test_a_partial_clone_lacks_files_and_asks_no_network(made: Made, many: list[str], tmp_path: Path) -> None:
    git(made.folder, "config", "uploadpack.allowFilter", "true")
    made.commit({"f0.py": None})
    clone, out = tmp_path / "clone", tmp_path / "data"
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", made.folder.as_uri(), clone)
    before = state_of(clone)
    manifest, new = collect(clone, out)
    assert (new, {step.complete for step in steps(out).values()}) == (9, {False})
    assert manifest.notes == ("9 commits lack files that this clone does not hold (a partial clone)",)
    assert state_of(clone) == before
    with pytest.raises(KeyError):
        check_out(open_repository(clone), many[0], tmp_path / "tree")


@needs_git
def test_a_clone_both_shallow_and_partial_says_both(made: Made, many: list[str], tmp_path: Path, out: Path) -> None:
    git(made.folder, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--bare", "--depth=3", "--filter=blob:none", made.folder.as_uri(), tmp_path / "clone")
    manifest, _ = collect(tmp_path / "clone", out)
    assert [note.partition(" ")[0] for note in manifest.notes] == ["shallow:", "2"]
    manifest, _ = collect(tmp_path / "clone", tmp_path / "two", limit=2)  # the edge is not among them
    assert [note.partition(" ")[0] for note in manifest.notes] == ["shallow:", "2"]


@needs_git
def test_a_submodule_is_marked_and_not_entered(made: Made, tmp_path: Path, out: Path) -> None:
    inner = Made(tmp_path / "inner")
    points_to = inner.commit({"inside.py": "x = 1\n"})
    made.commit({"a": "1\n"})
    made.show()
    git(made.folder, "submodule", "add", "-q", inner.folder.as_uri(), "part")
    git(made.folder, "commit", "-qm", "Take it in")
    collect(made.folder, out)
    versions = {version.path: version for version in list(steps(out).values())[-1].versions}
    assert set(versions) == {".gitmodules", "part"}
    assert (versions["part"].submodule, versions["part"].after, versions["part"].diff) == (True, points_to, "")
    git(made.folder, "rm", "-q", "--cached", "part")
    git(made.folder, "commit", "-qm", "Leave it")
    collect(made.folder, out)
    versions = {version.path: version for version in list(steps(out).values())[-1].versions}
    assert (versions["part"].submodule, versions["part"].change, versions["part"].diff) == (True, "deleted", "")
