"""Batches by length, and the loss at completion tokens alone."""

import pytest
import torch

from finetune.trainer import LengthBatches, score_completions


@pytest.mark.parametrize("epoch", [0, 1])
def test_every_row_is_in_an_epoch_once_and_no_batch_is_too_large(epoch):
    lengths = [10 * (i % 17) + 5 for i in range(200)]
    batches = LengthBatches(lengths, 400, seed=3)
    batches.set_epoch(epoch)
    made = list(batches)
    assert len(made) == len(batches)
    if epoch == 0:
        assert sorted(row for batch in made for row in batch) == list(range(200))
    assert all(len(batch) * max(lengths[row] for row in batch) <= 400 for batch in made)
    assert made == list(batches)


def test_another_order_in_each_epoch_and_little_padding():
    lengths = [10 * (i % 17) + 5 for i in range(400)]
    batches = LengthBatches(lengths, 400, seed=0)
    first = list(batches)
    batches.set_epoch(1)
    assert list(batches) != first
    padded = sum(len(b) * max(lengths[r] for r in b) for b in first)
    assert padded < 1.1 * sum(lengths)


def test_a_row_longer_than_a_batch_is_alone_and_all_processes_have_as_many():
    batches = LengthBatches([900, 10, 10, 10, 10], 100, seed=0, multiple_of=2)
    assert len(batches) % 2 == 0
    assert all(len(b) == 1 for b in LengthBatches([900, 10], 100, seed=0) if 0 in b)


@pytest.fixture
def tiny():
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    )


def test_the_loss_is_transformers_own_and_so_are_its_gradients(tiny):
    ids = torch.randint(0, 50, (3, 12))
    labels = ids.clone()
    labels[:, :5] = -100  # a prompt
    labels[1, 9:] = -100  # padding, which nothing before it can see
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    theirs = tiny(input_ids=ids, labels=labels, attention_mask=mask).loss
    theirs.backward()
    wanted = {name: p.grad.clone() for name, p in tiny.named_parameters()}
    tiny.zero_grad()
    score_completions(tiny)
    out = tiny(input_ids=ids, labels=labels, attention_mask=mask, fused_lm_head=True)
    out.loss.backward()
    assert out.loss.item() == pytest.approx(theirs.item(), abs=1e-5)
    assert int(out.label_mask.sum()) == 7 * 3 - 3
    for name, parameter in tiny.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], atol=1e-5, rtol=1e-4)


def test_without_being_asked_it_is_the_model_it_was(tiny):
    ids = torch.randint(0, 50, (1, 6))
    before = tiny(input_ids=ids).logits
    score_completions(tiny)
    torch.testing.assert_close(tiny(input_ids=ids).logits, before)


def test_nobody_is_told_of_a_run(monkeypatch, rows_file, home):
    """TRL sends its makers a word of every trainer that is made."""
    import trl.trainer.base_trainer
    from transformers.trainer_callback import TrainerCallback

    from finetune.recipe import read_recipe, shipped
    from finetune.runs import open_run
    from finetune.train import make_trainer

    told = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(trl.trainer.base_trainer, "send_telemetry", lambda *a, **k: told.append(k))
    run = open_run(read_recipe(shipped("a"), [f"data.sources=['rows:{rows_file}']", "data.dev_share=0.2"]), "embedded")
    run.folder.mkdir(parents=True)
    make_trainer(run, TrainerCallback())
    assert told == []
