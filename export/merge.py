"""An adapter folded into its base: one model in 16 bits, as transformers keeps it."""

from __future__ import annotations

import gc
from pathlib import Path

from export.convert import ConversionFailed


def merge(adapter: Path, base: Path, out: Path, *, whole: bool = False) -> Path:
    """Write base plus adapter into the folder ``out``, with the tokenizer.

    In float16, or bfloat16 where a weight exceeds that; with ``whole`` in 32 bits, what an unmerged adapter is compared with.

    The sums are made in 32 bits, whatever the base was loaded in for training: a merge into 4-bit weights loses what was learnt.
    Raises ConversionFailed where the adapter does not fit the base or cannot be read.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    except Exception as error:  # safetensors, json, PEFT and torch each raise their own
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        what = "was trained on another base than" if "size mismatch" in str(error) else "cannot be merged into"
        raise ConversionFailed(f"{adapter} {what} {base}: {first}", hint="name its own base with --base") from None
    limit = torch.finfo(torch.float16).max
    fits = all(bool((weight.abs() <= limit).all()) for weight in merged.parameters())
    if not whole:
        merged.to(torch.float16 if fits else torch.bfloat16)
    merged.save_pretrained(out)
    AutoTokenizer.from_pretrained(base).save_pretrained(out)
    del model, merged
    gc.collect()
    return out
