"""The models that adapters are trained on: ``smollm2``, ``embedded``, a folder of weights, or a name on the hub."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing_crew.backends.hf import nf4
from testing_crew.backends.llama import embedded_file, model_file, sha256_of
from testing_crew.backends.ref import ModelRef
from testing_crew.disk import must_have_room
from testing_crew.errors import BackendUnavailable, UserMistake
from trace_logger.workspace import workspace

_SMOLLM2_BYTES = 600 * 2**20  # 32-bit weights
_READ = 2  # how a GGUF is read; another number has it read anew
_DIGITS = 12  # of a sha256: enough to name a file, short enough to read


@dataclass(frozen=True)
class Base:
    """Where a base's weights and tokenizer lie (a folder or a hub name), and the sha256 that names these very weights.

    ``serves`` is the model tag under which llama.cpp serves the same weights, where there is one.
    """

    name: str
    source: str
    sha256: str
    serves: str | None = None

    def trained(self, base: str, sha256: str) -> bool:
        """Whether what was trained on ``base`` with the weights ``sha256`` fits; where a hash is missing, the name decides."""
        return self.sha256 == sha256 if self.sha256 and sha256 else self.name == base

    @property
    def is_folder(self) -> bool:
        """Whether the weights lie on this machine."""
        return Path(self.source).is_dir()


def find_base(name: str) -> Base:
    """The base that ``name`` names; ``smollm2`` is made ready on its first use (some seconds, 540 MB in the workspace).

    Raises UserMistake for a folder without weights, BackendUnavailable for a package that is not installed.
    """
    if name == "smollm2":
        return _smollm2()
    if name == "embedded":
        folder = embedded_file().parent
        return Base(name, str(folder), sha256_of(folder / "model.safetensors"), serves="embedded")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _folder(folder.resolve())
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise UserMistake(
            f"there is no base {name!r}",
            hint="a base is smollm2, embedded, a folder of weights, or ORG/NAME on the hub",
        )
    return Base(name, name, "")


def _folder(folder: Path) -> Base:
    weights = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file() or not weights:
        raise UserMistake(
            f"{folder} holds no model", hint="a base has config.json, *.safetensors and its tokenizer in one folder"
        )
    whole = hashlib.sha256("".join(sha256_of(file) for file in weights).encode()).hexdigest()
    return Base(str(folder), str(folder), sha256_of(weights[0]) if len(weights) == 1 else whole)


def _smollm2() -> Base:
    """Dequantised once into the workspace: an adapter trained on these weights fits the quantised file that is served."""
    gguf = model_file(ModelRef(kind="smollm2"))
    sha256 = sha256_of(gguf)
    folder = workspace() / "bases" / f"smollm2-{sha256[:_DIGITS]}-{_READ}"
    if not (folder / "config.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        must_have_room(folder.parent, _SMOLLM2_BYTES, "the weights of smollm2 need")
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            _dequantise(gguf, Path(scratch) / "whole")
            shutil.rmtree(folder, ignore_errors=True)
            (Path(scratch) / "whole").rename(folder)
    return Base("smollm2", str(folder), sha256, serves="smollm2")


def _dequantise(gguf: Path, out: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = read.config
    if hasattr(config, "quantization_config"):  # with it the model refuses to be saved
        del config.quantization_config
    fresh = LlamaForCausalLM(config)
    fresh.load_state_dict(read.state_dict())
    fresh.tie_weights()
    fresh.save_pretrained(out)
    tokenizer_of(gguf).save_pretrained(out)


def tokenizer_of(gguf: Path) -> Any:
    r"""The tokenizer of SmolLM2's GGUF file, which splits as llama.cpp does (its ``smollm``, and that of SmolLM2's own files).

    Transformers does not read the split pattern: without it ``[\n    1`` has other tokens in training than in serving.
    """
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    split = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)]
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(split)
    return tokenizer


def load_tokenizer(base: Base) -> Any:
    """The base's tokenizer, with a padding token. Raises UserMistake where it cannot be had or names no end of text."""
    from transformers import AutoTokenizer

    tokenizer = _had(base, lambda: AutoTokenizer.from_pretrained(base.source))
    if tokenizer.eos_token_id is None:
        raise UserMistake(
            f"the tokenizer of {base.name} names no end-of-text token",
            hint="set eos_token in its tokenizer_config.json",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding is on the right and has no label: no token sees it
    return tokenizer


def load_model(base: Base, *, four_bit: bool = False, dtype: str = "float32") -> Any:
    """The base's weights, frozen; in 4 bits (NF4, double quantisation) where asked."""
    import torch
    from transformers import AutoModelForCausalLM

    wanted: dict[str, Any] = {"dtype": getattr(torch, dtype)}
    if four_bit:
        wanted["quantization_config"] = nf4()
        wanted["device_map"] = {"": torch.cuda.current_device()}
    return _had(base, lambda: AutoModelForCausalLM.from_pretrained(base.source, **wanted))


def _had(base: Base, get: Any) -> Any:
    from safetensors import SafetensorError

    try:
        return get()
    except (OSError, ValueError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "name a folder that holds it, or connect once" if not base.is_folder else "fetch or export it again"
        raise BackendUnavailable(f"the base {base.name} cannot be loaded: {first}", hint=hint) from None
