from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from trace_logger.collect.dataset import DataSet, DataSetError, read_manifest, read_steps
from trace_logger.collect.records import Feedback, Manifest, Step, Version

HERE = "https://github.com/octo-org/hello"


def step(number: int = 1, **changes: Any) -> Step:
    fields: dict[str, Any] = {
        "kind": "issue",
        "actor": "person-1",
        "created_at": "2024-01-01T00:00:00+00:00",
        "title": "A",
    }
    return Step.model_validate({"id": f"issue/{number}", "repository": HERE, **fields, **changes})


def add(folder: Path, *steps: Step) -> None:
    with DataSet(folder, HERE) as data:
        for each in steps:
            data.add(each)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow past ``size`` bytes."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_steps_come_back_as_they_went(tmp_path: Path) -> None:
    said = Feedback(id="comment/1", kind="comment", actor="person-2", created_at="2024", reactions=(("+1", 2),))
    odd = step(2, title="é😀 \u2028\u0085\x00\r\n\ud83d", feedback=(said,), labels=("a", "b"))
    add(tmp_path / "new" / "folder", step(), odd)
    assert list(read_steps(tmp_path / "new" / "folder")) == [step(), odd]


def test_a_step_is_on_disk_at_once(tmp_path: Path) -> None:
    with DataSet(tmp_path, HERE) as data:
        data.add(step())
        assert list(read_steps(tmp_path)) == [step()]


def test_a_step_that_comes_again_replaces_the_earlier(tmp_path: Path) -> None:
    add(tmp_path, step(1, complete=False), step(2))
    with DataSet(tmp_path, HERE) as data:
        assert data.known == {"issue/1": False, "issue/2": True}
        data.add(step(1, title="B"))
        assert data.known["issue/1"]
    assert list(read_steps(tmp_path)) == [step(2), step(1, title="B")]


def test_killed_at_any_byte_of_a_line(tmp_path: Path) -> None:
    add(tmp_path, step(1), step(2))
    file = tmp_path / "steps.jsonl"
    whole = file.read_bytes()
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        left = whole[:cut].count(b"\n")
        assert len(list(read_steps(tmp_path))) == left
        with DataSet(tmp_path, HERE) as data:
            assert len(data.known) == left
            for number in (1, 2):
                if f"issue/{number}" not in data.known:
                    data.add(step(number))
        assert file.read_bytes() == whole


def test_the_manifest_counts_what_there_is(tmp_path: Path) -> None:
    said = Feedback(id="comment/1", kind="comment", actor="person-2", created_at="2024")
    commit = step(3, id="c" * 40, kind="commit", versions=(Version(path="a.py", change="added"),))
    with DataSet(tmp_path, HERE) as data:
        for each in (step(1), step(1, feedback=(said,)), commit):
            data.add(each)
        data.finish(Manifest(repository=HERE, sources=("git",)))
    with DataSet(tmp_path, HERE) as data:
        made = data.finish(Manifest(repository=HERE, sources=("github",)))
    assert (made.steps, made.versions, made.feedback) == ({"issue": 1, "commit": 1}, {"added": 1}, 1)
    assert made.sources == ("git", "github")
    assert read_manifest(tmp_path) == made


@pytest.mark.parametrize("finished", [True, False])
def test_another_repository_is_refused(tmp_path: Path, finished: bool) -> None:
    with DataSet(tmp_path, HERE) as data:
        data.add(step())
        if finished:
            data.finish(Manifest(repository=HERE))
    before = (tmp_path / "steps.jsonl").read_bytes()
    with pytest.raises(DataSetError, match=r"hello, not of .*other(?s:.*)--out"):
        DataSet(tmp_path, "https://github.com/octo-org/other")
    assert (tmp_path / "steps.jsonl").read_bytes() == before


def test_a_line_that_is_no_step_is_named(tmp_path: Path) -> None:
    add(tmp_path, step())
    with (tmp_path / "steps.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": "issue/2"}) + "\n")
    with pytest.raises(DataSetError, match="line 2"):
        DataSet(tmp_path, HERE)


def test_no_data_set_there(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="no collaboration data set"):
        list(read_steps(tmp_path))


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataSetError, match="manifest"):
        DataSet(tmp_path, HERE)


def test_a_full_disk_leaves_what_was_kept(tmp_path: Path) -> None:
    add(tmp_path, step(1))
    size = (tmp_path / "steps.jsonl").stat().st_size
    with DataSet(tmp_path, HERE) as data, room_for(size + 20):
        with pytest.raises(DataSetError, match=r"cannot be written(?s:.*)what is kept stands"):
            data.add(step(2))
        data.close()
    assert list(read_steps(tmp_path)) == [step(1)]
    add(tmp_path, step(2))
    assert list(read_steps(tmp_path)) == [step(1), step(2)]


@pytest.mark.parametrize("place", ["file.jsonl", "file.jsonl/deeper/down"])
def test_a_file_where_a_folder_is_needed(tmp_path: Path, place: str) -> None:
    (tmp_path / "file.jsonl").touch()
    with pytest.raises(DataSetError, match=r"file\.jsonl is a file, and a data set is a folder\n.*--out"):
        DataSet(tmp_path / place, HERE)


def test_a_folder_is_made_once_there_is_something_to_keep(tmp_path: Path) -> None:
    with DataSet(tmp_path / "one", HERE) as data:
        assert list(data.steps()) == []
    assert not (tmp_path / "one").exists()
    with DataSet(tmp_path / "one", HERE) as data:
        data.finish(Manifest(repository=HERE))
    assert list(read_steps(tmp_path / "one")) == []


@pytest.mark.parametrize("finished", [True, False])
def test_a_repository_is_the_same_in_any_case_of_letters(tmp_path: Path, finished: bool) -> None:
    with DataSet(tmp_path, HERE) as data:
        data.add(step())
        if finished:
            data.finish(Manifest(repository=HERE))
    with DataSet(tmp_path, HERE.replace("octo-org/hello", "Octo-Org/Hello")) as data:
        assert (data.repository, data.known) == (HERE, {"issue/1": True})
        assert data.finish(Manifest(repository=HERE.upper())).repository == HERE
