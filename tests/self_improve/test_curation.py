"""Curation of a store by real runs: what stays, what goes and why, twice the same, and again after a kill."""

import json
import sys

import command_line
import pytest

from benchmarks.task import TASKS, load_tasks
from finetune.data.sources import Context, open_source
from trace_logger.jsonl import read_pairs
from trace_logger.records import Attempt, CodeUnderTest, PytestRun
from trace_logger.store import TraceStore

TASK = load_tasks(TASKS)[0]
ADD = "def add(a, b):\n    return a + b\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_file(module, unit, *lines):
    return f"from {module} import {unit}\n" + "".join(
        f"\n\ndef test_{number}():\n    {line}\n" for number, line in enumerate(lines)
    )


def keep(module, unit, source, failed, fixed, *, command="write", suspects=(), path=None, root=""):
    """A trace with one failed file for each of ``failed``, and the file that was accepted after them."""
    code = CodeUnderTest(
        source=source,
        shown=f"# module: {module}\n{source}",
        module=module,
        unit=unit,
        path=path,
        root=root,
        interpreter=sys.executable,
    )
    with TraceStore.open() as store:
        run = store.start_run("/src", command, "embedded")
        trace = store.start_trace(run, "/src", f"{module}.py", [code], "embedded")
        for number, tests in enumerate([*failed, fixed], 1):
            last = tests == fixed
            attempt = Attempt(
                unit=unit,
                iteration=number,
                kind="repair" if number > 1 else "generate",
                prompt="p",
                completion=tests,
                tests=tests,
                run=PytestRun(verdict="passed" if last else "failed"),
                accepted=last,
                failure_log="log",
                suspects=suspects if last else (),
                model="embedded",
            )
            store.add_attempt(trace, attempt)
        store.finish_trace(trace, True, None)
        store.finish_run(run)
    return trace


def wrong_and_right(module, unit, call, right):
    lines = f"assert {unit}({call}) == {right}", f"assert {unit}({call}) != None"
    wrong = f"assert {unit}({call}) == ({right}, 0)", lines[1]
    return a_file(module, unit, *wrong), a_file(module, unit, *lines)


@pytest.fixture
def store():
    wrong, right = wrong_and_right("sums", "add", "1, 2", 3)
    keep("sums", "add", ADD, [wrong], right)
    keep("sums", "add", ADD, [wrong + "# again\n"], right)  # the same but for a comment
    keep(
        "words",
        "twice",
        "def twice(s):\n    return s + s\n",
        *_listed(wrong_and_right("words", "twice", "'a'", "'aa'")),
    )
    half = "def half(x):\n    return x / 2\n"
    keep(
        "halves",
        "half",
        half,
        [a_file("halves", "half", "assert half(2) == 1.0")],
        a_file("halves", "half", "assert half(4) == 2"),
    )
    cheat = a_file("cheats", "inc", "assert True")
    keep("cheats", "inc", "def inc(x):\n    return x + 1\n", [a_file("cheats", "inc", "assert inc(1) == 3")], cheat)
    two = (
        a_file("fewer", "dec", "assert dec(1) == 5", "assert dec(2) == 1"),
        a_file("fewer", "dec", "assert dec(2) == 1"),
    )
    keep("fewer", "dec", "def dec(x):\n    return x - 1\n", [two[0]], two[1])
    key = "def sign(x):\n    return 'AKIAIOSFODNN7EXAMPLE' + x\n"
    keep("keys", "sign", key, *_listed(wrong_and_right("keys", "sign", "''", "'AKIAIOSFODNN7EXAMPLE'")))
    third = "def third(x):\n    return x / 3\n"
    keep("thirds", "third", third, *_listed(wrong_and_right("thirds", "third", "3", "1.0")), suspects=("third(3)",))
    neg = "def neg(x):\n    return -x\n"
    keep("negs", "neg", neg, *_listed(wrong_and_right("negs", "neg", "3", "-3")), command="benchmark self_correction")
    keep("task", "f", TASK.code, ["def test():\n    assert 0\n"], "def test():\n    assert 1\n")


def _listed(pair):
    return [pair[0]], pair[1]


DROPPED = {
    "duplicate": 1,
    "contradicts an example of the docstring": 1,
    "holds what looks like a secret": 1,
    "like a benchmark's task": 1,
    "made while a model was measured": 1,
    "the failed file passes now": 1,
    "the fixed file is not accepted: drops_tests": 1,
    "the fixed file is not accepted: target_not_executed": 1,
}


def curate(out, *more):
    done = command_line.run("bench", "fingerprints", "--out", "tasks.json")
    assert done.returncode == 0, done.stderr
    return command_line.run("traces", "curate", "--out", out, "--fingerprints", "tasks.json", *more)


def test_what_still_teaches_stays_and_the_rest_is_counted(store, tmp_path):
    done = curate("one", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["dropped"] == DROPPED
    assert (told["pairs"], told["kept"], told["train"], told["dev"]) == (10, 2, 1, 1)
    sides = [read_pairs(tmp_path / "one" / name)[0].code for name in ("train.jsonl", "dev.jsonl")]
    assert {side.split("\n")[0] for side in sides} == {"# module: sums", "# module: words"}
    named = [json.loads(line) for line in (tmp_path / "one" / "dropped.jsonl").read_text().splitlines()]
    assert {row["unit"]: row["reason"] for row in named}["dec"].endswith("drops_tests")
    with TraceStore.open() as kept:
        assert kept.get_trace(named[0]["trace_id"])

    assert curate("two").returncode == 0
    for name in ("train.jsonl", "dev.jsonl", "manifest.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert sorted(file.name for file in (tmp_path / "one").iterdir()) == [
        "dev.jsonl", "dropped.jsonl", "manifest.json", "train.jsonl",
    ]  # fmt: skip
    again = curate("one")
    assert (again.returncode, "--force" in again.stderr) == (2, True)

    source = open_source(f"traces:{tmp_path / 'one'}", Context(lambda *_: True, tmp_path))
    rows = list(source.rows)
    assert sorted((row.group.split(":")[0], row.kind) for row in rows) == [
        ("dev", "generate"), ("dev", "repair"), ("train", "generate"), ("train", "repair"),
    ]  # fmt: skip


def test_a_module_that_was_changed_since_is_run_as_it_was(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    file = tmp_path / "sums.py"
    file.write_text("def add(a, b):\n    return a - b\n")
    pair = wrong_and_right("sums", "add", "1, 2", 3)
    keep("sums", "add", ADD, *_listed(pair), path=str(file), root=str(tmp_path))
    keep(
        "gone",
        "add",
        ADD,
        *_listed(wrong_and_right("gone", "add", "2, 2", 4)),
        path=str(tmp_path / "gone.py"),
        root=str(tmp_path),
    )
    done = command_line.run("traces", "curate", "--out", "c", "--json", "--dev-share", "0")
    assert json.loads(done.stdout)["train"] == 2, done.stdout + done.stderr


def test_a_file_in_the_folder_s_place_is_told(store, tmp_path):
    (tmp_path / "out.jsonl").touch()
    done = command_line.run("traces", "curate", "--out", "out.jsonl")
    assert done.returncode == 2
    assert "out.jsonl is no folder that can be written to" in done.stderr


def test_no_pair_and_none_left_are_told(tmp_path):
    none = command_line.run("traces", "curate", "--out", "c")
    assert none.returncode == 2
    assert "there is no pair of a failed and a mended file" in none.stderr
    assert "testing-crew write PATH" in none.stderr
    neg = "def neg(x):\n    return -x\n"
    keep("negs", "neg", neg, *_listed(wrong_and_right("negs", "neg", "3", "-3")), command="benchmark self_correction")
    every = command_line.run("traces", "curate", "--out", "c")
    assert every.returncode == 2
    assert "no pair is left of 1: made while a model was measured (1)" in every.stderr
    assert not (tmp_path / "c" / "manifest.json").exists()
