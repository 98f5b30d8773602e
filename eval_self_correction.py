"""Pass@1 and Pass@3 of self-correction, for a model tag and a tasks file.

python eval_self_correction.py [--model TAG] [--tasks FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import self_correction
from testing_crew import TestingCrew
from testing_crew.errors import TestingCrewError


def evaluate(model: str | None = None, tasks: Path = self_correction.TASKS) -> dict[str, float]:
    """Run the tasks; returns ``pass_at_1, pass_at_3, baseline, improved, delta`` and prints the table to standard error."""
    crew = TestingCrew(model, max_iterations=self_correction.ROUNDS)
    todo = self_correction.load_tasks(tasks)
    outcomes = []
    for outcome in self_correction.evaluate(crew, todo):
        outcomes.append(outcome)
        said = outcome.error or f"passed in {outcome.passed_in or '-'}, accepted in {outcome.accepted_in or '-'}"
        print(f"{len(outcomes)}/{len(todo)} {outcome.id}: {said}", file=sys.stderr)
    figures = self_correction.metrics(outcomes)
    errors = sum(o.error is not None for o in outcomes)
    print(f"model {crew.model}, n = {len(outcomes) - errors}, infrastructure errors {errors}", file=sys.stderr)
    for name, rate in figures.items():
        print(f"  {name}: {rate.value:.1%}  (95 % interval {rate.low:.1%} to {rate.high:.1%})", file=sys.stderr)
    first, third = figures["passed@1"].value, figures["passed@3"].value
    return {
        "pass_at_1": round(first, 4),
        "pass_at_3": round(third, 4),
        "baseline": round(first, 4),
        "improved": round(third, 4),
        "delta": round(third - first, 4),
    }


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a model tag; the configured one if not given")
    parser.add_argument("--tasks", type=Path, default=self_correction.TASKS)
    options = parser.parse_args()
    try:
        print(json.dumps(evaluate(options.model, options.tasks)))
    except TestingCrewError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
