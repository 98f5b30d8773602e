"""Proximal policy optimisation (Schulman 2017, https://arxiv.org/abs/1707.06347) of a language model with the runs' reward.

TRL has no PPO any more, so it is written here, over transformers' Trainer: answers are drawn, their rewards come at their last
token, each token costs its divergence from the model that training began with, advantages are estimated with a value head
(Schulman 2015, https://arxiv.org/abs/1506.02438), and ``updates`` clipped steps are taken on each set of answers.

GRPO needs no value head, and is the better choice where several answers to each prompt can be afforded, as they can here. PPO
pays where an answer is so dear that a prompt gets one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments
from trl.trainer.utils import use_adapter

from finetune.reward import Grader
from finetune.rl.asked import Asked, graded
from finetune.rl.held_out import HeldOut, Judged, left_padded, write
from finetune.rl.kept import arguments, callbacks, judged
from finetune.train import trainable

if TYPE_CHECKING:
    from finetune.rl.recipe import PolicyRecipe
    from finetune.rl.run import PolicyRun

Rewards = Callable[[Sequence[Asked], Sequence[str]], Sequence[float]]
VALUE_HEAD = "value_head.pt"
REFERENCE = "ref"
LAMBDA = 0.95  # of the advantages; later tokens are not discounted
VALUE_WEIGHT = 0.1


@dataclass(frozen=True)
class Answers:
    """Drawn answers: ``ids`` and ``mask`` are (answers, prompt + answer), all else is (answers, answer).

    ``written`` is 1 on the tokens that the model wrote, the end of the text among them; ``log_probs`` are those of the model that
    wrote them.
    """

    ids: Tensor
    mask: Tensor
    written: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


def advantages_of(rewards: Tensor, values: Tensor, written: Tensor) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates, and the returns that values should foretell; all are (answers, answer), undiscounted."""
    found = torch.zeros_like(rewards)
    last = torch.zeros_like(rewards[:, 0])
    for at in reversed(range(rewards.shape[1])):
        there = written[:, at + 1] if at + 1 < rewards.shape[1] else torch.zeros_like(last)
        after = values[:, at + 1] * there if at + 1 < rewards.shape[1] else torch.zeros_like(last)
        surprise = rewards[:, at] + after - values[:, at]
        last = (surprise + LAMBDA * last * there) * written[:, at]
        found[:, at] = last
    return found, (found + values) * written


def clipped(log_probs: Tensor, old: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """The clipped objective of each token, as a loss."""
    ratio = torch.exp(log_probs - old)
    return torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip))


def mean_of(values: Tensor, written: Tensor) -> Tensor:
    """The mean over the tokens that were written."""
    return (values * written).sum() / written.sum().clamp(min=1)


class _Clipped(Trainer):  # type: ignore[misc]
    """A step of Trainer's is one clipped update; every ``updates`` steps new answers are drawn."""

    def __init__(
        self, *, recipe: PolicyRecipe, asked: Sequence[Asked], rewards: Rewards, tokenizer: Any, **more: Any
    ) -> None:
        self.recipe, self.asked, self.rewards, self.tokenizer = recipe, list(asked), rewards, tokenizer
        self.answers: Answers | None = None
        self.figures: dict[str, float] = {}
        super().__init__(**more)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """One update, the gradients of all answers summed up in small batches; returns the mean loss."""
        if self.answers is None or self.state.global_step % self.recipe.updates == 0:
            self.answers = self.draw(self.state.global_step // self.recipe.updates)
        model.eval()  # dropout would tell the model that wrote an answer from the one that learns of it
        answers, total = self.answers, torch.zeros((), device=self.args.device)
        for start in range(0, len(answers.ids), self.recipe.micro_batch):
            loss = self._loss(model, answers, slice(start, start + self.recipe.micro_batch))
            self.accelerator.backward(loss)
            total += loss.detach()
        return total

    def _loss(self, model: Any, answers: Answers, some: slice) -> Tensor:
        written = answers.written[some]
        log_probs, values = self.score(model, answers.ids[some], answers.mask[some], written.shape[1])
        policy = clipped(log_probs, answers.log_probs[some], answers.advantages[some], self.recipe.clip)
        near = answers.values[some] + (values - answers.values[some]).clamp(-self.recipe.clip, self.recipe.clip)
        returns = answers.returns[some]
        value = 0.5 * torch.maximum((values - returns) ** 2, (near - returns) ** 2)
        return ((policy + VALUE_WEIGHT * value) * written).sum() / answers.written.sum().clamp(min=1)

    def draw(self, number: int) -> Answers:
        """The ``number``-th set of answers, their rewards and advantages: the same for the same number and weights."""
        recipe, model = self.recipe, self.accelerator.unwrap_model(self.model)
        chosen = random.Random(f"{recipe.seed}/{number}").sample(self.asked, min(recipe.batch, len(self.asked)))
        asks = [each for each in chosen for _ in range(recipe.group)]
        ids, mask = left_padded(self.tokenizer, [each.prompt for each in asks], model.device)
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(recipe.seed * 1_000_003 + number)
            longest = recipe.prompts.longest_answer
            made = write(model, self.tokenizer, ids, mask, longest=longest, temperature=recipe.temperature)
        written = _written(made[:, ids.shape[1] :], self.tokenizer.eos_token_id)
        texts = [
            self.tokenizer.decode(row[: int(count)], skip_special_tokens=True)
            for row, count in zip(made[:, ids.shape[1] :], written.sum(1), strict=True)
        ]
        worth = torch.tensor(list(self.rewards(asks, texts)), dtype=torch.float32, device=model.device)
        mask = torch.cat([mask, written.long()], dim=1)
        with torch.no_grad():
            parts = [slice(at, at + recipe.micro_batch) for at in range(0, len(asks), recipe.micro_batch)]
            both = [self.score(model, made[some], mask[some], written.shape[1]) for some in parts]
            before = torch.cat([self._reference(model, made[some], mask[some], written.shape[1]) for some in parts])
        log_probs, values = torch.cat([b[0] for b in both]), torch.cat([b[1] for b in both]) * written
        rewards = -recipe.beta * (log_probs - before) * written
        last = written.sum(1).long().clamp(min=1) - 1
        rewards[torch.arange(len(asks)), last] += worth
        advantages, returns = advantages_of(rewards, values, written)
        middle = mean_of(advantages, written)
        spread = mean_of((advantages - middle) ** 2, written).sqrt()
        # where all answers are worth the same and as foretold there is nothing to learn, and nothing to divide by
        advantages = (advantages - middle) * written / (spread + 1e-6)
        self.figures = {
            "reward": float(worth.mean()),
            "kl": float(mean_of(log_probs - before, written)),
            "answer_tokens": float(written.sum(1).mean()),
        }
        return Answers(made, mask, written, log_probs, values, advantages, returns)

    def score(self, model: Any, ids: Tensor, mask: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the last ``length`` tokens, and what they are foretold to be worth, (answers, length) each."""
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            logits_to_keep=length + 1,
            output_hidden_states=True,
        )
        logits = out.logits[:, :-1].float() / self.recipe.temperature
        log_probs = logits.log_softmax(-1).gather(-1, ids[:, -length:, None])[..., 0]
        hidden = out.hidden_states[-1][:, -length - 1 : -1].float()
        head: nn.Linear = self.accelerator.unwrap_model(model).value_head
        return log_probs, head(hidden)[..., 0]

    def _reference(self, model: Any, ids: Tensor, mask: Tensor, length: int) -> Tensor:
        """The log-probabilities of where training began: another adapter, or none."""
        with use_adapter(model, REFERENCE if REFERENCE in model.peft_config else None):
            return self.score(model, ids, mask, length)[0]

    def log(self, logs: dict[str, float], *args: Any, **more: Any) -> None:
        """As Trainer's, with what the last answers were worth."""
        super().log({**logs, **(self.figures if "loss" in logs else {})}, *args, **more)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        head = self.accelerator.unwrap_model(self.model).value_head
        torch.save(head.state_dict(), Path(output_dir or self.args.output_dir) / VALUE_HEAD)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        kept = torch.load(Path(resume_from_checkpoint) / VALUE_HEAD, map_location="cpu", weights_only=True)
        (model or self.model).value_head.load_state_dict(kept)


class PPOTrainer(Judged, _Clipped):
    """Judged by `HeldOut`."""


def _written(ids: Tensor, end: int) -> Tensor:
    """1 on each token up to the first end of text, that included."""
    ended = (ids == end).long().cumsum(1)
    return ((ended == 0) | ((ended == 1) & (ids == end))).float()


def with_value_head(model: Any) -> Any:
    """``model`` with a head that foretells rewards, and a copy of the adapter that training begins with, where there is one."""
    config = model.peft_config["default"]
    model.value_head = nn.Linear(model.config.get_text_config().hidden_size, 1).to(model.device)
    nn.init.zeros_(model.value_head.weight)
    nn.init.zeros_(model.value_head.bias)
    begun = any(bool(w.any()) for name, w in model.named_parameters() if "lora_B.default" in name)
    if begun:  # else the adapter does nothing yet, and the base itself is where training begins
        model.add_adapter(REFERENCE, config)
        for name, weights in list(model.named_parameters()):
            if ".default." in name:
                model.get_parameter(name.replace(".default.", f".{REFERENCE}.")).data.copy_(weights.data)
        model.set_adapter("default")  # which freezes the other
    return model


def make_trainer(run: PolicyRun, judge: HeldOut, grader: Grader, watch: Any) -> Any:
    """The trainer over the run's prompts, with the reward of the runs."""
    return trainer_of(
        run, judge, lambda asked, texts: [reward.value for reward in graded(grader, asked, texts)], [watch]
    )


def trainer_of(run: PolicyRun, judge: HeldOut, rewards: Rewards, watching: Sequence[Any] = ()) -> Any:
    """The trainer with any reward."""
    recipe = run.recipe
    model, sixteen = trainable(recipe, run.base, run.start)
    trainer = PPOTrainer(
        recipe=recipe,
        asked=run.asked,
        rewards=rewards,
        tokenizer=run.tokenizer,
        model=with_value_head(model),
        args=TrainingArguments(**arguments(run, sixteen), remove_unused_columns=False),
        train_dataset=Dataset.from_list([{"step": number} for number in range(recipe.steps)]),
        eval_dataset=Dataset.from_list([{"step": 0}]),  # Trainer wants one; `Judged` looks at the prompts held out
        data_collator=lambda rows: {"step": torch.tensor([row["step"] for row in rows])},
        callbacks=callbacks(recipe, judge, *watching),
    )
    return judged(trainer, judge)
