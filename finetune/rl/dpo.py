"""Direct preference optimisation (Rafailov 2023, https://arxiv.org/abs/2305.18290) by TRL, guarded against its collapse.

What guards it: the chosen files' own loss beside the preference (``sft_weight``), without which both files of a pair may become
ever less likely; a small rate; and that it is judged by what its answers are worth, not by its loss, which falls all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from finetune.reward import Grader
from finetune.rl.held_out import HeldOut, Judged
from finetune.rl.kept import arguments, callbacks, judged
from finetune.train import trainable

if TYPE_CHECKING:
    from finetune.rl.run import PolicyRun


class PreferenceTrainer(Judged, DPOTrainer):  # type: ignore[misc]
    """TRL's trainer, judged by `HeldOut`."""


def make_trainer(run: PolicyRun, judge: HeldOut, grader: Grader, watch: Any) -> Any:
    """TRL's trainer over the run's pairs; the reference is where training begins: a copy of the adapter, or the base."""
    recipe = run.recipe
    model, sixteen = trainable(recipe, run.base, run.start)
    micro = recipe.at_once(recipe.batch)
    config = DPOConfig(
        **arguments(run, sixteen),
        per_device_train_batch_size=micro,
        per_device_eval_batch_size=recipe.micro_batch,
        gradient_accumulation_steps=recipe.batch // micro,
        beta=recipe.beta,
        loss_type=["sigmoid", "sft"] if recipe.sft_weight else ["sigmoid"],
        loss_weights=[1.0, recipe.sft_weight] if recipe.sft_weight else None,
        max_length=None,
    )
    rows = [{"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected} for pair in run.pairs]
    trainer = PreferenceTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows[:1]),  # Trainer wants one; `Judged` looks at the prompts held out
        processing_class=run.tokenizer,
        callbacks=callbacks(recipe, judge, watch),
    )
    return judged(trainer, judge)
