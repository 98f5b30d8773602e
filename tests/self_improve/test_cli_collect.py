"""`testing-crew collect git` and `collect export`: what they say, what they write, and how they end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import children
import pytest
from typer.testing import CliRunner

pytest.importorskip("pygit2")
from command_line import MODULE
from repositories import FAR, PRICE, SECRETS, TEST_PRICE, Made, state_of, steps

from self_improve.cli.collect import app
from trace_logger.jsonl import read_pairs
from trace_logger.store import TraceStore

TEST = TEST_PRICE.replace("shop.price", "price")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    made = Made(tmp_path / "[shop]")
    for number in range(3):
        made.commit(
            {"shop.py": f"x = {number}\n", "test_shop.py": f"import shop\n\nn = {number}\n"}, f"Number {number}"
        )
    return made


def said(*words: object) -> str:
    result = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: object) -> str:
    """What a command in a process of its own says that cannot be carried out."""
    done = children.run([*MODULE, "collect", *map(str, words)])
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.lstrip().startswith("error: ")  # a bar that was begun leaves its line
    assert "Traceback" not in done.stderr
    return str(done.stderr)


def test_json_is_one_document(made: Made, home: Path) -> None:
    told = json.loads(said("git", made.folder, "--runs", "0", "--json"))
    assert told["folder"] == str(home / "datasets" / "collected" / "shop")
    assert (told["repository"], told["new"], told["steps"]) == ("[shop]", 3, {"commit": 3})
    assert told["versions"] == {"added": 2, "changed": 4}
    assert told["verified"] == {"candidates": 2, "run": 0, "found": {}, "nothing": {}}
    assert len(steps(Path(told["folder"]))) == 3
    assert json.loads(said("git", made.folder, "--runs", "0", "--json"))["new"] == 0


def test_in_words(made: Made, tmp_path: Path) -> None:
    told = said("git", made.folder, "--runs", "0", "--out", tmp_path / "data", "--limit", "2")
    assert told.splitlines() == [
        f"{tmp_path / 'data'}: 2 steps of [shop], 2 of them new",
        "  steps: 2 commit",
        "  versions of files: 4 changed",
        "  licence: none found: what nobody licensed may not be given on",
        "2 commits may hold a lesson; none was run",
    ]
    made.commit({"README": "x"}, branch="other", parents=[])
    assert "3 steps" in said("git", made.folder, "--runs", "0", "--out", tmp_path / "data", "--limit", "1")


def test_no_test_and_what_to_note(tmp_path: Path) -> None:
    made = Made(tmp_path / "shop")
    first = made.commit({"a.py": "x = 1\n", "LICENSE": "Apache License Version 2.0"})
    made.commit({"a.py": "x = 2\n"})
    assert "no commit changed a test" in said("git", made.folder)
    made.commit({"a.py": "x = 3\n"}, parents=[first])
    told = said("git", made.folder)
    assert "licence: Apache-2.0" in told
    assert "note: 1 steps are of commits that no branch reaches any more" in told


def test_a_place_that_cannot_be_read_is_told(tmp_path: Path, made: Made) -> None:
    assert "is not in a git repository" in refused("git", tmp_path)
    assert "is not in a git repository" in refused("git", tmp_path / "nowhere", "--json")
    Made(tmp_path / "empty")
    assert "empty has no commit yet" in refused("git", tmp_path / "empty", "--runs", "0")
    said("git", made.folder, "--runs", "0", "--out", tmp_path / "data")
    other = Made(tmp_path / "other")
    other.commit({"a": "1"})
    assert "of [shop], not of other" in refused("git", other.folder, "--out", tmp_path / "data")


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_stopped_from_outside_and_gone_on_with(tmp_path: Path) -> None:
    made = Made(tmp_path / "shop")
    for each in range(800):
        made.commit({f"f{each % 7}.py": f"x = {each}\n"})
    words = ["git", str(made.folder), "--runs", "0", "--out"]
    said(*words, tmp_path / "whole")
    for number in (signal.SIGKILL, signal.SIGINT):
        file = tmp_path / number.name / "steps.jsonl"
        command = [*MODULE, "collect", *words, str(file.parent)]
        with children.started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            while not (file.exists() and file.stat().st_size > 5000) and child.poll() is None:
                time.sleep(0.001)
            child.send_signal(number)
            _, error = children.ended(child)
        assert child.returncode == (130 if number == signal.SIGINT else -9), error
        if number == signal.SIGINT:
            assert "stopped; what was collected is kept, and the same command goes on" in error
            assert "Traceback" not in error
        kept = file.read_bytes().count(b"\n")
        assert 0 < kept < 800
        told = json.loads(said(*words, file.parent, "--json"))
        assert (told["new"], told["steps"]) == (800 - kept, {"commit": 800})
        assert file.read_bytes() == (tmp_path / "whole" / "steps.jsonl").read_bytes()


def test_lessons_are_run_told_and_exported(tmp_path: Path, home: Path) -> None:
    made = Made(tmp_path / "shop")
    made.commit({"price.py": PRICE.format("price * count"), "test_price.py": TEST.format("10.0")})
    mended = made.commit({"price.py": PRICE.format("price * count * 2"), "test_price.py": TEST.format("20.0")})
    made.commit({"far.py": FAR.format("", 1)})
    made.commit(
        {
            "far.py": FAR.format("import no_such_package\n", 2),
            "test_far.py": "import far\n\n\ndef test():\n    assert far\n",
        }
    )
    made.show()
    before = state_of(made.folder)
    data = tmp_path / "data"
    assert "may hold a lesson" in said("git", made.folder, "--out", data, "--runs", "0")
    assert "nothing to make pairs rows of" in refused("export", data, "--as", "pairs", "--out", "pairs.jsonl")
    done = children.run([*MODULE, "collect", "git", str(made.folder), "--out", str(data)])
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()
    assert last[last.index("2 of 2 commits that may hold a lesson were run:") :] == [
        "2 of 2 commits that may hold a lesson were run:",
        "  1 repairs of tests, accepted by the gate and kept as traces: testing-crew traces list",
        f"  1 bugs with the tests that show them: testing-crew collect export {data} --as fixes",
        "     1 nothing: no test passes after it",
        "     1 of these for want of no_such_package: --python names an environment that has it",
    ]
    assert state_of(made.folder) == before
    with TraceStore.open() as store:
        assert len(list(store.pairs())) == 1
    told: dict[str, Any] = json.loads(said("git", made.folder, "--out", data, "--json"))
    assert (told["new"], told["feedback"], told["steps"]) == (0, 1, {"commit": 4})
    assert told["verified"]["found"] == {"repair+fix": 1}
    assert told["verified"]["nothing"] == {"no test passes after it": 1}

    pairs, fixes = tmp_path / "pairs.jsonl", tmp_path / "fixes.jsonl"
    assert f"{pairs}: 1 pairs rows" in said("export", data, "--as", "pairs", "--out", pairs)
    assert [set(json.loads(line)) for line in pairs.read_text().splitlines()] == [
        {"code", "failed_test", "failure_log", "fixed_test"}
    ]
    assert len(read_pairs(pairs)) == 1
    told = json.loads(said("export", data, "--as", "fixes", "--out", fixes, "--json"))
    assert told == {"file": str(fixes), "form": "fixes", "rows": 1, "licence": None}
    (row,) = [json.loads(line) for line in fixes.read_text().splitlines()]
    keys = ["id", "kind", "commit", "file", "code", "fixed_code", "tests", "failing", "failure_log"]
    assert list(row) == keys
    assert (row["commit"], row["failing"]) == (mended, ["test_total"])
    assert not [word for word in SECRETS if word in pairs.read_text() + fixes.read_text()]

    assert "is there already" in refused("export", data, "--as", "fixes", "--out", pairs)
    assert len(read_pairs(pairs)) == 1
    said("export", data, "--as", "fixes", "--out", pairs, "--force")
    assert pairs.read_bytes() == fixes.read_bytes()
    assert "no form 'novels'" in refused("export", data, "--as", "novels", "--out", "x.jsonl")
    assert "no collaboration data set" in refused("export", tmp_path / "nowhere", "--as", "comment", "--out", "x.jsonl")
    assert "data cannot be written" in refused("export", data, "--as", "pairs", "--out", data, "--force")
