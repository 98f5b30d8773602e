"""TRL's SFTTrainer, made quick on rows of many lengths: batches of like length, logits at completion tokens only."""

from __future__ import annotations

import math
import random
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Sampler
from trl import SFTTrainer
from trl.trainer.utils import FusedCausalLMOutput

from finetune.runs import last_checkpoint
from testing_crew.errors import TestingCrewError

_POOL = 64  # batches whose rows are sorted together: long enough for like lengths, short enough to stay shuffled


class LossIsNotANumber(TestingCrewError):
    """The loss became infinite or not a number; the step was not taken."""


class LengthBatches(Sampler[list[int]]):
    """Batches of row numbers: rows of like length, at most ``tokens`` tokens each once padded, another order each epoch.

    A row longer than ``tokens`` is a batch by itself. The number of batches is a multiple of ``multiple_of`` where there
    are so many, so that all processes and accumulation steps have the same work.
    """

    batch_size = None  # it varies; accelerate asks

    def __init__(
        self, lengths: Sequence[int], tokens: int, seed: int, multiple_of: int = 1, shuffle: bool = True
    ) -> None:
        self.lengths, self.tokens, self.seed, self.shuffle = lengths, tokens, seed, shuffle
        self.drop_last = False
        self.sampler = self  # where accelerate looks for ``set_epoch`` once it has wrapped us
        self.epoch = 0
        self._multiple_of = multiple_of
        self._count = len(self._plan(0))

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        yield from self._plan(self.epoch)

    def _plan(self, epoch: int) -> list[list[int]]:
        rng = random.Random(f"{self.seed}/{epoch if self.shuffle else 0}")
        order = list(range(len(self.lengths)))
        rng.shuffle(order)
        typical = max(1, sum(self.lengths) // max(1, len(self.lengths)))
        pool = max(1, _POOL * self.tokens // typical)
        batches: list[list[int]] = []
        for start in range(0, len(order), pool):
            batches += self._cut(sorted(order[start : start + pool], key=lambda row: self.lengths[row]))
        rng.shuffle(batches)
        spare = len(batches) % self._multiple_of
        batches = batches[:-spare] if spare and len(batches) > spare and self.shuffle else batches
        # Every epoch has as many as the first, since the number of steps is fixed before training.
        return batches if epoch == 0 or not self.shuffle else (batches * 2)[: self._count]

    def _cut(self, rows: list[int]) -> Iterator[list[int]]:
        batch: list[int] = []
        for row in rows:
            if batch and (len(batch) + 1) * self.lengths[row] > self.tokens:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch


def score_completions(model: Any) -> None:
    """Let ``model`` answer ``fused_lm_head=True`` with log-probabilities at completion tokens, as TRL's own head does.

    TRL's (`trl.trainer.utils.add_fused_lm_head`) skips the other positions only where Triton runs; with a vocabulary of
    50,000 the prompt's logits are a large part of a small model's work elsewhere.
    """
    original = model.forward

    def forward(*args: Any, fused_lm_head: bool = False, labels: Any = None, **wanted: Any) -> Any:
        if not fused_lm_head:
            return original(*args, **({"labels": labels} if labels is not None else {}), **wanted)
        wanted.pop("num_items_in_batch", None)
        if wanted.get("position_ids") is None:
            # Rows are padded on the right: no token sees what comes after it, so a mask would only cost time.
            wanted.pop("attention_mask", None)
        hidden = model.base_model(*args, **{**wanted, "use_cache": False}).last_hidden_state[:, :-1]
        labels = labels[:, 1:]
        mask = labels != -100
        logits = model.get_output_embeddings()(hidden[mask]).float()
        found = -functional.cross_entropy(logits, labels[mask], reduction="none")
        with torch.no_grad():
            top = logits.argmax(-1) == labels[mask]
        zeros = hidden.new_zeros(mask.shape, dtype=torch.float32)
        log_probs = zeros.masked_scatter(mask, found)
        return FusedCausalLMOutput(
            loss=-log_probs.sum() / mask.sum().clamp(min=1),
            log_probs=log_probs,
            entropy=zeros,  # TRL would log it; nobody here reads it
            is_top1=torch.zeros_like(mask).masked_scatter(mask, top),
            label_mask=mask,
        )

    model.forward = forward


class Watched:
    """Before a trainer of TRL's or of transformers': it tells nobody but its log, which has the seconds, and stops at a loss that
    is no number.
    """

    args: Any
    state: Any
    _session, _began, _evaluated = "", 0.0, 0.0

    def _send_telemetry(self) -> None:
        """TRL would tell its makers of every run; nothing leaves the machine here."""

    def train(self, *args: Any, **more: Any) -> Any:
        """As Trainer's."""
        self._session, self._began, self._evaluated = secrets.token_hex(4), time.monotonic(), 0.0
        return super().train(*args, **more)  # type: ignore[misc]

    def log(self, logs: dict[str, float], *args: Any, **more: Any) -> None:
        """As Trainer's, with the seconds so far; a run may be logged in several sessions, each of which begins at nought."""
        spent = {"seconds": time.monotonic() - self._began, "evaluation_seconds": self._evaluated}
        super().log({**logs, **(spent if self._began else {}), "session": self._session}, *args, **more)  # type: ignore[misc]

    def training_step(self, *args: Any, **more: Any) -> Any:
        """As Trainer's, and raises LossIsNotANumber before such a loss reaches the weights."""
        loss = super().training_step(*args, **more)  # type: ignore[misc]
        self._must_be_finite(loss.item(), "loss", self.state.global_step + 1)
        return loss

    def _must_be_finite(self, loss: float, what: str, step: int) -> None:
        if not math.isfinite(loss):
            raise LossIsNotANumber(f"the {what} is {loss} at step {step}", hint=f"lower the rate: {self._mend()}")

    def _mend(self) -> str:
        """What lowers the rate."""
        return "--set learning_rate=1e-6 --fresh"


class StageTrainer(Watched, SFTTrainer):  # type: ignore[misc]
    """SFTTrainer with batches by length and by tokens, its quick head also without Triton, and a loss that is looked at."""

    def __init__(self, *args: Any, micro_tokens: int, lengths: dict[str, list[int]], **more: Any) -> None:
        self._micro_tokens, self.lengths = micro_tokens, lengths
        self._batches: LengthBatches | None = None
        super().__init__(*args, **more)
        if self.accelerator.device.type == "cpu":
            base = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
            del base.forward  # TRL's, which is set on the object; the class's own is under it
            score_completions(base)

    def _get_dataloader(
        self, dataset: Any, description: str, *args: Any, is_training: bool = False, **more: Any
    ) -> Any:
        if self.args.packing:  # rows of one length already
            return super()._get_dataloader(dataset, description, *args, is_training=is_training, **more)
        multiple = self.args.world_size * self.args.gradient_accumulation_steps if is_training else self.args.world_size
        batches = LengthBatches(
            self.lengths["train" if is_training else "dev"], self._micro_tokens, self.args.seed, multiple, is_training
        )
        if is_training:
            self._batches = batches
        kept = self._remove_unused_columns(dataset, description=description)
        return self.accelerator.prepare(DataLoader(kept, batch_sampler=batches, collate_fn=self.data_collator))

    def _run_epoch(self, model: Any, epoch: int, *args: Any, **more: Any) -> None:
        # Where an epoch is taken up in its midst by several processes, neither Trainer nor accelerate reaches the sampler.
        if self._batches is not None:
            self._batches.set_epoch(epoch)
        super()._run_epoch(model, epoch, *args, **more)

    def _mend(self) -> str:
        kept = last_checkpoint(Path(self.args.output_dir))
        again = f" --from {kept} goes on from the last good checkpoint" if kept else ""
        return f"--set learning_rate=1e-5{again}"

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> Any:
        """The mean loss of a completion token over the whole dev set, whatever its batches."""
        began = time.monotonic()
        loader = self.get_eval_dataloader(eval_dataset)
        self.model.eval()
        found = torch.zeros(2, dtype=torch.float64)
        with torch.no_grad():
            for inputs in loader:
                with self.compute_loss_context_manager():
                    out = self.model(**self._prepare_inputs(inputs), fused_lm_head=True)
                found += torch.tensor([-out.log_probs.sum().item(), out.label_mask.sum().item()], dtype=torch.float64)
        self.model.train()
        self._evaluated += time.monotonic() - began
        total = self.accelerator.reduce(found.to(self.accelerator.device, torch.float32), "sum")
        metrics = {f"{metric_key_prefix}_loss": float(total[0] / total[1].clamp(min=1))}
        # before the checkpoint of this step is written: the newest one must be one that can be gone on from
        self._must_be_finite(metrics[f"{metric_key_prefix}_loss"], "dev loss", self.state.global_step)
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
