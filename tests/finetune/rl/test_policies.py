"""DPO, GRPO, RLOO and PPO from end to end on the embedded base: planned, judged by what answers are worth, resumed exactly."""

import json
import math
import random
import signal
import sys

import pytest
import torch
from safetensors.torch import load_file

from finetune.adapters import lineage
from finetune.reward import Grader
from finetune.rl.held_out import HeldOut
from finetune.rl.online import RunsReward
from finetune.rl.ppo import REFERENCE, _written, advantages_of, clipped, trainer_of
from finetune.rl.preferences import Pair, write_pairs
from finetune.rl.run import open_policy_run, train_policy
from finetune.trainer import LossIsNotANumber
from testing_crew.backends import trained
from testing_crew.errors import UserMistake
from testing_crew.runner.run import Runner

METHODS = ["dpo", "grpo", "rloo", "ppo"]


@pytest.fixture
def opened(recipe, home, tmp_path):
    """A run of a method that is ready; preferences where it learns from them."""

    def make(method, *more, **options):
        made = recipe(method, *more)
        if method == "dpo":
            options = {"pairs": [str(_pairs(recipe, tmp_path))], **options}
        return open_policy_run(made, "embedded", **options)

    return make


def _pairs(recipe, tmp_path):
    folder = tmp_path / "pairs"
    if not folder.exists():
        folder.mkdir()
        asked = open_policy_run(recipe("grpo"), "embedded")
        pairs = [
            Pair(
                id=each.id,
                source="own",
                group=each.group,
                prompt=each.prompt,
                chosen="import moves\n",
                rejected="x = 1\n",
            )
            for each in asked.asked[:8]
        ]
        write_pairs(folder, pairs, [], asked.held_out, {"prompt_version": 3})
    return folder


def weights(run):
    return load_file(run.folder / "adapter" / "adapter_model.safetensors")


@pytest.mark.parametrize("method", METHODS)
def test_stopped_and_taken_up_it_ends_as_if_it_had_not_been(method, opened, monkeypatch, tmp_path):
    told = []
    run = opened(method)
    made = train_policy(run, told.append)
    assert made == lineage(run.folder)
    assert (made.stage, made.steps, made.ended) == (method, 4, "finished")
    assert [each.step for each in made.held_out] == [0, 2, 4]
    assert all(0 <= each.reward <= 1 and each.n == 2 for each in made.held_out)
    assert [event["event"] for event in told][:2] == ["policy_plan", "held_out"]
    assert trained.prompt_version(trained.of_adapter(run.folder / "adapter"), "") == made.prompt_version
    assert "prompts held out" in (run.folder / "README.md").read_text()
    whole = weights(run)

    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "elsewhere"))
    again = opened(method)

    def stop(event):
        if event["event"] == "step" and event["step"] == 2:
            raise KeyboardInterrupt  # as it comes in the middle of a step

    with pytest.raises(KeyboardInterrupt):
        train_policy(again, stop)
    kept = again.checkpoint
    if kept is None:  # before the checkpoint of the second step: the third has it
        with pytest.raises(KeyboardInterrupt):
            train_policy(again, lambda event: stop({**event, "step": event.get("step", 0) - 1}))
    with pytest.raises(UserMistake, match="--resume goes on"):
        opened(method)
    resumed = opened(method, resume=True)
    assert resumed.folder == again.folder
    left = train_policy(resumed)
    assert [each.model_dump() for each in left.held_out] == [each.model_dump() for each in made.held_out]
    for name, value in weights(resumed).items():
        assert torch.equal(value, whole[name]), name


@pytest.mark.parametrize(("method", "more"), [("ppo", []), ("grpo", ["group=3", "micro_batch=2"])])
def test_ctrl_c_between_two_steps_on_the_same_answers_waits_for_the_second(method, more, opened, monkeypatch, tmp_path):
    words = ["updates=2", "evaluations=1", *more]
    run = opened(method, *words)
    train_policy(run)
    whole = weights(run)
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "elsewhere"))
    again = opened(method, *words)

    def interrupt(event):
        if event["event"] == "step" and event["step"] == 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_policy(again, interrupt)
    assert again.checkpoint.name == "checkpoint-2"
    train_policy(opened(method, *words, resume=True))
    for name, value in weights(again).items():
        assert torch.equal(value, whole[name]), name


def test_where_it_began_is_not_called_its_best(opened):
    made = train_policy(opened("ppo", "steps=2", "evaluations=1"))
    began = made.held_out[0].model_copy(update={"accepted": 1.0})
    assert made.model_copy(update={"held_out": (began, *made.held_out[1:])}).best.step == 2


def test_a_finished_run_is_not_made_again_unasked(opened):
    run = opened("ppo", "steps=2", "evaluations=1")
    made = train_policy(run)
    with pytest.raises(UserMistake, match="--fresh trains it anew"):
        opened("ppo", "steps=2", "evaluations=1")
    assert train_policy(opened("ppo", "steps=2", "evaluations=1", resume=True)) == made


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_it_goes_on_from_an_adapter_and_is_held_to_it(method, opened):
    first = opened("rloo")
    train_policy(first)
    second = opened(method, start=str(first.folder), fresh=True)
    made = train_policy(second)
    assert made.started_from == str(first.folder / "adapter")
    assert not (second.folder / "adapter" / REFERENCE).exists()  # what is left is one adapter


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_answers_that_are_all_worth_the_same_move_nothing_and_break_nothing(method, opened):
    """With prompts of which every answer is empty or wrong in the same way, and no pull to where it began."""
    run = opened(method, "prompts.longest_answer=16", "beta=0.0", "steps=2", "evaluations=1")
    made = train_policy(run)
    assert made.steps == 2
    rewards = [json.loads(line)["said"]["value"] for line in (run.folder / "rewards.jsonl").read_text().splitlines()]
    assert rewards
    assert all(torch.isfinite(value).all() for value in weights(run).values())


def test_a_loss_that_is_no_number_ends_it_before_it_reaches_the_weights(opened):
    with pytest.raises(LossIsNotANumber, match="learning_rate"):
        train_policy(opened("dpo", "learning_rate=1e30", "warmup=0.0", "evaluations=1", "steps=6"))
    run = opened("ppo", "evaluations=1")
    with Grader(Runner(), mutants=2) as grader:
        judge = HeldOut(run.held_out, run.tokenizer, grader, answers=1, longest=16, seed=0)
        trainer = trainer_of(run, judge, lambda asked, texts: [math.nan for _ in texts])
        before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        with pytest.raises(LossIsNotANumber):
            trainer.train()
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())


def test_an_empty_answer_is_worth_nothing(opened):
    run = opened("grpo")
    with Grader(Runner(), mutants=2) as grader:
        found = RunsReward(run.asked, grader)(["", ""], ["", "no code"], [run.asked[0].id, run.asked[1].id])
    assert found == [0.0, 0.0]


def test_what_is_missing_is_told(recipe, home, tmp_path):
    with pytest.raises(UserMistake, match="holds no pairs"):
        open_policy_run(recipe("dpo"), "embedded", pairs=[str(tmp_path)])
    with pytest.raises(UserMistake, match="there is no adapter"):
        open_policy_run(recipe("ppo"), "embedded", "nowhere")


# -- PPO's parts against what they must be ---------------------------------------------------------------------------


def test_advantages_against_their_definition():
    """With lambda 0.95 and no discount: the sum over l of lambda**l times the surprise l tokens later."""
    chance = random.Random(4)
    lengths = [5, 1, 3]
    rewards, values = (torch.tensor([[chance.uniform(-1, 1) for _ in range(5)] for _ in lengths]) for _ in range(2))
    written = torch.tensor([[float(at < length) for at in range(5)] for length in lengths])
    rewards, values = rewards * written, values * written
    found, returns = advantages_of(rewards, values, written)
    for row, length in enumerate(lengths):
        surprise = [
            rewards[row, t] + (values[row, t + 1] if t + 1 < length else 0.0) - values[row, t] for t in range(length)
        ]
        for t in range(length):
            expected = sum(0.95 ** (u - t) * surprise[u] for u in range(t, length))
            assert found[row, t] == pytest.approx(float(expected), abs=1e-6)
            assert returns[row, t] == pytest.approx(float(expected + values[row, t]), abs=1e-6)
        assert not found[row, length:].any()


def test_the_clipped_objective_gives_no_reason_to_go_further():
    old, advantages = torch.zeros(4), torch.tensor([1.0, 1.0, -1.0, -1.0])
    moved = torch.log(torch.tensor([1.1, 1.5, 0.9, 0.5])).requires_grad_()
    clipped(moved, old, advantages, 0.2).sum().backward()
    assert moved.grad[0] < 0 < moved.grad[2]
    assert moved.grad[1] == moved.grad[3] == 0


def test_what_was_written_ends_with_the_end():
    ids = torch.tensor([[5, 6, 1, 1, 1], [1, 1, 1, 1, 1], [5, 6, 7, 8, 9]])
    assert _written(ids, 1).tolist() == [[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]]


def test_ppo_comes_to_the_known_optimum(opened):
    """One token to choose, worth 1 or 0, and a pull to the first model: the best policy is known in closed form.

    It is in proportion to the first model's chances times exp(reward / beta).
    """
    beta, run = 0.5, opened("ppo", "prompts.longest_answer=16")  # the recipe asks for 16 at least
    recipe = run.recipe.model_copy(
        update={
            "prompts": run.recipe.prompts.model_copy(update={"longest_answer": 1}),
            "beta": beta,
            "steps": 60,
            "evaluations": 1,
            "batch": 1,
            "group": 64,
            "micro_batch": 64,
            "learning_rate": 5e-3,
        }
    )
    asked = run.asked[0].model_copy(update={"prompt": "def f"})  # after which the model is sure of nothing
    run = type(run)(**{**run.__dict__, "recipe": recipe, "asked": (asked,)})
    ids = torch.tensor([run.tokenizer(run.asked[0].prompt)["input_ids"]])

    def good(text):
        return sum(map(ord, text)) % 2 == 1

    def chance(model):
        with torch.no_grad():
            probabilities = model(input_ids=ids).logits[0, -1].float().softmax(-1)
        texts = [run.tokenizer.decode([n], skip_special_tokens=True) for n in range(len(probabilities))]
        return sum(float(p) for p, text in zip(probabilities, texts, strict=True) if good(text))

    with Grader(Runner(), mutants=2) as grader:
        judge = HeldOut(run.held_out, run.tokenizer, grader, answers=1, longest=16, seed=0)
        trainer = trainer_of(run, judge, lambda asked, texts: [float(good(text)) for text in texts])
        trainer.model.eval()
        before = chance(trainer.model)
        best = before * math.exp(1 / beta) / (before * math.exp(1 / beta) + 1 - before)
        trainer.train()
        trainer.model.eval()
        after = chance(trainer.model)
    print(f"{before:.3f} → {after:.3f}, the best is {best:.3f}", file=sys.stderr)
    assert abs(after - best) < 0.1 < best - before
