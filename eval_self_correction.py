"""Pass@1 and Pass@3 of self-correction, for a model tag and a tasks file; for two tags, what the second has over the first.

python eval_self_correction.py [--model TAG [--model TAG]] [--tasks FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.compare import DECIDES, compare
from benchmarks.run import Run, perform
from benchmarks.suite import BENCHMARKS
from benchmarks.task import TASKS, Outcome, load_tasks
from testing_crew import config
from testing_crew.errors import TestingCrewError

Figures = dict[str, float]


def evaluate(model: str | None = None, tasks: Path = TASKS, against: str | None = None) -> Figures:
    """Run the tasks; returns ``pass_at_1, pass_at_3, baseline, improved, delta`` and prints the table to standard error.

    Of one model, ``baseline`` is its Pass@1 and ``improved`` its Pass@3. With ``against``, they are that model's Pass@3 and
    this one's, and ``low, high`` (of ``delta``, 95 %) and ``p`` (exact, paired) come beside.
    """
    if against is None:
        run = _run(model, tasks)
        first, third = run.scores["passed@1"].value, run.scores["passed@3"].value
        return _figures(first, third, first, third)
    before, after = _run(against, tasks), _run(model, tasks)
    found = {each.metric: each for each in compare(before.outcomes, after.outcomes)}
    for name, each in found.items():
        rise = f"{each.delta:+.1%}  (95 % interval {each.low:+.1%} to {each.high:+.1%}), p = {each.p:.3f}"
        rise += f": {each.says}" if name in DECIDES else ""
        print(f"  {name}: {each.before.value:.1%} → {each.after.value:.1%}, {rise}", file=sys.stderr)
    third = found["passed@3"]
    figures = _figures(found["passed@1"].after.value, third.after.value, third.before.value, third.after.value)
    return figures | {"low": round(third.low, 4), "high": round(third.high, 4), "p": round(third.p, 4)}


def _figures(first: float, third: float, before: float, after: float) -> Figures:
    named = {"pass_at_1": first, "pass_at_3": third, "baseline": before, "improved": after, "delta": after - before}
    return {name: round(value, 4) for name, value in named.items()}


def _run(model: str | None, tasks: Path) -> Run:
    chosen = config.load(Path.cwd()).config

    def tell(outcome: Outcome, done: int, of: int) -> None:
        said = outcome.error or f"passed in {outcome.passed_in or '-'}, accepted in {outcome.accepted_in or '-'}"
        print(f"{done}/{of} {outcome.id}: {said}", file=sys.stderr)

    benchmark = BENCHMARKS["self_correction"]
    run, file = perform(benchmark, load_tasks(tasks), model or chosen.model, chosen, samples=0, tell=tell)
    print(
        f"model {run.settings.model}, n = {run.n}, infrastructure errors {run.infrastructure_errors}", file=sys.stderr
    )
    for name in ("passed@1", "passed@3", "accepted@1", "accepted@3"):
        rate = run.scores[name]
        print(f"  {name}: {rate.value:.1%}  (95 % interval {rate.low:.1%} to {rate.high:.1%})", file=sys.stderr)
    print(f"  all of it: {file}", file=sys.stderr)
    return run


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", action="append", help="a model tag; the configured one if not given. Twice: before and after"
    )
    parser.add_argument("--tasks", type=Path, default=TASKS)
    options = parser.parse_args()
    tags = options.model or [None]
    if len(tags) > 2:
        parser.error("at most two models")
    try:
        print(json.dumps(evaluate(tags[-1], options.tasks, tags[0] if len(tags) == 2 else None)))
    except TestingCrewError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; what is done is kept, and the same command goes on", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
