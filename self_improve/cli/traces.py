"""``testing-crew traces``: look at what the agent tried, and take the repairs out as training data."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trace_logger.errors import TraceStoreError

if TYPE_CHECKING:
    from rich.text import Text

    from trace_logger.records import Attempt, Trace
    from trace_logger.rows import TraceSummary

app = typer.Typer(
    help="Look at what the agent tried, and export its repairs.", no_args_is_help=True, rich_markup_mode=None
)

_VERDICT_STYLES = {"passed": "green", "failed": "red", "error": "red", "crashed": "red"}
_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}

ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project", metavar="NAME_OR_PATH", help="Only this project: its name, or its path or the end of it."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, and nothing else.")]


@contextmanager
def _plainly() -> Iterator[None]:
    """Say an error on standard error and leave with 2, the code of a user's mistake; no traceback."""
    try:
        yield
    except TraceStoreError as error:
        from self_improve.cli.say import clean

        typer.echo(f"error: {clean(str(error))}", err=True)
        raise typer.Exit(2) from None


def _project(named: str | None) -> str | None:
    """Give the project as the store knows it: a path that was typed in full or from here, or a name as it is."""
    if named is not None and (named.startswith((".", "/", "~")) or Path(named).is_absolute()):
        return str(Path(named).expanduser().resolve())
    return named


def _print_json(document: object) -> None:
    # ASCII, so that it is the same bytes whatever standard output is set to.
    typer.echo(json.dumps(document, indent=2))


@app.command("list")
def list_command(
    project: ProjectOption = None,
    accepted: Annotated[
        bool | None, typer.Option("--accepted/--not-accepted", help="Only finished traces that ended so.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the latest.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the latest traces, newest first."""
    from trace_logger.store import TraceStore

    with _plainly(), TraceStore.open() as store:
        traces = store.list_traces(_project(project), accepted, limit)
    if as_json:
        _print_json([json.loads(trace.model_dump_json()) for trace in traces])
    elif traces:
        _print_table(traces)
    else:
        typer.echo(f"No such trace in {store.path}. `testing-crew write PATH` makes traces.", err=True)


def _print_table(traces: list[TraceSummary]) -> None:
    from rich.table import Table

    from self_improve.cli.say import Console, text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("id", no_wrap=True, min_width=15)
    table.add_column("begun", no_wrap=True, min_width=16)
    table.add_column("target", overflow="fold")
    table.add_column("model", overflow="fold")
    table.add_column("tries", justify="right", no_wrap=True, min_width=5)
    table.add_column("ended", no_wrap=True, min_width=12)
    for trace in traces:
        ended = ("accepted", "green") if trace.accepted else ("not accepted", "red")
        if trace.state != "finished":
            ended = (trace.state, "yellow")
        begun = trace.started_at[:16].replace("T", " ")
        target = f"{Path(trace.project).name}: {trace.target}"
        table.add_row(trace.id, begun, target, trace.model, str(trace.attempts), text(ended))
    Console().print(table)


@app.command("show")
def show_command(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="A trace's id, or enough of its beginning.")],
    as_json: JsonOption = False,
) -> None:
    """Show one trace: every attempt, what pytest said of it, and what mended it."""
    from trace_logger.store import TraceStore

    with _plainly(), TraceStore.open() as store:
        trace = store.get_trace(trace_id)
    if as_json:
        _print_json(json.loads(trace.model_dump_json()))
    else:
        _print_trace(trace)


def _print_trace(trace: Trace) -> None:
    from self_improve.cli.say import Console, text
    from trace_logger.pairs import repair_pairs, unit_name

    lines = [
        text((f"{trace.id}  {trace.target}", "bold")),
        text(f"project {trace.project}\nmodel   {trace.model}\nbegun   {trace.started_at}"),
        text(f"ended   {trace.finished_at or 'not yet'}"),
        text(f"tests   {trace.test_file or 'none written'}"),
    ]
    mended = {(pair.unit, pair.failed_test): pair.fixed_test for pair in repair_pairs(trace)}
    for name in dict.fromkeys(unit_name(code) for code in trace.units):
        attempts = [attempt for attempt in trace.attempts if attempt.unit == name]
        lines += [text(""), text((f"{name}: {len(attempts)} attempt(s)", "bold"))]
        for attempt in attempts:
            lines += _attempt(attempt, mended.pop((name, attempt.tests), None))
    console = Console()
    for line in lines:
        console.print(line, soft_wrap=True)


def _attempt(attempt: Attempt, fixed: str | None) -> list[Text]:
    """Put one attempt in words, with the difference to the file that mended it."""
    from self_improve.cli.say import text
    from testing_crew.gate.reasons import explain

    verdict = attempt.run.verdict
    line = text(
        f"  {attempt.iteration}. {attempt.kind}: ",
        (verdict, _VERDICT_STYLES.get(verdict, "yellow")),
        ", accepted" if attempt.accepted else ", not accepted",
        (f" ({attempt.seconds:.1f} s)", "dim"),
    )
    shown = [line, *(text((f"     {explain(reason)['says']}", "yellow")) for reason in attempt.reasons)]
    # The normalised log; where there is none (a crash, say), the end of what pytest wrote.
    log = "" if attempt.run.passed else attempt.failure_log or "\n".join(attempt.run.log.splitlines()[-20:])
    shown += [text((f"     {said}", "dim")) for said in log.splitlines()]
    if fixed is not None:
        before, after = attempt.tests.splitlines(), fixed.splitlines()
        for change in unified_diff(before, after, "failed", "fixed", lineterm=""):
            shown.append(text((f"     {change}", _DIFF_STYLES.get(change[:1], ""))))
    return shown


@app.command("export")
def export_command(
    out: Annotated[Path | None, typer.Option("--out", help="The file to make; standard output without it.")] = None,
    project: ProjectOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write every failed test file with the accepted one that came of it, as JSONL.

    A row is {code, failed_test, failure_log, fixed_test}; the number of rows is told on standard error.
    """
    from trace_logger.jsonl import check_out, export_pairs
    from trace_logger.store import TraceStore

    with _plainly():
        if out is not None:
            check_out(out, force)  # before the store is read, and perhaps made
        with TraceStore.open() as store:
            count = export_pairs(store.pairs(_project(project)), sys.stdout if out is None else out, force=force)
    typer.echo(f"{count} pair(s){'' if out is None else f' in {out}'}", err=True)


@app.command("curate")
def curate_command(
    out: Annotated[Path, typer.Option("--out", help="The folder to make: train.jsonl, dev.jsonl, manifest.json.")],
    project: ProjectOption = None,
    fingerprints: Annotated[
        Path | None,
        typer.Option(help="What resembles one of these tasks is dropped (`bench fingerprints` writes them)."),
    ] = None,
    per_unit: Annotated[int, typer.Option(min=1, help="At most so many pairs of one function or class.")] = 4,
    dev_share: Annotated[float, typer.Option(min=0.0, max=0.9, help="The share of modules held back for dev.")] = 0.15,
    seed: Annotated[int, typer.Option(help="Which modules those are.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run every repair again and keep those that still teach something; what is dropped is counted by its reason.

    A curation that was stopped goes on where it was when it is called again.
    """
    from self_improve.curation import curate_store
    from trace_logger.curation.curate import DROPPED, MANIFEST, Rules
    from trace_logger.errors import TraceStoreError

    if (out / MANIFEST).exists() and not force:
        raise TraceStoreError(
            f"curating: {out} holds a curation.", hint="Replace it with --force, or name another folder."
        )
    rules = Rules(per_unit=per_unit, dev_share=dev_share, seed=seed)
    from self_improve.cli.check import progress

    with progress() as tell:
        manifest = curate_store(out, rules, project=_project(project), fingerprints=fingerprints, tell=tell)
    if as_json:
        _print_json(manifest)
        return
    typer.echo(
        f"{out}: {manifest['kept']} of {manifest['pairs']} pairs kept: {manifest['train']} train, {manifest['dev']} dev"
    )
    for reason, count in manifest["dropped"].items():
        typer.echo(f"  dropped {count}: {reason}")
    if manifest["dropped"]:
        typer.echo(f"  which: {out / DROPPED}")
