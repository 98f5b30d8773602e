"""The agent on real code: how many functions and classes get an accepted file, in how long.

    python -m benchmarks.perf.write --model embedded --model snapshot --units 80 FILE_OR_FOLDER…

Units are drawn evenly from the modules by a fixed seed, the same for every model; traces are off. ``accepted@1`` is the first
greedy file alone.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.metrics import rate
from testing_crew.config import Config
from testing_crew.crew import TestingCrew
from testing_crew.errors import UserMistake
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.syntax import parse
from testing_crew.project.targets import Target, file_target
from testing_crew.repair.loop import RepairLoop


def targets(paths: Sequence[Path], units: int, seed: int) -> list[Target]:
    """``units`` units of the modules in ``paths``, evenly drawn; a target holds those of one module."""
    found: list[Target] = []
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            try:
                found.append(file_target(file, interpreter_for(None, file)))
            except UserMistake:
                continue
    rng = random.Random(seed)
    order = [rng.sample(range(len(t.units)), len(t.units)) for t in found]
    chosen: list[list[int]] = [[] for _ in found]
    while sum(map(len, chosen)) < units and any(order):
        for mine, left in zip(chosen, order, strict=True):
            if left and sum(map(len, chosen)) < units:
                mine.append(left.pop())
    return [
        replace(t, units=tuple(t.units[i] for i in sorted(mine))) for t, mine in zip(found, chosen, strict=True) if mine
    ]


def measure(
    model: str, wanted: Sequence[Target], rounds: int, config: Config, *, one_by_one: bool = False
) -> dict[str, Any]:
    """What ``model`` makes of the targets; with ``config.derive`` the agent's own tests from docstrings come before it.

    ``one_by_one`` asks a model in this process for one answer after the other.
    """
    loops: list[RepairLoop] = []
    began = time.monotonic()
    crew = TestingCrew(model, rounds, traces=False, config=config)
    if one_by_one:
        vars(crew.backend)["at_once"] = 1  # in the place of what the backend would find out
    with crew.runner:
        opened = time.monotonic() - began
        for target in wanted:
            job = crew.job(target, crew.recorder("benchmark"))
            for _ in crew.events(job):
                pass
            loops += job.loops
    crew.backend.close()
    seconds = time.monotonic() - began - opened
    attempts = [a for loop in loops for a in loop.attempts]
    best = [loop.best for loop in loops]
    whys = Counter(_why(loop) for loop in loops if not (loop.best and loop.best.accepted))
    tried = [a.mutants for a in best if a is not None and a.accepted and a.mutants]
    accepted = sum(a is not None and a.accepted for a in best)
    return {
        "model": model,
        "candidates": config.candidates,
        "derive": config.derive,
        "one_by_one": one_by_one,
        "units": len(loops),
        "passed@1": sum(bool(loop.attempts) and loop.attempts[0].run.passed for loop in loops),
        "accepted@1": sum(bool(loop.attempts) and loop.attempts[0].accepted for loop in loops),
        "passed": sum(a is not None and a.run.passed for a in best),
        "accepted": accepted,
        "interval": [round(each, 3) for each in rate(accepted, len(loops)).bounds],
        "parses": round(sum(map(_parses, (a.completion for a in attempts))) / max(1, len(attempts)), 3),
        "mutants_noticed": round(sum(m.killed for m in tried) / max(1, sum(m.counted for m in tried)), 3),
        "seconds_a_unit": round(seconds / max(1, len(loops)), 2),
        "units_a_minute": round(60 * len(loops) / seconds, 1),
        "why_not": dict(whys.most_common(10)),
    }


def _why(loop: RepairLoop) -> str:
    if loop.best is None:
        return loop.gave_up.partition(":")[0] or "nothing"
    if not loop.best.run.passed:
        return loop.best.run.verdict
    return (loop.best.reasons or ("?",))[0].partition(":")[0]


def _parses(text: str) -> bool:
    try:
        return bool(parse(text).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def main(argv: Sequence[str] | None = None) -> None:
    """The command in this module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--units", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument(
        "--derive", action="store_true", help="docstrings' examples first, as `testing-crew write` does"
    )
    parser.add_argument("--one-by-one", action="store_true", help="the model answers one prompt after the other")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(argv)
    wanted = targets(chosen.paths, chosen.units, chosen.seed)
    config = Config(candidates=chosen.candidates, derive=chosen.derive)
    for model in chosen.model:
        made = measure(model, wanted, chosen.rounds, config, one_by_one=chosen.one_by_one)
        print(json.dumps(made), flush=True)


if __name__ == "__main__":
    main()
