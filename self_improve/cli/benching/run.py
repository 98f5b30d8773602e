"""One benchmark run from the command line: its progress, its figures, and what it leaves for others."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.metrics import Score
    from benchmarks.run import Run
    from benchmarks.suite import Benchmark

_MOST_ERRORS = 10


@dataclass(frozen=True)
class Order:
    """What was asked for; None where a benchmark's own default holds."""

    name: str
    model: str | None
    tasks: Path | None
    limit: int | None
    samples: int | None
    candidates: int | None
    seed: int
    once: bool
    as_json: bool
    mode: str | None = None


def run_benchmark(order: Order) -> None:
    """Run one benchmark with one model, and print its figures. Stopped or killed, the same command goes on."""
    from rich.progress import TimeElapsedColumn, TimeRemainingColumn

    from benchmarks.run import perform
    from benchmarks.suite import BENCHMARKS
    from benchmarks.task import some_of
    from self_improve.cli.say import Console, bars
    from testing_crew import config as configuration

    config = configuration.load(Path.cwd()).config
    name, tag = order.name, order.model or config.model
    console = Console(stderr=True)
    benchmark = BENCHMARKS[name]
    drawn = some_of(benchmark.load(order.tasks, lambda what: console.print(f"{what} …")), order.limit, order.seed)
    with bars(console, TimeElapsedColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task(f"{name} · {tag}", total=len(drawn))
        good = 0

        def tell(outcome: Any, done: int, of: int) -> None:
            nonlocal good
            good += outcome.good
            word = "right" if benchmark.rounds == 0 else "accepted"
            progress.update(bar, completed=done, description=f"{name} · {tag} · {good} {word}")
            if not console.is_terminal:
                said = outcome.why or (f"accepted in round {outcome.accepted_in}" if outcome.accepted_in else word)
                if benchmark.headline in outcome.figures:
                    said = f"{benchmark.headline} {outcome.figures[benchmark.headline]:.0%}"
                console.print(f"{done} of {of}, {outcome.id}: {outcome.error or said}")

        progress.update(bar, completed=0)
        try:
            run, file = perform(
                benchmark,
                drawn,
                tag,
                config,
                seed=order.seed,
                mode=order.mode,
                samples=order.samples,
                candidates=order.candidates,
                once=order.once,
                tell=tell,
                say=console.print,
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; what is done is kept, and the same command goes on") from None
    if benchmark.leaves:
        _leave(benchmark, drawn, run, file, console)
    if order.as_json:
        print(json.dumps(run.summary() | {"file": str(file)}, indent=2))
        return
    _print(run)
    print(f"all of it: {file}", file=sys.stderr)  # whole, however narrow the terminal is


def _print(run: Run) -> None:
    from rich.table import Table

    from self_improve.cli.say import Console, text
    from testing_crew.backends.ref import SNAPSHOT
    from testing_crew.backends.snapshot import NOTE
    from testing_crew.gate.reasons import REASONS, VERDICTS

    console = Console()
    settings = run.settings
    console.print(
        text(
            f"{settings.benchmark} · ",
            (settings.model, "bold"),
            f" · n = {run.n}, infrastructure errors {run.infrastructure_errors}",
        )
    )
    table = Table("", "value", "95 % interval", "n", box=None)
    for name, score in run.scores.items():
        table.add_row(name, *_shown(name, score), str(score.n))
    console.print(table)
    for outcome in [outcome for outcome in run.outcomes if outcome.error is not None][:_MOST_ERRORS]:
        console.print(f"could not be worked on: {outcome.id}: {outcome.error}")
    if run.reasons:
        console.print("why not accepted:" if settings.rounds else "what wrong answers were:")
        for code, count in run.reasons.items():
            says = VERDICTS.get(code) or (REASONS[code].says if code in REASONS else code)
            console.print(f"  {count:4}  {says}")
    if detail := run.detail:
        _detail(detail, console)
    if settings.model == SNAPSHOT:
        console.print(NOTE)


def _leave(benchmark: Benchmark, drawn: list[Any], run: Run, file: Path, console: Any) -> None:
    """Write what the benchmark leaves for others, and say where."""
    from testing_crew.backends.files import replace
    from testing_crew.errors import UserMistake

    assert benchmark.leaves is not None
    try:
        left = benchmark.leaves(drawn, run.outcomes, run.settings.model, run.settings.mode)
    except UserMistake as error:
        console.print(f"no file for others: {error.message}")
        return
    place = file.parent / left.folder / f"{file.stem}{left.ending}"
    place.parent.mkdir(exist_ok=True)
    replace(place, left.text)
    console.print(f"for {left.what}: {place}")
    if run.infrastructure_errors:
        console.print(
            f"{run.infrastructure_errors} of {len(run.outcomes)} could not be asked: it has no answer to them"
        )


def _detail(detail: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    columns = ("success", "failed", "both", "neither", "empty")
    table = Table("expected", *(f"read as {name}" for name in columns), box=None)
    for label, row in detail["confusion"].items():
        table.add_row(label, *(str(row.get(name, 0)) for name in columns))
    console.print(table)
    balance = (
        f"{lang} {' / '.join(f'{n} {label}' for label, n in sorted(row.items()))}"
        for lang, row in detail["balance"].items()
        if row
    )
    console.print(f"rows: {', '.join(balance)}")
    if detail["no_answer"]:
        console.print(f"no answer: {', '.join(f'{count} {kind}' for kind, count in detail['no_answer'].items())}")
    if detail["not_published"]:
        console.print(f"{detail['not_published']} rows come without their answer, and are in no figure")
    unlike = detail["readings_differ"]
    if unlike:
        console.print(f"{len(unlike)} answers are read otherwise by the official definition than in plain words:")
    for each in unlike[:_MOST_ERRORS]:
        console.print(
            f"  {each['id']}: {each['official']} / {each['plain']}, expected {each['expected']}: {each['answer']!r}"
        )


def _shown(name: str, score: Score) -> tuple[str, str]:
    from benchmarks.metrics import COSTS

    if name in COSTS:
        return f"{score.value:,.1f}", f"{score.low:,.1f} to {score.high:,.1f}"
    return f"{score.value:.1%}", f"{score.low:.1%} to {score.high:.1%}"
