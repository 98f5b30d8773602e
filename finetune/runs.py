"""A stage made ready: its base, the adapter it starts from, its rows, and the folder that it will leave."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.adapters import NOTE, adapters, must_fit, newest, noted, weights_of
from finetune.bases import Base, find_base, load_tokenizer
from finetune.data.build import DataSet, build
from finetune.data.rows import Row
from finetune.recipe import Recipe
from testing_crew.backends import trained
from testing_crew.errors import UserMistake
from trace_logger.workspace import workspace

Tell = Callable[[dict[str, Any]], None]
BEFORE = {"a": None, "b": "a", "c": "b"}


@dataclass(frozen=True)
class InFolder:
    """What is ready to be trained: a recipe, its base and the adapter that it starts from, and the folder that it will leave."""

    recipe: Any
    base: Base
    start: Path | None
    tokenizer: Any
    folder: Path

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end before."""
        return (self.folder / NOTE).is_file()

    @property
    def checkpoint(self) -> Path | None:
        """The last whole checkpoint of this run."""
        return last_checkpoint(self.folder / "checkpoints")

    def must_be_asked_for(self, resume: bool) -> None:
        """Raise UserMistake where such a run is there, finished or not, and ``resume`` does not say that it is meant."""
        if self.finished and not resume:
            raise UserMistake(f"this very run is finished: {self.folder}", hint="--fresh trains it anew")
        if self.checkpoint and not resume:
            raise UserMistake(
                f"an unfinished run of the same inputs is there: {self.checkpoint}",
                hint="--resume goes on, --fresh begins anew",
            )


@dataclass(frozen=True)
class Run(InFolder):
    """A stage that is ready to be trained on rows."""

    recipe: Recipe
    data: DataSet
    minutes: float | None = None


def has_cuda() -> bool:
    """Whether there is a CUDA device."""
    import torch

    return torch.cuda.is_available()


def processes() -> Any:
    """The processes that train together (`accelerate launch`), this one among them; one alone where there are no others."""
    from accelerate import PartialState

    return PartialState(cpu=not has_cuda())


def open_run(
    recipe: Recipe,
    base_name: str,
    start: str | None = None,
    *,
    minutes: float | None = None,
    resume: bool = False,
    fresh: bool = False,
    tell: Tell | None = None,
) -> Run:
    """Find the base, the adapter to start from and the rows. ``start`` is a path, ``none``, or None for the stage before.

    Raises UserMistake for whatever of it is missing, and for an unfinished run of the same inputs unless ``resume`` (go on)
    or ``fresh`` (begin anew) says what is to become of it.
    """
    every = processes()
    _must_be_launched()
    with every.main_process_first():  # what is made once (a dequantised base, the rows) the others find made
        base = find_base(base_name)
        tokenizer = load_tokenizer(base)
        recipe = _within_window(recipe, base, tell)
        begin = _start(recipe.stage, base, start)
        recipe = _with_version(recipe, base, begin)
        data = build(recipe.data, tokenizer, workspace(), reading(tell))
    if not data.dev:
        raise UserMistake(
            "no row is left for dev, by which training is judged", hint="give more rows, or raise data.dev_share"
        )
    inputs = [recipe.model_dump(), base.sha256 or base.source, noted(begin) if begin else None, data.folder.name]
    mark = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()[:8]
    name = f"{Path(base.name).name}-{recipe.stage}-{mark}"
    run = Run(recipe, base, begin, tokenizer, adapters() / name, data, minutes)
    if fresh:
        if every.is_main_process:
            shutil.rmtree(run.folder, ignore_errors=True)
        every.wait_for_everyone()
    else:
        run.must_be_asked_for(resume)
        if resume and not run.finished and not run.checkpoint and tell:
            tell({"event": "note", "text": "there is no checkpoint of these very inputs: it begins anew"})
    return run


def _must_be_launched() -> None:
    """Several GPUs are used by several processes: TRL refuses one process that sees more."""
    import torch

    if has_cuda() and torch.cuda.device_count() > 1 and processes().num_processes == 1:
        raise UserMistake(
            f"there are {torch.cuda.device_count()} GPUs, and one process trains on one",
            hint="CUDA_VISIBLE_DEVICES=0 testing-crew train …; or all of them, by accelerate launch (finetune/configs/ddp.yaml)",
        )


def version_of(base: Base, start: Path | None) -> int:
    """The version of the prompt that the adapter in ``start``, or else the base, was trained on."""
    notes = trained.of_adapter(start) if start else trained.notes_of(Path(base.source)) if base.is_folder else {}
    return trained.prompt_version(notes, start or base.name)


def _with_version(recipe: Recipe, base: Base, start: Path | None) -> Recipe:
    """The recipe with the prompt of what is trained on, where it does not ask for another."""
    if recipe.data.prompt_version is not None:
        return recipe
    version = version_of(base, start)
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"prompt_version": version})})


def _within_window(recipe: Recipe, base: Base, tell: Tell | None) -> Recipe:
    """The recipe with rows no longer than ``base`` has positions for."""
    from transformers import AutoConfig

    try:
        window = getattr(AutoConfig.from_pretrained(base.source), "max_position_embeddings", None)
    except (OSError, ValueError):
        return recipe  # loading its weights says what is wrong with it
    if not isinstance(window, int) or recipe.data.max_tokens <= window:
        return recipe
    if tell:
        tell({"event": "note", "text": f"{base.name} has a window of {window} tokens: longer rows are left out"})
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"max_tokens": window})})


def reading(tell: Tell | None) -> Callable[[str, int, int], None] | None:
    """How it is told that sources are read."""
    if tell is None:
        return None
    return lambda what, done, of: tell({"event": "data", "what": what, "done": done, "of": of})


def _start(stage: str, base: Base, wanted: str | None) -> Path | None:
    before = BEFORE[stage]
    if wanted == "none" or (wanted is None and before is None):
        return None
    if wanted is None:
        found = newest(str(before), base)
        if found is None:
            raise UserMistake(
                f"stage {stage} starts from an adapter of stage {before} on {base.name}, and there is none",
                hint=f"testing-crew train {before} --base {base.name}; or --from ADAPTER; or --from none",
            )
        return found
    folder = weights_of(Path(wanted).expanduser())
    earlier = must_fit(folder, base)
    if stage == "c" and earlier is not None and earlier.stage == "c":
        raise UserMistake(
            f"{earlier.name} is of stage c, which is never trained on further: a round starts from the base and b",
            hint="--from an adapter of stage b (or a)",
        )
    return folder


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in ``folder`` that was written to its end: Trainer writes its state last."""
    for found in sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]), reverse=True):
        try:
            json.loads((found / "trainer_state.json").read_text())
        except (OSError, ValueError):
            continue
        return found
    return None


def encode(row: Row, tokenizer: Any) -> dict[str, list[int]]:
    """Token ids of one row, and its labels: -100 on the prompt, so that only the completion and its end are learnt."""
    prompt = tokenizer(row.prompt)["input_ids"]
    if prompt and prompt[-1] == tokenizer.eos_token_id:  # a tokenizer that ends every text by itself
        prompt = prompt[:-1]
    answer = [*tokenizer(row.completion, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}
