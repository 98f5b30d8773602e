"""Where the files of a transformers model and its adapter lie on this machine; what is on the hub is fetched once."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testing_crew.backends import trained
from testing_crew.backends.llama import embedded_file, model_file
from testing_crew.backends.ref import ModelRef
from testing_crew.backends.trained import PEFT
from testing_crew.errors import BackendUnavailable, UnknownModel

EXTRA = "pip install 'testing-crew[train]'"
WEIGHTS = "adapter_model.safetensors"
_FETCHED = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]  # no pickles, and no code
_WHOLE = 1 << 30  # bytes; of a larger file only both ends are hashed: reading it all would take longer than loading it
_END = 1 << 20


@dataclass(frozen=True)
class Files:
    """The folder of the base (``gguf`` names a file in it that is read instead of safetensors), and the adapter's folder."""

    base: Path
    gguf: str | None = None
    adapter: Path | None = None

    def named(self) -> dict[str, str]:
        """The arguments that ``from_pretrained`` takes."""
        named = {"pretrained_model_name_or_path": str(self.base)}
        return named | ({"gguf_file": self.gguf} if self.gguf else {})

    def _weights(self) -> list[Path]:
        return sorted(self.base.glob(self.gguf or "*.safetensors"))

    def size(self) -> int:
        """How many bytes the base's weights have on the disk."""
        return sum(file.stat().st_size for file in self._weights())

    def revision(self) -> str:
        """Twelve digits of the names and contents of the base's weights, and of the adapter's sha256 after a ``+``."""
        digest = hashlib.sha256()
        for file in self._weights():
            digest.update(f"{file.name} {file.stat().st_size} {_digest(file)}\n".encode())
        of_adapter = f"+{_digest(self.adapter / WEIGHTS)[:12]}" if self.adapter else ""
        return digest.hexdigest()[:12] + of_adapter


def find(ref: ModelRef) -> Files:
    """The files that ``ref`` names. Raises UnknownModel when there are none, BackendUnavailable when they cannot be had."""
    folder = folder_of(ref.name)
    if ref.adapter is not None:
        adapter: Path | None = folder_of(ref.adapter)
    elif (folder / PEFT).is_file():
        adapter, folder = folder, _base_of(folder)
    else:
        adapter = None
    if adapter and not (adapter / PEFT).is_file():
        raise UnknownModel(
            f"{adapter} holds no adapter: there is no {PEFT} in it", hint="hf:BASE@ADAPTER names a PEFT adapter"
        )
    gguf = None if folder.is_dir() else folder.name
    base = folder if gguf is None else folder.parent
    if gguf is None and not (base / "config.json").is_file():
        raise UnknownModel(
            f"{base} holds no model: there is no config.json in it", hint="hf: is followed by a folder or ORG/NAME"
        )
    return Files(base, gguf, adapter)


def missing(ref: ModelRef) -> str:
    """Why ``ref`` cannot be opened without a network; empty where it can."""
    if not all(importlib.util.find_spec(name) for name in ("torch", "transformers")):
        return f"torch or transformers is not installed; {EXTRA}"
    from huggingface_hub.constants import HF_HUB_CACHE

    for name in filter(None, (ref.name, ref.adapter)):
        kept = Path(HF_HUB_CACHE, f"models--{name.replace('/', '--')}")
        if not (Path(name).expanduser().is_dir() or kept.is_dir()):
            return f"no folder {name}; if the hub has it, it is fetched when it is opened"
    return ""


def _base_of(adapter: Path) -> Path:
    """The base that an adapter was trained on: by ``training.json``, else by its own configuration."""
    named = trained.of_adapter(adapter).get("base")
    if named is None:
        try:
            named = json.loads((adapter / PEFT).read_text(encoding="utf-8")).get("base_model_name_or_path")
        except (OSError, ValueError) as error:
            raise BackendUnavailable(
                f"{adapter / PEFT} cannot be read: {error}", hint="train or fetch it again"
            ) from error
    if not isinstance(named, str) or not named:
        raise UnknownModel(f"{adapter} does not say what its base is", hint=f"name it: hf:BASE@{adapter}")
    beside = adapter / named
    return beside if named.startswith(".") and beside.is_dir() else folder_of(named)


def folder_of(name: str) -> Path:
    """The folder that ``name`` is, or into which the hub's repository of that name is fetched; a GGUF file for ``smollm2``."""
    if name == "embedded":
        return embedded_file().parent
    if name == "smollm2":
        return model_file(ModelRef(kind="smollm2"))
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise UnknownModel(f"there is no folder {path}", hint="hf: is followed by a folder or by ORG/NAME of the hub")
    return _fetched(name)


def _fetched(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ImportError as error:
        raise BackendUnavailable(
            "huggingface_hub is not installed", hint="pip install 'testing-crew[train]'"
        ) from error
    try:
        return Path(snapshot_download(name, allow_patterns=_FETCHED))
    except GatedRepoError as error:
        raise BackendUnavailable(
            f"the hub gives {name} only to those who asked", hint="ask there, then: hf auth login"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UnknownModel(
            f"there is no folder {name} here, and no such model on the hub", hint="hf:ORG/NAME"
        ) from error
    except (LocalEntryNotFoundError, OSError, ValueError) as error:
        raise BackendUnavailable(
            f"{name} is no folder here and not in the hub's cache, and the hub cannot be reached",
            hint="connect once (without HF_HUB_OFFLINE), or name a folder",
        ) from error


def adapter_shapes(adapter: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of an adapter, from its header. Raises BackendUnavailable when it is missing or broken."""
    file = adapter / WEIGHTS
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            header = json.loads(opened.read(min(length, 100 << 20)))
        ends = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        if file.stat().st_size != 8 + length + ends:
            raise ValueError(f"it has {file.stat().st_size} bytes of {8 + length + ends}")
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except FileNotFoundError as error:
        raise UnknownModel(
            f"{adapter} holds no adapter: there is no {WEIGHTS} in it", hint="train or fetch it again"
        ) from error
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackendUnavailable(f"{file} is broken: {error}", hint="train or fetch it again") from error


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(file):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        if size > _WHOLE:
            yield opened.read(_END)
            opened.seek(-_END, 2)
        while piece := opened.read(_END):
            yield piece
