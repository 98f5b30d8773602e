"""LoRA adapters over a GGUF base: which file a tag names, and whether it fits the base."""

from __future__ import annotations

from pathlib import Path

from testing_crew.backends.gguf import Header
from testing_crew.errors import BackendUnavailable, UnknownModel

FILE = "adapter.gguf"
PEFT = "adapter_config.json"


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
