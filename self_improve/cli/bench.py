"""``testing-crew bench``: what the benchmarks leave behind for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Benchmarks, and what keeps training data clear of them.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Benchmarks, and what keeps training data clear of them."""


@app.command()
def fingerprints(
    out: Annotated[Path, typer.Option(help="The file to write.")],
    humaneval: Annotated[Path | None, typer.Option(help="HumanEval's file, JSON or JSONL, zipped or not.")] = None,
    mbpp: Annotated[Path | None, typer.Option(help="MBPP's file; its tasks 1 to 510 are taken.")] = None,
) -> None:
    """Write the fingerprints of the tasks that are scored, so that nothing like them is trained on."""
    from benchmarks.fingerprints import write_fingerprints

    made = write_fingerprints(out, humaneval, mbpp)
    typer.echo(f"{out}: fingerprints of {len(made.tasks)} tasks")
