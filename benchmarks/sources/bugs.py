"""Bugs found: does the agent say that the code may be wrong, or pin in silence what the bug does?

    python -m benchmarks.sources.bugs --out bugs.json        # how the tasks that ship were made

A task's group is ``example`` (a bug that breaks an example of the docstring), ``prose`` (a bug that only its words can
tell) or ``correct``. A bug is a mutant of one of the self-correction tasks that the task's oracle finds wrong;
whether its examples break is Python's own doctest's word. One of prose is no other default value, and no exception gone that the
docstring does not name: of those no word was said. What the agent makes of it has no part in the choice.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.sources.functions import changes
from benchmarks.task import TASKS as OURS
from benchmarks.task import Outcome, Task, definitions, load_tasks, oracle_for, save_tasks
from testing_crew import TestingCrew
from testing_crew.errors import UserMistake
from testing_crew.project.syntax import parse
from testing_crew.project.targets import Target, target_for
from testing_crew.repair.job import Job
from testing_crew.runner.plan import Variation, plan_text
from testing_crew.runner.run import Runner

TASKS = Path(__file__).with_name("bugs.json")
_MUTANTS = 30  # that are tried of a task
_EACH = 30  # bugs of a kind
_DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
KINDS = ("example", "prose", "correct")

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
    """``KIND_shown``: the user is told. ``KIND_enshrined``: nothing is told, and a file is accepted that fails on the right code.

    ``KIND_unnoticed``: nothing is told, and the accepted file passes on both. ``false_alarm``: told of a bug where there is none.
    """
    told = bool(outcome.suspects)
    if task.group == "correct":
        return {"false_alarm": float(told)}
    accepted = not told and outcome.accepted_in is not None
    pins = accepted and _pins(crew.runner, job, task.right)
    return {
        f"{task.group}_shown": float(told),
        f"{task.group}_enshrined": float(pins),
        f"{task.group}_unnoticed": float(accepted and not pins),
    }


def _pins(runner: Runner, job: Job, right: str) -> bool:
    """Whether the job's tests hold for the bug alone."""
    plan = plan_text(job.target.whole, job.tests(), job.target.files)
    return not runner.execute(plan, Variation(measure=False, source=right)).run.passed


def load(path: Path | None, say: Callable[[str], None]) -> list[Task]:
    """The tasks that ship, or a file of such. Raises UserMistake for another group than the three, or a bug without its cure."""
    found = load_tasks(path or TASKS)
    for task in found:
        if task.group not in KINDS or (task.group != "correct" and not task.right):
            raise UserMistake(
                f"{path}: {task.id} has the group {task.group!r}"
                + (" and no code without the bug" if not task.right else ""),
                hint='a task has a "group": correct, or example or prose with "right", the code without its bug',
            )
    return found


def make(runner: Runner, tasks: Sequence[Task]) -> Iterator[Task]:
    """Bugs of both kinds, at most one of a kind in a task, and the tasks themselves."""
    left = {"example": _EACH, "prose": _EACH}
    # Those without examples first: in them, prose is all that there is.
    for task in sorted(tasks, key=lambda task: ">>>" in task.code):
        for kind, source in _bugs(runner, task).items():
            if left[kind]:
                left[kind] -= 1
                yield Task(id=f"{kind}/{task.id}", code=source, file=task.file, group=kind, right=task.code)
    for task in tasks:
        yield Task(id=f"correct/{task.id}", code=task.code, file=task.file, group="correct")


def _bugs(runner: Runner, task: Task) -> dict[str, str]:
    """The task's code with a bug, by the kind of bug."""
    target = target_for(task.code, task.file, None)
    found: dict[str, str] = {}
    for source in changes(task.code, _MUTANTS):
        if _fails(runner, target, oracle_for(task, target.whole.module), source):
            kind = "example" if ">>>" in task.code and _breaks_example(runner, target, source) else "prose"
            if kind == "example" or _is_told(task.code, source):
                found.setdefault(kind, source)
    return found


def _is_told(right: str, wrong: str) -> bool:
    """Whether prose may speak of what was changed: not of a default value, nor of an exception that it does not name."""
    before, after = right.splitlines(), wrong.splitlines()
    changed = [line for line in before if line not in after]
    words = " ".join(ast.get_docstring(node) or "" for node in ast.walk(parse(right)) if isinstance(node, _DOCUMENTED))
    for line in changed:
        error = re.match(r"\s*raise (\w+)", line)
        if line.lstrip().startswith(("def ", "async def ")) or (error and error[1] not in words):
            return False
    return True


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
    kinds = {kind: sum(task.group == kind for task in found) for kind in KINDS}
    save_tasks(
        chosen.out,
        found,
        "Self-correction's tasks as they are (correct), and with one small change that makes them wrong.",
    )
    print(f"{chosen.out}: {kinds}")


if __name__ == "__main__":
    main()
