"""An adapter and its base brought together for the export: `testing-crew export` and `improve` do it alike."""

from __future__ import annotations

from pathlib import Path

from export.export import Base, Quantisation, Told, export_adapter
from export.registry import Exported, named
from finetune.adapters import lineage, must_fit, weights_of
from finetune.bases import find_base
from self_improve.packages import must_have
from testing_crew.errors import BackendUnavailable, UserMistake


def must_have_packages() -> None:
    """Raises BackendUnavailable where a package that merging and proving need is missing."""
    must_have("an export", "torch", "transformers", "peft", "llama_cpp")


def export_run(
    adapter: str,
    name: str,
    label: str | None = None,
    *,
    quantisation: Quantisation = "q8_0",
    as_lora: bool = False,
    base_name: str | None = None,
    tell: Told | None = None,
) -> Exported:
    """Publish the adapter that ``adapter`` names, a folder or a run's name, over the base that it was trained on.

    Raises UserMistake for an adapter without a base or for another base, a name that is none, a full disk; and as
    `export.export.export_adapter` does.
    """
    must_have_packages()
    ref = named(name, label)
    weights = weights_of(Path(adapter).expanduser())
    noted = lineage(weights)
    wanted = base_name or (noted.base if noted else None)
    if wanted is None:
        raise UserMistake(f"{weights} does not say on which base it was trained", hint="name it: --base smollm2")
    base = find_base(wanted)
    must_fit(weights, base)
    folder = Path(base.source) if base.is_folder else _fetched(base.source)
    return export_adapter(
        weights,
        Base(base.name, folder, base.sha256, base.serves),
        ref,
        quantisation=quantisation,
        as_lora=as_lora,
        tell=tell,
    )


def _fetched(name: str) -> Path:
    """The folder in which the hub's client keeps a base; fetched where it is not there."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]))
    except Exception as error:  # its own errors, requests', and the system's
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BackendUnavailable(
            f"the base {name} cannot be had: {first}", hint="--base FOLDER, or connect once"
        ) from None
