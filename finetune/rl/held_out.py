"""What a model in training is judged by: its answers to prompts that it never learns from, drawn and run."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from finetune.adapters import Acceptance
from finetune.reward import Grader
from finetune.rl.asked import Asked, graded
from finetune.trainer import Watched

_AT_ONCE = 64  # answers that are written together
_WARM = 0.8  # the temperature of what is judged
_SAID = "held_out.json"


class HeldOut:
    """The prompts held out, and how they are answered: ``answers`` each, at most ``longest`` tokens, always by the same seed."""

    def __init__(
        self, asked: Sequence[Asked], tokenizer: Any, grader: Grader, *, answers: int, longest: int, seed: int
    ) -> None:
        self.asked, self.tokenizer, self.grader = asked, tokenizer, grader
        self.answers, self.longest, self.seed = answers, longest, seed
        self.found: list[Acceptance] = []

    def look(self, model: Any, step: int) -> Acceptance:
        """Answer and grade them all; what is drawn elsewhere is not touched."""
        asks = [each for each in self.asked for _ in range(self.answers)]
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(self.seed)
            texts = answer(model, self.tokenizer, [each.prompt for each in asks], longest=self.longest)
        rewards = graded(self.grader, asks, texts)
        n = len(rewards)
        made = Acceptance(
            step=step,
            n=n,
            accepted=sum(reward.accepted for reward in rewards) / n,
            cheats=sum(reward.cheats for reward in rewards) / n,
            reward=sum(reward.value for reward in rewards) / n,
        )
        self.found = [each for each in self.found if each.step < step] + [made]
        return made

    def keep(self, checkpoint: Path) -> None:
        """Put what was found so far beside a checkpoint."""
        (checkpoint / _SAID).write_text(json.dumps([each.model_dump() for each in self.found]))

    def take_up(self, checkpoint: Path) -> None:
        """Go on with what was found when the checkpoint was made; with nothing where that is not there."""
        try:
            self.found = [Acceptance.model_validate(each) for each in json.loads((checkpoint / _SAID).read_text())]
        except (OSError, ValueError):
            self.found = []


def answer(model: Any, tokenizer: Any, prompts: Sequence[str], *, longest: int) -> list[str]:
    """One answer to each prompt; prompts of like length are answered together."""
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    texts = [""] * len(prompts)
    was_training = model.training
    for start in range(0, len(order), _AT_ONCE):
        some = order[start : start + _AT_ONCE]
        ids, mask = left_padded(tokenizer, [prompts[number] for number in some], model.device)
        made = write(model, tokenizer, ids, mask, longest=longest, temperature=_WARM)[:, ids.shape[1] :]
        for number, text in zip(some, tokenizer.batch_decode(made, skip_special_tokens=True), strict=True):
            texts[number] = text
    model.train(was_training)
    return texts


def write(
    model: Any, tokenizer: Any, ids: torch.Tensor, mask: torch.Tensor, *, longest: int, temperature: float
) -> torch.Tensor:
    """The prompts with an answer to each, (prompts, prompt + answer), drawn by transformers from the whole of the model."""
    model.eval()
    with torch.no_grad():
        made: torch.Tensor = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=longest,
            do_sample=True,
            temperature=temperature,
            top_p=1.0,
            top_k=0,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    return made


def left_padded(tokenizer: Any, prompts: Sequence[str], device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, (prompts, longest prompt), with the padding before the prompts."""
    rows = [prompt_ids(tokenizer, text) for text in prompts]
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), tokenizer.pad_token_id, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, width - len(row) :] = torch.tensor(row, dtype=torch.long)
        mask[number, width - len(row) :] = 1
    return ids.to(device), mask.to(device)


def prompt_ids(tokenizer: Any, text: str) -> list[int]:
    """The ids of a prompt, without the end that some tokenizers put after every text."""
    ids: list[int] = list(tokenizer(text)["input_ids"])
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


class Judged(Watched):
    """Before a trainer: it is evaluated by `HeldOut`."""

    judge: HeldOut
    control: Any
    model: Any
    callback_handler: Any
    accelerator: Any

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> Any:
        """How the prompts held out are answered; ``eval_score`` is what the best checkpoint is chosen by."""
        began = time.monotonic()
        found = self.judge.look(self.accelerator.unwrap_model(self.model), self.state.global_step)
        self._evaluated += time.monotonic() - began
        metrics = {
            f"{metric_key_prefix}_{name}": getattr(found, name) for name in ("accepted", "cheats", "reward", "score")
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
