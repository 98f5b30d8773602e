"""The embedded model's export: f16 weights → GGUF, proven to be the same model, put where the package ships it.

python -m export.embedded --model runs/out/embedded/model --out testing_crew/embedded
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from export.convert import PRE_TOKENIZERS, convert
from export.verify import prove
from testing_crew.backends import trained


def export_embedded(model: Path, out: Path, texts: list[str]) -> dict[str, object]:
    """Convert, prove on ``texts``, and publish ``model.gguf`` with its weights and tokenizer; returns what was found."""
    version = trained.prompt_version(trained.notes_of(model), model)
    with tempfile.TemporaryDirectory() as scratch:
        f32 = convert(model, Path(scratch) / "f32.gguf", "f32", PRE_TOKENIZERS["embedded"], version)
        figures = prove(model, f32, texts)
        gguf = convert(model, Path(scratch) / "model.gguf", "f16", PRE_TOKENIZERS["embedded"], version)
        out.mkdir(parents=True, exist_ok=True)
        for file in model.iterdir():
            shutil.copy(file, out / file.name)
        shutil.copy(gguf, out / "model.gguf")
    sums = {
        f.name: hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(out.iterdir())
        if f.suffix in (".gguf", ".safetensors")
    }
    found: dict[str, object] = {
        "prompt_version": version,
        "proof": figures,
        "sha256": sums,
    }
    (out / "export.json").write_text(json.dumps(found, indent=2) + "\n")
    return found


def main() -> None:
    """Read the arguments and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True, help="JSON list of texts to prove the export on")
    options = parser.parse_args()
    print(json.dumps(export_embedded(options.model, options.out, json.loads(options.texts.read_text())), indent=2))


if __name__ == "__main__":
    main()
