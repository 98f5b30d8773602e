"""Bugs found: does the agent say that the code may be wrong, or pin in silence what the bug does?

    python -m benchmarks.sources.bugs --out bugs.json        # how the tasks that ship were made

A task's group is ``example`` (a bug that breaks an example of the docstring), ``prose`` (a bug that only its words can
tell) or ``correct``. A bug is a mutant of one of the self-correction tasks that the task's oracle finds wrong;
whether its examples break is Python's own doctest's word. What the agent makes of it has no part in the choice.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.sources.functions import changes
from benchmarks.task import TASKS as OURS
from benchmarks.task import Outcome, Task, definitions, load_tasks, oracle_for, save_tasks
from testing_crew import TestingCrew
from testing_crew.project.targets import Target, target_for
from testing_crew.repair.job import Job
from testing_crew.runner.plan import Variation, plan_text
from testing_crew.runner.run import Runner

TASKS = Path(__file__).with_name("bugs.json")
_MUTANTS = 30  # that are tried of a task
_EACH = 30  # bugs of a kind

DOCTEST = """\
import doctest
import importlib


def test_docstring():
    module = importlib.import_module({module!r})
    found = doctest.DocTestFinder().find(getattr(module, {unit!r}), {unit!r}, module=module, globs=dict(vars(module)))
    runner = doctest.DocTestRunner(verbose=False)
    for each in found:
        runner.run(each, out=lambda text: None)
    assert runner.tries > 0
    assert runner.failures == 0
"""


def judge(crew: TestingCrew, task: Task, outcome: Outcome, job: Job) -> dict[str, float]:
    """``KIND_shown``: the user is told. ``KIND_enshrined``: a file is accepted, nothing told. ``false_alarm``: told of none."""
    told, kept = bool(outcome.suspects), outcome.accepted_in is not None
    if task.group == "correct":
        return {"false_alarm": float(told)}
    return {f"{task.group}_shown": float(told), f"{task.group}_enshrined": float(kept and not told)}


def make(runner: Runner, tasks: Sequence[Task]) -> Iterator[Task]:
    """Bugs of both kinds, at most one of a kind in a task, and the tasks themselves."""
    left = {"example": _EACH, "prose": _EACH}
    # Those without examples first: in them, prose is all that there is.
    for task in sorted(tasks, key=lambda task: ">>>" in task.code):
        for kind, source in _bugs(runner, task).items():
            if left[kind]:
                left[kind] -= 1
                yield Task(id=f"{kind}/{task.id}", code=source, file=task.file, group=kind)
    for task in tasks:
        yield Task(id=f"correct/{task.id}", code=task.code, file=task.file, group="correct")


def _bugs(runner: Runner, task: Task) -> dict[str, str]:
    """The task's code with a bug, by the kind of bug."""
    target = target_for(task.code, task.file, None)
    found: dict[str, str] = {}
    for source in changes(task.code, _MUTANTS):
        if _fails(runner, target, oracle_for(task, target.whole.module), source):
            kind = "example" if ">>>" in task.code and _breaks_example(runner, target, source) else "prose"
            found.setdefault(kind, source)
    return found


def _breaks_example(runner: Runner, target: Target, source: str) -> bool:
    told = {name for name, text in definitions(target.whole.source).items() if ">>>" in text}
    units = [unit for unit in target.units if unit.unit in told]
    return any(_fails(runner, target, DOCTEST.format(module=unit.module, unit=unit.unit), source) for unit in units)


def _fails(runner: Runner, target: Target, tests: str, source: str) -> bool:
    plan = plan_text(target.whole, tests, target.files)
    return runner.execute(plan, Variation(measure=False, source=source, wall_seconds=5)).run.verdict == "failed"


def main(argv: Sequence[str] | None = None) -> None:
    """The command in this module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TASKS)
    chosen = parser.parse_args(argv)
    with Runner() as runner:
        found = list(make(runner, load_tasks(OURS)))
    kinds = {kind: sum(task.group == kind for task in found) for kind in ("example", "prose", "correct")}
    save_tasks(
        chosen.out,
        found,
        "Self-correction's tasks as they are (correct), and with one small change that makes them wrong.",
    )
    print(f"{chosen.out}: {kinds}")


if __name__ == "__main__":
    main()
