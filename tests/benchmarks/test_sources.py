"""Where tasks come from: our own, published files, packages; and what is known of them before any model."""

import ast
import doctest
import gzip
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.run import perform
from benchmarks.sources import bugs, packages
from benchmarks.sources.functions import humaneval, mbpp
from benchmarks.sources.testgeneval import REPOS, load, only, predictions
from benchmarks.suite import BENCHMARKS, Benchmark
from benchmarks.task import TASKS, Task, load_tasks, oracle_for
from finetune.data.packages import SCORED
from testing_crew.config import Config
from testing_crew.errors import UserMistake
from testing_crew.project.targets import target_for
from testing_crew.runner.plan import plan_text
from testing_crew.runner.run import Runner

TOP = Path(__file__).parents[2]
HUMANEVAL = {
    "task_id": "HumanEval/900",
    "prompt": 'def larger(a: int, b: int) -> int:\n    """The larger of the two."""\n',
    "canonical_solution": "    return a if a > b else b\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 2\n    assert candidate(5, 3) == 5\n",
    "entry_point": "larger",
}
MBPP = {
    "task_id": 11,
    "text": "…",
    "code": "def tripled(n):\r\n    return 3 * n",
    "test_setup_code": "",
    "test_list": ["assert tripled(2) == 6", "assert tripled(-1) == -3"],
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quiet(what):
    """Say nothing."""


def test_our_sixty_tasks_are_right_by_their_oracles():
    tasks = load_tasks(TASKS)
    assert len(tasks) == len({task.id for task in tasks}) == 60
    assert [sum(task.group == group for task in tasks) for group in ("easy", "medium", "hard")] == [20, 20, 20]
    with Runner() as runner, ThreadPoolExecutor(runner.workers) as threads:

        def run(task):
            target = target_for(task.code, task.file, None)
            plan = plan_text(target.whole, oracle_for(task, target.whole.module), target.files)
            return runner.execute(plan).run

        for task, made in zip(tasks, threads.map(run, tasks), strict=True):
            assert made.passed, task.id
            assert made.asserted_lines, task.id


def broken_examples(code):
    """How many examples of its docstrings fail."""
    world = {"__name__": "task"}
    exec(compile(code, "task", "exec"), world)
    runner = doctest.DocTestRunner(verbose=False)
    for name in [node.name for node in ast.parse(code).body if hasattr(node, "name")]:
        for each in doctest.DocTestFinder(recurse=False).find(world[name], name, module=False, globs=dict(world)):
            runner.run(each, out=lambda text: None)
    return runner.failures


def test_the_planted_bugs_break_what_they_are_said_to_break():
    tasks = load_tasks(bugs.TASKS)
    right = {task.id: task for task in load_tasks(TASKS)}
    groups = {group: [task for task in tasks if task.group == group] for group in ("example", "prose", "correct")}
    assert {group: len(each) for group, each in groups.items()} == {"example": 30, "prose": 30, "correct": 60}
    for task in tasks:
        original = right[task.id.partition("/")[2]]
        assert (task.code == original.code) == (task.group == "correct")
        assert bool(broken_examples(task.code)) == (task.group == "example"), task.id
        assert task.right == ("" if task.group == "correct" else original.code)
        if task.group == "prose":
            changed = {*original.code.splitlines()} - {*task.code.splitlines()}
            assert not any(line.lstrip().startswith(("def ", "async def ")) for line in changed), task.id


def test_a_bug_that_an_example_tells_is_shown_and_a_correct_one_is_not_accused():
    tasks = [task for task in load_tasks(bugs.TASKS) if task.id.endswith("/shelf_label")]
    run, _ = perform(BENCHMARKS["bugs"], tasks, "snapshot", Config())
    assert {task.group for task in tasks} >= {"example", "correct"}
    assert run.scores["example_shown"].value == 1.0
    assert run.scores["example_enshrined"].value == run.scores["false_alarm"].value == 0.0


def test_published_files_become_code_under_test_with_their_own_tests_as_oracle(home):
    (home / "h.jsonl.gz").write_bytes(gzip.compress((json.dumps(HUMANEVAL) + "\n").encode()))
    (home / "m.jsonl").write_text("\n".join(json.dumps(MBPP | {"task_id": n}) for n in (2, 11, 600)))
    (first,) = humaneval(home / "h.jsonl.gz", quiet)
    (second,) = mbpp(home / "m.jsonl", quiet)  # 2 is a few-shot example, 600 is of the training split
    assert (first.id, second.id) == ("HumanEval/900", "MBPP/11")
    for name, task in (("humaneval", first), ("mbpp", second)):
        oracle, _ = perform(BENCHMARKS[name], [task], "control:oracle", Config())
        vacuous, _ = perform(BENCHMARKS[name], [task], "control:vacuous", Config())
        assert (oracle.scores["accepted@1"].value, vacuous.scores["accepted@3"].value) == (1.0, 0.0)
        assert oracle.scores["wrong_caught"].value == 1.0  # it is what says which solutions are wrong
        assert vacuous.scores["wrong_caught"].value == 0.0
    with pytest.raises(UserMistake, match="lacks a column"):
        mbpp(home / "h.jsonl.gz", quiet)


def test_no_package_that_is_scored_is_trained_on():
    scored = {package.name for package in packages.read()}
    assert sum(len(package.modules) for package in packages.read()) >= 60
    assert scored <= SCORED
    texts = [TOP / "finetune/data/real/packages.txt", TOP / "runs/abc.sh"]
    trained = {
        name.lower().replace("_", "-") for text in texts for name in re.findall(r"([\w.-]+)==", text.read_text())
    }
    assert trained
    assert not SCORED & trained


def test_a_package_is_worked_on_where_it_stands(home, monkeypatch):
    site = home / "site"
    (site / "pack").mkdir(parents=True)
    (site / "pack" / "__init__.py").write_text("")
    (site / "pack" / "other.py").write_text("RATE = 3\n")
    (site / "pack" / "main.py").write_text(
        "from .other import RATE\n\n\ndef priced(n: int) -> int:\n    return n * RATE\n\n\ndef unit(n):\n    return n\n"
    )
    (home / "list.toml").write_text('[[package]]\nname = "pack"\nversion = "1"\nmodules = ["pack/main.py"]\n')
    (site / "pack" / "tests").mkdir()
    (site / "pack" / "tests" / "test_main.py").write_text(
        "from pack.main import unit\n\n\ndef test_unit():\n    assert unit(1) == 1\n"
    )
    monkeypatch.setattr(packages, "installed", lambda wanted, say: site)  # pip and its network are not ours
    tasks = packages.load(home / "list.toml", quiet)
    assert [task.id for task in tasks] == ["pack/main.py::priced", "pack/main.py::unit"]
    run, _ = perform(BENCHMARKS["real_packages"], tasks, "snapshot", Config())
    assert run.scores["accepted@3"].value == 1.0
    assert {attempt.unit for attempt in run.outcomes[0].attempts} == {"priced"}
    assert (run.scores["reached"].value, run.scores["reached"].n) == (1.0, 2)
    assert (run.scores["over_suite"].value, run.scores["over_suite"].n) == (
        1.0,
        1,
    )  # the suite misses what is in priced alone
    for text in ("[[package]]\nname = 1", "[", '[[package]]\nname = "x"\nversion = "1"\nmodules = []\nmore = 1\n'):
        (home / "wrong.toml").write_text(text)
        with pytest.raises(UserMistake, match="is no list of packages"):
            packages.read(home / "wrong.toml")


CODE = "def shout(text: str) -> str:\n    return text.upper() + '!'\n\n\ndef half(n: int) -> int:\n    return n // 2\n"
TESTS = "from mod import half, shout\n\n\ndef test_shout():\n    assert shout('a') == 'A!'\n\n\ndef test_half():\n    assert half(3) == 2\n"


def test_testgeneval_is_scored_by_its_definitions_and_told_in_the_official_format(home, monkeypatch):
    row = {"id": "a-1", "instance_id": "a", "repo": "me/mine", "code_file": "mod.py", "code_src": CODE}
    (home / "rows.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"id": "a-2", "repo": "me/gone"}) + "\n")
    with pytest.raises(UserMistake, match="repositories are not here"):
        load(home / "rows.jsonl", quiet)
    (home / "repos" / "me__mine").mkdir(parents=True)
    monkeypatch.setenv(REPOS, str(home / "repos"))
    with pytest.raises(UserMistake, match="of 2 rows none"):
        load(home / "rows.jsonl", quiet)
    (home / "repos" / "me__mine" / "mod.py").write_text(CODE)
    tasks = load(home / "rows.jsonl", quiet)
    assert len(tasks) == 1
    first = {
        "def shout": [TESTS.partition("def test_half")[0].replace("half, ", "")],
        "def half": ["from mod import half\n\n\ndef test_half():\n    assert half(3) == 2\n"] * 3,
    }
    (home / "s.json").write_text(json.dumps(first))
    run, _ = perform(BENCHMARKS["testgeneval"], tasks, f"scripted:{home / 's.json'}", Config())
    figures = {name: run.scores[name].value for name in ("all@1", "any@1", "filtered_coverage", "filtered_mutants")}
    assert (figures["all@1"], figures["any@1"]) == (0.0, 1.0)
    assert 0.4 < figures["filtered_coverage"] < 1.0  # half of it is no longer run
    assert figures["filtered_mutants"] > 0
    (told,) = predictions(run.outcomes, "mine")
    assert (told["id"], told["instance_id"], told["model_name_or_path"]) == ("a-1", "a", "mine")
    (text,) = told["preds"]["full"]
    assert "def test_shout" in text
    assert "def test_half" in text


def test_failing_tests_are_taken_out_of_classes_and_modules():
    text = "import x\n\ndef helper(): ...\n\ndef test_a(): ...\n\nclass TestB:\n    def test_c(self): ...\n    def test_d(self): ...\n"
    kept = only(text, {"test_a", "test_d"})
    assert ("test_a" in kept, "helper" in kept, "test_c" in kept, "test_d" in kept) == (True, True, False, True)
    ast.parse(only(text, {"test_a"}))


@pytest.mark.parametrize("kind", ["vacuous", "inlining", "stubbing"])
def test_a_control_that_tests_nothing_passes_and_is_never_accepted(kind):
    tasks = [task for task in load_tasks(TASKS) if task.id in ("double", "inventory")]
    run, _ = perform(BENCHMARKS["self_correction"], tasks, f"control:{kind}", Config(), samples=0)
    assert run.scores["accepted@3"].value == 0.0
    assert run.scores["passed@1"].value > 0.0


def test_an_oracle_is_accepted():
    tasks = [task for task in load_tasks(TASKS) if task.id in ("inventory", "append_log", "gather_limited")]
    run, _ = perform(BENCHMARKS["self_correction"], tasks, "control:oracle", Config(), samples=0)
    assert run.scores["accepted@1"].value == 1.0


def test_the_hub_is_told_as_what_it_is_when_it_cannot_be_reached(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserMistake) as failed:
        humaneval(None, quiet)
    assert "--tasks FILE" in str(failed.value) or "pip install" in str(failed.value)


def test_every_benchmark_measures_the_model_alone_or_the_agent_and_says_which():
    assert all(isinstance(each, Benchmark) for each in BENCHMARKS.values())
    assert {name for name, each in BENCHMARKS.items() if each.derive} == {"real_packages", "bugs"}


def test_a_task_that_has_no_such_unit_is_an_error_and_no_failure():
    tasks = [Task(id="x", code="def f():\n    return 1\n", file="f.py", unit="g"), load_tasks(TASKS)[0]]
    run, _ = perform(BENCHMARKS["self_correction"], tasks, "control:oracle", Config(), samples=0)
    assert (run.n, run.infrastructure_errors) == (1, 1)
    assert "has no g in it" in run.outcomes[0].error
