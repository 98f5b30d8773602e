"""What a stage leaves behind: an adapter in a folder of its own, with ``training.json`` beside it, and how one is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from finetune.bases import Base
from finetune.recipe import LoraRecipe
from testing_crew.backends.hf_files import WEIGHTS
from testing_crew.backends.llama import sha256_of
from testing_crew.backends.trained import FILE, PEFT
from testing_crew.errors import UserMistake
from trace_logger.records import Record
from trace_logger.workspace import workspace

NOTE = "training.json"


class Point(Record):
    """One point of a training curve; losses are means over completion tokens, None where they were not taken."""

    step: int
    train: float | None = None
    dev: float | None = None


class Acceptance(Record):
    """How the answers to the prompts held out fared after ``step`` steps: mean reward, shares of ``n`` answers."""

    step: int
    n: int
    accepted: float
    cheats: float
    reward: float

    @property
    def score(self) -> float:
        """What the best checkpoint is chosen by: of two that are accepted as often, the one whose answers are worth more."""
        return self.accepted + self.reward / 100


class Adapter(Record):
    """The lineage of one adapter: what it was trained from, on what, how, and what came of it. Kept as ``training.json``.

    ``dev_loss_before`` is that of the start (the base, or the adapter of the stage before); ``ended`` says why training
    ended. Hashes are sha256.
    """

    name: str
    stage: str
    base: str
    base_sha256: str
    started_from: str | None = None
    started_from_sha256: str | None = None
    prompt_version: int
    sha256: str
    data: dict[str, Any]
    recipe: dict[str, Any]
    code_sha256: str
    versions: dict[str, str]
    hardware: str
    trainable_parameters: int
    steps: int
    tokens: int
    seconds: float
    evaluation_seconds: float
    ended: str
    dev_loss_before: float | None
    dev_loss: float | None
    curve: tuple[Point, ...] = ()
    held_out: tuple[Acceptance, ...] = ()
    created_at: str = Field(default="")

    @property
    def best(self) -> Acceptance:
        """How the prompts held out fared with what is left: the best that was trained, where it began not counted."""
        trained = [each for each in self.held_out if each.step] or self.held_out
        return max(trained, key=lambda each: each.score)


def adapters() -> Path:
    """The folder of the workspace that holds a folder for each training run."""
    return workspace() / "adapters"


def weights_of(path: Path) -> Path:
    """The PEFT folder that ``path`` names: itself, or ``adapter/`` in a run's folder. Raises UserMistake when there is none."""
    if not path.exists() and (adapters() / path).exists():
        path = adapters() / path
    for folder in (path, path / "adapter"):
        if (folder / PEFT).is_file():
            if not (folder / WEIGHTS).is_file():
                raise UserMistake(
                    f"{folder} has no {WEIGHTS}", hint="the adapter is not whole: train or fetch it again"
                )
            return folder.resolve()
    there = ", ".join(sorted(p.parent.name for p in adapters().glob(f"*/{NOTE}"))) or "none yet"
    raise UserMistake(f"there is no adapter at {path}", hint=f"adapters of the workspace: {there}")


def lineage(folder: Path) -> Adapter | None:
    """What is noted of the adapter in ``folder``; None for one that was made elsewhere. Raises UserMistake for a broken note."""
    for note in (folder / NOTE, folder.parent / NOTE):
        if note.is_file():
            try:
                return Adapter.model_validate_json(note.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, ValidationError) as error:
                raise UserMistake(f"{note} cannot be read: {str(error).splitlines()[0]}") from None
    return None


def must_fit(folder: Path, base: Base) -> Adapter | None:
    """The lineage of the adapter in ``folder``. Raises UserMistake where it was trained on another base than ``base``."""
    noted = lineage(folder)
    if noted is not None and not base.trained(noted.base, noted.base_sha256):
        raise UserMistake(
            f"the adapter {noted.name} was trained on {noted.base} ({noted.base_sha256[:12] or 'no hash'}), not on "
            f"{base.name} ({base.sha256[:12] or 'no hash'})",
            hint=f"--base {noted.base}, or another adapter with --from",
        )
    return noted


def newest(stage: str, base: Base) -> Path | None:
    """The newest finished adapter of ``stage`` on ``base`` in the workspace."""
    found = [(note, lineage(note.parent)) for note in adapters().glob(f"*/{NOTE}")]
    fitting = [
        (noted.created_at, note.parent / "adapter")
        for note, noted in found
        if noted is not None and noted.stage == stage and base.trained(noted.base, noted.base_sha256)
    ]
    return max(fitting)[1] if fitting else None


def tag_of(noted: Adapter, weights: Path) -> str:
    """The model tag under which ``weights`` answer: llama.cpp's where they were converted for it, else transformers'."""
    return f"{noted.base}@{weights}" if (weights / FILE).is_file() else f"hf:{weights}"


def open_adapter(model: Any, folder: Path, lora: LoraRecipe) -> Any:
    """``model`` with the adapter in ``folder`` over it, to be trained on with the dropout of ``lora``.

    Raises UserMistake where it cannot be, or has another shape than ``lora`` says.
    """
    from peft import PeftConfig, PeftModel

    try:
        config = PeftConfig.from_pretrained(str(folder))
        _must_have_shape(folder, config, lora)
        config.lora_dropout = lora.dropout
        return PeftModel.from_pretrained(model, str(folder), is_trainable=True, config=config)
    except UserMistake:
        raise
    except Exception as error:  # safetensors, json and PEFT each raise their own
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        what = "is for another base" if "size mismatch" in str(error) else "cannot be read"
        raise UserMistake(f"the adapter in {folder} {what}: {first}", hint="name another with --from") from None


def _must_have_shape(folder: Path, config: Any, lora: LoraRecipe) -> None:
    there = {"r": config.r, "alpha": config.lora_alpha, "targets": sorted(config.target_modules)}
    asked = {"r": lora.r, "alpha": lora.alpha, "targets": sorted(lora.targets)}
    if keys := [key for key in there if there[key] != asked[key]]:
        raise UserMistake(
            f"the adapter in {folder} has {', '.join(f'{key} {there[key]}' for key in keys)}, and the recipe says "
            f"{', '.join(str(asked[key]) for key in keys)}",
            hint="a stage goes on with the shape of the one before: "
            + " ".join(f"--set lora.{key}={json.dumps(there[key])}" for key in keys),
        )


def noted(folder: Path) -> str:
    """The sha256 of an adapter's weights."""
    return sha256_of(folder / WEIGHTS)


def write_note(adapter: Adapter, folder: Path) -> None:
    """Write ``training.json``, whole or not at all."""
    temporary = folder / f".{NOTE}"
    temporary.write_text(json.dumps(adapter.model_dump(), indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / NOTE)
