"""Train the embedded model from scratch: examples → tokenizer → packed ids → a small Llama, each step resumable.

    python -m finetune.pretrain --config finetune/configs/embedded.toml --real real.jsonl --out runs/out/embedded

``--real`` is what ``finetune.data.real.harvest`` wrote.
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
from finetune.plan import has_bfloat16
from testing_crew.errors import UserMistake
from trace_logger.curation.fingerprints import Fingerprints

if TYPE_CHECKING:
    import torch


def build_model(config: PretrainConfig, vocab_size: int, end: int, pad: int) -> Any:
    """A Llama with tied embeddings, of random weights or those that the run starts from."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if config.start is not None:
        return LlamaForCausalLM.from_pretrained(
            config.start, dtype=torch.float32, max_position_embeddings=config.context
        )

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

    with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=ids.is_cuda or has_bfloat16()):
        hidden = model.model(input_ids=ids[:, :-1]).last_hidden_state
        wanted = weights[:, 1:] > 0
        logits = model.lm_head(hidden[wanted])
    each = functional.cross_entropy(logits.float(), ids[:, 1:][wanted], reduction="none")
    scale = weights[:, 1:][wanted]
    return (each * scale).sum() / scale.sum()


def _optimizers(config: PretrainConfig, model: Any) -> list[Any]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms."""
    import torch
    from torch.optim import _muon

    if model.device.type == "cpu" and not has_bfloat16():
        _muon._zeropower_via_newtonschulz = _orthogonal  # type: ignore[assignment]  # its own is in bfloat16: 50 times slower
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=config.matrix_learning_rate, weight_decay=config.weight_decay, momentum=0.95),
        torch.optim.AdamW(rest, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _orthogonal(gradient: torch.Tensor, of: tuple[float, float, float], steps: int, eps: float) -> torch.Tensor:
    """Muon's orthogonalisation by Newton-Schulz steps (Jordan et al. 2024), in float32."""
    import torch

    a, b, c = of
    tall = gradient.size(0) > gradient.size(1)
    found = gradient.float().T if tall else gradient.float()
    found = found / found.norm().clamp(min=eps)
    for _ in range(steps):
        gram = found @ found.T
        found = a * found + (b * gram + c * gram @ gram) @ found
    return torch.as_tensor(found.T if tall else found)


def _rate(step: int, done: float, warmup: int) -> float:
    """Linear warm-up, then level, then down to a twentieth over the last 40 %; ``done`` is the share of the run."""
    if step < warmup:
        return (step + 1) / warmup
    return 1.0 if done < 0.6 else 0.05 + 0.95 * max(0.0, (1 - done) / 0.4)


def _schedule(config: PretrainConfig, out: Path) -> list[tuple[Rows, Any]]:
    """Every batch of the run, in order: the warm set once, then the train set for ``epochs``."""
    train = Rows(out / "data" / "train.npz", config)
    steps: list[tuple[Rows, Any]] = []
    if (out / "data" / "warm.npz").exists():
        warm = Rows(out / "data" / "warm.npz", config)
        steps += [(warm, b) for b in warm.plan(config.seed)]
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
    torch.set_flush_denormal(True)  # steps had become twice as slow within an hour (docs/log.md)
    model = build_model(config, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id).to(device)
    print(
        f"model: {sum(p.numel() for p in model.parameters()) / 1e6:.2f}M parameters, {len(tokenizer)} tokens in the vocabulary"
    )
    optimizers = _optimizers(config, model)
    steps = _schedule(config, out)
    first, before = 0, 0.0
    if (out / "checkpoint.pt").exists():
        saved = torch.load(out / "checkpoint.pt", map_location=device)
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        first, before = saved["step"], saved["seconds"]
        print(f"resumed at step {first} of {len(steps)}")
    base_rates = [config.matrix_learning_rate, config.learning_rate]
    started, tokens, recent = time.time(), 0, 0.0
    for step in range(first, len(steps)):
        spent = before + time.time() - started
        done = max(step / len(steps), spent / (60 * config.minutes) if config.minutes else 0.0)
        if done >= 1:
            break
        rows, batch = steps[step]
        ids, weights = (t.to(device) for t in rows.batch(batch))
        loss = _loss(model, ids, weights)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step}; the last checkpoint is kept")
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, base in zip(optimizers, base_rates, strict=True):
            optimizer.param_groups[0]["lr"] = base * _rate(step, done, config.warmup_steps)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        tokens += int(ids.numel())
        recent = loss.item() if step == first else 0.95 * recent + 0.05 * loss.item()
        if step % 20 == 0:
            speed = tokens / (time.time() - started)
            left = spent / max(done, 1e-9) * (1 - done)
            print(
                f"step {step}, {done:.0%}  loss {recent:.3f}  {speed:.0f} tokens/s  {left / 60:.0f} min left",
                flush=True,
            )
        if (step + 1) % config.checkpoint_every == 0:
            _checkpoint(out, model, optimizers, step + 1, before + time.time() - started)
        if (step + 1) % (5 * config.checkpoint_every) == 0:
            _note_dev(config, model, out, device, step + 1, recent)
    else:
        step = len(steps)
    if not (out / "model").exists() or step > first:
        _checkpoint(out, model, optimizers, step, before + time.time() - started)
        _note_dev(config, model, out, device, step, recent)
    save(model, tokenizer, out / "model")
    (out / "model" / "training.json").write_text(json.dumps({"prompt_version": config.prompt_version}) + "\n")


def _note_dev(config: PretrainConfig, model: Any, out: Path, device: str, step: int, recent: float) -> None:
    sets = {file.stem: Rows(file, config) for file in sorted((out / "data").glob("dev*.npz"))}
    found = {name: round(evaluate(model, rows, device), 4) for name, rows in sets.items()}
    print(f"step {step}: {', '.join(f'{name} loss {value}' for name, value in found.items())}", flush=True)
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": step, "train": round(recent, 4), **found}) + "\n")


def _checkpoint(out: Path, model: Any, optimizers: list[Any], step: int, seconds: float) -> None:
    import torch

    state: dict[str, Any] = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers]}
    state |= {"step": step, "seconds": seconds}
    torch.save(state, out / ".checkpoint.pt")
    (out / ".checkpoint.pt").replace(out / "checkpoint.pt")


def evaluate(model: Any, rows: Rows, device: str) -> float:
    """Mean loss per completion token on a set."""
    import torch

    total = count = 0.0
    model.eval()
    with torch.no_grad():
        for batch in rows.plan(0):
            ids, answers = (t.to(device) for t in rows.batch(batch, answers_only=True))
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
    parser.add_argument("--real", type=Path, help="real units, as finetune.data.real.harvest wrote them")
    parser.add_argument("--scored", type=Path, help="fingerprints of what is scored, which is left out")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the config")
    options = parser.parse_args(list(argv) if argv is not None else None)
    overrides = dict(pair.split("=", 1) for pair in options.set)
    config = PretrainConfig.model_validate({**read_config(options.config).model_dump(), **overrides})
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        scored = Fingerprints.load(options.scored) if options.scored else None
        prepare(config, options.out, options.real, scored)
        train(config, options.out, options.device)
    except UserMistake as mistake:
        parser.exit(2, f"error: {mistake}\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _main()
