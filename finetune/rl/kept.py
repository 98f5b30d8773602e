"""What the trainers of this folder have in common: the arguments that Trainer takes, and what goes beside a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers.trainer_callback import EarlyStoppingCallback, PrinterCallback, TrainerCallback

from finetune.rl.held_out import HeldOut
from finetune.runs import has_cuda

if TYPE_CHECKING:
    from finetune.rl.recipe import PolicyRecipe
    from finetune.rl.run import PolicyRun


def arguments(run: PolicyRun, sixteen: bool) -> dict[str, Any]:
    """Trainer's arguments: evaluated, and kept, ``evaluations`` times; the best by what its answers are worth is taken."""
    recipe = run.recipe
    every = max(1, recipe.steps // recipe.evaluations)
    # a checkpoint between two steps on the same answers would have to hold the answers
    every = -(-every // recipe.on_the_same) * recipe.on_the_same
    return {
        "output_dir": str(run.folder / "checkpoints"),
        "max_steps": recipe.steps,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "constant_with_warmup",  # it may be ended at any step
        "warmup_steps": recipe.warmup,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": 1.0,
        "eval_strategy": "steps",
        "eval_steps": every,
        "eval_on_start": run.checkpoint is None,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        "restore_callback_states_from_checkpoint": True,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_score",
        "greater_is_better": True,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not has_cuda(),
        "bf16": sixteen,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "dataloader_pin_memory": has_cuda(),
        "seed": recipe.seed,
    }


class _Beside(TrainerCallback):  # type: ignore[misc]
    def __init__(self, judge: HeldOut) -> None:
        self.judge = judge

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.judge.keep(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def callbacks(recipe: PolicyRecipe, judge: HeldOut, *watching: Any) -> list[Any]:
    """What ends a run, watches it, and goes beside its checkpoints."""
    return [EarlyStoppingCallback(recipe.patience), *watching, _Beside(judge)]


def judged(trainer: Any, judge: HeldOut) -> Any:
    """``trainer`` as it is to be trained: judged by ``judge``, and without words of its own."""
    trainer.judge = judge
    trainer.remove_callback(PrinterCallback)
    return trainer
