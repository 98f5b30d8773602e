"""Made-up modules without tests, for the agent to work on by itself.

python -m finetune.data.modules --count 24 --out FOLDER [--parts practice,decide,sealed]
python -m finetune.data.modules --kinds text,parsing --out FOLDER

The first are variations of families that no training set has. The second are hand-written everyday code, a module each, of the
kinds that are named (`finetune/data/synthetic/families`), none of which the shipped model has seen.
"""

from __future__ import annotations

import argparse
import ast
import random
import re
import sys
from pathlib import Path

from finetune.data.synthetic import names, programs, scenarios
from testing_crew.project.syntax import parse

KINDS = sorted(file.stem for file in (Path(__file__).parent / "synthetic" / "families").glob("*.txt"))
_DULL = {"a", "an", "the", "of", "and", "or", "in", "to", "for", "with", "its", "is", "it", "by", "all", "one", "some"}


def variations(count: int, seed: int = 0) -> dict[str, str]:
    """``count`` modules of one function or class each, by their names: variations of families that no training set has."""
    rng = random.Random(f"modules/{seed}")
    families = programs.split_families()[1]
    made: dict[str, str] = {}
    while len(made) < count:
        program = programs.program(rng, *families)
        made.setdefault(program.module.rpartition(".")[2], program.source)
    return made


def everyday(kinds: list[str], seed: int = 0) -> dict[str, str]:
    """A module for each hand-written family of ``kinds``, by its name."""
    rng = random.Random(f"families/{seed}")
    made: dict[str, str] = {}
    for kind in kinds:
        file = Path(__file__).parent / "synthetic" / "families" / f"{kind}.txt"
        for family in scenarios.read(file):
            name = _name(rng, family.code)
            while name in made or name in sys.stdlib_module_names:
                name = f"{name}_{names.word(rng)}"
            unit = "".join(part.title() for part in name.split("_")) if family.unit == "C" else name
            made[name] = re.sub(rf"\b{family.unit}\b(?!\")", unit, family.code)
    return made


def write(modules: dict[str, str], parts: list[str], out: Path) -> None:
    """Write the modules, dealt out to the folders ``parts`` below ``out``."""
    for number, (name, source) in enumerate(modules.items()):
        place = out / parts[number % len(parts)] / f"{name}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(source.rstrip() + "\n", encoding="utf-8")


def _name(rng: random.Random, code: str) -> str:
    """A name out of the first words of the code's docstring, else any."""
    definitions = [n for n in parse(code).body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    said = next((text for n in definitions if n.name in ("f", "C") and (text := ast.get_docstring(n))), "")
    words = [w for w in re.findall(r"[a-z]+", said.partition(".")[0].lower()) if w not in _DULL]
    return "_".join(words[:2]) if len(words) >= 2 else names.function_name(rng)


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--kinds", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--parts", default=".", help="folders to deal the modules out to")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.kinds:
        wanted = options.kinds.split(",")
        if unknown := set(wanted) - set(KINDS):
            parser.error(f"no kind {', '.join(sorted(unknown))}: there are {', '.join(KINDS)}")
        made = everyday(wanted)
    else:
        made = variations(options.count)
    write(made, options.parts.split(","), options.out)
    print(f"{len(made)} modules in {options.out}")


if __name__ == "__main__":
    main()
