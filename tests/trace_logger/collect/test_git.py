"""Commits as steps: what a history that has everything in it becomes, and that nothing of the repository is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pygit2")
from pygit2.enums import ObjectType
from repositories import AUTHOR, LINK, PEOPLE, SECRETS, SUBMODULE, Made, collect, git, needs_git, state_of, steps

from trace_logger.collect.dataset import read_manifest
from trace_logger.collect.git import check_out, files_of, open_repository
from trace_logger.collect.records import Step, Version

ALICE, BOB = PEOPLE.of("alice@example.org"), PEOPLE.of("bob@example.org")
LINES = "one\ntwo\nthree\nfour\n"


def only(step: Step) -> Version:
    (version,) = step.versions
    return version


def test_a_commit(made: Made, out: Path) -> None:
    made.commit({"LICENSE": "Permission is hereby granted, free of charge, to any person obtaining a copy"})
    message = (
        "Mend it\n\nIt broke, says bob@example.org.\n\n"
        "Co-authored-by: Bob Builder <bob@example.org>\nSigned-off-by: Alice Example <alice@example.org>\n"
    )
    one = made.commit({"a b/ä.py": "x = 1\n"}, message)
    manifest, new = collect(made.folder, out)
    step = steps(out)[one]
    assert (step.kind, step.actor, step.committer, step.title) == ("commit", ALICE, None, "Mend it")
    trailers = f"Co-authored-by: {BOB}\nSigned-off-by: {ALICE}"
    assert step.body == f"It broke, says {BOB}.\n\n{trailers}"
    assert (step.created_at, step.updated_at) == ("2023-11-15T00:13:20+00:00",) * 2
    assert (step.repository, step.licence, step.branches, step.complete) == ("repo", "MIT", ("main",), True)
    assert (manifest.licence, manifest.branches, manifest.steps, new) == ("MIT", {"main": one}, {"commit": 2}, 2)
    assert (manifest.sources, manifest.notes, manifest.versions) == (("git",), (), {"added": 2})
    assert only(step).path == "a b/ä.py"
    kept = (out / "steps.jsonl").read_text() + (out / "manifest.json").read_text()
    assert not [word for word in SECRETS if word in kept]


def test_what_a_commit_makes_of_files(made: Made, out: Path) -> None:
    first = made.commit({"a": LINES, "gone": "x\n", "old": LINES * 3})
    second = made.commit({"a": LINES.replace("two", "2"), "gone": None, "new/name": LINES * 3 + "more\n", "old": None})
    collect(made.folder, out)
    found = steps(out)
    assert [(v.path, v.change, v.before, v.lines_added) for v in found[first].versions] == [
        ("a", "added", None, 4), ("gone", "added", None, 1), ("old", "added", None, 12),
    ]  # fmt: skip
    a, gone, renamed = found[second].versions
    assert (a.path, a.change, a.lines_added, a.lines_deleted) == ("a", "changed", 1, 1)
    assert a.diff.endswith("--- a/a\n+++ b/a\n@@ -1,4 +1,4 @@\n one\n-two\n+2\n three\n four\n")
    assert a.before == found[first].versions[0].after != a.after
    assert (gone.path, gone.change, gone.after, gone.lines_deleted) == ("gone", "deleted", None, 1)
    assert (renamed.old_path, renamed.path, renamed.change, renamed.lines_added) == ("old", "new/name", "renamed", 1)


@needs_git
def test_the_users_settings_for_diffs_change_nothing(made: Made, out: Path) -> None:
    made.commit({"old": LINES})
    copied = made.commit({"old": "one\n", "copy": LINES})
    renamed = made.commit({"copy": None, "name": LINES})
    for setting in ("copies", "false"):
        git(made.folder, "config", "diff.renames", setting)
        collect(made.folder, out / setting)
        found = steps(out / setting)
        assert [v.change for v in found[copied].versions] == ["added", "changed"], setting
        assert only(found[renamed]).change == "renamed", setting


def test_merges_branches_and_a_detached_head(made: Made, out: Path) -> None:
    first = made.commit({"a": "1\n"})
    aside = made.commit({"b": "1\n"}, branch="topic/x", parents=[first])
    ours = made.commit({"a": "2\n"})
    merge = made.commit({"b": "1\n"}, "Merge", parents=[ours, aside])
    made.git.set_head(made.git[first].id)
    manifest, _ = collect(made.folder, out)
    found = steps(out)
    assert (found[merge].kind, found[merge].parents, found[merge].versions) == ("merge", (ours, aside), ())
    assert [found[each].branches for each in (first, aside, ours, merge)] == [("HEAD",), ("topic/x",), (), ("main",)]
    assert manifest.branches == {"main": merge, "topic/x": aside, "HEAD": first}
    order = list(found)
    assert all(order.index(parent) < order.index(each) for each in order for parent in found[each].parents)


def test_comments_of_the_functions_that_changed(made: Made, out: Path) -> None:
    code = 'def f():\n    """Say f."""\n    return 1\n\n\ndef g():\n    # as {} says\n    return 2\n'
    made.commit({"a.py": code.format("one")})
    second = made.commit({"a.py": code.format("two"), "b.txt": code})
    collect(made.folder, out)
    a, b = steps(out)[second].versions
    assert [(each.name, each.annotations[0].annotation) for each in a.annotated] == [("g", "as two says")]
    assert b.annotated == ()


def test_files_that_are_not_plain_text(made: Made, out: Path) -> None:
    one = made.commit({"bin": b"\0\1\2", "latin.py": "# Grüße\nx = 'é'\n".encode("latin-1"), "long": "x\n" * 5000})
    two = made.commit({"bin": b"\0\1\3", "link": (LINK, "/etc/passwd"), "mod": (SUBMODULE, "1" * 40)})
    collect(made.folder, out)
    binary, latin, long = steps(out)[one].versions
    assert (binary.binary, binary.diff, binary.change) == (True, "", "added")
    assert (latin.binary, latin.lines_added, latin.annotated) == (False, 2, ())
    assert "\n+# Gr\ufffd\ufffde\n+x = '\ufffd'\n" in latin.diff
    assert (long.too_long, long.diff, long.lines_added) == (True, "", 5000)
    changed, link, module = steps(out)[two].versions
    assert (changed.change, changed.binary) == ("changed", True)
    assert "+/etc/passwd" in link.diff  # the words of the link, not of what it leads to
    assert (module.submodule, module.binary, module.diff, module.after) == (True, False, "", "1" * 40)


def test_check_out_leaves_links_submodules_and_names_that_lead_out(made: Made, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    files = {"l": (LINK, str(outside)), "m": (SUBMODULE, "1" * 40), "a b/ü.py": "x\r\n", "bin": b"\0\xff"}
    commit = made.commit(files)
    check_out(made.git, commit, tmp_path / "tree")
    assert state_of(tmp_path / "tree") == {"a b/ü.py": b"x\r\n", "bin": b"\0\xff"}
    assert sorted(files_of(made.git, commit)) == ["a b/ü.py", "bin"]
    for name in ("..", ".git"):
        blob = made.git.create_blob(b"x")
        inner = made.git.write(ObjectType.TREE, b"100644 evil\0" + blob.raw)
        tree = made.git.write(ObjectType.TREE, b"40000 " + name.encode() + b"\0" + inner.raw)
        words = f"tree {tree}\nauthor {AUTHOR} 1 +0000\ncommitter {AUTHOR} 1 +0000\n\nx"
        check_out(made.git, str(made.git.write(ObjectType.COMMIT, words.encode())), tmp_path / "deep" / "tree")
    assert not list(tmp_path.rglob("evil"))


def test_odd_words_dates_and_authors(made: Made, out: Path) -> None:
    texts = {"latin-1": "Grüße".encode("latin-1"), "utf-8": b"Gr\xfc", "none-such": "ä".encode(), "hex": b"6162"}
    said = {made.commit(message=text, encoding=name): name for name, text in texts.items()}
    far = made.commit(date="99999999999999 +0000")
    early = made.commit(date="-86400 +0000")
    nobody = [made.commit(author=author) for author in ("A <>", " <>")]
    collect(made.folder, out)
    found = steps(out)
    assert {said[each]: found[each].title for each in said} == {
        "latin-1": "Grüße", "utf-8": "Gr\ufffd", "none-such": "ä", "hex": "6162",
    }  # fmt: skip
    assert found[far].created_at == "1970-01-01T00:00:00+00:00"
    assert found[early].created_at == "1969-12-31T00:00:00+00:00"
    assert found[nobody[0]].actor == PEOPLE.of("A") != found[nobody[1]].actor


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://alice:p4ss@github.com/shop/till.git", "https://github.com/shop/till"),
        ("https://alice:p4@ss@github.com/shop/till?token=p4ss", "https://github.com/shop/till"),
        ("git@github.com:shop/till.git", "https://github.com/shop/till"),
        ("ssh://alice@git.example.org:2222/shop/till", "ssh://git.example.org:2222/shop/till"),
        ("/home/alice/till.git", "repo"),
        ("file:///home/alice/till.git", "repo"),
    ],
)
def test_the_name_holds_no_password_and_no_place(made: Made, out: Path, url: str, name: str) -> None:
    made.commit({"a": "1\n"})
    made.git.remotes.create("origin", url)
    manifest, _ = collect(made.folder, out)
    assert manifest.repository == name
    kept = (out / "steps.jsonl").read_text() + (out / "manifest.json").read_text()
    assert not [word for word in ("p4", "alice") if word in kept]


@pytest.mark.parametrize("stop", range(8))
def test_stopped_and_gone_on_with(made: Made, many: list[str], tmp_path: Path, stop: int) -> None:
    def tell(done: int, of: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    collect(made.folder, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        collect(made.folder, tmp_path / "cut", tell=tell)
    file = tmp_path / "cut" / "steps.jsonl"
    assert file.exists() == (stop > 0)
    if stop:
        assert len(steps(tmp_path / "cut")) == stop
        with file.open("ab") as opened:
            opened.write(b'{"id": "half')
    told: list[tuple[int, int]] = []
    _, new = collect(made.folder, tmp_path / "cut", tell=lambda *each: told.append(each))
    assert (new, told[-1]) == (8 - stop, (8 - stop, 8 - stop))
    files = [(tmp_path / name / "steps.jsonl").read_bytes() for name in ("whole", "cut")]
    assert files[0] == files[1]
    assert files[0].count(b"\n") == len(many)


def test_later_only_what_is_new_is_read(made: Made, many: list[str], out: Path) -> None:
    collect(made.folder, out)
    before = (out / "steps.jsonl").read_bytes()
    assert collect(made.folder, out)[1] == 0
    assert (out / "steps.jsonl").read_bytes() == before
    more = [made.commit({"new": "1\n"}), made.commit({"aside": "1\n"}, branch="x", parents=[many[0]])]
    manifest, new = collect(made.folder, out)
    assert (new, manifest.steps, list(steps(out))[-2:]) == (2, {"commit": 10}, more)
    assert manifest == read_manifest(out)


def test_limit_takes_the_latest(made: Made, many: list[str], out: Path) -> None:
    manifest, new = collect(made.folder, out, limit=3)
    assert (list(steps(out)), new, manifest.notes) == (many[-3:], 3, ())
    assert collect(made.folder, out)[1] == 5
    assert sorted(steps(out)) == sorted(many)
    assert collect(made.folder, out, limit=3)[0].notes == ()


def test_a_history_that_was_rewritten_is_kept_and_said(made: Made, many: list[str], out: Path) -> None:
    collect(made.folder, out)
    amended = made.commit({"f7.py": "x = 8\n"}, "Number 7, mended", parents=[many[-2]])
    manifest, new = collect(made.folder, out)
    assert (new, set(steps(out))) == (1, {*many, amended})
    assert [note for note in manifest.notes if "1 steps" in note and "rewritten" in note and "kept" in note]


@needs_git
def test_nothing_of_the_users_repository_is_touched(made: Made, many: list[str], out: Path) -> None:
    made.show()
    (made.folder / "f1.py").write_text("not yet committed")
    (made.folder / "own.txt").write_text("mine")
    hook = made.folder / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {out}.hooked\n")
    hook.chmod(0o755)
    status, before = git(made.folder, "status", "--porcelain"), state_of(made.folder)
    collect(made.folder, out)
    check_out(open_repository(made.folder), many[-1], out / "tree")
    assert state_of(made.folder) == before
    assert git(made.folder, "status", "--porcelain") == status == " M f1.py\n?? own.txt\n"
    assert not out.with_suffix(".hooked").exists()
