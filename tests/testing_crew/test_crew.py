"""The crew, end to end with a scripted model: real CrewAI, real pytest runs, the real trace store."""

import asyncio
import json
import sys
import time
from contextlib import closing

import children
import pytest

from benchmarks.agent import work_on
from benchmarks.task import Task
from testing_crew import CheckTestsTool, TestingCrew, WriteTestsTool, prompt
from testing_crew.backends.scripted import ScriptedBackend
from testing_crew.config import Config
from testing_crew.errors import GenerationFailed, UserMistake
from trace_logger import TraceStore
from trace_logger.jsonl import export_pairs, read_pairs
from trace_logger.pairs import repair_pairs

CODE = "def add(a, b):\n    if a is None:\n        raise ValueError('a')\n    return a + b\n"
TWO = CODE + "\n\ndef twice(x):\n    return 2 * x\n"


def table(function, *rows, names="a, b, expected"):
    listed = "".join(f"    {row},\n" for row in rows)
    arguments = names.replace(", expected", "")
    return (
        f"import pytest\nfrom prices import {function}\n\n\n@pytest.mark.parametrize('{names}', [\n{listed}])\n"
        f"def test_{function}({names}):\n    assert {function}({arguments}) == expected\n"
    )


RAISES = "\n\ndef test_add_raises():\n    with pytest.raises(ValueError):\n        add(None, 1)\n"
WRONG = table("add", (1, 2, 4), (0, 0, 0)) + RAISES
RIGHT = table("add", (1, 2, 3), (0, 0, 0)) + RAISES
TWICE = table("twice", (2, 4), (0, 0), names="x, expected")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").touch()
    (root / "prices.py").write_text(CODE)
    return root


def crew(script, **options):
    return TestingCrew(backend=ScriptedBackend(script), config=Config(), **options)


def test_fails_repairs_and_keeps_the_trace(project):
    agent = crew([WRONG, RIGHT])
    events = list(agent.run(CODE, str(project / "prices.py")))
    assert [e["type"] for e in events] == [
        "crew_start",
        *["iteration_start", "unit_complete", "iteration_complete"] * 2,
        "crew_complete",
    ]
    first, second = (e for e in events if e["type"] == "iteration_complete")
    assert (first["all_passed"], second["all_passed"]) == (False, True)
    assert first["analysis"] == "test_add(1, 2, 4): got 3, expected 4"
    last = events[-1]
    assert last["success"]
    assert last["iterations"] == 2
    assert last["final_tests"] == RIGHT
    with TraceStore.open() as store:
        (pair,) = store.pairs()
        assert store.get_trace(last["trace_id"]).accepted
    assert pair.row() == {
        "code": "# module: prices\n# unit: add\n" + CODE,
        "failed_test": WRONG,
        "failure_log": "test_add(1, 2, 4): got 3, expected 4",
        "fixed_test": RIGHT,
    }


def test_what_reaches_the_backend_is_the_template_and_nothing_else(project):
    agent = crew([WRONG, RIGHT])
    list(agent.run(CODE, str(project / "prices.py")))
    shown = "# module: prices\n# unit: add\n" + CODE
    assert agent.backend.prompts == [
        prompt.generate(shown),
        prompt.repair(shown, WRONG, "test_add(1, 2, 4): got 3, expected 4"),
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_agent_and_training_rows_have_the_same_repair_prompt_in_the_version_of_the_model(project, tmp_path, version):
    agent = crew([WRONG, RIGHT.replace("(1, 2, 3),", "(1, 2, 3),  # got 3")])
    agent.backend.prompt_version = version
    last = list(agent.run(CODE, str(project / "prices.py")))[-1]
    assert last["success"]
    assert last["final_tests"] == RIGHT if version == 2 else "# got 3" in last["final_tests"]  # a note is never written
    with closing(TraceStore.open()) as store:
        trace = store.get_trace(last["trace_id"])
        export_pairs(repair_pairs(trace), tmp_path / "pairs.jsonl")
    [row] = read_pairs(tmp_path / "pairs.jsonl")
    made = prompt.repair(row.code, row.failed_test, row.failure_log, version)
    assert [made] == [attempt.prompt for attempt in trace.attempts[1:]] == agent.backend.prompts[1:]
    assert ("(1, 2, 4),  # got 3\n" in made) == (version == 2)


class Drawing(ScriptedBackend):
    """A scripted model that decodes three answers together."""

    at_once = 3

    def complete_many(self, asks, stop):
        for index, ask in enumerate(asks):
            yield index, self.complete(*ask)


def test_a_repair_that_is_not_accepted_draws_others_and_keeps_them_all(project):
    backend = Drawing([WRONG, WRONG, "no code", RIGHT])
    last = list(TestingCrew(backend=backend, config=Config()).run(CODE, str(project / "prices.py")))[-1]
    assert (last["success"], last["iterations"], last["final_tests"]) == (True, 2, RIGHT)
    assert [(s.temperature, s.seed) for s in backend.samplings] == [
        (0.0, 0),
        (0.0, 0),
        (0.7, 1),
        (pytest.approx(0.8), 2),
    ]
    assert len(set(backend.prompts[1:])) == 1
    with closing(TraceStore.open()) as store:
        attempts = store.get_trace(last["trace_id"]).attempts
        made = [(a.iteration, a.candidate, a.accepted) for a in attempts]
        assert made == [(1, 0, False), (2, 0, False), (2, 1, False), (2, 2, True)]
        pairs = list(store.pairs())
        assert [(pair.failed_test, pair.fixed_test) for pair in pairs] == [
            (WRONG, RIGHT)
        ]  # what was drawn is no failure


@pytest.mark.parametrize(("answers", "rounds"), [(["no code", RIGHT], 3), ([WRONG, RIGHT], 1)])
def test_a_first_file_draws_others_where_no_repair_of_it_can_follow(project, answers, rounds):
    agent = TestingCrew(backend=Drawing(answers), config=Config(), max_iterations=rounds)
    last = list(agent.run(CODE, str(project / "prices.py")))[-1]
    assert (last["success"], last["iterations"]) == (True, 1)


def test_where_the_first_answer_is_accepted_nothing_is_drawn(project):
    backend = Drawing([RIGHT, "never asked for"])
    last = list(TestingCrew(backend=backend, config=Config()).run(CODE, str(project / "prices.py")))[-1]
    assert last["success"]
    assert len(backend.prompts) == 1


def test_a_round_that_was_interrupted_draws_what_is_missing(project):
    class Stopped(Drawing):
        def complete_many(self, asks, stop):
            yield 0, self.complete(*asks[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(
            TestingCrew(backend=Stopped(["no code", "none here"]), config=Config()).run(
                CODE, str(project / "prices.py")
            )
        )
    backend = Drawing([RIGHT])
    last = list(TestingCrew(backend=backend, config=Config()).run(CODE, str(project / "prices.py")))[-1]
    assert (last["success"], last["iterations"]) == (True, 1)
    assert [s.seed for s in backend.samplings] == [2]


def test_what_was_answered_before_the_server_died_is_kept(tmp_path, project):
    code = CODE + "\n\ndef sub(a, b):\n    return a - b\n"

    class Dying(ScriptedBackend):
        concurrency = 2

        def complete(self, asked, sampling):
            if "# unit: add" in asked:
                time.sleep(0.5)
                raise GenerationFailed("the server is gone")
            return super().complete(asked, sampling)

    sub = "from prices import sub\n\n\ndef test_sub():\n    assert sub(3, 1) == 2\n"
    (project / "prices.py").write_text(code)
    with pytest.raises(GenerationFailed):
        list(TestingCrew(backend=Dying([sub]), config=Config()).run(code, str(project / "prices.py")))
    with closing(TraceStore.open()) as store:
        (trace,) = store.list_traces()
        assert [(a.unit, a.accepted) for a in store.get_trace(trace.id).attempts] == [("sub", True)]


def test_candidates_can_be_turned_off(project):
    backend = Drawing(["no code", RIGHT])
    last = list(TestingCrew(backend=backend, config=Config(candidates=1)).run(CODE, str(project / "prices.py")))[-1]
    assert (last["success"], last["iterations"]) == (True, 2)


def test_an_answer_that_was_drawn_is_no_first_answer_to_the_benchmark(project):
    crew = TestingCrew(backend=Drawing(["no code", RIGHT, "unread"]), config=Config(), traces=False)
    outcome, _ = work_on(crew, Task(id="add", code=CODE, file="prices.py"))
    assert (outcome.passed_in, outcome.accepted_in) == (2, 2)


def test_a_sample_of_the_benchmark_is_one_answer(project):
    crew = TestingCrew(backend=Drawing([RIGHT, "no code", RIGHT]), config=Config(), traces=False)
    outcome, _ = work_on(crew, Task(id="add", code=CODE, file="prices.py"), samples=2)
    assert [len(sample) for sample in outcome.samples] == [1, 1]
    assert outcome.drawn("accepted") == 1


def test_code_with_braces_and_percent_signs_reaches_the_backend_unchanged():
    code = 'def f(x):\n    return "{x} {{y}} %s {0!r}" % {"a": x}\n'
    agent = crew(["nothing"], max_iterations=1)
    list(agent.run(code, "odd.py"))
    assert code.strip() in agent.backend.prompts[0]


def test_events_are_plain_values(project):
    json.dumps(list(crew([RIGHT]).run(CODE, str(project / "prices.py"))))


def test_the_callback_hears_every_event(project):
    heard = []
    events = list(crew([RIGHT]).run(CODE, str(project / "prices.py"), heard.append))
    assert heard == events


def test_a_snippet_s_file_runs_on_its_own_anywhere(tmp_path):
    last = list(crew([RIGHT.replace("prices", "solution")]).run(CODE, "/nowhere/prices.py"))[-1]
    assert last["success"]
    assert CODE in last["final_tests"]
    file = tmp_path / "elsewhere" / "x_test.py"
    file.parent.mkdir()
    file.write_text(last["final_tests"])
    assert children.run([sys.executable, "-m", "pytest", "-q", str(file)], cwd="/").returncode == 0


def test_a_task_whose_function_is_not_in_the_file_it_names_is_a_snippet(project):
    last = list(crew([RIGHT]).run(CODE.replace("return a + b", "return a + b + 0"), str(project / "prices.py")))[-1]
    assert last["success"]
    assert "return a + b + 0" in last["final_tests"]


def test_inside_a_running_event_loop(project):
    async def endpoint():
        return [event for event in crew([WRONG, RIGHT]).run(CODE, str(project / "prices.py"))]

    assert asyncio.run(endpoint())[-1]["success"]


def test_below_the_target_coverage_the_missed_lines_go_into_the_next_round(project):
    agent = crew(
        [table("add", (1, 2, 3)), "def test_none():\n    with pytest.raises(ValueError):\n        add(None, 1)\n"]
    )
    events = list(agent.run(CODE, str(project / "prices.py")))
    assert "### Uncovered lines:\nraise ValueError('a')" in agent.backend.prompts[1]
    assert events[-1]["success"]
    assert events[-1]["coverage"] == 1.0
    assert "test_none" in events[-1]["final_tests"]


def test_a_lower_target_is_satisfied_sooner(project):
    events = list(crew([table("add", (1, 2, 3))], target_coverage=0.5).run(CODE, str(project / "prices.py")))
    assert events[-1]["iterations"] == 1


def test_the_best_file_is_handed_back_when_rounds_run_out(project):
    worse = table("add", (1, 2, 9), (0, 0, 9))
    last = list(crew([worse, WRONG, worse]).run(CODE, str(project / "prices.py")))[-1]
    assert not last["success"]
    assert last["final_tests"] == WRONG
    assert "not_passed:failed" in last["reasons"]


def test_passed_is_not_accepted(project):
    vacuous = "def test_nothing():\n    assert True\n"
    events = list(crew([vacuous], max_iterations=1).run(CODE, str(project / "prices.py")))
    assert events[-2]["all_passed"]
    assert not events[-1]["success"]


def test_the_same_prompt_again_is_sampled(project):
    agent = crew(["no code", "no code either", RIGHT])
    assert list(agent.run(CODE, str(project / "prices.py")))[-1]["success"]
    assert agent.backend.samplings[0].temperature == 0
    assert agent.backend.samplings[1].temperature > 0
    assert agent.backend.samplings[1].seed != agent.backend.samplings[2].seed


def test_units_are_repaired_one_by_one_and_handed_out_as_one_file(project):
    (project / "prices.py").write_text(TWO)
    agent = crew({"def add": [WRONG, RIGHT], "def twice": [TWICE]})
    last = list(agent.run(TWO, str(project / "prices.py")))[-1]
    assert last["success"]
    assert len(agent.backend.prompts) == 3  # twice was accepted at once and left alone
    assert last["final_tests"].count("import pytest") == 1
    assert "def test_add" in last["final_tests"]
    assert "def test_twice" in last["final_tests"]


def test_only_the_functions_asked_for(project):
    (project / "prices.py").write_text(TWO)
    last = list(crew([TWICE]).run("def twice(x):\n    return 2 * x\n", str(project / "prices.py")))[-1]
    assert last["success"]
    assert "from prices import twice" in last["final_tests"]


def test_run_iteration_takes_up_from_the_previous_tests(project):
    agent = crew([WRONG, RIGHT])
    first = agent.run_iteration(CODE, str(project / "prices.py"))
    assert set(first) == {"iteration", "tests", "execution_result", "analysis", "all_passed", "should_continue"}
    assert (first["all_passed"], first["should_continue"]) == (False, True)
    assert "Failed: 1" in first["execution_result"]
    second = agent.run_iteration(CODE, str(project / "prices.py"), first["tests"], first["analysis"], 2)
    assert second["tests"] == RIGHT
    assert (second["all_passed"], second["should_continue"]) == (True, False)


def test_run_iteration_repairs_only_what_failed(project):
    (project / "prices.py").write_text(TWO)
    agent = crew({"def add": [WRONG, RIGHT], "def twice": [TWICE]})
    first = agent.run_iteration(TWO, str(project / "prices.py"))
    second = agent.run_iteration(TWO, str(project / "prices.py"), first["tests"], first["analysis"], 2)
    assert second["all_passed"]
    assert len(agent.backend.prompts) == 3


def test_a_model_that_dies_is_an_error_and_loses_nothing(project):
    with pytest.raises(GenerationFailed):
        list(crew([WRONG]).run(CODE, str(project / "prices.py")))
    agent = crew([RIGHT])
    events = list(agent.run(CODE, str(project / "prices.py")))
    assert events[-1]["success"]
    assert "### Failed tests:" in agent.backend.prompts[0]  # carried on with the repair, the first file was kept


@pytest.mark.parametrize(("code", "said"), [("def f(:", "not valid Python"), ("x = 1", "no function or class")])
def test_code_that_cannot_be_tested(code, said):
    with pytest.raises(UserMistake, match=said):
        list(crew([RIGHT]).run(code, "x.py"))


def test_traces_can_be_turned_off(project, home):
    list(crew([RIGHT], traces=False).run(CODE, str(project / "prices.py")))
    assert not (home / "home" / "traces.db").exists()


def test_a_store_that_cannot_be_written_does_not_cost_the_run(project, home):
    (home / "home").mkdir()
    (home / "home" / "traces.db").write_text("this is no database, and long enough to be told from an empty one" * 20)
    with pytest.warns(UserWarning, match="not kept"):
        events = list(crew([RIGHT]).run(CODE, str(project / "prices.py")))
    assert events[-1]["success"]


def test_tools_for_people_s_own_crews(project, tmp_path, monkeypatch):
    script = tmp_path / "script.json"
    script.write_text(json.dumps([RIGHT]))
    answer = json.loads(
        WriteTestsTool(model=f"scripted:{script}").run(target_code=CODE, target_file=str(project / "prices.py"))
    )
    assert answer["success"]
    checked = json.loads(
        CheckTestsTool().run(test_code=answer["final_tests"], target_code=CODE, target_file=str(project / "prices.py"))
    )
    assert checked["accepted"]
    wrong = json.loads(CheckTestsTool().run(test_code=WRONG, target_code=CODE, target_file=str(project / "prices.py")))
    assert wrong["failures"] == ["test_add(1, 2, 4): got 3, expected 4"]


def test_crewai_sends_nothing_home():
    program = "import testing_crew.repair.agents, os; from crewai_core.telemetry import Telemetry; print(Telemetry()._is_telemetry_disabled())"
    done = children.run([sys.executable, "-c", program])
    assert done.stdout.strip().endswith("True"), done.stderr


def test_run_iteration_trusts_no_log_but_its_own_run(project):
    nothing_to_say = crew([])
    good = nothing_to_say.run_iteration(CODE, str(project / "prices.py"), RIGHT, "FAILED stale", 2)
    assert (good["all_passed"], good["should_continue"]) == (True, False)
    agent = crew([RIGHT])
    bad = agent.run_iteration(CODE, str(project / "prices.py"), WRONG, "", 2)
    assert bad["all_passed"]
    assert "got 3, expected 4" in agent.backend.prompts[0]


def test_run_iteration_keeps_tests_that_reach_the_unit_through_a_fixture(project):
    code = CODE + "\n\nclass Box:\n    def __init__(self):\n        self.items = []\n"
    (project / "prices.py").write_text(code)
    tests = (
        "import pytest\nfrom prices import Box, add\n\n\n@pytest.fixture\ndef box():\n    return Box()\n\n\n"
        "def test_new():\n    assert Box().items == []\n\n\ndef test_push(box):\n    box.items.append(1)\n    assert box.items == [1]\n\n\n"
        "def test_add():\n    assert add(1, 2) == 3\n"
    )
    found = crew(
        {"def add": ["def test_none():\n    with pytest.raises(ValueError):\n        add(None, 1)\n"]}
    ).run_iteration(code, str(project / "prices.py"), tests, "", 2)
    assert "def test_push(box)" in found["tests"]
    assert found["all_passed"]


def test_run_iteration_takes_a_previous_file_that_does_not_parse():
    found = crew(["no code"]).run_iteration(CODE, "snippet.py", "def test_a(:\n", "", 2)
    assert not found["all_passed"]


@pytest.mark.parametrize("file", ["~nobodyhere/x.py", "x" * 400, "a\0b.py"])
def test_a_path_that_the_system_cannot_take_is_a_snippet_s(file):
    assert list(crew([RIGHT]).run(CODE, file))[-1]["success"]


def test_a_snippet_imported_inside_the_test():
    inside = "def test_add():\n    from prices import add\n    assert add(1, 2) == 3\n"
    assert list(crew([inside], target_coverage=0.5).run(CODE, "prices.py"))[-1]["success"]


def test_a_drawn_answer_that_says_what_another_said_is_not_run_again(project):
    backend = Drawing([WRONG, WRONG, WRONG, RIGHT])
    last = list(TestingCrew(backend=backend, config=Config()).run(CODE, str(project / "prices.py")))[-1]
    with closing(TraceStore.open()) as store:
        attempts = store.get_trace(last["trace_id"]).attempts
    assert [(a.iteration, a.candidate) for a in attempts] == [(1, 0), (2, 0), (2, 2)]
