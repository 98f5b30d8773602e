"""The pretraining set: made-up examples as token ids in flat arrays, cut into batches of rows of like length."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import tomlkit
from pydantic import BaseModel, ConfigDict

from finetune.data import synthetic
from testing_crew.errors import UserMistake

if TYPE_CHECKING:
    import numpy as np
    import torch


_SHARD_SECONDS = 900  # of processor time, where a shard takes a few: no step counter sees a step that does not end


class PretrainConfig(BaseModel):
    """What ``configs/embedded.toml`` holds. Lengths are tokens; rates are per step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    prompt_version: int = 1
    vocab_size: int = 2048
    hidden_size: int = 256
    layers: int = 6
    heads: int = 4
    intermediate_size: int = 640
    context: int = 1024
    longest_example: int = 900
    warm_examples: int = 15000
    examples: int = 45000
    dev_examples: int = 600
    epochs: float = 1.0
    batch_tokens: int = 8192
    learning_rate: float = 3e-3
    matrix_learning_rate: float = 1e-2
    weight_decay: float = 0.02
    warmup_steps: int = 60
    prompt_weight: float = 0.15
    checkpoint_every: int = 100


def read_config(path: Path) -> PretrainConfig:
    """Read the recipe; unknown keys are errors."""
    return PretrainConfig.model_validate(tomlkit.parse(path.read_text()).unwrap())


def _make(job: tuple[int, str, float, int, int]) -> list[tuple[str, str, str]]:
    signal.setitimer(signal.ITIMER_PROF, _SHARD_SECONDS)  # nobody handles the signal: it ends the process
    seed, split, canonical, count, version = job
    made = itertools.islice(synthetic.stream(seed, split=split, canonical=canonical, prompt_version=version), count)
    return [(e.kind, e.prompt, e.completion) for e in made]


def make_examples(config: PretrainConfig) -> dict[str, list[tuple[str, str, str]]]:
    """The three sets: ``warm`` (random inputs), ``train`` (canonical ones) and ``dev`` (families held out).

    The same for the same ``config``. Raises UserMistake when a process that makes them dies.
    """
    jobs: list[tuple[str, tuple[int, str, float, int, int]]] = []
    shard = 1000
    sets = {
        "warm": (config.warm_examples, "train", 0.0),
        "train": (config.examples, "train", 0.95),
        "dev": (config.dev_examples, "dev", 1.0),
    }
    for name, (count, split, canonical) in sets.items():
        for i in range(0, count, shard):
            seed = config.seed * 1_000_000 + len(jobs)
            jobs.append((name, (seed, split, canonical, min(shard, count - i), config.prompt_version)))
    found: dict[str, list[tuple[str, str, str]]] = {name: [] for name in sets}
    try:
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
            for (name, _), rows in zip(jobs, pool.map(_make, [job for _, job in jobs]), strict=True):
                found[name] += rows
                print(f"\rexamples: {sum(map(len, found.values()))}", end="", flush=True)
    except BrokenProcessPool:
        hint = "The system may have run out of memory (see dmesg). Nothing was written: give the same command again."
        raise UserMistake("a process that makes examples was killed", hint=hint) from None
    finally:
        print()
    return found


def prepare(config: PretrainConfig, out: Path) -> None:
    """Write the tokenizer and the token ids, unless they are there already. Raises UserMistake as `make_examples` does."""
    import numpy as np
    from transformers import AutoTokenizer

    from finetune.tokenizer import train_tokenizer

    if (out / "data" / "dev.npz").exists():
        return
    examples = make_examples(config)
    size = train_tokenizer((p + c for _, p, c in examples["train"][:12000]), out / "tokenizer", config.vocab_size)
    print(f"tokenizer: {size} tokens")
    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    (out / "data").mkdir(parents=True, exist_ok=True)
    # what the export is proven on: whole prompts with their answers, from families never trained on
    (out / "data" / "proof.json").write_text(json.dumps([p + c for _, p, c in examples["dev"]]))
    for name, rows in examples.items():
        prompts = tokenizer([p for _, p, _ in rows], add_special_tokens=False)["input_ids"]
        answers = tokenizer([c for _, _, c in rows], add_special_tokens=False)["input_ids"]
        kept = [(p, [*a, tokenizer.eos_token_id]) for p, a in zip(prompts, answers, strict=True)]
        short = [(p, a) for p, a in kept if len(p) + len(a) <= config.longest_example]
        print(f"{name}: {len(rows)} rows, {len(short)} of at most {config.longest_example} tokens, "
              f"mean {sum(len(p) + len(a) for p, a in short) / max(1, len(short)):.0f}")  # fmt: skip
        ids = np.concatenate([np.asarray(p + a, dtype=np.uint16) for p, a in short])
        temporary = out / "data" / f".{name}.npz"
        np.savez(
            temporary,
            ids=ids,
            lengths=np.asarray([len(p) + len(a) for p, a in short], dtype=np.int32),
            prompts=np.asarray([len(p) for p, _ in short], dtype=np.int32),
        )
        temporary.replace(out / "data" / f"{name}.npz")


class Rows:
    """Token ids of one set, cut into batches of rows of like length."""

    def __init__(self, path: Path, config: PretrainConfig) -> None:
        import numpy as np

        loaded = np.load(path)
        self.ids, self.lengths, self.prompts = loaded["ids"], loaded["lengths"], loaded["prompts"]
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.config = config

    def plan(self, seed: int) -> list[np.ndarray]:
        """The row numbers of each batch, in the order of one epoch; padded, a batch has about ``batch_tokens`` tokens."""
        rng = random.Random(seed)
        order = list(range(len(self.lengths)))
        rng.shuffle(order)
        batches: list[list[int]] = []
        pool = 64 * 40
        for i in range(0, len(order), pool):
            rows = sorted(order[i : i + pool], key=lambda r: int(self.lengths[r]))
            batch: list[int] = []
            for row in rows:
                if batch and (len(batch) + 1) * int(self.lengths[row]) > self.config.batch_tokens:
                    batches.append(batch)
                    batch = []
                batch.append(row)
            batches.append(batch)
        rng.shuffle(batches)
        import numpy as np

        return [np.asarray(b) for b in batches]

    def batch(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids of shape (rows, longest) padded with 0, and the loss weight of each predicted token, same shape."""
        import torch

        longest = -(-int(self.lengths[rows].max()) // 16) * 16
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        weights = torch.zeros((len(rows), longest))
        for i, row in enumerate(rows):
            n, start = int(self.lengths[row]), int(self.starts[row])
            ids[i, :n] = torch.from_numpy(self.ids[start : start + n].astype("int64"))
            weights[i, :n] = 1.0
            weights[i, : int(self.prompts[row])] = self.config.prompt_weight
        return ids, weights
