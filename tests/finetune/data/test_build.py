"""A data set is the same for the same inputs, loses what it says it loses, and never trains on what dev holds."""

import json
import socket

import pytest

from finetune.data.build import DataRecipe, build
from finetune.data.rows import module_of
from testing_crew import prompt
from testing_crew.errors import UserMistake
from trace_logger.curation.fingerprints import Fingerprints

from .conftest import kodcode, many


def step(data, name):
    return next(s for s in data.manifest["filters"] if s["filter"].startswith(name))


def test_the_same_inputs_give_the_same_bytes_and_are_built_once(tokenizer, jsonl, tmp_path):
    file = jsonl(many(12))
    recipe = DataRecipe(sources=(f"kodcode:{file}", "synthetic:10"), rows=8, dev_share=0.2, seed=3)
    first = build(recipe, tokenizer, tmp_path / "a")
    other = build(recipe, tokenizer, tmp_path / "b")
    names = ("train.jsonl", "dev.jsonl", "manifest.json")
    assert [(first.folder / n).read_bytes() for n in names] == [(other.folder / n).read_bytes() for n in names]
    stamp = (first.folder / "train.jsonl").stat().st_mtime_ns
    assert build(recipe, tokenizer, tmp_path / "a").train == first.train
    assert (first.folder / "train.jsonl").stat().st_mtime_ns == stamp
    file.write_text(file.read_text() + "\n" + json.dumps(kodcode("another")) + "\n")
    assert build(recipe, tokenizer, tmp_path / "a").folder != first.folder
    assert sorted(p.name for p in (tmp_path / "a" / "datasets").iterdir()) == sorted(
        {first.folder.name, build(recipe, tokenizer, tmp_path / "a").folder.name}
    )


def test_a_subset_is_the_seeds_and_grows_with_its_number(built, jsonl):
    file = f"kodcode:{jsonl(many(12))}"
    four, six, other = (built(file, rows=n, seed=s).train for n, s in ((4, 0), (6, 0), (4, 1)))
    assert [r.id for r in four] == [r.id for r in six][:4]
    assert {r.id for r in four} != {r.id for r in other}


def test_the_same_solution_and_near_ones_are_taken_once(built, jsonl):
    long = "\n".join(f"    a = a * {k} + b - {k * k}" for k in range(40)) + "\n    return a"
    near = long.replace("a * 7 ", "a * 8 ")
    rows = [
        kodcode("f", long),
        kodcode("f", f'    """Said otherwise."""\n{long}  # and so', question_id="again"),
        kodcode("f", near, question_id="near"),
        kodcode("g", "    return 1"),
    ]
    file = f"kodcode:{jsonl(rows)}"
    data = built(file, near_duplicates=0.85)
    assert sorted(r.id for r in data.train) == ["kodcode/Algorithm_f_C", "kodcode/Algorithm_g_C"]
    assert (step(data, "same code")["before"], step(data, "same code")["after"]) == (4, 3)
    assert (step(data, "near")["before"], step(data, "near")["after"]) == (3, 2)
    assert len(built(file).train) == 3


def test_several_answers_to_one_question_where_the_recipe_says_so(built, jsonl):
    code = "# module: moves\n\ndef move(place):\n    return place + 2\n"
    asked = {"source": "own", "kind": "generate", "group": "1", "prompt": prompt.generate(code)}
    texts = [f"import moves\n\n\ndef test_move():\n    assert moves.move({n}) == {n + 2}\n" for n in (1, 1, 2, 3)]
    file = f"rows:{jsonl([{**asked, 'id': str(number), 'completion': text} for number, text in enumerate(texts)])}"
    for answers, kept in ((1, ["0"]), (2, ["0", "2"]), (9, ["0", "2", "3"])):
        data = built(file, answers=answers, near_duplicates=1.0, dev_share=0)
        assert sorted(row.id for row in data.train) == kept


def test_rows_that_are_too_long_are_counted_and_dropped(built, jsonl, tokenizer):
    data = built(f"kodcode:{jsonl(many(12))}", max_tokens=200)
    gone = step(data, "longer than 200")
    assert gone["after"] == len(data.train) < gone["before"] == 12
    assert all(len(tokenizer(r.prompt + r.completion)["input_ids"]) < 205 for r in data.train)
    assert data.manifest["train"]["longest"] <= 200


def test_no_group_is_on_both_sides_and_the_side_does_not_depend_on_other_rows(built, jsonl):
    rows = many(40)
    data = built(f"kodcode:{jsonl(rows)}", dev_share=0.3)
    assert data.dev
    assert data.train
    assert not {r.group for r in data.train} & {r.group for r in data.dev}
    half = built(f"kodcode:{jsonl(rows[::2], 'half.jsonl')}", dev_share=0.3)
    assert {r.id for r in half.dev} <= {r.id for r in data.dev}
    assert {r.id for r in half.train} <= {r.id for r in data.train}
    capped = built(f"kodcode:{jsonl(rows)}", dev_share=0.3, dev_rows=2)
    assert len(capped.dev) == 2
    assert capped.train == data.train


def test_only_what_passes_when_run_again_is_kept(built, jsonl):
    wrong = kodcode("wrong", tests="from solution import wrong\n\n\ndef test_wrong():\n    assert wrong(1, 1) == 3\n")
    data = built(f"kodcode:{jsonl([kodcode('right'), wrong])}", verify=True)
    assert [r.id for r in data.train] == ["kodcode/Algorithm_right_C"]
    assert step(data, "do not pass")["before"] == 2


def test_what_resembles_a_benchmarks_task_is_dropped_and_named(built, jsonl, tmp_path):
    rows = many(3)
    Fingerprints.of([("bench/one", rows[1]["solution"])]).save(tmp_path / "marks.json")
    data = built(f"kodcode:{jsonl(rows)}", fingerprints=str(tmp_path / "marks.json"))
    assert sorted(r.id for r in data.train) == ["kodcode/Algorithm_step_0_C", "kodcode/Algorithm_step_2_C"]
    assert step(data, "like a benchmark")["tasks"] == {"bench/one": 1}


def test_older_rows_are_mixed_in_by_their_share_and_never_from_dev(built, jsonl):
    older = f"kodcode:{jsonl(many(40), 'older.jsonl')}"
    held = {r.id for r in built(older, dev_share=0.3).dev}
    data = built(
        f"kodcode:{jsonl([kodcode(f'new{n}', f'    return {n}') for n in range(8)])}",
        replay=(older,),
        replay_share=0.5,
        dev_share=0.3,
    )
    mixed = [r for r in data.train if "step" in r.id]
    assert len(mixed) == len(data.train) - len(mixed) > 0
    assert not {r.id for r in mixed} & held
    assert not any("step" in r.id for r in data.dev)


def test_rows_of_an_own_file_and_pairs_from_traces(built, jsonl, tmp_path):
    code = "# module: shop\ndef add(a, b):\n    return a + b\n"
    failed = "from shop import add\n\n\ndef test_add():\n    assert add(1, 2) == 4\n"
    pair = {
        "code": code,
        "failed_test": failed,
        "failure_log": "test_add(): got 3, expected 4",
        "fixed_test": failed.replace("== 4", "== 3"),
    }
    more = [{**pair, "failed_test": failed.replace("== 4", f"== {n}")} for n in range(5, 12)]
    data = built(f"traces:{jsonl([pair, *more])}", verify=True)
    assert data.manifest["inputs"][0]["dropped"] == {"beyond the cap for one unit": 4}
    first = next(r for r in data.train if r.id.endswith("/0"))
    assert first.kind == "repair"
    assert first.prompt == prompt.repair(code, failed, pair["failure_log"])
    assert first.completion == pair["fixed_test"]
    assert module_of(first) == ("shop", "def add(a, b):\n    return a + b\n")
    again = built(f"rows:{data.folder / 'train.jsonl'}")
    assert sorted(again.train, key=lambda r: r.id) == sorted(data.train, key=lambda r: r.id)


def bad(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    return str(tmp_path / name)


ROW = json.dumps(kodcode("add")).encode()


@pytest.mark.parametrize(
    ("source", "content", "said"),
    [
        (
            "kodcode",
            b'{"solution": "x", "tests": "y"}',
            ["'tests'", "looked for test, test_code", "there are solution, tests"],
        ),
        ("testgeneval", ROW, ["no column for 'id'", "question_id"]),
        ("kodcode", b"", ["is empty"]),
        ("kodcode", b"[]", ["is empty"]),
        ("kodcode", b"not, json\n1, 2\n", ["neither JSON, JSONL nor Parquet", "line 1"]),
        ("kodcode", b"PAR1 and no more", ["neither JSON, JSONL nor Parquet"]),
        ("kodcode", b"\x1f\x8b broken", ["neither JSON, JSONL nor Parquet"]),
        ("kodcode", b"\xff\xfe\x00", ["neither JSON, JSONL nor Parquet"]),
        ("kodcode", b"[1, 2]", ["records are no objects"]),
        ("kodcode", ROW.replace(b'"True"', b'"False"'), ["no row is left of 1", "r1_correctness False took 1"]),
        ("rows", b'{"id": "a"}', ["line 1 is no row", "source"]),
        ("traces", b"", ["no pair"]),
    ],
)
def test_bad_input_is_told_in_one_line(built, tmp_path, source, content, said):
    place = bad(tmp_path, "input.jsonl", content)
    with pytest.raises(UserMistake) as error:
        built(f"{source}:{place}")
    assert "\n" not in error.value.message
    assert error.value.hint or "empty" in error.value.message
    assert all(each in error.value.message for each in said), error.value.message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nothing:x", "there is no source 'nothing': there are kodcode"),
        ("kodcode:/nowhere/x.json", "there is no /nowhere/x.json"),
        ("synthetic:many", "no number of rows"),
        ("traces", "there is no"),
    ],
)
def test_a_source_that_is_not_there_is_told(built, source, said):
    with pytest.raises(UserMistake, match=said):
        built(source)


def test_all_rows_too_long_names_the_filter_and_the_longest(built, jsonl):
    with pytest.raises(UserMistake) as error:
        built(f"kodcode:{jsonl(many(3))}", max_tokens=20)
    assert "longer than 20 tokens took 3" in error.value.message
    assert "raise max_tokens" in error.value.hint


def test_a_name_on_the_hub_without_a_network_says_how_to_give_a_file(built, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(UserMistake) as error:
        built("kodcode:somebody/a-set-that-is-not-there")
    assert "`datasets` could not fetch it" in error.value.message
    assert "kodcode:PATH" in error.value.hint
