"""A stage's trainer against TRL's SFTTrainer with its plain defaults: same rows, base, adapter shape and rate, one run.

    python -m benchmarks.perf.train --base smollm2 --data kodcode:PATH --rows 96 --steps 12

Each is a process of its own, in turn. Figures: completion tokens a second, peak memory, and the dev loss of both adapters
after the same rows, taken by the same code.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.perf.table import show

PLAIN = """
import json, resource, sys, time
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer
job = json.load(sys.stdin)
read = lambda name: [json.loads(line) for line in open(f"{job['rows']}/{name}.jsonl")]
columns = lambda rows: Dataset.from_list([{"prompt": r["prompt"], "completion": r["completion"]} for r in rows])
tokenizer = AutoTokenizer.from_pretrained(job["base"])
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(job["base"], dtype="float32"),
    args=SFTConfig(job["out"], num_train_epochs=1, learning_rate=job["rate"], max_length=job["longest"], seed=0,
                   report_to="none", save_strategy="no", disable_tqdm=True, use_cpu=job["cpu"]),
    train_dataset=columns(read("train")), processing_class=tokenizer,
    peft_config=LoraConfig(**job["lora"], task_type="CAUSAL_LM"),
)
began = time.monotonic()
trainer.train()
seconds = time.monotonic() - began
trainer.save_model(job["out"])
print(json.dumps({"seconds": seconds, "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""

SCORE = """
import json, sys, torch
from peft import PeftModel
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer
job = json.load(sys.stdin)
tokenizer = AutoTokenizer.from_pretrained(job["base"])
base = AutoModelForCausalLM.from_pretrained(job["base"], dtype="float32")
model = PeftModel.from_pretrained(base, job["adapter"]) if job["adapter"] else base
total = count = 0
for line in open(f"{job['rows']}/dev.jsonl"):
    row = json.loads(line)
    prompt = tokenizer(row["prompt"])["input_ids"]
    answer = tokenizer(row["completion"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].float()
    total += functional.cross_entropy(logits, torch.tensor(answer), reduction="sum").item()
    count += len(answer)
print(json.dumps({"loss": total / count}))
"""


def _last_line(arguments: list[str], given: str = "") -> Any:
    done = subprocess.run(
        arguments,
        input=given,
        capture_output=True,
        text=True,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"},
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments[:6])} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])  # TRL prints its own before


def ours(base: str, options: list[str]) -> Any:
    """Train through the command line; returns what it leaves, with the process's peak memory."""
    measured = (
        "import json, resource, subprocess, sys;"
        "code = subprocess.run(sys.argv[1:]).returncode;"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr); sys.exit(code)"
    )
    command = [
        sys.executable,
        "-m",
        "self_improve.cli.app",
        "train",
        "a",
        "--base",
        base,
        "--fresh",
        "--json",
        *options,
    ]
    done = subprocess.run([sys.executable, "-c", measured, *command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"training failed:\n{done.stderr[-2000:]}")
    return {**json.loads(done.stdout), "bytes": int(done.stderr.strip().splitlines()[-1])}


def completion_tokens(base: str, rows: Path) -> int:
    """Tokens that are learnt in one pass over the train set."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    lines = (rows / "train.jsonl").read_text().splitlines()
    return sum(len(tokenizer(json.loads(line)["completion"])["input_ids"]) + 1 for line in lines)


def main() -> None:
    """Read the arguments, run both, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--data", required=True, help="a source of rows, as `testing-crew train --data` takes it")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--longest", type=int, default=2048)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    recipe = [f"data.rows={options.rows}", f"data.max_tokens={options.longest}", "evaluations=1", "data.dev_share=0.25"]
    recipe += ["micro_tokens=4096", "accumulation=1", "warmup=0"]  # about as many steps as TRL makes of eight rows each
    told = ours(options.base, ["--data", options.data, *(word for key in recipe for word in ("--set", key))])
    rows, base = Path(told["rows_folder"]), told["base_folder"]
    lora = told["recipe"]["lora"]
    with tempfile.TemporaryDirectory() as scratch:
        job = {
            "base": base,
            "rows": str(rows),
            "out": scratch,
            "rate": told["recipe"]["learning_rate"],
            "longest": options.longest,
            "cpu": "CPU" in told["hardware"],
            "lora": {
                "r": lora["r"],
                "lora_alpha": lora["alpha"],
                "lora_dropout": lora["dropout"],
                "target_modules": lora["targets"],
            },
        }
        plain = _last_line([sys.executable, "-c", PLAIN], json.dumps(job))
        losses = {
            name: _last_line(
                [sys.executable, "-c", SCORE], json.dumps({"base": base, "rows": str(rows), "adapter": folder})
            )
            for name, folder in {"before": "", "ours": f"{told['folder']}/adapter", "plain": scratch}.items()
        }
    tokens = completion_tokens(base, rows)
    seconds = told["seconds"] - told["evaluation_seconds"]
    show(
        "training: ours against TRL's plain defaults",
        {
            "completion tokens a second": plain["seconds"] / seconds,
            "peak memory": told["bytes"] / plain["bytes"],
        },
        {
            "completion tokens": tokens,
            "ours": f"{tokens / seconds:.1f} tokens/s, {told['bytes'] / 2**30:.1f} GiB",
            "plain": f"{tokens / plain['seconds']:.1f} tokens/s, {plain['bytes'] / 2**30:.1f} GiB",
            "dev loss": {name: round(found["loss"], 4) for name, found in losses.items()},
        },
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
