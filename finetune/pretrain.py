"""Train the embedded model from scratch: examples → tokenizer → packed ids → a small Llama, each step resumable.

    python -m finetune.pretrain --config finetune/configs/embedded.toml --out runs/out/embedded

``--out`` then holds ``tokenizer/``, ``data/*.npz``, ``checkpoint.pt`` (the newest, replaced atomically), ``log.jsonl`` and, at
the end, ``model/``: f16 safetensors with the tokenizer beside them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.data.packed import PretrainConfig, Rows, prepare, read_config
from testing_crew.errors import UserMistake

if TYPE_CHECKING:
    import torch


def build_model(config: PretrainConfig, vocab_size: int, end: int, pad: int) -> Any:
    """A Llama of random weights with tied embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=config.context,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=pad,
        )
    )


def _loss(model: Any, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    import torch
    from torch.nn import functional

    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        hidden = model.model(input_ids=ids[:, :-1]).last_hidden_state
        wanted = weights[:, 1:] > 0
        logits = model.lm_head(hidden[wanted])
    each = functional.cross_entropy(logits.float(), ids[:, 1:][wanted], reduction="none")
    scale = weights[:, 1:][wanted]
    return (each * scale).sum() / scale.sum()


def _optimizers(config: PretrainConfig, model: Any) -> list[Any]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms."""
    import torch

    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=config.matrix_learning_rate, weight_decay=config.weight_decay, momentum=0.95),
        torch.optim.AdamW(rest, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _rate(step: int, total: int, warmup: int) -> float:
    """Linear warm-up, then level, then down to a twentieth over the last 40 %."""
    if step < warmup:
        return (step + 1) / warmup
    decay = int(total * 0.6)
    return 1.0 if step < decay else 0.05 + 0.95 * max(0.0, (total - step) / max(1, total - decay))


def _schedule(config: PretrainConfig, out: Path) -> list[tuple[Rows, Any]]:
    """Every batch of the run, in order: the warm set once, then the train set for ``epochs``."""
    warm, train = Rows(out / "data" / "warm.npz", config), Rows(out / "data" / "train.npz", config)
    steps: list[tuple[Rows, Any]] = [(warm, b) for b in warm.plan(config.seed)]
    for epoch in range(math.ceil(config.epochs)):
        batches = train.plan(config.seed + 1 + epoch)
        share = min(1.0, config.epochs - epoch)
        steps += [(train, b) for b in batches[: int(len(batches) * share)]]
    return steps


def train(config: PretrainConfig, out: Path, device: str = "cpu") -> None:
    """Train to the end of the schedule, from the last checkpoint where there is one; write ``model/``.

    Raises FloatingPointError when the loss is no longer a number; the last checkpoint then still holds good weights.
    """
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    torch.manual_seed(config.seed)
    model = build_model(config, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id).to(device)
    print(
        f"model: {sum(p.numel() for p in model.parameters()) / 1e6:.2f}M parameters, {len(tokenizer)} tokens in the vocabulary"
    )
    optimizers = _optimizers(config, model)
    steps = _schedule(config, out)
    first = 0
    if (out / "checkpoint.pt").exists():
        saved = torch.load(out / "checkpoint.pt", map_location=device)
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        first = saved["step"]
        print(f"resumed at step {first} of {len(steps)}")
    base_rates = [config.matrix_learning_rate, config.learning_rate]
    started, tokens, recent = time.time(), 0, 0.0
    for step in range(first, len(steps)):
        rows, batch = steps[step]
        ids, weights = (t.to(device) for t in rows.batch(batch))
        loss = _loss(model, ids, weights)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step}; the last checkpoint is kept")
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, base in zip(optimizers, base_rates, strict=True):
            optimizer.param_groups[0]["lr"] = base * _rate(step, len(steps), config.warmup_steps)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        tokens += int(ids.numel())
        recent = loss.item() if step == first else 0.95 * recent + 0.05 * loss.item()
        if step % 20 == 0:
            speed = tokens / (time.time() - started)
            left = (time.time() - started) / (step - first + 1) * (len(steps) - step - 1)
            print(
                f"step {step}/{len(steps)}  loss {recent:.3f}  {speed:.0f} tokens/s  {left / 60:.0f} min left",
                flush=True,
            )
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == len(steps):
            _checkpoint(out, model, optimizers, step + 1)
        if (step + 1) % (5 * config.checkpoint_every) == 0 or step + 1 == len(steps):
            dev = evaluate(model, Rows(out / "data" / "dev.npz", config), device)
            print(f"step {step + 1}: dev loss {dev:.4f}", flush=True)
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps({"step": step + 1, "train": round(recent, 4), "dev": round(dev, 4)}) + "\n")
    save(model, tokenizer, out / "model")
    (out / "model" / "training.json").write_text(json.dumps({"prompt_version": config.prompt_version}) + "\n")


def _checkpoint(out: Path, model: Any, optimizers: list[Any], step: int) -> None:
    import torch

    state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "step": step}
    torch.save(state, out / ".checkpoint.pt")
    (out / ".checkpoint.pt").replace(out / "checkpoint.pt")


def evaluate(model: Any, rows: Rows, device: str) -> float:
    """Mean loss per completion token on a set."""
    import torch

    total = count = 0.0
    model.eval()
    with torch.no_grad():
        for batch in rows.plan(0):
            ids, weights = (t.to(device) for t in rows.batch(batch))
            answers = (weights == 1.0).float()
            n = float(answers[:, 1:].sum())
            total += float(_loss(model, ids, answers)) * n
            count += n
    model.train()
    return total / count


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write f16 safetensors and the tokenizer."""
    import copy

    import torch

    copy.deepcopy(model).to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _main(argv: Iterator[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the config")
    options = parser.parse_args(list(argv) if argv is not None else None)
    overrides = dict(pair.split("=", 1) for pair in options.set)
    config = PretrainConfig.model_validate({**read_config(options.config).model_dump(), **overrides})
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        prepare(config, options.out)
    except UserMistake as mistake:
        parser.exit(2, f"error: {mistake}\n")
    train(config, options.out, options.device)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _main()
