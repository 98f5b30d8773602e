"""One stage of training: rows and a base in, an adapter out. Planned before it starts, resumable, bounded in time.

run = open_run(read_recipe(shipped("a")), "smollm2")
adapter = train(run, tell=print)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finetune.adapters import Acceptance, Adapter, lineage, noted, open_adapter, write_note
from finetune.bases import Base, load_model
from finetune.plan import PLAN, Plan, agreed, must_have_room, plan, precision
from finetune.recipe import Common, Recipe
from finetune.runs import InFolder, Run, Tell, encode, has_cuda, open_run
from testing_crew.disk import is_full
from testing_crew.errors import UserMistake
from trace_logger.records import utc_now

__all__ = ["open_run", "train"]


def trainable(recipe: Common, base: Base, start: Path | None) -> tuple[Any, bool]:
    """The base with the adapter to be trained over it, that in ``start`` or a new one; and whether it computes in 16 bits."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    four_bit, sixteen = precision(recipe)
    model = load_model(
        base, four_bit=four_bit, dtype="bfloat16" if sixteen and not four_bit and has_cuda() else "float32"
    )
    if four_bit:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=recipe.gradient_checkpointing)
    if start:
        return open_adapter(model, start, recipe.lora), sixteen
    lora = recipe.lora
    shape = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, shape), sixteen
    except ValueError as error:  # layers of other names
        raise UserMistake(f"no adapter fits {base.name}: {error}", hint="--set 'lora.targets=[...]'") from None


def make_trainer(run: Run, watch: Any) -> Any:
    """TRL's trainer over the run's rows and its model with the adapter; `fix_steps` says how far it is to go."""
    from datasets import Dataset
    from transformers import set_seed
    from transformers.trainer_callback import EarlyStoppingCallback, PrinterCallback
    from trl import SFTConfig

    from finetune.trainer import StageTrainer

    recipe = run.recipe
    set_seed(recipe.seed)
    model, sixteen = trainable(recipe, run.base, run.start)
    sets = {"train": run.data.train, "dev": run.data.dev}
    encoded = {name: [encode(row, run.tokenizer) for row in rows] for name, rows in sets.items()}
    lengths = {name: [len(row["input_ids"]) for row in rows] for name, rows in encoded.items()}
    arguments = SFTConfig(
        output_dir=str(run.folder / "checkpoints"),
        per_device_train_batch_size=1,  # our batches are counted in tokens
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        eval_strategy="steps",
        eval_on_start=run.checkpoint is None,
        save_strategy="steps",
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,  # how often in a row the dev loss did not fall
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        use_cpu=not has_cuda(),
        bf16=sixteen,
        gradient_checkpointing=recipe.gradient_checkpointing,
        packing=recipe.packing,
        eval_packing=False,
        max_length=recipe.data.max_tokens if recipe.packing else None,
        dataloader_pin_memory=has_cuda(),
        ddp_find_unused_parameters=False,
        accelerator_config={"even_batches": False},
        seed=recipe.seed,
    )
    trainer = StageTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(encoded["train"]),
        eval_dataset=Dataset.from_list(encoded["dev"]),
        processing_class=run.tokenizer,
        callbacks=[EarlyStoppingCallback(recipe.patience), watch],
        micro_tokens=recipe.micro_tokens,
        lengths=lengths,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def fix_steps(trainer: Any, planned: Plan) -> None:
    """Let ``trainer`` make the planned steps, with a look at the dev loss and a checkpoint every so often."""
    trainer.args.max_steps = planned.steps
    trainer.args.eval_steps = trainer.args.save_steps = max(1, planned.steps // planned.evaluations)


def train(run: Run, tell: Tell | None = None, *, plan_only: bool = False) -> Adapter | None:
    """Train ``run`` to its end, from its last checkpoint where there is one; leaves the folder that `finetune.card` describes.

    With ``plan_only`` it measures, writes the plan and returns None. A run that is finished is not trained again.

    Raises UserMistake for what the person can mend (memory, disk), LossIsNotANumber, KeyboardInterrupt when it was stopped
    (the checkpoint is kept and ``--resume`` goes on).
    """
    from transformers import set_seed

    from finetune.callbacks import Watch

    tell = tell or (lambda event: None)
    if run.finished:
        return lineage(run.folder)
    run.folder.mkdir(parents=True, exist_ok=True)
    with told(run.folder, less_memory(run.recipe)):
        kept = run.folder / PLAN
        checkpoint = run.checkpoint
        watch = Watch(tell, run.minutes)
        trainer = make_trainer(run, watch)
        if checkpoint and kept.is_file():
            planned = Plan.model_validate_json(kept.read_text())
        else:
            must_have_room(run, trainer)
            planned = agreed(plan(run, trainer))
            if trainer.is_world_process_zero():
                kept.write_text(planned.model_dump_json(indent=2))
        tell({"event": "plan", **planned.model_dump(), "folder": str(run.folder), "resumed": str(checkpoint or "")})
        if plan_only:
            return None
        fix_steps(trainer, planned)
        set_seed(run.recipe.seed)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if watch.interrupted:
            raise KeyboardInterrupt
        save(run.folder, trainer)
        if trainer.is_world_process_zero():
            leave(run, trainer, watch, planned.steps, run.recipe.data.version, run.data.manifest)
        trainer.accelerator.wait_for_everyone()
        left = lineage(run.folder)
        assert left is not None
        return left


def save(folder: Path, trainer: Any) -> None:
    """Put the best adapter into the run's folder. Where the model is divided over the processes, all of them are needed."""
    temporary = folder / ".adapter"
    if trainer.is_world_process_zero():
        shutil.rmtree(temporary, ignore_errors=True)
    if trainer.is_fsdp_enabled:
        trainer.save_model(str(temporary))
    elif trainer.is_world_process_zero():
        trainer.model.save_pretrained(str(temporary), selected_adapters=["default"])
    if trainer.is_world_process_zero():
        shutil.rmtree(folder / "adapter", ignore_errors=True)
        temporary.rename(folder / "adapter")


def leave(
    run: InFolder,
    trainer: Any,
    watch: Any,
    steps: int,
    prompt_version: int,
    data: dict[str, Any],
    recipe: dict[str, Any] | None = None,
    held_out: Sequence[Acceptance] = (),
) -> None:
    """Put the lineage, the plot and the card beside the adapter; the checkpoints go. ``steps`` are those that were planned."""
    from finetune import card

    folder = run.folder / "adapter"
    adapter = Adapter(
        name=run.folder.name,
        stage=run.recipe.stage,
        base=run.base.name,
        base_sha256=run.base.sha256,
        started_from=str(run.start) if run.start else None,
        started_from_sha256=noted(run.start) if run.start else None,
        prompt_version=prompt_version,
        sha256=noted(folder),
        data=data,
        recipe=recipe or run.recipe.model_dump(mode="json"),
        trainable_parameters=sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        steps=trainer.state.global_step,
        **card.spent(trainer.state.log_history),
        ended=watch.ended or ("early" if trainer.state.global_step < steps else "finished"),
        **card.curve_of(trainer.state.log_history),
        held_out=tuple(held_out),
        **card.circumstances(),
        created_at=utc_now(),
    )
    card.leave(adapter, run.folder)
    write_note(adapter, run.folder)
    shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)


def less_memory(recipe: Recipe) -> str:
    """What of the recipe may be lowered where memory is short."""
    lower = f"--set micro_tokens={max(64, recipe.micro_tokens // 2)}, or --set gradient_checkpointing=true"
    longest = recipe.data.max_tokens
    if longest > recipe.micro_tokens // 2:  # a row that is longer than a batch is one by itself
        lower += f", or --set data.max_tokens={longest // 2}"
    return lower


@contextmanager
def told(folder: Path, lower: str) -> Iterator[None]:
    """What goes wrong for want of memory or disk, in a person's words; ``lower`` is what needs less memory."""
    import torch
    from safetensors import SafetensorError

    full = UserMistake(f"the disk is full: {folder}", hint="make room; --resume goes on from the last checkpoint")
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise UserMistake(
            f"out of memory: {str(error).splitlines()[0] if str(error) else 'the system gave no more'}", hint=lower
        ) from None
    except (RuntimeError, SafetensorError, OSError) as error:
        if is_full(error):
            raise full from None
        if "can't allocate memory" not in str(error) and "not enough memory" not in str(error):
            raise
        raise UserMistake(f"out of memory: {str(error).strip().splitlines()[0]}", hint=lower) from None
