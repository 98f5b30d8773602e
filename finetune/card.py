"""The papers of an adapter: its curve, the circumstances it was trained in, a plot and a model card."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from finetune.adapters import Adapter, Point

PLOT, CARD = "loss.png", "README.md"
_PACKAGES = ("testing-crew", "torch", "transformers", "peft", "trl", "datasets")


def curve_of(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The curve in Trainer's log, with the dev loss before training and that of the best checkpoint."""
    points: dict[int, dict[str, Any]] = {}
    for entry in history:
        point = points.setdefault(int(entry["step"]), {})
        if "loss" in entry:
            point["train"] = round(float(entry["loss"]), 5)
        if "eval_loss" in entry:
            point["dev"] = round(float(entry["eval_loss"]), 5)
    devs = {step: point["dev"] for step, point in points.items() if "dev" in point}
    return {
        "curve": tuple(Point(step=step, **point) for step, point in sorted(points.items())),
        "dev_loss_before": devs.get(0),
        "dev_loss": min((loss for step, loss in devs.items() if step), default=None),
    }


def spent(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Tokens, seconds and those for the dev loss, over all the sessions that Trainer's log tells of."""
    most: dict[str, dict[str, float]] = {}
    for entry in history:
        if "session" in entry:
            sums = most.setdefault(str(entry["session"]), {})
            for name in ("num_tokens", "seconds", "evaluation_seconds"):
                sums[name] = max(sums.get(name, 0.0), float(entry.get(name, 0.0)))
    total = {
        name: sum(sums[name] for sums in most.values()) for name in ("num_tokens", "seconds", "evaluation_seconds")
    }
    return {
        "tokens": int(total["num_tokens"]),
        "seconds": round(total["seconds"], 1),
        "evaluation_seconds": round(total["evaluation_seconds"], 1),
    }


def circumstances() -> dict[str, Any]:
    """The code, the packages and the machine that train here."""
    import torch

    code = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        code.update(file.read_bytes())
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    cuda = torch.cuda.is_available()
    hardware = torch.cuda.get_device_name() if cuda else f"{os.cpu_count()} CPU cores ({platform.machine()})"
    return {"code_sha256": code.hexdigest(), "versions": versions, "hardware": hardware}


def leave(adapter: Adapter, folder: Path) -> None:
    """Write the loss plot and the model card into ``folder``."""
    _plot(adapter, folder / PLOT)
    (folder / CARD).write_text(_card(adapter), encoding="utf-8")


def _plot(adapter: Adapter, file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    trained = [(p.step, p.train) for p in adapter.curve if p.train is not None]
    dev = [(p.step, p.dev) for p in adapter.curve if p.dev is not None]
    if trained:
        axes.plot(*zip(*trained, strict=True), color="0.7", linewidth=1, label="train")
    if dev:
        axes.plot(*zip(*dev, strict=True), color="C0", marker="o", label="dev")
    axes.set_xlabel("step")
    axes.set_ylabel("loss, nats a completion token")
    axes.set_title(adapter.name)
    axes.legend()
    figure.savefig(file, dpi=120)


def _judged(adapter: Adapter, before: str, after: str) -> str:
    if not adapter.held_out:
        return f"| dev loss, nats a completion token | {before} before, **{after}** after |"
    first, best = adapter.held_out[0], adapter.best
    share = f"{first.accepted:.1%} before, **{best.accepted:.1%}** at step {best.step}"
    return (
        f"| accepted of {best.n} answers to prompts held out | {share} |\n"
        f"| mean reward of these | {first.reward:.3f} before, {best.reward:.3f} |\n"
        f"| cheating | {first.cheats:.1%} before, {best.cheats:.1%} |"
    )


def _filters(data: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(step["filter"], step["before"], step["after"]) for step in data.get("filters", [])]


def _card(adapter: Adapter) -> str:
    data = adapter.data
    counts = "\n".join(f"| {name} | {before} | {after} |" for name, before, after in _filters(data))
    licences = ", ".join(f"{name} ({count} rows)" for name, count in data.get("licences", {}).items())
    recipe = adapter.recipe
    before = "" if adapter.dev_loss_before is None else f"{adapter.dev_loss_before:.4f}"
    after = "" if adapter.dev_loss is None else f"{adapter.dev_loss:.4f}"
    start = adapter.started_from or "the base itself"
    return f"""---
library_name: peft
base_model: {adapter.base}
tags: [lora, pytest, testing-crew]
---
# {adapter.name}

A LoRA adapter (stage {adapter.stage}) that writes and repairs pytest files, trained by TestingCrew. Served raw, with no chat
template, on version {adapter.prompt_version} of TestingCrew's prompt. In this folder:
`testing-crew write FILE --model ./adapter`.

| | |
| --- | --- |
| base | {adapter.base} (sha256 {adapter.base_sha256[:12] or "unknown"}) |
| started from | {start} |
{_judged(adapter, before, after)}
| steps, tokens, seconds | {adapter.steps}, {adapter.tokens}, {adapter.seconds:.0f} (ended: {adapter.ended}) |
| trainable parameters | {adapter.trainable_parameters:,} |
| rank, alpha, learning rate | {recipe["lora"]["r"]}, {recipe["lora"]["alpha"]}, {recipe["learning_rate"]} |
| trained on | {adapter.hardware} |
| adapter sha256 | {adapter.sha256} |

![loss]({PLOT})

## Data

Sources: {", ".join([*recipe["data"]["sources"], *recipe["data"]["replay"]])}. Licences: {licences}.

| filter | rows before | after |
| --- | --- | --- |
{counts}

## Limits

A dev loss says how well such rows are foretold, not how many files are accepted: measure that with `eval_self_correction.py`.
Expected values that the model writes pin what code does; read them before you commit them.
"""
