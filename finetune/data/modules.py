"""Made-up modules without tests, for the agent to work on by itself.

python -m finetune.data.modules --count 24 --out FOLDER
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from finetune.data.synthetic import programs


def write_modules(count: int, out: Path, seed: int = 0) -> list[Path]:
    """Write ``count`` modules of one function or class each, of families that no training set has."""
    rng = random.Random(f"modules/{seed}")
    families = programs.split_families()[1]
    out.mkdir(parents=True, exist_ok=True)
    made: dict[str, Path] = {}
    while len(made) < count:
        program = programs.program(rng, *families)
        name = program.module.rpartition(".")[2]
        if name not in made:
            made[name] = out / f"{name}.py"
            made[name].write_text(program.source.rstrip() + "\n", encoding="utf-8")
    return list(made.values())


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    print(f"{len(write_modules(options.count, options.out))} modules in {options.out}")


if __name__ == "__main__":
    main()
