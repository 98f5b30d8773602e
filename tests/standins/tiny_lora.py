"""Write a small LoRA of random weights over a model, as PEFT saves it and our training leaves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def write(folder: Path, base: Path, *, named: str = "", scale: float = 0.05, **settings: Any) -> Path:
    """Write ``folder``/adapter with training.json above it; return the adapter's folder. ``named`` is the base's tag."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=SEVEN, task_type="CAUSAL_LM", **settings)
    model = get_peft_model(model, lora)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:  # zeros by default: an adapter that changes nothing
                weight.normal_(0.0, scale)
    model.save_pretrained(folder / "adapter")
    (folder / "training.json").write_text(json.dumps({"prompt_version": 2, **({"base": named} if named else {})}))
    return folder / "adapter"
