"""A stage from end to end on the embedded base: it learns, it is resumed exactly, and what is wrong is told plainly."""

import errno
import json
import os
import signal
import sys
import time
from itertools import pairwise
from pathlib import Path

import children
import command_line
import pytest
from safetensors import SafetensorError
from transformers.trainer_callback import TrainerCallback

from finetune.adapters import lineage, must_fit, newest, weights_of
from finetune.bases import find_base
from finetune.plan import Plan, all_steps
from finetune.recipe import read_recipe, shipped
from finetune.runs import encode, open_run
from finetune.train import less_memory, make_trainer, told, train
from self_improve.cli.app import main
from testing_crew.errors import BackendUnavailable, ConfigError, UserMistake

LIMIT = 600


def recipe(rows_file, *more, stage="a"):
    small = [
        f"data.sources=['rows:{rows_file}']",
        "data.max_tokens=900",
        "data.dev_share=0.2",
        "data.near_duplicates=1.0",
        "micro_tokens=1024",
        "accumulation=1",
        "evaluations=2",
        "learning_rate=2e-3",
        "max_steps=8",
        "epochs=4.0",
        "patience=9",
    ]
    return read_recipe(shipped(stage), [*small, *more])


def words(rows_file, *more, stage="a"):
    """The command line of the small recipe."""
    options = recipe(rows_file).model_dump(mode="json")
    keys = ["micro_tokens", "accumulation", "evaluations", "learning_rate", "max_steps", "patience", "epochs"]
    sets = [f"{key}={options[key]}" for key in keys] + [
        "data.max_tokens=900",
        "data.dev_share=0.2",
        "data.near_duplicates=1.0",
    ]
    arguments = [word for pair in sets for word in ("--set", pair)]
    return ["train", stage, "--base", "embedded", "--data", f"rows:{rows_file}", *arguments, *more]


def command(rows_file, *more):
    return [*command_line.MODULE, *words(rows_file, *more)]


def mistake(capsys, *arguments):
    """What is said of a mistake; in this process, which has TRL loaded."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert "Traceback" not in said
    return said


@pytest.fixture(scope="module")
def trained(tmp_path_factory, rows_file):
    """Stage A, once; a workspace with its adapter."""
    home = tmp_path_factory.mktemp("home")
    before = os.environ.get("TESTING_CREW_HOME")
    os.environ["TESTING_CREW_HOME"] = str(home)
    try:
        run = open_run(recipe(rows_file), "embedded")
        events = []
        adapter = train(run, events.append)
        yield home, run, adapter, events
    finally:
        os.environ.pop("TESTING_CREW_HOME")
        if before is not None:
            os.environ["TESTING_CREW_HOME"] = before


def test_it_plans_first_and_the_dev_loss_falls(trained):
    _, _, adapter, events = trained
    assert [e["event"] for e in events if e["event"] in ("plan", "dev", "step")][:2] == ["plan", "dev"]
    plan = next(e for e in events if e["event"] == "plan")
    assert plan["steps"] == 8
    assert plan["tokens_per_second"] > 0
    assert plan["memory"] > 2**20
    assert adapter.dev_loss < adapter.dev_loss_before
    assert adapter.steps == 8


def test_a_bounded_run_spends_its_minutes_on_training(rows_file, home):
    asked = recipe(rows_file, "evaluations=500", "max_steps=5000", "epochs=5000.0")
    run = open_run(asked, "embedded", minutes=0.5)
    assert train(run, plan_only=True) is None
    planned = Plan.model_validate_json((run.folder / "plan.json").read_text())
    assert planned.evaluations < 500
    assert 1 < planned.steps < 5000
    assert planned.seconds <= 30


def test_what_it_leaves(trained):
    _, run, adapter, _ = trained
    assert lineage(run.folder / "adapter") == adapter
    assert (run.folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert adapter.sha256 in (run.folder / "README.md").read_text()
    assert adapter.stage == "a"
    assert adapter.base == "embedded"
    assert adapter.trainable_parameters == 454656
    assert not (run.folder / "checkpoints").exists()
    assert [p.step for p in adapter.curve if p.dev is not None] == [0, 4, 8]


def test_labels_are_the_completion_and_its_end_alone(trained):
    _, run, _, _ = trained
    row = run.data.train[0]
    made = encode(row, run.tokenizer)
    learnt = [token for token in made["labels"] if token != -100]
    assert run.tokenizer.decode(learnt) == row.completion + run.tokenizer.eos_token
    assert run.tokenizer.decode(made["input_ids"]) == row.prompt + row.completion + run.tokenizer.eos_token


def test_two_processes_train_what_one_does(rows_file, home):
    """`accelerate launch` with two processes: half of each step's batches in each, the same adapter in the end."""
    exact = ("lora.dropout=0.0", "precision=float32")
    shared = str(shipped("a").with_name("ddp.yaml"))
    launch = ["-m", "accelerate.commands.launch", "--config_file", shared, "--mixed_precision", "no"]
    keys = [word for key in exact for word in ("--set", key)]
    asked = command(rows_file, *keys, "--json")
    done = children.run([sys.executable, *launch, "--main_process_port", "0", *asked[1:]], seconds=LIMIT)
    assert done.returncode == 0, done.stderr[-2000:]
    two = json.loads(done.stdout)  # one of them speaks
    one = train(open_run(recipe(rows_file, *exact, "accumulation=2"), "embedded"))
    assert two["steps"] == one.steps == 8
    assert two["dev_loss_before"] == pytest.approx(one.dev_loss_before, abs=1e-4)
    assert two["dev_loss"] == pytest.approx(one.dev_loss, abs=2e-3)
    assert two["dev_loss"] < two["dev_loss_before"]


def test_packed_rows_do_not_see_each_other(rows_file, home):
    """Rows in one sequence have the loss that each has alone."""
    import torch

    run = open_run(recipe(rows_file, "packing=true"), "embedded")
    run.folder.mkdir(parents=True)
    trainer = make_trainer(run, TrainerCallback())
    trainer.model.eval()
    batch = next(iter(trainer.get_train_dataloader()))
    ids, labels, places = (batch[name][0] for name in ("input_ids", "labels", "position_ids"))
    starts = [*(places == 0).nonzero().flatten().tolist(), len(ids)]
    assert len(starts) > 3
    with torch.no_grad():
        packed = trainer.model(**batch, fused_lm_head=True).log_probs.sum()
        alone = sum(
            trainer.model(input_ids=ids[None, a:b], labels=labels[None, a:b], fused_lm_head=True).log_probs.sum()
            for a, b in pairwise(starts)
        )
    assert packed.item() == pytest.approx(alone.item(), rel=1e-5)


def test_the_next_stage_starts_from_it(trained, rows_file):
    _, run, adapter, _ = trained
    after = open_run(recipe(rows_file, stage="b"), "embedded")
    assert after.start == run.folder / "adapter"
    second = train(after)
    assert second.started_from_sha256 == adapter.sha256
    # it goes on from the first: its loss before is where the other's ended, not the base's
    assert abs(second.dev_loss_before - adapter.dev_loss) < 0.02
    assert second.dev_loss <= second.dev_loss_before
    third = open_run(recipe(rows_file, stage="c"), "embedded")
    assert third.start == after.folder / "adapter"


def test_models_lists_what_was_trained_here(trained, capsys):
    _, run, adapter, _ = trained
    with pytest.raises(SystemExit) as ended:
        main(["models", "--json"])
    assert not ended.value.code
    listed = {row["tag"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    row = listed[f"hf:{run.folder / 'adapter'}"]
    assert row["usable"]
    assert f"stage a on embedded, dev loss {adapter.dev_loss_before:.3f}" in row["note"]


def test_a_finished_run_is_not_made_again_unasked(trained, rows_file):
    with pytest.raises(UserMistake, match="finished") as error:
        open_run(recipe(rows_file), "embedded")
    assert "--fresh" in error.value.hint


def test_stopped_and_killed_it_ends_as_if_it_had_not_been(trained, rows_file, tmp_path, monkeypatch):
    """One Ctrl-C after a checkpoint and one kill, each taken up: the same curve and the same weights as in one go."""
    _, _, whole, _ = trained
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path))
    for number, how in enumerate((signal.SIGINT, signal.SIGKILL)):
        with command_line.started(*words(rows_file, "--json", *(["--resume"] if number else []))) as child:
            deadline = time.monotonic() + LIMIT
            want = "adapters/*/checkpoints/checkpoint-*/trainer_state.json"
            had = len(list(tmp_path.glob(want)))
            while len(list(tmp_path.glob(want))) == had and child.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            child.send_signal(how)
            done = child.ended(LIMIT)
        if how == signal.SIGINT and done.returncode:
            assert done.returncode == 130
            assert "--resume" in done.stderr
    done = command_line.run(*words(rows_file, "--json", "--resume"), seconds=LIMIT)
    if done.returncode == 2:  # it was quicker than the signal
        assert "finished" in done.stderr
        found = json.loads(next(tmp_path.glob("adapters/*/training.json")).read_text())
    else:
        assert done.returncode == 0, done.stderr[-2000:]
        found = json.loads(done.stdout)
    assert found["dev_loss"] == pytest.approx(whole.dev_loss, abs=1e-4)
    assert found["trainable_parameters"] == whole.trainable_parameters
    assert found["steps"] == whole.steps


@pytest.mark.parametrize(
    ("change", "what", "mend"),
    [
        (["--base", "nowhere/at/all"], "there is no base", "smollm2, embedded"),
        (["--from", "nowhere"], "there is no adapter", "adapters of the workspace"),
        (["--set", "learning_rat=1"], "no learning_rat", "learning_rate"),
        (["--set", "lora.targets=['nothing']"], "no adapter fits", "lora.targets"),
        (["--set", "four_bit=yes"], "4-bit", "four_bit=auto"),
        (["--set", "learning_rate.x=1"], "learning_rate is no table", ""),
        (["--config", "/nowhere.toml"], "cannot be read as a recipe", ""),
    ],
)
def test_mistakes_are_told_with_what_mends_them(rows_file, home, capsys, change, what, mend):
    said = mistake(capsys, *words(rows_file, *change))
    assert what in said
    assert mend in said


def test_an_adapter_for_another_base_is_refused(trained, rows_file, tmp_path):
    _, run, _, _ = trained
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    other = tmp_path / "other"
    LlamaForCausalLM(
        LlamaConfig(vocab_size=2048, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    ).save_pretrained(other)
    AutoTokenizer.from_pretrained(run.base.source).save_pretrained(other)
    with pytest.raises(UserMistake, match="was trained on embedded"):
        open_run(recipe(rows_file, stage="b"), str(other), str(run.folder))
    stray = tmp_path / "stray"  # one without a note: its shapes tell
    import shutil

    shutil.copytree(run.folder / "adapter", stray)
    with pytest.raises(UserMistake, match="another base"):
        train(open_run(recipe(rows_file, stage="b"), str(other), str(stray)))
    (stray / "adapter_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserMistake, match="cannot be read"):
        train(open_run(recipe(rows_file, stage="b"), "embedded", str(stray)))


def test_without_hashes_the_name_says_which_base_an_adapter_is_for(trained):
    """A base on the hub has no hash before it is fetched: one adapter must not be taken for that of every such base."""
    _, run, adapter, _ = trained
    note = run.folder / "training.json"
    kept = note.read_text()
    note.write_text(json.dumps({**adapter.model_dump(mode="json"), "base": "org/one", "base_sha256": ""}))
    try:
        assert newest("a", find_base("org/one")) == run.folder / "adapter"
        assert must_fit(run.folder, find_base("org/one")).base == "org/one"
        assert newest("a", find_base("org/other")) is None
        with pytest.raises(UserMistake, match="not on org/other"):
            must_fit(run.folder, find_base("org/other"))
    finally:
        note.write_text(kept)


def test_stage_c_never_goes_on_from_a_c(trained, rows_file):
    _, run, adapter, _ = trained
    note = run.folder / "training.json"
    kept = note.read_text()
    note.write_text(json.dumps({**adapter.model_dump(mode="json"), "stage": "c"}))
    try:
        with pytest.raises(UserMistake, match="never trained on further"):
            open_run(recipe(rows_file, stage="c"), "embedded", str(run.folder))
    finally:
        note.write_text(kept)


def test_a_loss_that_is_no_number_ends_it_and_keeps_the_checkpoint(rows_file, home, capsys):
    # a rate at which everything overflows
    more = ("learning_rate=1e30", "lora.r=4", "evaluations=8")
    said = mistake(capsys, *words(rows_file, *(word for key in more for word in ("--set", key))))
    assert "loss is nan" in said
    assert not list(home.glob("adapters/*/training.json"))
    # what it names is the last checkpoint, and it is one that can be gone on from
    mend = said.rpartition("lower the rate: ")[2].partition(" goes on")[0].split()
    assert mend[:3] == ["--set", "learning_rate=1e-5", "--from"]
    assert weights_of(Path(mend[3])).parent.name == "checkpoints"
    again = train(open_run(recipe(rows_file, "lora.r=4", "learning_rate=1e-5"), "embedded", mend[3]))
    assert again.dev_loss == pytest.approx(again.dev_loss_before, rel=0.1)


def test_patience_is_not_forgotten_when_it_is_taken_up(rows_file, home):
    """Two evaluations in a row without a better dev loss end it, also where it was stopped between them."""
    no_better = ("learning_rate=1e-12", "patience=2", "evaluations=8", "lora.dropout=0.0")
    whole = train(open_run(recipe(rows_file, *no_better), "embedded"))
    assert (whole.ended, whole.steps) == ("early", 3)

    def stop(event):
        if event["event"] == "step" and event["step"] == 1:  # it is heard at the end of the next
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(open_run(recipe(rows_file, *no_better), "embedded", fresh=True), stop)
    finally:
        signal.signal(signal.SIGINT, before)
    events = []
    rest = train(open_run(recipe(rows_file, *no_better), "embedded", resume=True), events.append)
    assert (rest.ended, rest.steps) == ("early", 3)
    assert [event["step"] for event in events if event["event"] == "step"] == [3]
    # what both sessions took, and not the last alone
    assert rest.tokens == whole.tokens
    assert rest.seconds > 0


def test_several_processes_share_an_epoch(rows_file, home):
    """One epoch is one epoch: with two processes half as many steps, of twice as many batches."""
    asked = recipe(rows_file, "epochs=1.0", "max_steps=1000")
    assert all_steps(asked, 30) == 30
    launch = ["-m", "accelerate.commands.launch", "--config_file", str(shipped("a").with_name("ddp.yaml"))]
    words = command(rows_file, "--set", "epochs=1.0", "--set", "max_steps=1000", "--plan", "--json")[1:]
    script = [sys.executable, *launch, "--mixed_precision", "no", "--main_process_port", "0", *words]
    two = json.loads(children.run(script, seconds=LIMIT, check=True).stdout)
    run = open_run(asked, "embedded")
    train(run, plan_only=True)
    assert two["steps"] == Plan.model_validate_json((run.folder / "plan.json").read_text()).steps // 2


def test_rows_are_no_longer_than_the_window(rows_file, home):
    events = []
    run = open_run(recipe(rows_file, "data.max_tokens=4096"), "embedded", tell=events.append)
    assert run.recipe.data.max_tokens == 1536
    assert {"event": "note", "text": "embedded has a window of 1536 tokens: longer rows are left out"} in events


def test_a_stage_goes_on_with_the_shape_of_the_one_before(trained, rows_file):
    _, run, _, _ = trained
    other = recipe(rows_file, "lora.r=4", stage="b")
    with pytest.raises(UserMistake, match="has r 16, and the recipe says 4") as error:
        train(open_run(other, "embedded", str(run.folder)))
    assert "--set lora.r=16" in error.value.hint


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "the disk is full",
        ),
        (
            RuntimeError("[enforce fail at inline_container.cc:664] . PytorchStreamWriter failed writing file"),
            "the disk is full",
        ),
        (MemoryError(), "out of memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
            "out of memory",
        ),
    ],
)
def test_what_the_libraries_raise_for_want_of_room_is_told_with_what_mends_it(rows_file, home, error, what):
    run = open_run(recipe(rows_file), "embedded")
    with pytest.raises(UserMistake, match=what) as said, told(run.folder, less_memory(run.recipe)):
        raise error
    mend = said.value.hint
    assert "--resume" in mend if what == "the disk is full" else "data.max_tokens" in mend and "micro_tokens" in mend


def test_a_package_that_is_missing_is_named(monkeypatch):
    from finetune import bases
    from testing_crew.backends import llama

    monkeypatch.setattr(llama.metadata, "files", lambda name: None)
    with pytest.raises(BackendUnavailable) as error:
        bases.find_base("smollm2")
    assert "testing-crew[smollm2]" in error.value.hint


def test_recipes_ship_and_refuse_what_they_do_not_know(tmp_path):
    rates = {stage: read_recipe(shipped(stage)).learning_rate for stage in "abc"}
    assert rates == {"a": 2e-4, "b": 1e-4, "c": 5e-5}
    assert read_recipe(shipped("a")).lora.targets[-1] == "down_proj"
    broken = tmp_path / "x.toml"
    broken.write_text("stage = 'a'\n[data]\nsources = ['traces']\nnonsense = 1\n")
    with pytest.raises(ConfigError, match=r"data\.nonsense"):
        read_recipe(broken)


def test_weights_are_found_by_the_run_s_name_too(trained):
    home, run, _, _ = trained
    assert weights_of(Path(run.folder.name)) == run.folder / "adapter"
    assert home in run.folder.parents
