"""The folders that Ianvs runs: that each is whole, by the contract of Ianvs, and how they are written with rows of anyone's."""

import ast
import json
from pathlib import Path

import pytest
import yaml
from sedna_standin import ClassFactory, ClassType, Data, install, load_module
from typer.testing import CliRunner

from benchmarks.ianvs.model import TaggedModel
from benchmarks.ianvs.write import BENCH, convert, data_files, write_folder
from benchmarks.smart_coding.rows import TASKS, load, rows_of
from self_improve.cli.bench import app
from self_improve.cli.benching.ianvs import write_folders
from testing_crew.errors import UserMistake

CALLS = ("preprocess", "train", "save", "load", "predict", "evaluate")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return install(monkeypatch)


def parsed(folder, name):
    return yaml.safe_load((folder / name).read_text(encoding="utf-8"))


def configured(folder):
    """What the three files of a folder say, found as Ianvs finds them: from the folder itself."""
    job = parsed(folder, "benchmarkingjob.yaml")["benchmarkingjob"]
    (algorithm,) = job["test_object"]["algorithms"]
    return job, parsed(folder, job["testenv"])["testenv"], parsed(folder, algorithm["url"])["algorithm"]


@pytest.mark.parametrize("task", TASKS)
def test_every_name_in_a_folders_files_is_there_and_is_registered(task, monkeypatch):
    job, testenv, algorithm = configured(BENCH / task)
    monkeypatch.chdir(BENCH / task)
    assert Path(job["testenv"]).is_file()
    assert algorithm["paradigm_type"] == "singletasklearning"
    assert algorithm["initial_model_url"] == ""
    (module,) = algorithm["modules"]
    assert module["type"] == "basemodel"
    made = load_module(module["url"], monkeypatch)
    assert list(made) == [module["name"]]
    base = ClassFactory.get_cls(ClassType.GENERAL, module["name"])
    assert issubclass(base, TaggedModel)
    assert base.task == task
    assert all(callable(getattr(base, name)) for name in CALLS)
    names = [metric["name"] for metric in testenv["metrics"]]
    assert len(set(names)) == len(names)
    registered = {}
    for url in {metric["url"] for metric in testenv["metrics"]}:
        registered |= load_module(url, monkeypatch)
    selected = job["rank"]["selected_dataitem"]["metrics"]
    assert set(names) == set(registered) == set(selected)
    assert {name for each in job["rank"]["sort_by"] for name in each} <= set(names)
    assert {order for each in job["rank"]["sort_by"] for order in each.values()} == {"descend"}
    assert all(function.__doc__ for function in registered.values())


@pytest.mark.parametrize("task", TASKS)
def test_the_hyperparameters_are_arguments_of_the_model_each_with_values(task):
    _, _, algorithm = configured(BENCH / task)
    given = {name: said["values"] for each in algorithm["modules"][0]["hyperparameters"] for name, said in each.items()}
    assert set(given) == {"model", "judge", "repeats", "paraphrases"}
    assert all(isinstance(values, list) and values for values in given.values())
    TaggedModel(**{name: values[0] for name, values in given.items()})


def test_no_two_folders_have_a_python_file_of_the_same_name_that_ianvs_loads():
    urls = []
    for task in TASKS:
        _, testenv, algorithm = configured(BENCH / task)
        urls += {metric["url"] for metric in testenv["metrics"]} | {algorithm["modules"][0]["url"]}
    stems = [Path(url).stem for url in urls]
    assert len(set(stems)) == len(stems) == 6


@pytest.mark.parametrize("task", TASKS)
def test_a_folder_is_written_whole_with_the_data_that_it_names(task, tmp_path):
    out = tmp_path / "deep" / task
    assert write_folder(task, out) == len(load(task))
    _, testenv, _ = configured(out)
    data = testenv["dataset"]
    assert set(data) == {"train_data", "test_data_info"}
    assert all((out / url).is_file() for url in data.values())
    assert Path(data["test_data_info"]).name == "metadata.json"
    assert not [path for path in out.rglob("*") if path.name in ("__pycache__", "workspace")]
    assert rows_of(task, out / "data" / "rows.jsonl") == rows_of(task)
    for file in out.rglob("*.py"):
        ast.parse(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("task", TASKS)
def test_the_data_has_exactly_the_keys_that_are_read(task, tmp_path):
    write_folder(task, tmp_path / "out", limit=3)
    questions = load(task, Path("out/data/rows.jsonl"))
    info, pairs = Data("out/data/test_data/metadata.json"), Data("out/data/pairs/test_data.jsonl")
    assert list(info.x) == list(pairs.x) == [each.prompt for each in questions]
    assert list(info.y) == list(pairs.y)
    assert [text.strip() for text in info.y] == [each.row.reference.strip() for each in questions]
    assert info.about[2:] == ["single-modal", "text"]
    assert {each.id for each in questions} < {row.id for row in rows_of(task)}
    assert len(questions) == 3
    assert set(info.level_4) == {each.group for each in questions}
    assert len(Data("out/data/train_data/data.jsonl").x) == 1
    rows = [
        json.loads(line) for line in Path("out/data/test_data/data.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    ]
    assert {tuple(row) for row in rows} == {
        ("query", "response", "level_1_dim", "level_2_dim", "level_3_dim", "level_4_dim")
    }
    metadata = json.loads(Path("out/data/test_data/metadata.json").read_text(encoding="utf-8"))
    assert all(isinstance(value, str) and value for value in metadata.values())
    for text in data_files(task, questions).values():
        assert "\u2028" not in text
        assert text.endswith("\n")


def test_pairs_models_and_a_judge_of_ones_own_stand_in_the_configuration(tmp_path):
    models = ["embedded", "openai/some-model", 'gguf:odd"\\: - {name} # é.gguf', "scripted:a b.json"]
    out = tmp_path / "out"
    write_folder("issue", out, models=models, judge="qwen2.5-coder:7b", repeats=3, paraphrases=0, limit=1, pairs=True)
    _, testenv, algorithm = configured(out)
    assert testenv["dataset"]["test_data"] == "./data/pairs/test_data.jsonl"
    assert "test_data_info" not in testenv["dataset"]
    given = {name: said["values"] for each in algorithm["modules"][0]["hyperparameters"] for name, said in each.items()}
    assert given == {"model": models, "judge": ["qwen2.5-coder:7b"], "repeats": [3], "paraphrases": [0]}
    write_folder("issue", out, models=["one"], force=True)
    _, testenv, algorithm = configured(out)
    assert algorithm["modules"][0]["hyperparameters"][0]["model"]["values"] == ["one"]
    assert "test_data" not in testenv["dataset"]


def test_rows_of_ones_own_are_asked(tmp_path):
    rows = [{"question": f"Why {n}?", "body": None, "answer_1": {"body": f"Because\u2028{n}."}} for n in range(4)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    assert write_folder("issue", tmp_path / "out", rows=tmp_path / "rows.json", limit=3) == 3
    made = Data("out/data/test_data/metadata.json")
    assert list(made.y) == [f"Because\u2028{n}." for n in range(3)]
    assert [row.id for row in rows_of("issue", Path("out/data/rows.jsonl"))] == ["1", "2", "3"]
    with pytest.raises(UserMistake, match="row 1, is no row for comment"):
        write_folder("comment", tmp_path / "none", rows=tmp_path / "rows.json")
    assert not (tmp_path / "none").exists()


def test_a_folder_with_something_in_it_and_a_file_are_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(UserMistake, match="has something in it already"):
        write_folder("comment", tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    with pytest.raises(UserMistake, match="is a file"):
        write_folder("comment", tmp_path / "full" / "mine.txt", force=True)
    write_folder("comment", tmp_path / "full", limit=1, force=True)
    assert (tmp_path / "full" / "mine.txt").read_text() == "x"
    (tmp_path / "empty").mkdir()
    assert write_folder("comment", tmp_path / "empty", limit=1) == 1


def test_the_command_writes_one_folder_or_all_three_and_says_how_each_is_run(tmp_path, capsys):
    done = CliRunner().invoke(app, ["ianvs", "--out", "all", "--limit", "2", "--model", "a", "--model", "b"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in Path("all").iterdir()) == sorted(TASKS)
    _, _, algorithm = configured(Path("all/comment"))
    assert algorithm["modules"][0]["hyperparameters"][0]["model"]["values"] == ["a", "b"]
    write_folders(Path("one"), "testgen", None, ["embedded"], "", 1, 1, 2, False, False)
    assert "cd one && ianvs -f benchmarkingjob.yaml" in capsys.readouterr().out
    for task, rows, said in (("poem", None, "no task 'poem'"), (None, Path("x.jsonl"), "rows of one task")):
        with pytest.raises(UserMistake, match=said):
            write_folders(Path("two"), task, rows, ["embedded"], "", 1, 1, None, False, False)


OLD = """# train_url: is what this was
testenv:
  dataset:
    # test_url once
    train_url: "./data/train.txt"  # test_url: no
    test_url : './data/test_url.txt'
    other_train_url: keep
  metrics:
    - name: "acc"
      url: "./acc.py"
"""


def test_an_older_configuration_is_made_new_and_all_else_stays(tmp_path):
    file = tmp_path / "testenv.yaml"
    file.write_text(OLD)
    assert convert(file, tmp_path / "new.yaml") == 2
    assert file.read_text() == OLD
    assert not file.with_name("testenv.yaml.bak").exists()
    made = (tmp_path / "new.yaml").read_text()
    assert made == OLD.replace('    train_url: "', '    train_index: "').replace("    test_url : ", "    test_index : ")
    assert set(yaml.safe_load(made)["testenv"]["dataset"]) == {"train_index", "test_index", "other_train_url"}
    assert convert(file) == 2
    assert file.read_text() == made
    assert file.with_name("testenv.yaml.bak").read_text() == OLD
    with pytest.raises(UserMistake, match="no key train_url or test_url"):
        convert(file)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("train_url: a.txt\n", "train_index: a.txt\n"),
        ('"train_url": "a"\n\'test_url\': b', '"train_index": "a"\n\'test_index\': b'),
        ("d:\r\n  test_url: é\r\n", "d:\r\n  test_index: é\r\n"),
        ("- train_url: a\n  test_url: b\n", "- train_index: a\n  test_index: b\n"),
        ("\n\n\n  test_url:\n", "\n\n\n  test_index:\n"),
    ],
)
def test_keys_are_found_quoted_or_not_alone_or_in_a_list_whatever_ends_a_line(text, made, tmp_path):
    file = tmp_path / "testenv.yaml"
    file.write_bytes(text.encode())
    assert convert(file) == text.count("_url")
    assert file.read_bytes().decode() == made
    assert file.with_name("testenv.yaml.bak").read_bytes().decode() == text


def test_a_configuration_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(UserMistake, match="cannot be read"):
        convert(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"train_url: \xff")
    with pytest.raises(UserMistake, match="cannot be read"):
        convert(tmp_path / "bytes.yaml")
    (tmp_path / "old.yaml").write_text(OLD)
    done = CliRunner().invoke(app, ["ianvs-convert", "old.yaml", "--out", "new.yaml"])
    assert (done.exit_code, done.output.strip()) == (0, "new.yaml: 2 keys")
