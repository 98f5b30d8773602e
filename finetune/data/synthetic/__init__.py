"""Test-writing and test-repair examples that the project makes itself: programs, their true outputs, and faults put in."""

from __future__ import annotations

import random
from collections.abc import Iterator

from finetune.data.synthetic import classes, examples, programs, tables
from finetune.data.synthetic.examples import Example
from finetune.data.synthetic.program import Program
from testing_crew.prompt import PROMPT_VERSION


def stream(
    seed: int, *, split: str = "train", canonical: float = 0.8, prompt_version: int = PROMPT_VERSION
) -> Iterator[Example]:
    """Examples without end, the same ones for the same seed.

    ``split`` is train or dev (families are divided, random programs are shared); ``canonical`` is the share of function
    tables with the fixed inputs of their types.
    """
    rng = random.Random(f"{seed}/{split}")
    families = programs.split_families()[0 if split == "train" else 1]
    while True:
        yield from _examples(rng, programs.program(rng, *families), canonical, prompt_version)


def _examples(rng: random.Random, program: Program, canonical: float, version: int) -> Iterator[Example]:
    if program.is_class:
        steps = classes.observe(rng, program)
        if steps:
            if rng.random() < 0.5:
                yield classes.generate(program, steps, version)
            else:
                made = classes.repair(rng, program, steps, version)
                if made:
                    yield made
        return
    table = tables.observe(rng, program, rng.random() < canonical)
    if table is None:
        return
    pick = rng.random()
    if pick < 0.4:
        yield examples.generate(table, version)
    elif pick < 0.44:
        more = examples.complete(rng, table, version)
        if more:
            yield more
    else:
        for _ in range(4):
            repaired = examples.repair(rng, table, version)
            if repaired:
                yield repaired
                return
