"""What training and export left of a model of ours, as far as serving it needs to know: its notes, an adapter and its fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testing_crew.backends.gguf import Header
from testing_crew.errors import BackendUnavailable, UnknownModel
from testing_crew.prompt import PROMPT_VERSION

FILE = "adapter.gguf"
PEFT = "adapter_config.json"
KEY = "testing_crew.prompt_version"  # in a GGUF's metadata
NOTES = ("training.json", "export.json")


def notes_of(*folders: Path) -> dict[str, Any]:
    """What ``training.json`` and ``export.json`` in ``folders`` say, the first word counting; empty where there is neither.

    Raises BackendUnavailable when one of them cannot be read.
    """
    said: dict[str, Any] = {}
    for file in (folder / name for folder in folders for name in NOTES):
        try:
            said = json.loads(file.read_text(encoding="utf-8")) | said
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, TypeError, ValueError) as error:
            raise BackendUnavailable(f"{file} cannot be read: {error}", hint="export or train it again") from error
    return said


def of_adapter(adapter: Path) -> dict[str, Any]:
    """What training said of an adapter, a folder or a file in one: beside it or above its folder."""
    folder = adapter if adapter.is_dir() else adapter.parent
    return notes_of(folder, folder.resolve().parent)


def prompt_version(notes: dict[str, Any], what: object) -> int:
    """The version of the prompt that ``what`` was trained on by its ``notes``; the newest where they do not say.

    Raises BackendUnavailable when it is not one that this program can write.
    """
    version = notes.get("prompt_version", PROMPT_VERSION)
    if version not in range(1, PROMPT_VERSION + 1):
        raise BackendUnavailable(
            f"{what} was trained on version {version!r} of the prompt, and this program writes 1 to {PROMPT_VERSION}",
            hint="pip install --upgrade testing-crew",
        )
    return int(version)


def adapter_file(name: str, base: str) -> Path:
    """The GGUF adapter that ``name`` means, a file or a folder that holds ``adapter.gguf``; ``base`` is the base's tag.

    Raises UnknownModel where there is none, BackendUnavailable where it must be converted first.
    """
    path = Path(name).expanduser()
    if path.is_dir() and (path / FILE).is_file():
        return path / FILE
    if path.is_dir() and (path / PEFT).is_file():
        raise BackendUnavailable(
            f"{path} holds a PEFT adapter and no {FILE}, which llama.cpp needs",
            hint=f"python -m export.lora {path}; or serve it with transformers: hf:{path}",
        )
    if path.is_dir() or not path.exists():
        why = f"{path} holds no adapter" if path.is_dir() else f"there is no adapter {path}"
        raise UnknownModel(why, hint=f"{base}@ is followed by a .gguf adapter, or a folder with {FILE}")
    return path


def check_fit(adapter: Path, lora: Header, base: Header, tag: str) -> None:
    """Raise BackendUnavailable when ``lora`` is no LoRA, or one for another base: llama.cpp says less, or stops the process."""
    if lora.metadata.get("general.type") != "adapter" or lora.metadata.get("adapter.type") != "lora":
        raise BackendUnavailable(
            f"{adapter} is no LoRA adapter, but a whole model", hint=f"gguf:{adapter} serves it alone"
        )
    for name, shape in lora.shapes.items():
        weight, _, side = name.rpartition(".lora_")
        there = base.shapes.get(weight)
        # As GGUF counts, a weight is (inputs, outputs), A (inputs, rank) and B (rank, outputs); the embedding's are turned round.
        at = {"a": 0, "b": 1}.get(side)
        fits = there is not None and at is not None and (shape[at] == there[at] or weight.startswith("token_embd"))
        if lora.architecture != base.architecture or not fits:
            has = f"{'x'.join(map(str, there))} there" if there else "not in it"
            raise BackendUnavailable(
                f"{adapter} is an adapter for another base than {tag}: {weight or name} is {has}",
                hint="name the base that it was trained on (base in training.json beside it)",
            )
