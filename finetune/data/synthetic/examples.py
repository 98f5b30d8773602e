"""Training examples: a prompt and the test file that answers it, for writing, repairing and completing tests.

True answers come from running the program. A repair example is a file with faults put in, the log that pytest's run of it
leaves (the lines are built by the agent's own normaliser), and the file mended. In half of the repairs the log is
**counterfactual**: it claims values unrelated to the code, so that a model learns to take the value from the log.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from finetune.data.synthetic.faults import FAULTS
from finetune.data.synthetic.program import Program
from finetune.data.synthetic.tables import Table
from testing_crew import prompt
from testing_crew.project import code
from testing_crew.runner import failures


@dataclass(frozen=True)
class Example:
    """One row of training: ``prompt`` + ``completion`` as the model sees them."""

    kind: str
    prompt: str
    completion: str


def shown(program: Program) -> str:
    """What the agent would show of the program."""
    return code.render(program.source, program.module, program.unit)


def generate(table: Table, version: int = prompt.PROMPT_VERSION) -> Example:
    """Code → first test file."""
    return Example("generate", prompt.generate(shown(table.program), version), table.text())


def repair(rng: random.Random, table: Table, version: int = prompt.PROMPT_VERSION) -> Example | None:
    """A failed file with its log → the file mended; None when the fault drawn does not fit this program.

    ``version`` is that of the prompt, and belongs to the model that is trained.
    """
    fits = {name: weight for name, (_, weight) in FAULTS.items() if name != "accident" or table.accidents}
    fault = rng.choices(list(fits), list(fits.values()))[0]
    made_up = rng.random() < 0.5
    broken = FAULTS[fault][0](rng, table, made_up)
    if broken is None or not broken.log or broken.failed.text() == broken.fixed.text():
        return None
    log = broken.log[: failures.MAX_LINES]
    asked = prompt.repair(shown(table.program), broken.failed.text(), "\n".join(log), version)
    return Example(f"repair/{fault}{'/made_up' if made_up else ''}", asked, broken.fixed.text())


def complete(rng: random.Random, table: Table, version: int = prompt.PROMPT_VERSION) -> Example | None:
    """A file that misses rows → the rows that are missing, under a test of their own."""
    if len(table.returned) < 4 or table.raised:
        return None
    cut = rng.randint(1, 2)
    have = replace(table, returned=table.returned[:-cut])
    more = replace(table, returned=table.returned[-cut:])
    body = [
        line.strip()
        for line in table.program.source.splitlines()
        if line.strip().startswith(("return", "raise", "yield"))
    ]
    if not body:
        return None
    asked = prompt.complete(shown(table.program), have.text(), rng.choice(body), version=version)
    return Example(
        "complete",
        asked,
        more.text().replace(f"def test_{table.program.unit}(", f"def test_{table.program.unit}_more("),
    )
