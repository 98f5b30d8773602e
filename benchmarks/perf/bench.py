"""Tasks a minute: side by side with warm runs, against the same tasks one by one with a cold pytest for each run.

    python -m benchmarks.perf.bench --tasks 8 --model embedded

Model time excluded: the oracle answers, in no time. Model time included: ``--model`` answers, as many rounds as it takes; the
verdicts of both ways are compared.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence

from benchmarks.perf.table import show
from benchmarks.run import Run, perform
from benchmarks.suite import BENCHMARKS
from benchmarks.task import TASKS, Task, load_tasks, some_of
from testing_crew.config import Config
from testing_crew.crew import runner_for
from testing_crew.runner.run import Runner


def timed(tasks: Sequence[Task], model: str, *, cold: bool) -> Run:
    """The run, as a benchmark makes it; with ``cold``, one task after the other and each run of pytest a process of its own."""
    config = Config()
    runner = Runner(runner_for(config).limits, warm=False, workers=1) if cold else None
    workers = 1 if cold else None
    run, _ = perform(BENCHMARKS["self_correction"], tasks, model, config, samples=0, workers=workers, runner=runner)
    return run


def main(argv: Sequence[str] | None = None) -> None:
    """The command in this module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(argv)
    tasks = some_of(load_tasks(TASKS), chosen.tasks, 0)
    ratios: dict[str, float] = {}
    details: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TESTING_CREW_HOME"] = folder
        for name, model in (("model time excluded", "control:oracle"), (f"included, {chosen.model}", chosen.model)):
            ours, theirs = timed(tasks, model, cold=False), timed(tasks, model, cold=True)
            same = sum(a.accepted_in == b.accepted_in for a, b in zip(ours.outcomes, theirs.outcomes, strict=True))
            ratios[name] = theirs.seconds / ours.seconds
            speeds = [f"{60 * len(tasks) / run.seconds:.1f}" for run in (ours, theirs)]
            details[name] = f"{speeds[0]} and {speeds[1]} tasks a minute; {same} of {len(tasks)} end alike"
    show("tasks a minute against one by one with cold pytest", ratios, details, as_json=chosen.json)


if __name__ == "__main__":
    main()
