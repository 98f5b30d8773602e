"""Self-correction: Pass@1 and Pass@3 with a scripted model, and the figures around them."""

import json

import pytest

import eval_self_correction
from benchmarks import self_correction
from testing_crew import TestingCrew
from testing_crew.backends.scripted import ScriptedBackend
from testing_crew.config import Config
from testing_crew.errors import UserMistake

TASKS = [
    self_correction.Task(id=n, code=f"def {n}(x):\n    return x + 1\n", file=f"{n}.py")
    for n in ("one", "two", "bad", "worst")
]


def answer_for(name, value):
    return f"from {name} import {name}\n\n\ndef test_{name}():\n    assert {name}(1) == {value}\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_rounds_are_told_apart_and_infrastructure_errors_are_not_failures():
    script = {
        "def one": [answer_for("one", 2)],
        "def two": [answer_for("two", 3), answer_for("two", 2)],
        "def bad": ["def test_bad():\n    assert True\n"] * 3,
        "def worst": [],  # the backend has no answer: an error, not a failure
    }
    crew = TestingCrew(backend=ScriptedBackend(script), config=Config())
    outcomes = list(self_correction.evaluate(crew, TASKS))
    assert [(o.passed_in, o.accepted_in) for o in outcomes] == [(1, 1), (2, 2), (1, None), (None, None)]
    assert outcomes[-1].error
    figures = self_correction.metrics(outcomes)
    assert {name: round(r.value, 2) for name, r in figures.items()} == {
        "passed@1": 0.67,
        "passed@3": 1.0,
        "accepted@1": 0.33,
        "accepted@3": 0.67,
    }


def test_wilson_interval_against_published_values():
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263 and 0 of 20
    assert (round(self_correction.rate(81, 263).low, 4), round(self_correction.rate(81, 263).high, 4)) == (
        0.2553,
        0.3662,
    )
    assert (self_correction.rate(0, 20).low, round(self_correction.rate(0, 20).high, 4)) == (0.0, 0.1611)


def test_the_thin_script_returns_the_five_figures(tmp_path):
    tasks = tmp_path / "tasks.json"
    tasks.write_text(json.dumps({"tasks": [t.model_dump() for t in TASKS[:2]]}))
    script = tmp_path / "script.json"
    script.write_text(
        json.dumps({"def one": [answer_for("one", 2)], "def two": [answer_for("two", 3), answer_for("two", 2)]})
    )
    found = eval_self_correction.evaluate(f"scripted:{script}", tasks)
    assert found == {"pass_at_1": 0.5, "pass_at_3": 1.0, "baseline": 0.5, "improved": 1.0, "delta": 0.5}


@pytest.mark.parametrize("text", ["{", "[]", '{"tasks": [{"id": 1}]}'])
def test_a_tasks_file_of_another_form_is_told_plainly(tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(UserMistake, match="is no tasks file"):
        self_correction.load_tasks(tmp_path / "t.json")


def test_our_own_tasks_are_code_that_runs():
    for task in self_correction.load_tasks(self_correction.TASKS):
        exec(compile(task.code, task.id, "exec"), {})
