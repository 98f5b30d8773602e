"""``testing-crew``: the command line. Heavy imports happen inside the commands, so that ``--help`` is quick."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from typer.core import TyperGroup

from self_improve.cli import bench, collect, traces
from self_improve.cli.checking.command import check
from self_improve.cli.checking.option import CheckCommand

if TYPE_CHECKING:
    from testing_crew.config import LoadedConfig


class Commands(TyperGroup):
    """All commands; Ctrl-C ends each in the same way, with a word on what is kept (Typer's own way is silent)."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            print(str(stopped) or "stopped; nothing was changed", file=sys.stderr, flush=True)
            os._exit(130)  # a model that still answers in its thread is not waited for


app = typer.Typer(
    name="testing-crew",
    cls=Commands,
    help="Writes pytest files for your own Python code, runs them, and repairs them from what pytest said.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # a mistake is told with the path or the name that was typed
)
app.add_typer(traces.app, name="traces")
app.add_typer(bench.app, name="bench")
app.add_typer(collect.app, name="collect")

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")]
Python = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="The Python that runs the tests, or its environment; the project's if not given."
    ),
]
Model = Annotated[str | None, typer.Option("--model", help="A model tag; the configured one if not given.")]


@app.command()
def write(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Python files, or the folder of a package.")],
    model: Model = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the test files; the project's own tests/ if not given.")
    ] = None,
    max_iterations: Annotated[int | None, typer.Option(min=1, help="Rounds at most, the first file included.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite test files that exist.")] = False,
    python: Python = None,
    as_json: Json = False,
) -> None:
    """Write a test file for each PATH. Exit code 0: all accepted; 1: not all; 2: something to mend first."""
    from self_improve.cli.write import write_tests

    raise typer.Exit(write_tests(paths, _load(paths[0], python), model, out, max_iterations, force, as_json))


app.command(cls=CheckCommand)(check)


@app.command()
def reward(
    test: Annotated[Path, typer.Argument(metavar="TEST", help="The test file; or rows of code and tests, FILE.jsonl.")],
    target: Annotated[Path | None, typer.Option(help="The file that it tests; none where rows are given.")] = None,
    mutants: Annotated[int, typer.Option(min=0, help="Try at most this many changes of the target.")] = 10,
    python: Python = None,
    as_json: Json = False,
) -> None:
    """Say what a test file is worth to training, between 0 and 1, and why. Exit code 0: it passes and is honest; 1: not.

    Of rows ({"code": …, "tests": …}, one a line, and "module" where the tests import it by another name than target) each
    gets its reward, many at once; --json prints them as lines, in the order of the rows.
    """
    from self_improve.cli.reward import tell_reward, tell_rewards
    from testing_crew.errors import UserMistake

    if test.suffix == ".jsonl":
        raise typer.Exit(tell_rewards(test, mutants, as_json))
    if target is None:
        raise UserMistake("a test file is graded against the file that it tests", hint=f"--target FILE, beside {test}")
    raise typer.Exit(tell_reward(test, target, mutants, _load(target, python).config, as_json))


@app.command()
def train(
    stage: Annotated[
        str,
        typer.Argument(
            help="a (how tests are written), b (real repositories), c (your traces); dpo-data and dpo (preferences); "
            "grpo, rloo or ppo (rewards)."
        ),
    ],
    base: Annotated[
        str, typer.Option(help="smollm2, embedded, a folder of weights, or ORG/NAME on the hub.")
    ] = "smollm2",
    start: Annotated[
        str | None, typer.Option("--from", metavar="ADAPTER", help="Where to start; the newest of the stage before.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="A source of rows, KIND:PATH_OR_NAME; may be given more than once.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A recipe in place of the one that ships.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One key of the recipe.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="As many steps as fit into this.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew where such a run is there already.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Measure and say what it would take; train nothing.")] = False,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster that runs the answers; local for one here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train an adapter: rows and a base in, an adapter with its lineage out. Resumable. Exit code 0: done; 130: stopped."""
    from self_improve.cli.train import Order, run_stage

    order = Order(stage, base, start, data or [], config, override or [], minutes, resume, fresh, plan, ray, as_json)
    raise typer.Exit(run_stage(order))


@app.command("export")
def export_command(
    adapter: Annotated[str, typer.Argument(help="An adapter: its folder, or a run's name; or local/NAME:VERSION.")],
    name: Annotated[str | None, typer.Option(help="What the model is to be called.")] = None,
    version: Annotated[str | None, typer.Option(help="Its version; the next of v1, v2 … if not given.")] = None,
    quantise: Annotated[str, typer.Option(help="q8_0 or f16.")] = "q8_0",
    lora: Annotated[bool, typer.Option("--lora", help="Do not merge: publish the adapter over its base.")] = False,
    base: Annotated[str | None, typer.Option(help="The adapter's base, where training did not note it.")] = None,
    ollama: Annotated[bool, typer.Option("--ollama", help="Create it on the configured Ollama server, too.")] = False,
    as_json: Json = False,
) -> None:
    """Make a model of an adapter: merged, converted to GGUF, proven to answer alike, published as local/NAME:VERSION.

    A model that is published already (local/NAME:VERSION) is given to Ollama with --ollama.
    """
    from self_improve.cli.export import export_model

    export_model(adapter, name, version, _quantisation(quantise), lora, base, ollama, _load(Path.cwd()), as_json)


@app.command()
def improve(
    self_play: Annotated[
        list[Path] | None, typer.Option(help="Code to practise on first: files, folders, a table of functions.")
    ] = None,
    tasks: Annotated[
        list[Path] | None,
        typer.Option(help="What the gate decides on: files, folders, a tasks file; else a third of the project."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="How often self-play works on each.")] = 1,
    name: Annotated[str, typer.Option(help="What the new model is to be called.")] = "mine",
    base: Annotated[
        str | None, typer.Option(help="The base to train on; that of the model in use if not given.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="ADAPTER", help="Where C starts; the newest of B, else of A.")
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One key of stage C.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Of training, at most.")] = None,
    quantise: Annotated[str, typer.Option(help="q8_0 or f16.")] = "q8_0",
    fingerprints: Annotated[Path | None, typer.Option(help="Benchmark tasks that nothing like is trained on.")] = None,
    ollama: Annotated[
        bool, typer.Option("--ollama", help="Give a promoted model to the Ollama server, and use it there.")
    ] = False,
    least_effect: Annotated[float, typer.Option(min=0.0, max=1.0, help="The least rise that is worth a swap.")] = 0.02,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it takes; do nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a better model out of what was repaired: curate, train, export, compare, and use it if it is better.

    Stopped or killed, the same command goes on. Exit code 0: promoted; 1: the model in use was kept.
    """
    from self_improve.cli.improve import run_round
    from self_improve.gate import Rules
    from self_improve.improve import Options

    options = Options(
        self_play=tuple(str(path.expanduser().resolve()) for path in self_play or []),
        samples=samples,
        tasks=tuple(str(path.expanduser().resolve()) for path in tasks or []),
        name=name,
        base=base,
        start=start,
        recipe=tuple(override or []),
        minutes=minutes,
        quantisation=_quantisation(quantise),
        fingerprints=str(fingerprints.resolve()) if fingerprints else None,
        ollama=ollama,
        rules=Rules(least_effect=least_effect),
    )
    raise typer.Exit(run_round(options, _load(Path.cwd()), Path.cwd(), dry_run, as_json))


@app.command()
def status(as_json: Json = False) -> None:
    """Say which model is in use and why, how many repairs wait for a round, and what the last round decided."""
    from self_improve.cli.improve import show_status

    show_status(_load(Path.cwd(), check_trust=False), Path.cwd(), as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """List the model tags that can be used now."""
    from self_improve.cli.models import list_models

    list_models(_load(Path.cwd(), check_trust=False), as_json)


@app.command()
def use(tag: Annotated[str, typer.Argument(help="The model tag to use from now on.")]) -> None:
    """Swap the model tag in the project's configuration."""
    from testing_crew import config

    change = config.use(tag, Path.cwd())
    typer.echo(f"{change.file}: model {change.before or 'not set'} → {change.after}; back with: testing-crew rollback")


@app.command()
def rollback() -> None:
    """Put the model tag back that was used before."""
    from testing_crew import config

    change = config.rollback(Path.cwd())
    typer.echo(f"{change.file}: model {change.before} → {change.after or 'not set'}")


@app.command()
def trust() -> None:
    """Allow what this project's own configuration says about servers, interpreters and model files."""
    from testing_crew import config

    loaded = config.load(Path.cwd(), check_trust=False)
    allowed = config.trust(loaded)
    typer.echo(
        "\n".join(["allowed:", *(f"  {line}" for line in allowed)]) if allowed else "nothing here needs your word"
    )


@app.command("mcp")
def mcp_command(
    root: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The folder that it works on, and nothing else.")
    ] = Path(),
) -> None:
    """Serve coding agents over MCP, at standard input and output: they check their tests, and see what those miss."""
    from self_improve.cli.mcp import serve_agents

    serve_agents(root)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is installed, what is reachable, what is missing and how to get it."""
    from self_improve.cli.doctor import examine

    raise typer.Exit(examine(_load(Path.cwd(), check_trust=False), as_json))


def _quantisation(value: str) -> Any:
    from export.export import Quantisation
    from testing_crew.errors import UserMistake

    if value not in get_args(Quantisation):
        raise UserMistake(f"there is no quantisation {value!r}", hint=f"one of {', '.join(get_args(Quantisation))}")
    return value


def _load(near: Path, python: str | None = None, *, check_trust: bool = True) -> LoadedConfig:
    from testing_crew import config

    folder = near if near.is_dir() else near.resolve().parent
    return config.load(folder, {"interpreter": python}, check_trust=check_trust)


def main(argv: list[str] | None = None) -> None:
    """Run the command line; an error that a person can mend is told in plain words, with exit code 2."""
    from trace_logger.errors import PlainError

    try:
        app(args=argv, standalone_mode=True)
    except PlainError as error:
        from self_improve.cli.say import clean

        print(f"error: {clean(str(error))}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)  # the reader of our output has seen enough
    except OSError as error:
        from testing_crew.disk import is_full

        if not is_full(error):
            raise
        where = f": {error.filename}" if error.filename else ""
        mend = "make room; what was finished stands, and the same command goes on"
        print(f"error: the disk is full{where}\n  {mend}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
