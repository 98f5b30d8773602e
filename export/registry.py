"""The workspace's own models: ``models/NAME/VERSION/`` with the file that is served and ``export.json``, its lineage."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from testing_crew.backends.files import replace
from testing_crew.backends.llama import MODEL, model_file, registry
from testing_crew.backends.ref import ModelRef, parse
from testing_crew.backends.trained import FILE
from testing_crew.errors import UnknownModel, UserMistake
from trace_logger.records import Record

NOTE, MODELFILE = "export.json", "Modelfile"


class Exported(Record):
    """The lineage of a model of the registry. Hashes are sha256.

    ``over`` is the tag of the model that an adapter is laid over, None for a merged one; ``proof`` holds the figures of
    `export.verify`, ``scores`` what a gate found of it later.
    """

    name: str
    label: str
    base: str
    base_sha256: str
    adapter: str
    adapter_sha256: str
    stage: str | None
    data: dict[str, Any]
    quantisation: str
    over: str | None = None
    prompt_version: int
    context: int
    stop: tuple[str, ...] = ()
    licence: str = ""
    converter: dict[str, str]
    proof: dict[str, float]
    sha256: dict[str, str]
    scores: dict[str, Any] = Field(default_factory=dict)
    created_at: str

    @property
    def ref(self) -> ModelRef:
        """What it is called."""
        return ModelRef(kind="local", name=self.name, label=self.label)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return registry() / self.name / self.label

    @property
    def file(self) -> Path:
        """The GGUF of it: the model, or the adapter."""
        return self.folder / (FILE if self.over else MODEL)


def named(name: str, label: str | None) -> ModelRef:
    """The reference of a model to be published; without a label the next free ``v1``, ``v2`` …

    Raises UserMistake where it is not a name that the registry and Ollama both take, or is there already.
    """
    label = label or _next_label(name)
    ref = parse(f"local/{name}:{label}")
    parse(f"ollama/{name}:{label}")
    if (registry() / ref.name / ref.label).exists():
        raise UserMistake(f"{ref.tag} is there already", hint="give another --version, or leave it out")
    return ref


def _next_label(name: str) -> str:
    there = [folder.name[1:] for folder in (registry() / name).glob("v*")]
    return f"v{max((int(number) for number in there if number.isdigit()), default=0) + 1}"


def exported(ref: ModelRef) -> Exported | None:
    """The lineage of a model of the registry; None where it was put there by hand. Raises UserMistake for a broken note."""
    note = registry() / ref.name / ref.label / NOTE
    try:
        return Exported.model_validate_json(note.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise UserMistake(f"{note} cannot be read: {str(error).splitlines()[0]}") from None


def published(ref: ModelRef) -> Exported:
    """The same of one that must have it. Raises UnknownModel where there is no such model, or it has no lineage."""
    model_file(ref)
    model = exported(ref)
    if model is None:
        raise UnknownModel(f"{ref.tag} has no lineage: it was put there by hand", hint="export its adapter again")
    return model


def note(model: Exported, folder: Path) -> None:
    """Write the lineage, and the Modelfile that Ollama would be given."""
    replace(folder / NOTE, json.dumps(model.model_dump(), indent=2) + "\n")
    replace(folder / MODELFILE, modelfile(model))


def with_scores(model: Exported, scores: dict[str, Any]) -> Exported:
    """Note what a gate found of a model that is published."""
    scored = model.model_copy(update={"scores": scores})
    replace(scored.folder / NOTE, json.dumps(scored.model_dump(), indent=2) + "\n")
    return scored


def publish(model: Exported, folder: Path) -> None:
    """Move the finished ``folder`` to its place in the registry, whole or not at all. Raises UserMistake where that fails."""
    try:
        model.folder.parent.mkdir(parents=True, exist_ok=True)
        os.rename(folder, model.folder)
    except OSError as error:
        raise UserMistake(
            f"{model.ref.tag} cannot be published: {error.strerror}", hint="is it there already?"
        ) from None


def discard(model: Exported) -> None:
    """Take a model out of the registry."""
    shutil.rmtree(model.folder, ignore_errors=True)


def parameters(model: Exported) -> dict[str, Any]:
    """What the model is to be run with, by Ollama's names: greedy, to its end token, with the context that it was trained on."""
    return {"num_ctx": model.context, "temperature": 0, "stop": list(model.stop)}


def modelfile(model: Exported) -> str:
    """The same in the form of a Modelfile (https://docs.ollama.com/modelfile): raw text in and out, no chat template."""
    lines = [f"FROM {model_file(parse(model.over))}", f"ADAPTER ./{FILE}"] if model.over else [f"FROM ./{MODEL}"]
    lines.append("TEMPLATE {{ .Prompt }}")
    for key, value in parameters(model).items():
        lines += [f"PARAMETER {key} {json.dumps(each)}" for each in (value if isinstance(value, list) else [value])]
    return "\n".join([*lines, f'LICENSE """{model.licence}"""']) + "\n"
