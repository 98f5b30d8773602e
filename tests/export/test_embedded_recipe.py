"""``runs/embedded.sh --smoke``, for real: examples → training → GGUF proven equal → llama.cpp answers."""

import json
import os
from pathlib import Path

import children
import pytest

from export.verify import NotTheSameModel, logit_difference, token_parity
from testing_crew import prompt
from testing_crew.backends import open_backend
from testing_crew.backends.base import Sampling

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("smoke")
    done = children.run(
        ["bash", "runs/embedded.sh", "--smoke", str(out)],
        seconds=1500,  # a minute where nothing else goes on
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_the_recipe_ends_with_a_proven_model_that_llama_cpp_serves(smoke):
    proof = json.loads((smoke / "published" / "export.json").read_text())["proof"]
    assert proof["texts"] >= 50
    assert proof["max_logit_difference"] < 1e-3
    backend = open_backend(f"gguf:{smoke / 'published' / 'model.gguf'}")
    answer = backend.complete(prompt.generate("# module: m\ndef f(x):\n    return x\n"), Sampling(max_tokens=40))
    assert answer.completion_tokens
    backend.close()


def test_the_loss_fell(smoke):
    log = [json.loads(line) for line in (smoke / "log.jsonl").read_text().splitlines()]
    assert log[-1]["dev"] < 6.3  # ln(768) is 6.6: what a model knows that was never trained


def test_a_tokenizer_under_another_pattern_s_name_is_found_out(smoke, tmp_path, monkeypatch):
    from export.convert import convert

    texts = json.loads((smoke / "data" / "proof.json").read_text())
    wrong = convert(smoke / "model", tmp_path / "wrong.gguf", "f32", "gpt-2", 1)
    with pytest.raises(NotTheSameModel, match="token ids differ"):
        token_parity(smoke / "model", wrong, texts)


def test_other_weights_are_found_out(smoke, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    from export.convert import convert

    texts = json.loads((smoke / "data" / "proof.json").read_text())[:2]
    changed = tmp_path / "changed"
    import shutil

    shutil.copytree(smoke / "model", changed)
    model = AutoModelForCausalLM.from_pretrained(changed)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.mul_(1.5)
    model.save_pretrained(changed)
    gguf = convert(changed, tmp_path / "changed.gguf", "f32", "starcoder", 1)
    assert logit_difference(smoke / "model", gguf, texts) > 1e-3
