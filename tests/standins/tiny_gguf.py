"""Write a tiny Llama as a GGUF file, for tests that want a real model without a download.

Two kinds. ``write(path)`` has random weights: its answers are noise, but every part of llama.cpp runs. With ``lines`` the
weights spell a chain instead: after a newline the first line follows, after each line the next, and after the last one
the end of text, so that the answer is known to the letter. The layout is that of the GGUF specification, version 3
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md); the tokenizer is byte-level BPE without merges.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
ALIGNMENT = 32
NORMAL, CONTROL = 1, 3
BOS, EOS = 256, 257
LINES = ["import pytest\n", "\ndef test_add():\n", "    assert add(1, 2) == 3\n"]  # a chain that tests may use
PROMPT = "### Task: Write pytest tests\n\n### Tests:\n"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _byte_letters() -> list[str]:
    """GPT-2's letter for each byte: printable ones stand for themselves, the others are moved past 255."""
    plain = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    letters, moved = [], 256
    for byte in range(256):
        if byte in plain:
            letters.append(chr(byte))
        else:
            letters.append(chr(moved))
            moved += 1
    return letters


LETTERS = _byte_letters()


def _text(raw: str) -> bytes:
    encoded = raw.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _value(kind: int, value: Any) -> bytes:
    if kind == STRING:
        return _text(value)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], value)


def _entry(key: str, kind: int, value: Any) -> bytes:
    return _text(key) + struct.pack("<I", kind) + _value(kind, value)


def _array(key: str, kind: int, values: Sequence[Any]) -> bytes:
    head = _text(key) + struct.pack("<IIQ", ARRAY, kind, len(values))
    return head + b"".join(_value(kind, value) for value in values)


def _weights(vocab: int, width: int, hidden: int, tokens: list[str], chain: bool, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)

    def noise(*shape: int) -> np.ndarray:
        return random.normal(0.0, 0.3, shape).astype(np.float32)

    still = np.zeros((width, width), np.float32)
    if chain:
        # Attention and feed-forward add nothing, so the last token alone decides: row `after` answers to column `before`.
        embedding = np.zeros((vocab, width), np.float32)
        embedding[np.arange(vocab), np.arange(vocab)] = 1.0
        output = np.zeros((vocab, width), np.float32)
        first = 258 + 2  # the lines stand after the four special tokens
        steps = [ord("\n"), *range(first, len(tokens)), EOS]
        for before, after in itertools.pairwise(steps):
            output[after, before] = 10.0
        mixers = {name: still for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
        up = down = np.zeros((hidden, width), np.float32)
        down = np.zeros((width, hidden), np.float32)
    else:
        embedding, output = noise(vocab, width), noise(vocab, width)
        mixers = {name: noise(width, width) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
        up, down = noise(hidden, width), noise(width, hidden)
    ones = np.ones(width, np.float32)
    block = {**mixers, "attn_norm": ones, "ffn_norm": ones, "ffn_gate": up, "ffn_up": up, "ffn_down": down}
    named = {f"blk.0.{name}.weight": value for name, value in block.items()}
    return {"token_embd.weight": embedding, "output_norm.weight": ones, "output.weight": output, **named}


def write(
    path: Path,
    *,
    lines: Sequence[str] = (),
    chat_template: str | None = None,
    context: int = 1024,
    add_bos: bool = False,
    seed: int = 0,
) -> Path:
    """Write the model to ``path`` and return it."""
    tokens = [*LETTERS, "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    kinds = [NORMAL] * 256 + [CONTROL] * 4
    for line in lines:
        tokens.append("".join(LETTERS[byte] for byte in line.encode()))
        kinds.append(NORMAL)
    vocab, hidden = len(tokens), 64
    width = -(-vocab // 64) * 64 if lines else 64

    entries = [
        _entry("general.architecture", STRING, "llama"),
        _entry("general.name", STRING, "tiny"),
        _entry("general.file_type", UINT32, 0),
        _entry("llama.context_length", UINT32, context),
        _entry("llama.embedding_length", UINT32, width),
        _entry("llama.block_count", UINT32, 1),
        _entry("llama.feed_forward_length", UINT32, hidden),
        _entry("llama.attention.head_count", UINT32, 2),
        _entry("llama.attention.head_count_kv", UINT32, 2),
        _entry("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5),
        _entry("llama.rope.dimension_count", UINT32, width // 2),
        _entry("llama.vocab_size", UINT32, vocab),
        _entry("tokenizer.ggml.model", STRING, "gpt2"),
        _entry("tokenizer.ggml.pre", STRING, "gpt-2"),
        _array("tokenizer.ggml.tokens", STRING, tokens),
        _array("tokenizer.ggml.token_type", INT32, kinds),
        _array("tokenizer.ggml.merges", STRING, []),
        _entry("tokenizer.ggml.bos_token_id", UINT32, BOS),
        _entry("tokenizer.ggml.eos_token_id", UINT32, EOS),
        _entry("tokenizer.ggml.add_bos_token", BOOL, add_bos),
    ]
    if chat_template is not None:
        entries.append(_entry("tokenizer.chat_template", STRING, chat_template))

    weights = _weights(vocab, width, hidden, tokens, bool(lines), seed)
    table, data = b"", b""
    for name, weight in weights.items():
        shape = weight.shape[::-1]  # GGUF names the fastest dimension first
        table += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += weight.tobytes()
        data += bytes(-len(data) % ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(weights), len(entries)) + b"".join(entries) + table
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + data)
    return path
