"""An adapter becomes a model that is served: merge → convert → quantise → prove → publish. What is not proven is not published.

export_adapter(adapter, Base("embedded", folder, sha256), named("mine", None))
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from export.convert import PRE_TOKENIZERS, convert
from export.llamacpp import PACKAGE, SHA256
from export.lora import convert_lora
from export.merge import merge
from export.registry import NOTE, Exported, note, publish
from export.texts import proof_texts
from export.verify import prove, prove_served
from testing_crew.backends import trained
from testing_crew.backends.hf_files import WEIGHTS
from testing_crew.backends.llama import MODEL, model_file, registry, sha256_of
from testing_crew.backends.ref import ModelRef, parse
from testing_crew.backends.trained import FILE
from testing_crew.disk import is_full, must_have_room
from testing_crew.errors import UserMistake
from trace_logger.liveness import alive, this_process
from trace_logger.records import utc_now

Quantisation = Literal["q8_0", "f16"]
Told = Callable[[str], None]

LICENCES = {"embedded": "Apache-2.0", "smollm2": "Apache-2.0"}
_SCRATCH, _OWNER = ".export-", "owner"
_SPARE_BYTES = 50 * 2**20
_ANSWERS = 6  # prompts that both sides answer


@dataclass(frozen=True)
class Base:
    """The base of an adapter: its name, the folder of its weights, their sha256, and the tag that serves the same weights."""

    name: str
    folder: Path
    sha256: str
    serves: str | None = None


def export_adapter(
    adapter: Path,
    base: Base,
    ref: ModelRef,
    *,
    quantisation: Quantisation = "q8_0",
    as_lora: bool = False,
    tell: Told | None = None,
) -> Exported:
    """Publish ``adapter`` over ``base`` as ``ref`` (see `registry.named`); with ``as_lora`` unmerged, over what serves the base.

    Raises NotTheSameModel where a proof fails, ConversionFailed where the adapter cannot be merged or converted, UserMistake
    where the disk is full.
    """
    tell = tell or (lambda what: None)
    if as_lora and not base.serves:
        raise UserMistake(f"{base.name} is not served as a GGUF here", hint="export it merged: without --lora")
    notes = trained.of_adapter(adapter)
    version = trained.prompt_version(notes, adapter)
    pre = PRE_TOKENIZERS.get(base.name, "")
    texts = proof_texts()
    registry().mkdir(parents=True, exist_ok=True)
    _clear_up()
    # four copies lie side by side for a while: merged, f32, what is served, and the converter's own
    weights = sum(file.stat().st_size for file in base.folder.glob("*.safetensors"))
    must_have_room(registry(), 4 * weights + _SPARE_BYTES, "an export needs")
    with tempfile.TemporaryDirectory(dir=registry(), prefix=_SCRATCH) as scratch, _full_disk_told():
        work, ready = Path(scratch), Path(scratch) / "ready"
        (work / _OWNER).write_text(this_process(), encoding="utf-8")
        ready.mkdir()
        (ready / NOTE).write_text(json.dumps({"prompt_version": version}), encoding="utf-8")  # as it will be served
        tell("merging")
        merged = merge(adapter, base.folder, work / "merged", whole=as_lora)
        tell("converting")
        f32 = convert(base.folder if as_lora else merged, work / "f32.gguf", "f32", pre, version)
        lora = convert_lora(adapter, base.folder, ready / FILE) if as_lora else None
        tell("proving: token ids and logits")
        proof = prove(merged, f32, texts, lora=lora)
        served = model_file(parse(base.serves or "")) if as_lora else ready / MODEL
        if not as_lora:
            tell(f"quantising: {quantisation}")
            convert(merged, served, quantisation, pre, version)
        tell("proving: answers of the file that is served")
        kind = "q8_0" if as_lora else quantisation  # the base may be quantised, and how is not ours to say
        proof |= prove_served(merged, served, texts[:_ANSWERS], kind, lora=lora)
        model = Exported(
            name=ref.name,
            label=ref.label,
            base=base.name,
            base_sha256=base.sha256,
            adapter=str(adapter),
            adapter_sha256=sha256_of(adapter / WEIGHTS),
            stage=notes.get("stage"),
            data=_data(notes),
            quantisation="lora" if as_lora else quantisation,
            over=base.serves if as_lora else None,
            prompt_version=version,
            **_window(merged),
            licence=_licence(base, notes),
            converter={
                "package": PACKAGE,
                "version": metadata.version(PACKAGE),
                "sha256": SHA256.get(metadata.version(PACKAGE), ""),
            },
            proof=proof,
            sha256={file.name: sha256_of(file) for file in sorted(ready.glob("*.gguf"))},
            created_at=utc_now(),
        )
        note(model, ready)
        publish(model, ready)
    return model


def _window(model: Path) -> dict[str, Any]:
    """How many tokens the model takes, and the token that ends its answers."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    end = tokenizer.get("eos_token")
    end = end.get("content") if isinstance(end, dict) else end
    return {"context": int(config.get("max_position_embeddings") or 2048), "stop": (end,) if end else ()}


def _data(notes: dict[str, Any]) -> dict[str, Any]:
    """Of the data that the adapter was trained on, what names it: the sources, their hashes, the rows, the licences."""
    data = notes.get("data") or {}
    return {key: data[key] for key in ("inputs", "sha256", "train", "licences") if key in data}


def _licence(base: Base, notes: dict[str, Any]) -> str:
    of_rows = (notes.get("data") or {}).get("licences") or {}
    trained_on = ", ".join(f"{name} ({count} rows)" for name, count in of_rows.items()) or "not noted"
    return f"Base {base.name}: {LICENCES.get(base.name, 'see its model card')}. Trained on rows of these licences: {trained_on}."


def _clear_up() -> None:
    """Remove what exports that were killed have left."""
    for folder in registry().glob(f"{_SCRATCH}*"):
        try:
            owner = (folder / _OWNER).read_text(encoding="utf-8")
        except OSError:
            continue  # one that is just beginning
        if not alive(owner):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # torch's, safetensors' and the converter's own say it, each in its way
        if not is_full(error):
            raise
        raise UserMistake(
            f"the disk is full: {registry()}", hint="make room and export again; nothing was published"
        ) from None
