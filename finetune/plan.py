"""What a stage is going to take, measured on a few batches before it starts."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

from pydantic import BaseModel

from finetune.recipe import Common, Recipe
from finetune.runs import Run, has_cuda
from testing_crew import disk
from testing_crew.errors import UserMistake

PLAN = "plan.json"
_SPARE_BYTES = 200 * 2**20
_FOR_DEV = 0.2  # of a run whose minutes are numbered


class Plan(BaseModel):
    """What a run is going to do. Times are seconds, memory is bytes, both from a few measured batches."""

    rows: int
    dev_rows: int
    tokens: int
    steps: int
    evaluations: int
    tokens_per_second: float
    seconds: float
    memory: int
    weights: str


def plan(run: Run, trainer: Any) -> Plan:
    """Measure a few batches and say what the whole will take; with ``minutes``, as many steps as fit."""
    recipe, lengths = run.recipe, trainer.lengths
    rate, memory = _measure(trainer)
    batches = len(trainer.get_train_dataloader())  # of this process: each does its share
    per_step = sum(lengths["train"]) / trainer.args.world_size / batches * recipe.accumulation / rate
    once = sum(lengths["dev"]) / trainer.args.world_size / rate / 3  # without its backward half
    evaluations, steps = recipe.evaluations, all_steps(recipe, batches)
    if run.minutes is not None and math.isfinite(rate):
        seconds = run.minutes * 60
        evaluations = max(1, min(evaluations, int(seconds * _FOR_DEV / once)))
        steps = max(1, min(steps, int((seconds * 0.95 - (evaluations + 1) * once) / per_step)))
    four_bit, sixteen = precision(recipe)
    weights = "4-bit NF4, computed in 16" if four_bit else "16-bit" if sixteen else "32-bit"
    return Plan(
        rows=len(lengths["train"]),
        dev_rows=len(lengths["dev"]),
        tokens=sum(lengths["train"]),
        steps=steps,
        evaluations=evaluations,
        tokens_per_second=rate if math.isfinite(rate) else 0.0,
        seconds=steps * per_step + (evaluations + 1) * once,
        memory=memory,
        weights=weights if has_cuda() else f"{weights} (no CUDA device, so not in 4)",
    )


def _measure(trainer: Any) -> tuple[float, int]:
    """Tokens a second of one process and peak bytes over a few batches; the weights stay as they are.

    A model that is divided over the devices is not whole before training begins: infinite, and 0 bytes.
    """
    if trainer.is_fsdp_enabled:
        return math.inf, 0
    trainer.model.train()
    if trainer.args.gradient_checkpointing:  # Trainer does it as it begins
        trainer.model.gradient_checkpointing_enable(trainer.args.gradient_checkpointing_kwargs)
    loader = trainer.get_train_dataloader()
    longest = max(range(len(loader.dataset)), key=lambda n: len(loader.dataset[n]["input_ids"]))
    batches = [*itertools.islice(loader, 3), trainer.data_collator([loader.dataset[longest]])]
    spent, seen = 0.0, 0
    for number, batch in enumerate(batches):
        inputs = trainer._prepare_inputs(batch)
        began = time.monotonic()
        with trainer.accelerator.autocast():
            loss = trainer.model(**inputs, fused_lm_head=True).loss
        loss.backward()
        if number:  # the first warms up
            spent += time.monotonic() - began
            seen += int(inputs["attention_mask"].sum() if "attention_mask" in inputs else inputs["input_ids"].numel())
    trainer.model.zero_grad(set_to_none=True)
    return seen / max(spent, 1e-9), _memory()


def agreed(planned: Plan) -> Plan:
    """The first process's plan, in all of them."""
    from accelerate.utils import broadcast_object_list

    said = [planned.model_dump()]
    broadcast_object_list(said)
    return Plan.model_validate(said[0])


def _memory() -> int:
    import resource
    import sys

    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def all_steps(recipe: Recipe, batches: int) -> int:
    """How many steps the recipe asks for, where one process has so many batches in an epoch."""
    steps = max(1, int(batches / recipe.accumulation * recipe.epochs))
    return min(steps, recipe.max_steps or steps)


def must_have_room(run: Run, trainer: Any) -> None:
    """Three checkpoints may lie side by side for a moment: the best, the last, and the next (weights, two moments)."""
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    disk.must_have_room(run.folder, 3 * trained * 12 + _SPARE_BYTES, "training needs")


def precision(recipe: Common) -> tuple[bool, bool]:
    """Whether the base is loaded in 4 bits, and whether it computes in 16."""
    cuda = has_cuda()
    if recipe.four_bit == "yes" and not cuda:
        raise UserMistake(
            "4-bit weights need a CUDA device", hint="--set four_bit=auto takes 16 or 32 bits where there is none"
        )
    four_bit = recipe.four_bit == "yes" or (recipe.four_bit == "auto" and cuda)
    return four_bit, recipe.precision == "bfloat16" or (recipe.precision == "auto" and (cuda or has_bfloat16()))


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 by itself: a third more tokens a second there, and slower elsewhere."""
    import torch

    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)
