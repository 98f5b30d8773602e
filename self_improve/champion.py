"""Which model a tag names, as far as a round must know: its base, and its lineage where it is one of ours."""

from __future__ import annotations

from pathlib import Path

from export.registry import Exported, exported
from testing_crew.backends import open_backend, trained
from testing_crew.backends.base import ModelConfig
from testing_crew.backends.ref import OWN, ModelRef, parse
from testing_crew.errors import UserMistake


def lineage_of(tag: str) -> Exported | None:
    """What is noted of the model that ``tag`` names, here or as it was given to Ollama; None where it is not one of ours."""
    ref = parse(tag)
    if ref.kind not in ("local", "ollama") or "/" in ref.name or ":" in ref.name:
        return None
    return exported(ModelRef(kind="local", name=ref.name, label=ref.label))


def registered_tag(tag: str) -> str:
    """The registry's tag of the model that ``tag`` names; ``tag`` itself where it is not one of ours."""
    made = lineage_of(tag)
    return made.ref.tag if made else tag


def base_of(tag: str) -> str:
    """The base of the model that ``tag`` names. Raises UserMistake where it cannot be trained on, or nobody knows."""
    ref = parse(tag)
    if ref.kind in OWN:
        return ref.kind
    if made := lineage_of(tag):
        return made.base
    if ref.kind == "hf":
        folder = Path(ref.adapter or ref.name).expanduser()
        return str(trained.of_adapter(folder).get("base") or ref.name)
    raise UserMistake(
        f"which weights {tag} was made of is not known here",
        hint="name the base to train on: --base smollm2, a folder, ORG/NAME",
    )


def revision_of(tag: str, server: ModelConfig) -> str:
    """What ``tag`` really serves now."""
    backend = open_backend(tag, server)
    try:
        return backend.revision
    finally:
        backend.close()
