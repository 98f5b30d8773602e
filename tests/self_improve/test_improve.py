"""The loop, on the embedded base in small: a round from pairs to a verdict, killed on its way, promoted and rolled back."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import children
import command_line
import pytest
from ollama_server import OllamaStandIn

import eval_self_correction
from export import export
from finetune.data.modules import variations
from self_improve import tasks as work
from self_improve.cli.app import main
from self_improve.gate import decide
from self_improve.improve import Line, Options
from self_improve.play import outcomes
from self_improve.rounds import Round, current, rounds
from self_improve.tasks import load
from testing_crew import TestingCrew, prompt
from testing_crew import config as configuration
from testing_crew.backends import Sampling
from testing_crew.config import Config
from testing_crew.errors import UserMistake
from trace_logger.curation import curate
from trace_logger.curation.curate import Candidate
from trace_logger.errors import NothingLeft
from trace_logger.records import Attempt, CodeUnderTest, PytestRun
from trace_logger.store import TraceStore

RECIPE = ("max_steps=2", "data.replay_share=0.0", "evaluations=2", "data.max_tokens=1000")
SMALL = ["--base", "embedded", "--quantise", "f16", "--from", "none"]
SMALL += [word for key in RECIPE for word in ("--set", key)]
EASY = {
    "clamps": "def clamp(value: int, low: int, high: int) -> int:\n    return max(low, min(high, value))\n",
    "doubles": "def double(x: int) -> int:\n    return x * 2\n",
    "larger": "def larger(a: int, b: int) -> int:\n    return a if a > b else b\n",
    "evens": "def is_even(n: int) -> bool:\n    return n % 2 == 0\n",
    "joins": "def initials(text: str) -> str:\n    return text[:1].upper()\n",
    "sums": "def total(numbers: list[int]) -> int:\n    return sum(numbers)\n",
    "halves": "def half(n: int) -> int:\n    return n // 2\n",
}


def keep(module, source, unit, call, value):
    """A trace of a file that failed for a wrong value and was mended."""
    code = CodeUnderTest(
        source=source, shown=f"# module: {module}\n{source}", module=module, unit=unit, root="", interpreter=sys.executable
    )  # fmt: skip
    right = f"from {module} import {unit}\n\n\ndef test_{unit}():\n    assert {unit}({call}) == {value!r}\n"
    wrong = right.replace(f"== {value!r}", f"== [{value!r}]")
    with TraceStore.open() as store:
        run = store.start_run("/mine", "write", "embedded")
        trace = store.start_trace(run, "/mine", f"{module}.py", [code], "embedded")
        for number, (tests, ok) in enumerate([(wrong, False), (right, True)], 1):
            store.add_attempt(
                trace,
                Attempt(
                    unit=unit, iteration=number, kind="repair" if ok else "generate", prompt="", completion=tests, tests=tests,
                    run=PytestRun(verdict="passed" if ok else "failed"), accepted=ok, model="embedded",
                    failure_log="" if ok else f"test_{unit}(): got {value!r}, expected [{value!r}]",
                ),
            )  # fmt: skip
        store.finish_trace(trace, True)
        store.finish_run(run)


PAIRS = [
    ("words", "def shout(text):\n    return text.upper() + '!'\n", "shout", "'a'", "A!"),
    ("lists", "def tail(items):\n    return items[1:]\n", "tail", "[1, 2]", [2]),
    ("money", "def with_tax(price):\n    return round(price * 1.19, 2)\n", "with_tax", "100", 119.0),
    ("pairs", "def swap(pair):\n    a, b = pair\n    return b, a\n", "swap", "(1, 2)", (2, 1)),
    ("clamps", EASY["clamps"], "clamp", "5, 1, 3", 3),  # of what the gate decides on
]


def furnish(place, patch):
    """A project with two modules for the gate, in a workspace with repairs."""
    patch.setenv("TESTING_CREW_HOME", str(place / "home"))
    patch.chdir(place)
    (place / "pyproject.toml").touch()
    (place / "easy").mkdir()
    for name in ("clamps", "doubles"):
        (place / "easy" / f"{name}.py").write_text(EASY[name])
    for pair in PAIRS:
        keep(*pair)


@pytest.fixture
def place(tmp_path, monkeypatch):
    furnish(tmp_path, monkeypatch)
    return tmp_path


def improve(*more, seconds=600):
    return command_line.run("improve", "--tasks", "easy", *SMALL, "--json", *more, seconds=seconds)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a round comes to that nobody stops."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        furnish(place, patch)
        plan = improve("--dry-run")
        assert [station["name"] for station in json.loads(plan.stdout)] == [
            "collect",
            "curate",
            "train",
            "export",
            "gate",
            "promote",
        ]
        assert not (place / "home" / "rounds").exists()
        done = improve()
        assert done.returncode == 1, done.stderr
        yield place, json.loads(done.stdout)


def test_a_round_goes_from_pairs_to_a_verdict(whole):
    place, told = whole
    assert told["decision"] in ("kept", "undecided")
    assert (told["curate"]["pairs"], told["curate"]["kept"]) == (5, 4)
    assert told["curate"]["dropped"] == {"held out for the gate": 1}
    assert told["train"]["dev_loss"] <= told["train"]["dev_loss_before"]
    assert told["export"]["proof"]["max_logit_difference"] < 1e-3
    assert (told["gate"]["n"], told["gate"]["champion"]["errors"]) == (2, 0)
    answers = list((place / "home" / "rounds" / "0001" / "gate").glob("*/*.jsonl"))
    assert sorted(file.stem for file in answers) == ["challenger", "champion"]
    assert all(len(file.read_text().splitlines()) == 2 for file in answers)


def test_the_gate_s_own_answers_are_never_trained_on(whole, monkeypatch):
    place, _ = whole
    monkeypatch.setenv("TESTING_CREW_HOME", str(place / "home"))
    with TraceStore.open() as store:
        assert {trace.target for trace in store.list_traces(limit=None)} == {f"{pair[0]}.py" for pair in PAIRS}


def test_status_models_and_a_second_round_without_news(whole, monkeypatch):
    place, told = whole
    monkeypatch.setenv("TESTING_CREW_HOME", str(place / "home"))
    monkeypatch.chdir(place)
    status = json.loads(command_line.run("status", "--json").stdout)
    assert (status["model"], status["pairs"], status["waiting"]) == ("embedded", 5, 0)
    assert status["round"]["decision"] == told["decision"]
    assert told["why"] in command_line.run("status").stdout
    listed = json.loads(command_line.run("models", "--json").stdout)["models"]
    (mine,) = [row for row in listed if row["tag"] == "local/mine:v1"]
    assert "stage c on embedded" in mine["note"]
    assert "accepted@3" in mine["note"]
    again = improve()
    assert again.returncode == 2
    assert "nothing new since round 1" in again.stderr


def test_more_tasks_for_the_gate_are_news(whole, tmp_path, monkeypatch):
    """What an undecided round asks for: with them the same pairs make a round."""
    home = shutil.copytree(whole[0], tmp_path / "copy")
    monkeypatch.setenv("TESTING_CREW_HOME", str(home / "home"))
    monkeypatch.chdir(home)
    options = Options(tasks=(str(home / "easy"),), base="embedded", start="none", quantisation="f16", recipe=RECIPE)
    first = Round(home / "home" / "rounds" / "0001", rounds()[0].state)
    manifest = first.state.steps["curate"].output

    def line():
        return Line(options, configuration.load(home), home, lambda event: None)

    first.note(identity="")
    line()._must_be_new(first, manifest)  # as that round itself noted it
    with pytest.raises(UserMistake, match="nothing new since round 1"):
        line()._must_be_new(current(), manifest)
    (home / "easy" / "larger.py").write_text(EASY["larger"])
    line()._must_be_new(current(), manifest)
    assert current().state.number == 2


def test_a_repair_of_what_the_gate_decides_on_is_held_out_also_after_an_edit(place):
    edited = EASY["clamps"].replace("max(low, min(high, value))", "max(low, min(value, high))")
    (place / "many.py").write_text("\n\n".join([edited, EASY["doubles"], EASY["sums"], EASY["joins"]]))
    marks = work.fingerprints(load([place / "many.py"]))
    assert marks.resembles(f"# module: many\n{edited}")
    with TraceStore.open() as store:
        (pair,) = [each for each in curate.candidates(store) if each.code.module == "clamps"]
    own = Candidate(pair.pair, pair.code.model_copy(update={"path": str(place / "many.py")}), pair.project)
    with pytest.raises(NothingLeft, match="held out for the gate"):
        curate.curate([own], None, held_files=frozenset({str(place / "many.py")}))


def test_a_model_of_the_person_s_own_is_not_replaced(whole, tmp_path, monkeypatch):
    """`export --name mine` came first: the round takes the next version."""
    home = shutil.copytree(whole[0], tmp_path / "copy")
    monkeypatch.setenv("TESTING_CREW_HOME", str(home / "home"))
    monkeypatch.chdir(home)
    at = rounds()[0]
    made = json.loads((home / "home" / "models" / "mine" / "v1" / "export.json").read_text())
    at.note(label="")
    options = Options(tasks=(str(home / "easy"),), base="embedded", start="none", quantisation="f16", recipe=RECIPE)
    line = Line(options, configuration.load(home), home, lambda event: None)
    adapter = at.state.steps["train"].output
    found = line._export(at, adapter)
    assert (found["tag"], at.state.label) == ("local/mine:v2", "mine:v2")
    assert json.loads((home / "home" / "models" / "mine" / "v1" / "export.json").read_text()) == made
    again = line._export(at, adapter)  # killed before the step was noted
    assert again == found


def test_killed_on_its_way_it_ends_the_same(whole, place):
    """Killed after curation, in training, after it, after the export and in the gate: the same manifest, adapter and verdict."""
    _, told = whole
    home = place / "home"
    state = home / "rounds" / "0001" / "round.json"
    reached = {
        "curated": lambda: '"curate"' in _text(state),
        "training": lambda: list(home.glob("adapters/*/checkpoints/checkpoint-1/trainer_state.json")),
        "trained": lambda: '"dev_loss"' in _text(state),
        "exported": lambda: '"export"' in _text(state),
        "gate": lambda: list(home.glob("rounds/0001/gate/*/champion.jsonl")),
    }
    words = ["improve", "--tasks", "easy", *SMALL, "--json"]
    for name, there in reached.items():
        with command_line.started(*words) as child:
            deadline = time.monotonic() + 600
            while not there():
                assert time.monotonic() < deadline, name
                assert child.poll() is None, (name, child.ended())
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
            assert child.ended().returncode == -signal.SIGKILL, name
    done = improve()
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["curate"] == told["curate"]
    assert found["train"]["sha256"] == told["train"]["sha256"]
    assert found["export"]["sha256"] == told["export"]["sha256"]
    assert found["gate"] == told["gate"]
    assert found["number"] == 1


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def test_a_better_one_is_promoted_used_and_rolled_back(place, monkeypatch, capsys):
    for name, source in EASY.items():
        (place / "easy" / f"{name}.py").write_text(source)
    useless = place / "useless.json"
    useless.write_text(json.dumps({f"def {source.split('(')[0][4:]}": ["nothing"] * 9 for source in EASY.values()}))
    (place / "testing_crew.toml").write_text('model = "scripted:useless.json"\n')
    assert command_line.run("trust").returncode == 0
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    nobody = improve("--ollama")
    assert nobody.returncode == 2
    assert "Ollama does not answer" in nobody.stderr
    with OllamaStandIn({}) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        done = improve("--ollama")
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert told["decision"] == "promoted"
        assert (told["gate"]["wins"] >= 5, told["gate"]["losses"]) == (True, 0)
        assert told["promote"]["after"] == "mine:v1"
        assert 'model = "mine:v1"' in (place / "testing_crew.toml").read_text()
        tasks = place / "tasks.json"
        tasks.write_text(json.dumps({"tasks": [{"id": "clamps", "code": EASY["clamps"], "file": "clamps.py"}]}))
        assert eval_self_correction.evaluate(None, tasks)["pass_at_3"] in (0.0, 1.0)
        assert "model mine:v1, n = 1, infrastructure errors 0" in capsys.readouterr().err
        there = answer(None)
    # killed between the swap and the end of the round: it ends as it would have
    note = place / "home" / "rounds" / "0001" / "round.json"
    state = json.loads(note.read_text())
    state["steps"].pop("promote")
    note.write_text(json.dumps({**state, "finished_at": None, "decision": ""}))
    with OllamaStandIn({}) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        resumed = json.loads(improve("--ollama").stdout)
    assert (resumed["number"], resumed["decision"], resumed["gate"]) == (1, "promoted", told["gate"])
    assert resumed["promote"] == told["promote"]
    shown = command_line.run("status").stdout
    assert "in use: mine:v1" in shown
    assert "stage c on embedded" in shown
    assert "(round 1)" in shown
    back = command_line.run("rollback")
    assert "scripted:useless.json" in back.stdout
    assert (place / "testing_crew.toml").read_text() == 'model = "scripted:useless.json"\n'
    # and from one that answers: what it said is what it says again, byte for byte
    command_line.run("use", "embedded")
    before = answer(None)
    command_line.run("use", "local/mine:v1")
    assert answer(None) == there
    command_line.run("rollback")
    assert answer(None) == before


def answer(tag):
    """What a crew's own model says under greedy decoding."""
    backend = TestingCrew(tag).backend
    try:
        return backend.complete(prompt.generate(f"# module: halves\n{EASY['halves']}"), Sampling(max_tokens=80)).text
    finally:
        backend.close()


def test_a_challenger_that_tests_nothing_is_turned_away(place):
    """By real runs: files that pass and prove nothing win no task, and their share alone would be enough to refuse it."""
    tasks = load([place / "easy"])
    vacuous = place / "vacuous.json"
    files = {
        name: f"from easy.{name} import {EASY[name].split('(')[0][4:]}\n\n\ndef test_it():\n    assert True\n"
        for name in EASY
    }
    vacuous.write_text(json.dumps({f"# module: easy.{name}": [text] * 3 for name, text in files.items()}))
    told = []
    sides = [
        outcomes(tag, tasks, Config(), place / f"{n}.jsonl", lambda *it: told.append(it))
        for n, tag in enumerate(("embedded", f"scripted:{vacuous}"))
    ]
    verdict = decide(*sides, ("embedded", "vacuous"))
    assert verdict.challenger.worthless.value == 1.0
    assert (verdict.decision, verdict.wins) == ("kept", 0)
    assert "100% of its files cheat or are empty" in verdict.why


def test_a_broken_export_ends_the_round_with_the_champion_kept(whole, tmp_path, monkeypatch, capsys):
    """With the tokenizer under another's name; what was curated and trained before stands."""
    home = shutil.copytree(whole[0], tmp_path / "copy")
    monkeypatch.setenv("TESTING_CREW_HOME", str(home / "home"))
    monkeypatch.chdir(home)
    note = home / "home" / "rounds" / "0001" / "round.json"
    state = json.loads(note.read_text())
    state["steps"] = {name: state["steps"][name] for name in ("collect", "curate", "train")}
    note.write_text(json.dumps({**state, "finished_at": None, "decision": "", "label": ""}))
    monkeypatch.setitem(export.PRE_TOKENIZERS, "embedded", "gpt-2")
    with pytest.raises(SystemExit) as ended:
        main(["improve", "--tasks", "easy", *SMALL, "--json"])
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert told["decision"] == "kept"
    assert "the export is not proven: token ids differ" in told["why"]
    assert told["train"] == whole[1]["train"]
    assert "gate" not in told
    assert not (home / "home" / "models" / "mine" / "v2").exists()


def test_only_one_is_at_work_and_a_dead_one_s_lock_is_no_hindrance(place):
    script = "from self_improve.rounds import lock\nimport sys\nwith lock():\n    print('held', flush=True)\n    sys.stdin.read()\n"
    with children.started([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == "held\n"
        second = improve()
        assert second.returncode == 2
        assert f"another improve is at work in {place / 'home'}: process {holder.pid} on" in second.stderr
        holder.send_signal(signal.SIGKILL)
        holder.wait(60)
    assert (place / "home" / ".improve.lock").exists()
    free = command_line.run("improve", "--tasks", "nowhere", *SMALL)
    assert "no such file or folder" in free.stderr


@pytest.mark.parametrize(
    ("words", "what", "mend"),
    [
        (["--tasks", "nowhere"], "no such file or folder", ""),
        (["--tasks", "easy", "--set", "nonsense=1"], "nonsense", ""),
        (["--tasks", "easy", "--from", "nowhere"], "there is no adapter", ""),
        (["--tasks", "easy", "--fingerprints", "nowhere.json"], "cannot be read", "bench fingerprints"),
        (["--tasks", "easy", "--quantise", "q3"], "no quantisation 'q3'", "q8_0"),
        (["--tasks", "easy", "--name", "a b"], "is not a model tag", "local/NAME:VERSION"),
        ([], "no module of", "--tasks PATH"),
    ],
)
def test_mistakes_are_told(place, words, what, mend):
    if not words:
        for file in (place / "easy").glob("*.py"):
            file.rename(place / "easy" / f"test_{file.name}")
        (place / "zz.py").write_text("def f():\n    return 1\n")
    done = command_line.run("improve", "--base", "embedded", *words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert what in done.stderr
    assert mend in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_pair_it_says_what_makes_some(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.py").write_text(EASY["clamps"])
    done = command_line.run("improve", "--tasks", "one.py", *SMALL)
    assert done.returncode == 2
    assert "there is no pair of a failed and a mended file" in done.stderr
    assert "testing-crew write PATH" in done.stderr


def test_code_to_practise_on_is_found_in_modules_and_tables(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text(EASY["clamps"])
    (tmp_path / "pkg" / "test_a.py").write_text("def test(): ...\n")
    (tmp_path / "rows.jsonl").write_text(
        json.dumps({"question_id": "Leet/7", "solution": EASY["doubles"], "test": "x"}) + "\n"
    )
    found = load([tmp_path / "pkg", tmp_path / "rows.jsonl", tmp_path / "pkg" / "a.py"])
    assert [task.id for task in found] == ["pkg/a.py", "rows.jsonl/Leet_7"]  # named twice, it is one task
    (tmp_path / "b" / "pkg").mkdir(parents=True)
    (tmp_path / "b" / "pkg" / "a.py").write_text(EASY["sums"])
    two = load([tmp_path / "pkg", tmp_path / "b" / "pkg"])
    assert [task.id for task in two] == ["pkg/a.py", "pkg/a.py#2"]
    assert found[1].code == EASY["doubles"]
    assert len(variations(5)) == 5


def test_which_modules_are_held_out_depends_on_their_names_alone(tmp_path):
    project = tmp_path / "shop"
    project.mkdir()
    for number in range(30):
        (project / f"module{number}.py").write_text(EASY["doubles"])
    first = {task.id for task in work.held_out(project, 1 / 3)}
    assert 4 <= len(first) <= 16
    (project / "another.py").write_text(EASY["sums"])
    (project / "module3.py").write_text(EASY["joins"])
    assert {task.id for task in work.held_out(project, 1 / 3)} - {"shop/another.py"} == first
