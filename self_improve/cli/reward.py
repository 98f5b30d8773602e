"""``testing-crew reward``: what a test file, or many of them, are worth to training."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from testing_crew.config import Config
from testing_crew.errors import UserMistake


def tell_reward(test: Path, target: Path, mutants: int, config: Config, as_json: bool) -> int:
    """Grade one file and say how it came to its reward; returns the exit code."""
    from finetune.reward import COVERS, HONEST, KILLS, PASSES, STEP, TOO_LONG, grade
    from self_improve.cli.say import Console
    from testing_crew.check import plan_of
    from testing_crew.crew import runner_for
    from testing_crew.gate.reasons import explain

    plan, _ = plan_of(test, target, config.interpreter)
    with runner_for(config) as runner:
        found = grade(runner, plan, mutants)
    if as_json:
        print(json.dumps(found.model_dump(), indent=2))
        return 0 if found.accepted else 1
    console = Console()
    console.print(f"{found.value:.2f}  {test}")
    if found.cheats:
        console.print("it passes, and is worth nothing:")
        for reason in found.refused:
            console.print(f"  {explain(reason.partition(':')[0])['says']}")
    elif found.accepted:
        console.print(f"  {HONEST:+.2f}  it passes, and nothing speaks against it")
        console.print(f"  {COVERS * found.covers:+.2f}  it runs {found.covers:.0%} of the lines")
        console.print(f"  {KILLS * found.kills:+.2f}  it notices {found.kills:.0%} of the changes")
    else:
        for step in ("parses", "collects", "imports", "executes"):
            console.print(f"  {STEP * getattr(found, step):+.2f}  {step}")
        console.print(f"  {PASSES * found.passes:+.2f}  {found.passes:.0%} of its tests pass by means of the target")
    if found.too_long and not found.cheats:
        console.print(f"  {-TOO_LONG * found.too_long:+.2f}  it is longer than what it reaches and notices asks for")
    return 0 if found.accepted else 1


_FORM = 'a row is {"code": …, "tests": …}'


class _Row(BaseModel):
    code: str
    tests: str
    module: str = "target"


def tell_rewards(file: Path, mutants: int, as_json: bool) -> int:
    """Grade rows and say what each is worth; returns the exit code. Raises UserMistake for a file that holds no rows."""
    import sys

    from finetune.data.rows import read_as
    from finetune.reward import Grader, Sample
    from self_improve.cli.say import Console, bars
    from testing_crew.runner.run import Runner
    from trace_logger.records import CodeUnderTest

    samples = []
    rows = read_as(_Row, file, _FORM)
    if not rows:
        raise UserMistake(f"{file} is empty", hint=_FORM)
    for row in rows:
        code = CodeUnderTest(source=row.code, shown=row.code, module=row.module, root="", interpreter=sys.executable)
        samples.append(Sample(code, row.tests))
    with bars(Console(stderr=True)) as bar, Grader(Runner(), mutants=mutants) as grader:
        task = bar.add_task("rewards", total=None)
        found = grader.grade(samples, lambda done, of: bar.update(task, completed=done, total=of))
    if as_json:
        for reward in found:
            print(reward.model_dump_json())
        return 0
    n = len(found)
    mean = sum(reward.value for reward in found) / n
    accepted, cheats = (sum(getattr(reward, name) for reward in found) for name in ("accepted", "cheats"))
    Console().print(
        f"{n} files: mean reward {mean:.3f}, {accepted / n:.1%} pass and are honest, {cheats / n:.1%} cheat"
    )
    return 0
