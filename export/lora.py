"""A PEFT adapter becomes a GGUF adapter, which llama.cpp lays over a GGUF of the same base.

python -m export.lora ADAPTER [--base FOLDER] [--out ADAPTER/adapter.gguf]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from export.convert import ConversionFailed
from export.llamacpp import converter_folder
from testing_crew.backends.llama import embedded_file
from testing_crew.backends.trained import FILE, PEFT

# What the file cannot say: llama.cpp scales every pair by alpha over rank, and knows no other trained weights.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "use_rslora": (False, None),
    "use_dora": (False, None),
    "alpha_pattern": ({}, None),
    "modules_to_save": ([], None),
    "trainable_token_indices": ([], None),
    "lora_bias": (False, None),
    "bias": ("none", None),
}


def convert_lora(adapter: Path, base: Path, out: Path) -> Path:
    """Convert the PEFT adapter in the folder ``adapter`` to the file ``out``, whole or not at all.

    ``base`` is a folder with the ``config.json`` of the model that it was trained on; its weights are not needed.
    Raises ConversionFailed when the adapter has what a GGUF adapter cannot hold, or with the converter's last words.
    """
    try:
        config = json.loads((adapter / PEFT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConversionFailed(f"{adapter} holds no PEFT adapter: {error}") from error
    if odd := [key for key, plain in _PLAIN.items() if config.get(key) not in plain]:
        raise ConversionFailed(
            f"{adapter} uses {', '.join(odd)}, which a GGUF adapter cannot hold", hint="merge it into its base instead"
        )
    temporary = out.with_name(f".{out.name}.tmp")
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(converter_folder() / "convert_lora_to_gguf.py"), str(adapter), "--base", str(base)]
    done = subprocess.run([*command, "--outfile", str(temporary), "--outtype", "f32"], capture_output=True, text=True)
    if done.returncode or not temporary.is_file():
        temporary.unlink(missing_ok=True)
        words = (done.stderr.strip().splitlines() or ["the converter said nothing"])[-1]
        raise ConversionFailed(f"{adapter} could not be converted: {words}")
    temporary.replace(out)
    return out


def base_folder(adapter: Path) -> Path:
    """The folder of the base that the adapter names. Raises ConversionFailed when there is none here."""
    named = json.loads((adapter / PEFT).read_text(encoding="utf-8")).get("base_model_name_or_path") or ""
    folder = embedded_file().parent if named == "embedded" else Path(named)
    if not (folder / "config.json").is_file():
        raise ConversionFailed(
            f"the base of {adapter}, {named or 'unnamed'}, is no folder here", hint="name it: --base FOLDER"
        )
    return folder


def main() -> None:
    """Read the arguments and convert."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    try:
        base = options.base or base_folder(options.adapter)
        print(convert_lora(options.adapter, base, options.out or options.adapter / FILE))
    except ConversionFailed as error:
        sys.exit(f"{error.message}\n{error.hint}".strip())


if __name__ == "__main__":
    main()
