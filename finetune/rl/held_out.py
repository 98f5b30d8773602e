"""What a model in training is judged by: its answers to prompts that it never learns from, drawn and run."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

import torch

from finetune.adapters import Acceptance
from finetune.reward import Grader
from finetune.rl.asked import Asked
from finetune.trainer import LossIsNotANumber

_AT_ONCE = 64  # answers that are written together


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
        rewards = self.grader.grade([each.sample(each.tests(text)) for each, text in zip(asks, texts, strict=True)])
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


def answer(
    model: Any, tokenizer: Any, prompts: Sequence[str], *, longest: int, temperature: float = 0.8, top_p: float = 1.0
) -> list[str]:
    """One answer to each prompt, drawn by transformers; prompts of like length are answered together."""
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    texts = [""] * len(prompts)
    was_training = model.training
    model.eval()
    for start in range(0, len(order), _AT_ONCE):
        some = order[start : start + _AT_ONCE]
        ids, mask = left_padded(tokenizer, [prompts[number] for number in some], model.device)
        with torch.no_grad():
            made = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=longest,
                do_sample=True,
                temperature=temperature,
                top_p=top_p,
                top_k=0,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        for number, text in zip(
            some, tokenizer.batch_decode(made[:, ids.shape[1] :], skip_special_tokens=True), strict=True
        ):
            texts[number] = text
    model.train(was_training)
    return texts


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


class Judged:
    """For a trainer of TRL's: it is evaluated by `HeldOut`, says nothing to its makers, and stops at a loss that is no number."""

    judge: HeldOut
    args: Any
    state: Any
    control: Any
    model: Any
    callback_handler: Any
    accelerator: Any
    _session, _began, _evaluated = "", 0.0, 0.0

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""

    def train(self, *args: Any, **more: Any) -> Any:
        """As Trainer's."""
        self._session, self._began, self._evaluated = secrets.token_hex(4), time.monotonic(), 0.0
        return super().train(*args, **more)  # type: ignore[misc]

    def training_step(self, *args: Any, **more: Any) -> Any:
        """As Trainer's, and raises LossIsNotANumber before such a loss reaches the weights."""
        loss = super().training_step(*args, **more)  # type: ignore[misc]
        if not torch.isfinite(loss).all():
            raise LossIsNotANumber(
                f"the loss is {loss.item()} at step {self.state.global_step + 1}",
                hint="lower the rate: --set learning_rate=1e-6 --fresh",
            )
        return loss

    def log(self, logs: dict[str, float], *args: Any, **more: Any) -> None:
        """As TRL's, with the seconds so far; a run may be logged in several sessions, each of which begins at nought."""
        spent = {"seconds": time.monotonic() - self._began, "evaluation_seconds": self._evaluated}
        super().log({**logs, **(spent if self._began else {}), "session": self._session}, *args, **more)  # type: ignore[misc]

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> Any:
        """How the prompts held out are answered; ``eval_score`` is what the best checkpoint is chosen by."""
        began = time.monotonic()
        found = self.judge.look(self.accelerator.unwrap_model(self.model), self.state.global_step)
        self._evaluated += time.monotonic() - began
        metrics = {f"{metric_key_prefix}_{name}": getattr(found, name) for name in ("accepted", "cheats", "reward")}
        # of two that are accepted as often, the one whose answers are worth more
        metrics[f"{metric_key_prefix}_score"] = found.accepted + found.reward / 100
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
