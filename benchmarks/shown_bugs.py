"""Bugs that break an example of a docstring: how many are shown, how many pinned, and how often a correct function is accused.

    python -m benchmarks.shown_bugs --model snapshot --bugs 30 --correct 60 FILE…

A bug is a mutant of a function of FILE under which Python's own doctest, in the sandbox, fails for the function and passes
without: what the agent makes of examples has no part in the choice. The agent then works on a copy of the package that has it.
**Shown**: the user is told that the code may be wrong. **Pinned**: a file is accepted, and nothing is told.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.metrics import rate
from testing_crew.config import Config
from testing_crew.crew import TestingCrew
from testing_crew.errors import UserMistake
from testing_crew.mutation.operators import mutants, sample
from testing_crew.mutation.text import OTHER
from testing_crew.project.imports import package_root
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.targets import Target, file_target
from testing_crew.runner.plan import Variation, plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest

_MUTANTS = 12  # that are tried of a function
_ORACLE = """\
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


def functions(files: Sequence[Path], seed: int) -> list[tuple[Path, CodeUnderTest]]:
    """The functions and classes of ``files``, in a random order."""
    found: list[tuple[Path, CodeUnderTest]] = []
    for file in files:
        try:
            found += [(file, unit) for unit in file_target(file, interpreter_for(None, file)).units]
        except UserMistake as error:
            print(f"left out: {error.message}", flush=True)
    random.Random(seed).shuffle(found)
    return [(file, unit) for file, unit in found if ">>>" in unit.source and unit.unit]


def choose(
    runner: Runner, units: Sequence[tuple[Path, CodeUnderTest]], bugs: int, correct: int
) -> Iterator[tuple[Path, str, str | None]]:
    """Give (file, unit, source with a bug) for ``bugs`` functions, then (file, unit, None) for ``correct`` others."""
    for file, unit in units:
        plan = plan_text(unit, _ORACLE.format(module=unit.module, unit=unit.unit))
        if not runner.execute(plan, Variation(measure=False)).run.passed:
            continue
        if bugs:
            # Not those that need the runner's help: in a file they would not run.
            tried = sample([m for m in mutants(unit.source, plan.range) if OTHER not in m.source], _MUTANTS)
            broken = (
                mutant.source
                for mutant in tried
                if runner.execute(plan, Variation(measure=False, source=mutant.source)).run.verdict == "failed"
            )
            if (source := next(broken, None)) is not None:
                bugs -= 1
                yield file, str(unit.unit), source
        elif correct:
            correct -= 1
            yield file, str(unit.unit), None
        else:
            return


def _copied(file: Path, folder: Path, source: str | None) -> Path:
    """``file`` in a copy of its package, with ``source`` in its place."""
    root, _ = package_root(file)
    top = file.resolve().relative_to(root).parts[0]
    if (root / top).is_dir():
        shutil.copytree(root / top, folder / top, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(root / top, folder / top)
    copy = folder / file.resolve().relative_to(root)
    if source is not None:
        copy.write_text(source, encoding="utf-8")
    return copy


def work(crew: TestingCrew, file: Path, unit: str) -> tuple[tuple[str, ...], bool]:
    """What the agent tells of one unit, and whether it accepts a file for it."""
    target: Target = file_target(file, interpreter_for(None, file))
    only = replace(target, units=tuple(u for u in target.units if u.unit == unit))
    job = crew.job(only, crew.recorder("benchmark shown_bugs"))
    *_, last = crew.events(job)
    return job.loops[0].suspects, bool(last["success"])


def main(argv: Sequence[str] | None = None) -> None:
    """The command in this module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", default="snapshot")
    parser.add_argument("--bugs", type=int, default=30)
    parser.add_argument("--correct", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(argv)
    counts = {"bugs": 0, "shown": 0, "pinned": 0, "correct": 0, "accused": 0, "accepted": 0}
    crew = TestingCrew(chosen.model, traces=False, config=Config())
    with crew.runner, tempfile.TemporaryDirectory() as folder:
        picked = choose(crew.runner, functions(chosen.files, chosen.seed), chosen.bugs, chosen.correct)
        for number, (file, unit, source) in enumerate(picked):
            told, accepted = work(crew, _copied(file, Path(folder, str(number)), source), unit)
            if source is None:
                counts["correct"] += 1
                counts["accused"] += bool(told)
                counts["accepted"] += accepted
            else:
                counts["bugs"] += 1
                counts["shown"] += bool(told)
                counts["pinned"] += accepted and not told
            if bool(told) != (source is not None):
                print(f"{'accused' if told else 'not shown'}: {file} {unit} {' '.join(told)}", flush=True)
    crew.backend.close()
    shares = {
        name: rate(counts[name], counts[of]).model_dump() for name, of in (("shown", "bugs"), ("accused", "correct"))
    }
    print(json.dumps({"model": chosen.model, "counts": counts, "rates": shares}))


if __name__ == "__main__":
    main()
