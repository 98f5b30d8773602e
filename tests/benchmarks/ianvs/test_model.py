"""What Ianvs calls, in its own order: the model asked through its tag, and metrics that give a number whatever they are given."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from sedna_standin import ClassFactory, ClassType, Data, install, load_module

from benchmarks.ianvs.model import ANSWERS, item_of, score
from benchmarks.ianvs.write import write_folder
from benchmarks.judging.verdicts import Verdict, Verdicts, read_items
from benchmarks.smart_coding.ask import Prediction
from benchmarks.smart_coding.figures import FIGURES
from benchmarks.smart_coding.rows import TASKS, load, rows_of
from testing_crew.errors import GenerationFailed, UnknownModel

RIGHT, WRONG = "right", "wrong"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return install(monkeypatch)


@pytest.fixture
def scripted(tmp_path):
    def make(texts, name="model"):
        (tmp_path / f"{name}.json").write_text(json.dumps(texts))
        return f"scripted:{tmp_path / name}.json"

    return make


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A written folder, entered, with what Ianvs makes of it: its model, given a test case's values, its data and its metrics."""

    def enter(task, model, **more):
        rows = tmp_path / f"{task}.jsonl"
        rows.write_text("".join(row.model_dump_json() + "\n" for row in rows_of(task)[:4]), encoding="utf-8")
        write_folder(task, tmp_path / task, rows=rows, models=[model], force=True, **more)
        monkeypatch.chdir(tmp_path / task)
        testenv = yaml.safe_load(Path("testenv/testenv.yaml").read_text(encoding="utf-8"))["testenv"]
        algorithm = yaml.safe_load(Path(f"testalgorithms/gen/{task}_algorithm.yaml").read_text(encoding="utf-8"))
        (module,) = algorithm["algorithm"]["modules"]
        values = {name: said["values"][0] for each in module["hyperparameters"] for name, said in each.items()}
        load_module(module["url"], monkeypatch)
        made = ClassFactory.get_cls(ClassType.GENERAL, module["name"])(**values)
        metrics = {}
        for each in testenv["metrics"]:
            load_module(each["url"], monkeypatch)
            metrics[each["name"]] = ClassFactory.get_cls(ClassType.GENERAL, each["name"])
        dataset = testenv["dataset"]
        return made, Data(dataset["train_data"]), Data(dataset.get("test_data_info") or dataset["test_data"]), metrics

    return enter


def run(job, train, test):
    """The one-task paradigm's order of calls; it hands over the data set where that has more than questions, else these."""
    if job.preprocess() is not None:
        job.preprocess()
    job.train(train)
    trained = job.save("output/train/")
    job.load("" if trained is None else trained)
    return job.predict(test if hasattr(test, "need_other_info") else test.x)


def answers(task, repeats=2, wrong=()):
    """A perfect model's script for the first four rows: each answer, again for its repeats, and which lines are run."""
    said = []
    for number, row in enumerate(rows_of(task)[:4]):
        said += ["no idea" if number in wrong else row.reference] * (1 + repeats)
        said += [", ".join(map(str, row.lines))] if getattr(row, "lines", ()) else []
    return said


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_a_whole_pass_gives_a_number_for_every_metric(task, pairs, folder, scripted):
    job, train, test, metrics = folder(task, scripted(answers(task)), pairs=pairs)
    predicted = run(job, train, test)
    assert len(predicted) == len(test.y) == 4
    assert [Prediction.model_validate_json(text).row.id for text in predicted] == [row.id for row in rows_of(task)[:4]]
    handed = np.array(predicted) if pairs else predicted
    found = {name: metric(test.y, handed) for name, metric in metrics.items()}
    assert all(type(value) is float for value in found.values())
    unknown = {name for name, value in found.items() if math.isnan(value)}
    assert unknown == ({"accuracy", "judge_estimate"} if task == "issue" else set())
    assert {found[name] for name in found.keys() - unknown} == {1.0}


GARBAGE = {
    "nothing": (None, None),
    "numbers": (3, 4.5),
    "bytes": (b"abc", b"abc"),
    "empty arrays": (np.array([]), np.array([])),
    "empty lists": ([], []),
    "nothing in arrays": (np.array([None, None]), [None, None]),
    "more answers": (np.array(["a"]), ["a", "b", "c"]),
    "more references": (np.array(["a", "b", "c"]), ["a"]),
    "a text": ("abc", "abc"),
    "nested": ([["a"]], [[{"a": 1}]]),
    "half characters": (np.array(["a\ud800"]), ["a\udfff"]),
    "NUL": (np.array(["a\0b"]), ["\0"]),
    "a broken prediction": (np.array(["a"]), ['{"question": "x", "answer": "y", "row": {"question": ""}}']),
    "a row without its id": (np.array(["a"]), ['{"question": "x", "answer": "y", "row": {"question": "q"}}']),
    "nothing that can be read": (object(), object()),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_a_metric_is_a_number_whatever_it_is_given(what, folder, scripted):
    for task in TASKS:
        *_, metrics = folder(task, "embedded")
        for name, metric in metrics.items():
            value = metric(*GARBAGE[what])
            assert type(value) is float, (task, name)
            assert math.isnan(value) or 0.0 <= value <= 1.0


def test_every_metric_of_a_folder_is_a_figure_of_its_task(folder):
    for task in TASKS:
        *_, metrics = folder(task, "embedded")
        assert metrics.keys() - FIGURES[task].keys() == ({"accuracy", "judge_estimate"} if task == "issue" else set())
    assert math.isnan(score("comment", "no such figure", ["a"], ["a"]))


def test_plain_answers_of_another_base_model_are_scored_by_the_folders_rows(folder):
    for task in ("comment", "issue"):
        *_, test, metrics = folder(task, "embedded")
        found = {name: metric(test.y, list(test.y)) for name, metric in metrics.items()}
        assert {value for value in found.values() if not math.isnan(value)} == {1.0}
        assert "function" not in found or found["function"] == 1.0
        assert {metric(test.y, [""] * 4) for metric in metrics.values()} - {0.0} != {1.0}


def test_a_job_that_was_stopped_goes_on(folder, scripted):
    said = answers("comment")
    job, train, test, _ = folder("comment", scripted(said[:7]))
    with pytest.raises(GenerationFailed):
        run(job, train, test)
    (kept,) = ANSWERS.glob(".comment-*.jsonl")
    assert len(kept.read_text().splitlines()) == 2
    journal = kept.read_text()
    again, train, test, metrics = folder("comment", scripted(said))
    kept.write_text(journal)
    predicted = run(again, train, test)
    assert metrics["format"](test.y, predicted) == 1.0
    assert run(again, train, test) == predicted  # nothing is asked: the script would have no answer
    assert again.predict(test.x) == predicted
    assert again.predict(list(test.x[:1])) == predicted[:1]


def test_a_tag_that_names_nothing_is_told_before_anything_is_asked(folder):
    job, train, test, _ = folder("comment", "scripted:none.json")
    with pytest.raises(UnknownModel):
        run(job, train, test)
    job, *_ = folder("comment", "embedded")
    with pytest.raises(UnknownModel):
        job.load("missing.gguf")
    job.load("not a model.txt")  # what Ianvs goes on with is not one of ours: the tag is opened


def test_a_paradigm_that_asks_the_model_itself_gets_every_figure(folder, scripted):
    job, _, test, _ = folder("comment", scripted(answers("comment")))
    assert set(job.evaluate(test).values()) == {1.0}


def judged_files():
    return [path for path in ANSWERS.glob("*.jsonl") if not path.name.startswith(".")]


def judge(file, said):
    """Verdicts of people on the answers of a file: by judge, in the order of the answers, None for none."""
    items, verdicts = read_items(file), Verdicts.beside(file)
    for name, given in said.items():
        for item, verdict in zip(items, given, strict=False):
            if verdict:
                verdicts.add(Verdict(item=item.digest, judge=name, verdict=verdict))


def test_the_accuracy_of_issues_is_what_people_judged(folder, scripted):
    job, train, test, metrics = folder("issue", scripted(answers("issue", wrong=(1,))))
    predicted = run(job, train, test)
    (file,) = judged_files()
    items = read_items(file)
    assert [item.id for item in items] == [row.id for row in rows_of("issue")[:4]]
    assert items[0].references == rows_of("issue")[0].answers
    accuracy = metrics["accuracy"]
    assert math.isnan(accuracy(test.y, predicted))
    judge(file, {"one": [RIGHT, WRONG, RIGHT, RIGHT]})
    assert math.isnan(accuracy(test.y, predicted))
    judge(file, {"two": [RIGHT, WRONG, WRONG, None]})
    assert accuracy(test.y, predicted) == 0.5  # of the two that both say the same of
    judge(file, {"three": [None, None, RIGHT, RIGHT]})
    assert accuracy(test.y, predicted) == 0.75
    assert accuracy(test.y[:2], predicted[1:2]) == 0.0
    assert math.isnan(metrics["judge_estimate"](test.y, predicted))
    # Another model's file, in which the same answers were judged by the same people: they count once.
    other = file.with_name("other.jsonl")
    other.write_text(file.read_text())
    judge(other, {"One": [RIGHT, WRONG, None, None], "two": [RIGHT, WRONG, None, None]})
    assert accuracy(test.y, predicted) == 0.75
    file.with_suffix(".verdicts.jsonl").write_text("broken\n{}\n")
    assert type(accuracy(test.y, predicted)) is float


def test_judges_whose_verdicts_lie_in_two_files_are_two_judges(folder, scripted):
    job, train, test, metrics = folder("issue", scripted(answers("issue")))
    predicted = run(job, train, test)
    items = [item_of(Prediction.model_validate_json(text)) for text in predicted]
    for name, said in (("one", RIGHT), ("two", RIGHT)):
        file = ANSWERS / f"{name}.jsonl"
        file.write_text("".join(item.model_dump_json() + "\n" for item in items))
        judge(file, {name: [said] * 4})
    assert metrics["accuracy"](test.y, predicted) == 1.0


def test_a_judge_models_word_is_corrected_by_peoples(folder, scripted):
    judging = scripted(["verdict: right", "verdict: wrong", "verdict: right", "verdict: right"], "judge")
    job, train, test, metrics = folder("issue", scripted(answers("issue", wrong=(1,))), judge=judging)
    predicted = run(job, train, test)
    assert [Prediction.model_validate_json(text).judgement.right for text in predicted] == [True, False, True, True]
    estimate = metrics["judge_estimate"]
    assert math.isnan(estimate(test.y, predicted))
    (file,) = judged_files()
    judge(file, {"one": [RIGHT, WRONG, WRONG, RIGHT], "two": [RIGHT, WRONG, WRONG, RIGHT]})
    # q = 3/4, sensitivity 1, specificity 1/2: (3/4 + 1/2 - 1) / (1 + 1/2 - 1)
    assert estimate(test.y, predicted) == 0.5
    assert metrics["accuracy"](test.y, predicted) == 0.5


def test_a_judge_grades_comments(folder, scripted):
    graded = scripted(["logic: 5/10\naccuracy: 8/10"] * 4, "judge")
    job, train, test, metrics = folder("comment", scripted(answers("comment")), judge=graded)
    predicted = run(job, train, test)
    assert (metrics["logic"](test.y, predicted), metrics["accuracy"](test.y, predicted)) == (0.5, 0.8)
    assert metrics["function"](test.y, predicted) == pytest.approx(3 / (1 / 0.5 + 1 / 0.8 + 1), abs=1e-4)


def test_answers_of_two_models_lie_in_two_files_and_names_can_be_read(folder, scripted):
    names = []
    for name in ("one", "two"):
        job, train, test, _ = folder("issue", scripted(answers("issue"), name))
        run(job, train, test)
        names = [path.name for path in judged_files()]
    assert len(names) == 2
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._") for name in names)
    assert len(load("issue", Path("data/rows.jsonl"))) == 4
