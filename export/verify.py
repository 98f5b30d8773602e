"""Is the GGUF the same model? Token ids over many texts, and logits of f32 weights with an f32 cache."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from testing_crew.errors import TestingCrewError

MAX_LOGIT_DIFFERENCE = 1e-3
LEAST_AGREEMENT = {
    "f16": 0.98,
    "q8_0": 0.9,
}  # of the tokens of greedy answers; where two are nearly as likely they may change
_ANSWER = 64  # tokens
_CONTEXT = 512  # tokens: the logits of a position take 200 KB and more


class NotTheSameModel(TestingCrewError):
    """The GGUF does not do what the transformers model does."""


def _open(gguf: Path, context: int, lora: Path | None = None, *, exact: bool = True) -> Any:
    """The file with the logits of all positions; ``exact``ly in 32 bits, else as it is served."""
    import llama_cpp

    types = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32, "flash_attn": False} if exact else {}
    return llama_cpp.Llama(
        str(gguf),
        lora_path=str(lora) if lora else None,
        n_ctx=context,
        n_batch=context,
        logits_all=True,
        verbose=False,
        **types,
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


def logit_difference(model: Path, gguf: Path, texts: Sequence[str], *, lora: Path | None = None) -> float:
    """The largest absolute difference of logits over the first 512 tokens of each text; ``gguf`` should hold f32 weights."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    served = _open(gguf, _CONTEXT, lora)
    worst = 0.0
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][:_CONTEXT]
        with torch.no_grad():
            ours = reference(torch.tensor([ids])).logits[0].numpy()
        served.reset()
        served.eval(ids)
        theirs = _logits(served, len(ids))
        worst = max(worst, float(np.abs(ours - theirs).max()))
    return worst


def greedy_agreement(model: Path, gguf: Path, prompts: Sequence[str], *, lora: Path | None = None) -> dict[str, float]:
    """How far the file that is served answers as the transformers model does, token by token, under greedy decoding.

    ``agreement`` is the share of the model's own answer tokens (at most 64 of each, its end token too) that the file would have
    chosen after the same beginning; ``answers`` is how many tokens that were.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    served = _open(gguf, _CONTEXT + _ANSWER, lora, exact=False)
    same = total = 0
    for text in prompts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) > _CONTEXT:
            continue
        with torch.no_grad():
            whole = reference.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=_ANSWER,
                do_sample=False,
                pad_token_id=tokenizer.eos_token_id,
            )[0].tolist()
        answer = whole[len(ids) :]
        served.reset()
        served.eval(whole[:-1])
        chosen = _logits(served, len(whole) - 1)[len(ids) - 1 :].argmax(axis=-1).tolist()
        same += sum(a == b for a, b in zip(answer, chosen, strict=True))
        total += len(answer)
    return {"agreement": same / max(total, 1), "answers": total}


def _logits(served: Any, count: int) -> Any:
    """Logits of the last ``count`` evaluated tokens, shape (count, vocabulary), read from llama.cpp's own buffer."""
    import llama_cpp
    import numpy as np

    pointer = llama_cpp.llama_get_logits(served.ctx)
    size = served.n_vocab()
    flat = np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), shape=(count * size,))
    return flat.reshape(count, size).copy()


def prove(
    model: Path, f32_gguf: Path, texts: Sequence[str], logit_texts: int = 8, *, lora: Path | None = None
) -> dict[str, float]:
    """Both proofs; returns the figures. Raises NotTheSameModel when one fails."""
    compared = token_parity(model, f32_gguf, texts)
    difference = logit_difference(model, f32_gguf, texts[:logit_texts], lora=lora)
    if not difference < MAX_LOGIT_DIFFERENCE:  # NaN, too
        raise NotTheSameModel(f"logits differ by {difference:.2e}, more than {MAX_LOGIT_DIFFERENCE:.0e}")
    return {"texts": compared, "max_logit_difference": difference}


def prove_served(
    model: Path, gguf: Path, prompts: Sequence[str], quantisation: str, *, lora: Path | None = None
) -> dict[str, float]:
    """That the file to be served answers as ``model`` does; returns the figures. Raises NotTheSameModel where it does not."""
    _begins_and_ends_alike(model, gguf, prompts, lora)
    found = greedy_agreement(model, gguf, prompts, lora=lora)
    least = LEAST_AGREEMENT[quantisation]
    if not found["answers"] or found["agreement"] < least:
        raise NotTheSameModel(
            f"of {found['answers']} answer tokens the {quantisation} file would have chosen {found['agreement']:.1%}, "
            f"less than {least:.0%}",
            hint="export it as f16, or look at the adapter with hf:",
        )
    return found


def _begins_and_ends_alike(model: Path, gguf: Path, prompts: Sequence[str], lora: Path | None) -> None:
    """That the agent's own backend gives the file the very tokens that training gave the model, and knows the end token."""
    from transformers import AutoTokenizer

    from testing_crew.backends import open_backend

    tokenizer = AutoTokenizer.from_pretrained(model)
    backend: Any = open_backend(f"gguf:{gguf}" + (f"@{lora}" if lora else ""))
    try:
        for text in prompts:
            wanted = tokenizer(text)["input_ids"]
            wanted = wanted[:-1] if wanted and wanted[-1] == tokenizer.eos_token_id else wanted
            if backend.prompt_tokens(text) != wanted:
                raise NotTheSameModel(
                    "a prompt is served otherwise than it was trained on: its first token, or a template"
                )
        if not backend.ends(tokenizer.eos_token_id):
            raise NotTheSameModel(f"the file does not end at {tokenizer.eos_token!r}, which answers end with")
    finally:
        backend.close()
