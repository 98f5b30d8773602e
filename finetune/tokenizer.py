"""The embedded model's tokenizer: byte-level BPE with single digits, and the template's fixed strings as single tokens.

The pre-tokenizer is StarCoder's (digits one by one, then GPT-2's pattern), because llama.cpp knows it by name; ``export``
confirms by token ids that both sides agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from testing_crew import prompt

END = "<|end|>"
PAD = "<|pad|>"
PRE_TOKENIZER = "starcoder"  # llama.cpp's name for the pattern below

# Whole strings, none of which can overlap another in a text: HF matches the leftmost first, llama.cpp the longest first.
FIXED = (
    f"{prompt.TASK}\n\n{prompt.CODE}\n# module: ",
    "\n# unit: ",
    f"\n\n{prompt.CONSTRAINTS}\n{prompt.CONSTRAINTS_TEXT}\n\n",
    f"{prompt.EXISTING}\n",
    f"{prompt.UNCOVERED}\n",
    f"{prompt.FAILED}\n",
    f"{prompt.LOG}\n",
    f"{prompt.ANSWER}\n",
    "import pytest\nfrom ",
    '@pytest.mark.parametrize("',
    ', expected", [\n',
    "\n])\ndef test_",
    "with pytest.raises(",
    " == expected\n",
    ", expected):\n    assert ",
    ": did not raise ",
    ": raised ",
)


def train_tokenizer(texts: Iterable[str], folder: Path, vocab_size: int) -> int:
    """Train on ``texts`` and write the tokenizer's files into ``folder``; returns the size of the vocabulary."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(FIXED),
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=20,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in FIXED])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )
    fast.save_pretrained(folder)
    return len(fast)
