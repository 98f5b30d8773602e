"""``testing-crew check``: its options. Heavy imports happen inside, as in `self_improve.cli.app`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from testing_crew.config import Config


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH…", help="Test files, and folders of them.", show_default=False),
    ] = None,
    target: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The file that they test, or the folder; found if not given.")
    ] = None,
    diff: Annotated[
        str | None,
        typer.Option(metavar="[REV]", help="Only what the working tree changes against REV; HEAD if not given."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="text, json, github, sarif, junit, markdown or html.", show_default=False),
    ] = None,
    staged: Annotated[bool, typer.Option("--staged", help="With a change, only what is staged.")] = False,
    output: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[FORMAT=]FILE",
            help="Write the report there, too; its suffix may say the format. May be given more than once.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a FILE that is no report of ours.")] = False,
    mutants: Annotated[
        int | None, typer.Option(min=0, help="Try at most this many changes of a module; 100 if not set.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=2, help="Run each file this many times in all; 20 if not set.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run again what has not changed, too.")] = False,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="The Python that runs the tests, or its environment; the project's if not given."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
) -> None:
    """Run tests in the sandbox: does each file hold, every time, and does it notice a change of the code that it is about?

    Exit code 0: all accepted; 1: not all; 2: something to mend first; 130: stopped.
    """
    from testing_crew.runner.sandbox import try_ahead

    try_ahead()
    from self_improve.cli.checking.suite import Order, check_all, is_one_file

    near = [*([target] if target else []), *(paths or []), Path.cwd()][0]
    from testing_crew import config as settings

    config = settings.load(near if near.is_dir() else near.resolve().parent, {"interpreter": python}).config
    if paths and target and is_one_file(paths, target) and (diff, form) == (None, None) and not (output or staged):
        most, runs = (config.check.mutants if mutants is None else mutants), repeats or config.check.repeats
        raise typer.Exit(_check_one(paths[0], target, most, runs, config, as_json))
    if as_json and form not in (None, "json"):
        from testing_crew.errors import UserMistake

        raise UserMistake(f"--json is --format json, and --format {form} is asked for too", hint="name one of them")
    form = "json" if as_json else form
    rev = "HEAD" if staged and diff is None else diff
    order = Order(
        tuple(paths or ()), target, rev, form, tuple(output or ()), force, mutants, repeats, not no_cache, staged
    )
    raise typer.Exit(check_all(order, config))


def _check_one(test: Path, target: Path, mutants: int, repeats: int, config: Config, as_json: bool) -> int:
    from self_improve.cli.check import print_report, progress
    from testing_crew.check import check_file
    from testing_crew.crew import runner_for
    from testing_crew.gate.gate import Gate

    with runner_for(config) as runner, progress() as tell:
        gate = Gate(runner, repeats=repeats, mutants=mutants, seconds=None)
        report = check_file(test, target, gate, config.interpreter, tell)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        print_report(test, target, report)
    return 0 if report["accepted"] else 1
