"""One test file against one module, as a suite's report has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testing_crew.gate.gate import Judgement
from testing_crew.gate.hindrances import hindrances
from testing_crew.gate.reasons import explain_all
from testing_crew.mutation.fates import Fates
from testing_crew.mutation.operators import Mutant
from testing_crew.runner.failures import failure_log
from testing_crew.runner.plan import Plan
from testing_crew.suite.records import Explained, Survivor, TargetReport

Tell = Callable[[str, int, int], None]  # what is being looked at, how much of all is done, of how much


@dataclass(frozen=True)
class Options:
    """How a suite is judged. ``mutants`` of each pair of a test file and a module are tried (None: all), ``repeats`` runs made.

    ``seconds`` is what the repeated runs and the mutants of one pair may take before fewer are made (None: no limit).
    ``cache``: take what was found before of what has not changed since. ``traces``: keep what was mended as a trace.
    """

    mutants: int | None = 100
    repeats: int = 20
    seconds: float | None = None
    cache: bool = True
    traces: bool = True


def relative(path: str | Path, root: Path) -> str:
    """``path`` from ``root``, with forward slashes; as it is where it lies elsewhere."""
    real = Path(path).resolve()
    return real.relative_to(root).as_posix() if real.is_relative_to(root) else real.as_posix()


def pair_report(plan: Plan, found: Judgement, root: Path, seconds: float) -> TargetReport:
    """What the gate ``found`` of ``plan``; ``root`` is the folder that paths are told from, ``seconds`` what it took."""
    code, run = plan.code, found.run
    target = relative(code.path or code.module, root)
    return TargetReport(
        target=target,
        module=code.module,
        verdict=run.verdict,
        accepted=found.accepted,
        reasons=tuple(Explained(**each) for each in explain_all(found.reasons, found.stability)),
        failures=tuple(failure_log(run).splitlines()),
        notes=tuple(hindrances(plan.tests, run, found.reasons)),
        suspects=found.suspects,
        coverage=run.coverage,
        mutants=found.mutants,
        stability=found.stability,
        survivors=survivors(found.fates, target) if found.fates else (),
        asserted_lines=run.asserted_lines,
        seconds=seconds,
    )


def survivors(fates: Fates, target: str) -> tuple[Survivor, ...]:
    """The mutants that went unnoticed, in order of line; ``target`` is the path to tell of them."""
    return tuple(
        _survivor(mutant, target, fate == "survived") for mutant, fate in fates.of if fate in ("survived", "unreached")
    )


def _survivor(mutant: Mutant, target: str, reached: bool) -> Survivor:
    first, column, last, before = mutant.place
    return Survivor(
        path=target,
        line=first,
        last_line=last,
        column=column,
        before=before,
        after=mutant.edit.new,
        text=mutant.text,
        operator=mutant.operator,
        reached=reached,
    )
