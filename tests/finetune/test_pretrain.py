"""Pretraining on a few examples: it learns, it can be stopped and taken up, and bad recipes are refused."""

import json
import multiprocessing
import os
import threading
import time

import children
import pytest
import torch
from pydantic import ValidationError

from finetune import pretrain
from finetune.data.packed import PretrainConfig, Rows, _marks, clear_of, make_examples, prepare, read_config
from testing_crew import prompt
from testing_crew.errors import UserMistake
from testing_crew.project.code import parts
from trace_logger.curation.fingerprints import Fingerprints

SMALL = PretrainConfig(
    vocab_size=600,
    hidden_size=32,
    layers=1,
    heads=2,
    intermediate_size=64,
    warm_examples=20,
    examples=60,
    dev_examples=20,
    batch_tokens=4096,
    checkpoint_every=4,
    warmup_steps=2,
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    out = tmp_path_factory.mktemp("pretrain")
    prepare(SMALL, out)
    return out


def copy_of(prepared, tmp_path):
    import shutil

    shutil.copytree(prepared, tmp_path / "run")
    return tmp_path / "run"


def test_loss_weights_are_on_the_answer(prepared):
    rows = Rows(prepared / "data" / "train.npz", SMALL)
    ids, weights = rows.batch(rows.plan(0)[0])
    assert ids.shape == weights.shape
    allowed = {0.0, SMALL.prompt_weight, SMALL.unchanged_weight, 1.0}
    assert {round(w, 4) for w in weights.unique().tolist()} <= allowed
    _, answers = rows.batch(rows.plan(0)[0], answers_only=True)
    assert ((answers > 0) == (weights > SMALL.prompt_weight + 1e-6)).all()


def test_of_a_repair_the_lines_that_change_weigh_most():
    failed = 'import pytest\n\n\n@pytest.mark.parametrize("x, expected", [\n    (1, 2),\n    (2, 9),\n])\n'
    asked = prompt.repair("# module: m\n# unit: f\ndef f(x): ...", failed, "test_f(2, 9): got 4, expected 9")
    mended = failed.replace("(2, 9)", "(2, 4)")
    places = [(i, i + 1) for i in range(len(mended))]  # a token for each character
    changed = "".join(c for c, mark in zip(mended, _marks(asked, mended, places), strict=True) if mark == 2)
    assert changed == "    (2, 4),\n"


def test_a_first_file_weighs_the_same_all_over():
    asked = prompt.generate("# module: m\n# unit: f\ndef f(x): ...")
    assert set(_marks(asked, "import pytest\n", [(0, 6), (6, 14)])) == {2}


def test_every_row_is_in_one_epoch_once(prepared):
    rows = Rows(prepared / "data" / "train.npz", SMALL)
    assert sorted(int(r) for batch in rows.plan(3) for r in batch) == list(range(len(rows.lengths)))


def test_stopped_and_taken_up_it_ends_as_if_it_had_not_been(prepared, tmp_path, monkeypatch):
    whole = copy_of(prepared, tmp_path / "a")
    pretrain.train(SMALL, whole)
    broken = copy_of(prepared, tmp_path / "b")
    real, calls = pretrain._loss, []

    def stop_in_the_middle(*args):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(pretrain, "_loss", stop_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        pretrain.train(SMALL, broken)
    pretrain.train(SMALL, broken)
    weights = [torch.load(run / "checkpoint.pt")["model"] for run in (whole, broken)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-6) for name in weights[0])
    logs = [[json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] for run in (whole, broken)]
    assert logs[0][-1]["dev"] == pytest.approx(logs[1][-1]["dev"], abs=1e-3)


def test_a_loss_that_is_no_number_stops_it_and_keeps_the_checkpoint(prepared, tmp_path, monkeypatch):
    run = copy_of(prepared, tmp_path)
    real, calls = pretrain._loss, []

    def poisoned(*args):
        calls.append(1)
        return real(*args) * (float("nan") if len(calls) == 6 else 1.0)

    monkeypatch.setattr(pretrain, "_loss", poisoned)
    with pytest.raises(FloatingPointError, match="step 5"):
        pretrain.train(SMALL, run)
    assert torch.load(run / "checkpoint.pt")["step"] == 4


def test_a_recipe_with_a_misspelt_key_is_refused(tmp_path):
    file = tmp_path / "x.toml"
    file.write_text("layrs = 3\n")
    with pytest.raises(ValidationError, match="layrs"):
        read_config(file)


def test_a_process_that_dies_while_it_makes_examples_is_an_error_at_once(tmp_path):
    def kill():
        # all of them first: a pool that breaks while it still starts one waits for that one for ever (Python's own fault)
        while len(made := multiprocessing.active_children()) < (os.cpu_count() or 1):
            time.sleep(0.01)
        made[0].kill()

    threading.Thread(target=kill).start()
    with pytest.raises(UserMistake, match=r"was killed\n.*the same command again"):
        prepare(SMALL.model_copy(update={"examples": 10**6}), tmp_path)
    for child in multiprocessing.active_children():  # they are told to end, and a busy machine takes a moment
        child.join(children.SECONDS)
    assert not multiprocessing.active_children()
    assert list(tmp_path.iterdir()) == []


def test_what_resembles_a_scored_task_is_left_out(capsys):
    rows = make_examples(SMALL)["train"]
    shown = parts(prompt.code_of(rows[0][1]))[2]
    like = [row for row in rows if parts(prompt.code_of(row[1]))[2] == shown]
    kept = clear_of(Fingerprints.of([("theirs/7", shown)]), rows)
    assert not [row for row in like if row in kept]
    assert len(rows) > len(kept) >= len(rows) / 2
    assert "left out, like theirs/7" in capsys.readouterr().out
