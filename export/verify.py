"""Is the GGUF the same model? Token ids over many texts, and logits of f32 weights with an f32 cache."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from testing_crew.errors import TestingCrewError

MAX_LOGIT_DIFFERENCE = 1e-3


class NotTheSameModel(TestingCrewError):
    """The GGUF does not do what the transformers model does."""


def _open(gguf: Path, context: int) -> Any:
    import llama_cpp

    return llama_cpp.Llama(
        str(gguf),
        n_ctx=context,
        n_batch=context,
        logits_all=True,
        verbose=False,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        flash_attn=False,
    )


def token_parity(model: Path, gguf: Path, texts: Sequence[str]) -> int:
    """Tokenize every text on both sides; returns how many were compared. Raises NotTheSameModel at the first that differs."""
    import llama_cpp
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    served = llama_cpp.Llama(str(gguf), vocab_only=True, verbose=False)
    for text in texts:
        ours = tokenizer(text, add_special_tokens=False)["input_ids"]
        theirs = served.tokenize(text.encode(), add_bos=False, special=True)
        if ours != theirs:
            at = next(
                (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
            )
            near = tokenizer.decode(ours[max(0, at - 4) : at + 4])
            raise NotTheSameModel(
                f"token ids differ at token {at}, near {near!r}", hint="the pre-tokenizer's name is wrong"
            )
    return len(texts)


def logit_difference(model: Path, gguf: Path, texts: Sequence[str]) -> float:
    """The largest absolute difference of logits over all positions of ``texts``; ``gguf`` should hold f32 weights."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    served = _open(gguf, reference.config.max_position_embeddings)
    worst = 0.0
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][: reference.config.max_position_embeddings]
        with torch.no_grad():
            ours = reference(torch.tensor([ids])).logits[0].numpy()
        served.reset()
        served.eval(ids)
        theirs = _logits(served, len(ids))
        worst = max(worst, float(np.abs(ours - theirs).max()))
    return worst


def _logits(served: Any, count: int) -> Any:
    """Logits of the last ``count`` evaluated tokens, shape (count, vocabulary), read from llama.cpp's own buffer."""
    import llama_cpp
    import numpy as np

    pointer = llama_cpp.llama_get_logits(served.ctx)
    size = served.n_vocab()
    flat = np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), shape=(count * size,))
    return flat.reshape(count, size).copy()


def prove(model: Path, f32_gguf: Path, texts: Sequence[str], logit_texts: int = 8) -> dict[str, float]:
    """Both proofs; returns the figures. Raises NotTheSameModel when one fails."""
    compared = token_parity(model, f32_gguf, texts)
    difference = logit_difference(model, f32_gguf, texts[:logit_texts])
    if difference >= MAX_LOGIT_DIFFERENCE:
        raise NotTheSameModel(f"logits differ by {difference:.2e}, more than {MAX_LOGIT_DIFFERENCE:.0e}")
    return {"texts": compared, "max_logit_difference": difference}
