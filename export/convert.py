"""A folder of transformers weights becomes a GGUF file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

from export.llamacpp import converter_folder
from testing_crew.errors import TestingCrewError

# How llama.cpp calls the tokenizers of the bases that its converter does not know by their hash; `export.verify` confirms it.
# The embedded one's is StarCoder's pattern (finetune.tokenizer).
PRE_TOKENIZERS = {"embedded": "starcoder", "smollm2": "smollm"}
OutType = Literal["f32", "f16", "bf16", "q8_0"]


class ConversionFailed(TestingCrewError):
    """llama.cpp's converter refused the model."""


def convert(model: Path, out: Path, outtype: OutType, pre_tokenizer: str, prompt_version: int) -> Path:
    """Convert the model in the folder ``model`` (safetensors and tokenizer) to the file ``out``, whole or not at all.

    ``pre_tokenizer`` is llama.cpp's name for the tokenizer's split pattern, empty where its converter knows it; prove it with
    ``verify.token_parity``. Raises ConversionFailed with the converter's last words.
    """
    temporary = out.with_name(f".{out.name}.tmp")
    out.parent.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name("_converter.py")
    named = [str(converter_folder()), pre_tokenizer, str(prompt_version)]
    command = [sys.executable, str(script), *named, str(model)]
    done = subprocess.run([*command, "--outfile", str(temporary), "--outtype", outtype], capture_output=True, text=True)
    if done.returncode or not temporary.is_file():
        temporary.unlink(missing_ok=True)
        words = (done.stderr.strip().splitlines() or ["the converter said nothing"])[-1]
        raise ConversionFailed(f"{model} could not be converted: {words}")
    temporary.replace(out)
    return out
