"""A run of a benchmark: what is counted, what is kept, what goes on after a kill, and how the commands tell it."""

import json
import os
import signal
import subprocess
import sys
import time

import children
import command_line
import pytest

import eval_self_correction
from benchmarks.run import files, load_run, perform, reports
from benchmarks.suite import BENCHMARKS
from benchmarks.task import TASKS, Task, load_tasks, some_of
from self_improve.cli.bench import NAMES
from testing_crew.config import Config
from testing_crew.errors import GenerationFailed, UserMistake

OURS = [Task(id=n, code=f"def {n}(x):\n    return x + 1\n", file=f"{n}.py") for n in ("one", "two", "bad", "worst")]
BENCHMARK = BENCHMARKS["self_correction"]


def answer_for(name, value):
    return f"from {name} import {name}\n\n\ndef test_{name}():\n    assert {name}(1) == {value}\n"


SCRIPT = {
    "def one": [answer_for("one", 2)],
    "def two": [answer_for("two", 3), answer_for("two", 2)],
    "def bad": ["def test_bad():\n    assert True\n"] * 3,
    "def worst": [],  # the backend has no answer: an error, not a failure
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scripted(home):
    def make(script):
        (home / "script.json").write_text(json.dumps(script))
        return f"scripted:{home / 'script.json'}"

    return make


def performed(tasks, model, **more):
    return perform(BENCHMARK, tasks, model, Config(), **{"samples": 0, **more})


def test_rounds_are_told_apart_and_infrastructure_errors_are_not_failures(scripted):
    run, file = performed(OURS, scripted(SCRIPT))
    assert [(o.passed_in, o.accepted_in) for o in run.outcomes] == [(1, 1), (2, 2), (1, None), (None, None)]
    assert run.outcomes[-1].error
    assert (run.n, run.infrastructure_errors) == (3, 1)
    figures = {name: (round(run.scores[name].value, 2), run.scores[name].n) for name in run.scores}
    assert figures["passed@1"] == (0.67, 3)
    assert figures["passed@3"] == (1.0, 3)
    assert figures["accepted@1"] == (0.33, 3)
    assert figures["accepted@3"] == (0.67, 3)
    assert figures["repaired"] == (0.5, 2)
    assert run.reasons == {"target_not_imported": 1}
    kept = load_run(file)
    assert kept.model_dump_json() == run.model_dump_json()
    assert all(a.prompt and a.completion and a.run.verdict for o in kept.outcomes for a in o.attempts)


def test_the_folder_that_a_run_is_started_in_has_no_part_in_it(scripted, home):
    (home / "pyproject.toml").touch()
    (home / "conftest.py").write_text("raise RuntimeError('not of the task')\n")
    (home / "pluggy.py").write_text("")  # for which warm runs would be refused
    run, _ = performed(OURS[:1], scripted([answer_for("one", 2)]))
    assert run.outcomes[0].accepted_in == 1
    (attempt,) = run.outcomes[0].attempts
    assert "would be hidden" not in attempt.run.sandbox


def test_samples_know_nothing_of_each_other_and_give_the_unbiased_rate(scripted):
    right, wrong = answer_for("one", 2), answer_for("one", 3)
    run, _ = performed(OURS[:1], scripted([right, right, wrong, wrong]), samples=3)
    (outcome,) = run.outcomes
    assert (outcome.drawn("accepted"), len(outcome.samples)) == (1, 3)
    assert all("### Failed" not in a.prompt for sample in outcome.samples for a in sample)
    assert len({a.sampling["seed"] for sample in outcome.samples for a in sample}) == 3
    assert run.scores["resampled_accepted@1"].value == pytest.approx(1 / 3)
    assert run.scores["resampled_accepted@3"].value == 1.0
    assert (run.scores["resampled_coverage"].value, run.scores["resampled_coverage"].n) == (1.0, 1)
    assert 0 < run.scores["resampled_mutants"].value <= 1


def same(run):
    return [
        (
            o.id,
            o.passed_in,
            o.accepted_in,
            [a.completion for a in o.attempts],
            [[a.completion for a in s] for s in o.samples],
        )
        for o in run.outcomes
    ]


def test_a_seed_gives_the_same_numbers_twice_and_another_draws_otherwise():
    tasks = some_of(load_tasks(TASKS), 4, 0)
    first, second, other = (performed(tasks, "embedded", samples=1, seed=seed)[0] for seed in (0, 0, 7))
    assert same(first) == same(second)
    assert {name: s.value for name, s in first.scores.items() if name != "seconds"} == {
        name: s.value for name, s in second.scores.items() if name != "seconds"
    }
    assert [s for *_, s in same(first)] != [s for *_, s in same(other)]
    assert len(files()) == 3


def test_killed_in_the_middle_it_goes_on_and_comes_to_the_same(home):
    words = ["bench", "self_correction", "--model", "snapshot", "--limit", "6", "--samples", "0", "--json"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with children.started([sys.executable, "-m", "self_improve.cli.app", *words], **quiet) as child:
        until = time.monotonic() + 300
        while not (there := list(reports().glob(".*.jsonl"))) or len(there[0].read_text().splitlines()) < 2:
            assert time.monotonic() < until
            assert child.poll() is None
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)
    done = {json.loads(line)["key"]: line for line in there[0].read_text().splitlines()}
    assert 2 <= len(done) < 6
    assert not files()
    again = command_line.run(*words)
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert told["n"] == 6
    resumed = load_run(told["file"])
    assert {o.id: o.seconds for o in resumed.outcomes}.items() >= {
        key: json.loads(line)["said"]["seconds"] for key, line in done.items()
    }.items()  # what was done is not done again
    fresh = load_run(json.loads(command_line.run(*words).stdout)["file"])
    assert same(resumed) == same(fresh)
    assert not list(reports().glob(".*.jsonl"))


def test_a_model_that_stops_answering_ends_the_run_and_what_was_done_is_kept(scripted):
    tasks = [OURS[0]] + [Task(id=f"t{n}", code=f"def t{n}():\n    return {n}\n", file=f"t{n}.py") for n in range(9)]
    script = {"def one": SCRIPT["def one"], **{f"def t{n}(": [] for n in range(9)}}
    with pytest.raises(GenerationFailed, match="3 tasks in a row") as failed:
        performed(tasks, scripted(script), workers=1)
    assert "1 of 10 tasks are kept" in str(failed.value)
    assert not files()


def test_of_no_task_and_of_an_unknown_run_it_is_told_plainly(home):
    with pytest.raises(UserMistake, match="no task is left"):
        performed([], "snapshot")
    with pytest.raises(UserMistake, match="there is no run nothing"):
        load_run("nothing")
    (home / "other.json").write_text("{}")
    with pytest.raises(UserMistake, match="is no run of a benchmark"):
        load_run(home / "other.json")


def test_the_command_tells_figures_compares_and_lists(home, scripted):
    tasks = home / "tasks.json"
    tasks.write_text(json.dumps({"tasks": [t.model_dump() for t in OURS[:2]]}))
    told = []
    for script in ([answer_for("one", 5)] * 3, [answer_for("one", 2)]):
        model = scripted({"def one": script, "def two": [answer_for("two", 2)]})
        words = ["bench", "self_correction", "--model", model, "--tasks", tasks, "--samples", "0", "--json"]
        done = command_line.run(*words)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    assert {"benchmark", "model", "n", "metrics", "errors"} <= set(told[0])
    assert told[0]["benchmark"] == "self_correction"
    assert told[0]["errors"] == {"infrastructure": 0}
    assert told[0]["metrics"]["accepted@3"]["value"] == 0.5
    compared = command_line.run("bench", "compare", told[0]["file"], told[1]["file"], "--json")
    metrics = {each["metric"]: each for each in json.loads(compared.stdout)["metrics"]}
    assert (metrics["accepted@3"]["wins"], metrics["accepted@3"]["losses"], metrics["accepted@3"]["delta"]) == (
        1,
        0,
        0.5,
    )
    assert metrics["accepted@3"]["p"] == 1.0
    assert "underpowered" in metrics["accepted@3"]["says"]
    listed = json.loads(command_line.run("bench", "list", "--json").stdout)
    assert set(listed["benchmarks"]) == set(BENCHMARKS)
    assert [row["accepted@3"] for row in listed["runs"]] == [0.5, 1.0]
    for words in (["compare", told[0]["file"], "nothing"], ["self_correction", "--model", "control:none"]):
        wrong = command_line.run("bench", *words)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "error: there is no" in wrong.stderr


def test_the_command_knows_every_benchmark():
    assert list(NAMES) == list(BENCHMARKS)
    assert all(BENCHMARKS[name].about.lower() in about.lower() for name, about in NAMES.items())


def test_the_thin_script_returns_the_five_figures(home, scripted):
    tasks = home / "tasks.json"
    tasks.write_text(json.dumps({"tasks": [t.model_dump() for t in OURS[:2]]}))
    model = scripted({"def one": SCRIPT["def one"], "def two": SCRIPT["def two"]})
    found = eval_self_correction.evaluate(model, tasks)
    assert found == {"pass_at_1": 0.5, "pass_at_3": 1.0, "baseline": 0.5, "improved": 1.0, "delta": 0.5}
    beside = eval_self_correction.evaluate(model, tasks, against="control:vacuous")
    assert beside["pass_at_3"] == beside["improved"] == beside["baseline"] == 1.0  # what is vacuous passes, too
    assert (beside["delta"], beside["p"]) == (0.0, 1.0)


@pytest.mark.parametrize("text", ["{", "[]", '{"tasks": [{"id": 1}]}'])
def test_a_tasks_file_of_another_form_is_told_plainly(tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(UserMistake, match="is no tasks file"):
        load_tasks(tmp_path / "t.json")


def test_a_limit_draws_evenly_from_the_groups_and_the_same_each_time():
    tasks = [Task(id=f"{group}{n}", code="", group=group) for group in "abc" for n in range(50 if group == "a" else 5)]
    drawn = some_of(tasks, 9, 3)
    assert sorted(task.group for task in drawn) == list("aaabbbccc")
    assert drawn == some_of(tasks, 9, 3) != some_of(tasks, 9, 4)
    assert some_of(tasks, None, 0) == tasks == some_of(tasks, 99, 0)


def test_a_run_that_is_there_is_taken_where_asked_and_one_of_other_ways_is_not(home):
    words = ["bench", "self_correction", "--model", "snapshot", "--limit", "2", "--samples", "0", "--json", "--once"]
    first, again = (json.loads(command_line.run(*words).stdout)["file"] for _ in range(2))
    assert first == again
    (home / "testing_crew.toml").write_text("[limits]\nwall_seconds = 50\n")
    other = json.loads(command_line.run(*words).stdout)
    assert other["file"] != first
    told = command_line.run("bench", "compare", first, other["file"])
    assert "not made alike: ways" in told.stdout


def test_where_nothing_can_be_measured_there_are_no_figures(home):
    (home / "t.json").write_text(json.dumps({"tasks": [{"id": "x", "code": "def f(:", "file": "x.py"}]}))
    done = command_line.run("bench", "self_correction", "--model", "snapshot", "--tasks", home / "t.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "none of 1 tasks could be worked on" in done.stderr
    assert "line 1" in done.stderr


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([{"id": "a", "code": "x = 1\n"}, {"id": "a", "code": "y = 1\n"}], "'a' is not the name of one task alone"),
        ([{"id": "a"}], "task 1, code: Field required"),
        ([{"id": "a", "code": "x = 1\n", "oracle": "def ("}], "the oracle of a does not parse"),
    ],
)
def test_what_is_wrong_with_a_tasks_file_is_told(home, tasks, said):
    (home / "t.json").write_text(json.dumps({"tasks": tasks}))
    with pytest.raises(UserMistake, match=said):
        load_tasks(home / "t.json")


def test_a_folder_that_cannot_be_written_is_told_before_the_work(home, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", "/proc/no/such")
    done = command_line.run("bench", "self_correction", "--model", "snapshot", "--limit", "2")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_runs_on_other_code_under_the_same_name_are_not_compared(home, scripted):
    told = []
    for value in (1, 2):
        (home / "t.json").write_text(
            json.dumps({"tasks": [{"id": "one", "code": f"def one(x):\n    return x + {value}\n", "file": "one.py"}]})
        )
        words = [
            "bench",
            "self_correction",
            "--model",
            "snapshot",
            "--tasks",
            home / "t.json",
            "--samples",
            "0",
            "--json",
        ]
        told.append(json.loads(command_line.run(*words).stdout)["file"])
    done = command_line.run("bench", "compare", *told)
    assert done.returncode == 2
    assert "no task in common" in done.stderr
