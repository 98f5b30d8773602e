"""The pretraining set: made-up and real examples as token ids in flat arrays, cut into batches of rows of like length."""

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
from typing import TYPE_CHECKING, Any

import tomlkit
from pydantic import BaseModel, ConfigDict

from finetune.data import real, synthetic
from testing_crew import prompt
from testing_crew.errors import UserMistake
from testing_crew.project.code import parts
from trace_logger.curation.fingerprints import Fingerprints

if TYPE_CHECKING:
    import numpy as np
    import torch


_PROMPT, _COPIED, _CHANGED = range(3)  # what a token is, as far as its loss goes
Made = tuple[str, str, str]  # kind, prompt, completion

_SHARD_SECONDS = 900  # of processor time, where a shard takes a few: no step counter sees a step that does not end


class PretrainConfig(BaseModel):
    """What ``configs/embedded.toml`` holds. Lengths are tokens; rates are per step.

    ``start`` is a folder with the weights and the tokenizer that the run goes on from, whose sizes are kept; None: from nothing.
    With ``minutes``, training ends then, its schedule with it, whatever the machine; else after ``epochs``. Of a repair's answer,
    the lines that stand in the failed file weigh ``unchanged_weight``, those that change 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    start: Path | None = None
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
    minutes: float | None = None
    batch_tokens: int = 8192
    learning_rate: float = 3e-3
    matrix_learning_rate: float = 1e-2
    weight_decay: float = 0.02
    warmup_steps: int = 60
    prompt_weight: float = 0.15
    unchanged_weight: float = 0.4
    checkpoint_every: int = 100


def read_config(path: Path) -> PretrainConfig:
    """Read the recipe; unknown keys are errors."""
    return PretrainConfig.model_validate(tomlkit.parse(path.read_text()).unwrap())


def _make(job: tuple[int, str, float, int, int]) -> list[Made]:
    signal.setitimer(signal.ITIMER_PROF, _SHARD_SECONDS)  # nobody handles the signal: it ends the process
    seed, split, canonical, count, version = job
    made = itertools.islice(synthetic.stream(seed, split=split, canonical=canonical, prompt_version=version), count)
    return [(e.kind, e.prompt, e.completion) for e in made]


def make_examples(config: PretrainConfig) -> dict[str, list[Made]]:
    """The three made-up sets: ``warm`` (random inputs), ``train`` (canonical ones) and ``dev`` (families held out).

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
    found: dict[str, list[Made]] = {name: [] for name in sets}
    try:
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
            # Not ``pool.map``: it cancels what is left when one process dies, at which the pool's own thread fails before it
            # has ended the others (CPython's InvalidStateError in ``terminate_broken``).
            made = [(name, pool.submit(_make, job)) for name, job in jobs]
            try:
                for name, rows in made:
                    found[name] += rows.result()
                    print(f"\rexamples: {sum(map(len, found.values()))}", end="", flush=True)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except BrokenProcessPool:
        hint = "The system may have run out of memory (see dmesg). Nothing was written: give the same command again."
        raise UserMistake("a process that makes examples was killed", hint=hint) from None
    finally:
        print()
    return found


def real_examples(config: PretrainConfig, file: Path) -> dict[str, list[Made]]:
    """The two real sets: ``train``, and ``dev`` of packages held out. Raises UserMistake when ``file`` cannot be read."""
    rng = random.Random(f"{config.seed}/real")
    found: dict[str, list[Made]] = {"train": [], "dev": []}
    for unit in real.read(file):
        side = "dev" if unit.package.partition("==")[0] in real.DEV_PACKAGES else "train"
        found[side] += [(e.kind, e.prompt, e.completion) for e in real.examples_of(rng, unit, config.prompt_version)]
    rng.shuffle(found["dev"])
    return {"train": found["train"], "dev": found["dev"][: config.dev_examples]}


def prepare(
    config: PretrainConfig, out: Path, real_file: Path | None = None, scored: Fingerprints | None = None
) -> None:
    """Write the tokenizer and the token ids, unless they are there already. What resembles a ``scored`` task is left out.

    Raises UserMistake as `make_examples` does.
    """
    from transformers import AutoTokenizer

    from finetune.tokenizer import train_tokenizer

    if (out / "data" / "dev.npz").exists():
        return
    examples = make_examples(config)
    if real_file is not None:
        found = real_examples(config, real_file)
        examples["train"] += found["train"]
        examples = {"dev_real": found["dev"], **examples}  # ``dev`` is written last: it says that all is there
    if scored is not None:
        examples = {name: clear_of(scored, rows) for name, rows in examples.items()}
    random.Random(config.seed).shuffle(examples["train"])
    if config.start is None:
        train_tokenizer((p + c for _, p, c in examples["train"][:12000]), out / "tokenizer", config.vocab_size)
    else:
        AutoTokenizer.from_pretrained(config.start).save_pretrained(out / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    print(f"tokenizer: {len(tokenizer)} tokens")
    (out / "data").mkdir(parents=True, exist_ok=True)
    # what the export is proven on: whole prompts with their answers, from families never trained on
    (out / "data" / "proof.json").write_text(json.dumps([p + c for _, p, c in examples["dev"]]))
    for name, rows in examples.items():
        if rows:
            _write(config, tokenizer, name, rows, out / "data")


def clear_of(scored: Fingerprints, rows: list[Made]) -> list[Made]:
    """The rows whose code resembles no task that is ``scored``."""
    known: dict[str, str | None] = {}
    for _, asked, _ in rows:
        code = parts(prompt.code_of(asked))[2]
        if code not in known:
            known[code] = scored.resembles(code)
    kept = [row for row in rows if known[parts(prompt.code_of(row[1]))[2]] is None]
    if like := sorted({task for task in known.values() if task is not None}):
        print(f"{len(rows) - len(kept)} examples left out, like {', '.join(like)}")
    return kept


def _write(config: PretrainConfig, tokenizer: Any, name: str, rows: list[Made], folder: Path) -> None:
    import numpy as np

    prompts = tokenizer([p for _, p, _ in rows], add_special_tokens=False)["input_ids"]
    answers = tokenizer([c for _, _, c in rows], add_special_tokens=False, return_offsets_mapping=True)
    kept = []
    for (_, asked, text), before, ids, places in zip(
        rows, prompts, answers["input_ids"], answers["offset_mapping"], strict=True
    ):
        if len(before) + len(ids) + 1 <= config.longest_example:
            marks = [_PROMPT] * len(before) + _marks(asked, text, places) + [_CHANGED]
            kept.append(([*before, *ids, tokenizer.eos_token_id], marks))
    lengths = [len(ids) for ids, _ in kept]
    print(f"{name}: {len(rows)} rows, {len(kept)} of at most {config.longest_example} tokens, "
          f"mean {sum(lengths) / max(1, len(lengths)):.0f}")  # fmt: skip
    temporary = folder / f".{name}.npz"
    np.savez(
        temporary,
        ids=np.concatenate([np.asarray(ids, dtype=np.uint16) for ids, _ in kept]),
        marks=np.concatenate([np.asarray(marks, dtype=np.uint8) for _, marks in kept]),
        lengths=np.asarray(lengths, dtype=np.int32),
    )
    temporary.replace(folder / f"{name}.npz")


def _marks(asked: str, text: str, places: list[tuple[int, int]]) -> list[int]:
    """For each token of an answer whether its line stands in the failed file that was shown."""
    _, found, failed = asked.partition(f"{prompt.FAILED}\n")
    shown = set(failed.split(f"\n\n{prompt.LOG}")[0].split("\n")) if found else set()
    copied: list[bool] = []
    for line in text.split("\n"):
        copied += [line in shown] * (len(line) + 1)
    return [_COPIED if end > start and all(copied[start:end]) else _CHANGED for start, end in places]


class Rows:
    """Token ids of one set, cut into batches of rows of like length."""

    def __init__(self, path: Path, config: PretrainConfig) -> None:
        import numpy as np

        loaded = np.load(path)
        if "marks" not in loaded:
            raise UserMistake(
                f"{path} was made by an earlier version", hint=f"remove {path.parent.parent}, or name another folder"
            )
        self.ids, self.marks, self.lengths = loaded["ids"], loaded["marks"], loaded["lengths"]
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

    def batch(self, rows: np.ndarray, answers_only: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids of shape (rows, longest) padded with 0, and the loss weight of each predicted token, same shape.

        With ``answers_only``, every token of an answer weighs 1 and the others nothing.
        """
        import torch

        of_marks = [self.config.prompt_weight, self.config.unchanged_weight, 1.0]
        weight_of = torch.tensor([0.0, 1.0, 1.0] if answers_only else of_marks)

        longest = -(-int(self.lengths[rows].max()) // 16) * 16
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        weights = torch.zeros((len(rows), longest))
        for i, row in enumerate(rows):
            n, start = int(self.lengths[row]), int(self.starts[row])
            ids[i, :n] = torch.from_numpy(self.ids[start : start + n].astype("int64"))
            weights[i, :n] = weight_of[torch.from_numpy(self.marks[start : start + n].astype("int64"))]
        return ids, weights
