"""``testing-crew bench``: how good a model is, whether another is better, and what keeps training data clear of the tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

# By name, so that --help imports no benchmark; a test holds the names and words against `benchmarks.suite`.
NAMES = {
    "self_correction": "60 tasks of our own, or a tasks file: the first file, three rounds of repair, and fresh samples beside.",
    "first_files": "First files alone, 10 samples each, of our 60 tasks and 60 functions of real packages, or of a tasks file.",
    "humaneval": "HumanEval's solutions as code under test.",
    "mbpp": "MBPP's solutions (test split) as code under test.",
    "real_packages": "Functions and classes of packages from PyPI: the whole agent, as `write` works.",
    "bugs": "Functions with a bug, beside correct ones: shown, silently enshrined, or a false alarm.",
    "testgeneval": "TestGenEval's files whose repository is checked out here, scored locally by its definitions.",
    "code_correctness": "MERA's CodeCorrectness: will this test pass? Rows of our own in Python, Java and Go, or a file of rows.",
    "comment": "Comments on Python code, in English and Chinese: logic, accuracy and format.",
    "issue": "Answers to issues that users open, for people to judge; likeness to people's answers.",
    "testgen": "The next test, or the next lines, of a file: do they run, are they what people wrote.",
}
QUESTIONS = "code_correctness"
SMART = ("comment", "issue", "testgen")
app = typer.Typer(help="Benchmarks, and what keeps training data clear of them.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")]


@app.callback()
def bench() -> None:
    """Benchmarks, and what keeps training data clear of them."""


def _command(name: str) -> Callable[..., None]:
    def command(
        model: Annotated[
            str | None, typer.Option("--model", help="A model tag; the configured one if not given.")
        ] = None,
        tasks: Annotated[Path | None, typer.Option(help="Another tasks file, or the published data set.")] = None,
        limit: Annotated[int | None, typer.Option(min=1, help="So many tasks, drawn evenly.")] = None,
        samples: Annotated[
            int | None, typer.Option(min=0, help="Fresh first files of each task, beside the repair.")
        ] = None,
        candidates: Annotated[int | None, typer.Option(min=1, help="Answers that a round may draw.")] = None,
        seed: Annotated[int, typer.Option(min=0, help="Of the tasks drawn, and of every draw of the model.")] = 0,
        once: Annotated[
            bool, typer.Option("--once", help="Take a finished run of the very same settings in place of a new one.")
        ] = False,
        as_json: Json = False,
    ) -> None:
        from self_improve.cli.benching.run import Order, run_benchmark

        run_benchmark(Order(name, model, tasks, limit, samples, candidates, seed, once, as_json))

    command.__doc__ = NAMES[name]
    return command


def _smart(name: str) -> Callable[..., None]:
    def command(
        model: Annotated[
            str | None, typer.Option("--model", help="A model tag; the configured one if not given.")
        ] = None,
        rows: Annotated[
            Path | None, typer.Option(help="A file of rows, JSON or JSONL: `collect export` makes them of a history.")
        ] = None,
        limit: Annotated[int | None, typer.Option(min=1, help="So many rows, drawn evenly.")] = None,
        seed: Annotated[int, typer.Option(min=0, help="Of the rows drawn, and of what is asked again.")] = 0,
        once: Annotated[
            bool, typer.Option("--once", help="Take a finished run of the very same settings in place of a new one.")
        ] = False,
        as_json: Json = False,
    ) -> None:
        from self_improve.cli.benching.run import Order, run_benchmark

        run_benchmark(Order(name, model, rows, limit, None, None, seed, once, as_json))

    command.__doc__ = NAMES[name]
    return command


for _name in NAMES:
    if _name != QUESTIONS:
        app.command(_name)(_smart(_name) if _name in SMART else _command(_name))


@app.command("code-correctness", help=NAMES[QUESTIONS])
@app.command(QUESTIONS, hidden=True)
def code_correctness(
    model: Annotated[str | None, typer.Option("--model", help="A model tag; the configured one if not given.")] = None,
    rows: Annotated[
        Path | None,
        typer.Option(help="A file of rows, JSON or JSONL; or MERA-evaluation/CodeCorrectness, from the hub."),
    ] = None,
    mode: Annotated[
        str, typer.Option(help="direct: a word, as the official task asks; reasoned: think first, then answer.")
    ] = "direct",
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many rows, drawn evenly from languages and answers.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the rows drawn.")] = 0,
    once: Annotated[
        bool, typer.Option("--once", help="Take a finished run of the very same settings in place of a new one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask whether tests pass."""
    from self_improve.cli.benching.run import Order, run_benchmark

    run_benchmark(Order(QUESTIONS, model, rows, limit, None, None, seed, once, as_json, mode))


@app.command("rows")
def rows(
    project: Annotated[Path, typer.Argument(help="The top of a Python project, with its tests in it.")],
    out: Annotated[Path, typer.Option(help="The file to write, JSONL.")],
    model: Annotated[
        str | None, typer.Option("--model", help="A model that writes tests, too; none if not given.")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Answers drawn for each function and class.")] = 2,
    changes: Annotated[int, typer.Option(min=0, help="Small changes of the code that each test is run against.")] = 2,
    limit: Annotated[
        int | None, typer.Option(min=2, help="At most so many rows, half of them with each answer.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Make rows for code-correctness, or to train on, of a project's tests: labelled by running them."""
    from self_improve.cli.benching.rows import make_rows

    make_rows(project, out, model, draws, changes, limit, seed, force, as_json)


@app.command("ianvs")
def ianvs(
    out: Annotated[Path, typer.Option(help="The folder to make; with one task its own, else one for each in it.")],
    task: Annotated[str | None, typer.Option(help="comment, issue or testgen; all three if not given.")] = None,
    rows: Annotated[
        Path | None, typer.Option(help="Rows of yours for the task, JSON or JSONL; those that ship else.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model tag; may be given more than once.")] = None,
    judge: Annotated[str, typer.Option(help="A model tag that grades comments and judges answers.")] = "",
    repeats: Annotated[int, typer.Option(min=0, help="How often each question is asked again.")] = 1,
    paraphrases: Annotated[int, typer.Option(min=0, max=1, help="And in other words.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="So many rows, drawn evenly.")] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Data as question and answer (test_data).")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
) -> None:
    """Write ready folders of the smart-coding benchmark for KubeEdge-Ianvs: in one, `ianvs -f benchmarkingjob.yaml`."""
    from self_improve.cli.benching.ianvs import write_folders

    write_folders(out, task, rows, model or ["embedded"], judge, repeats, paraphrases, limit, pairs, force)


@app.command("ianvs-convert")
def ianvs_convert(
    testenv: Annotated[Path, typer.Argument(help="A testenv.yaml with train_url and test_url.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; the same, and a .bak of it, if not given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
) -> None:
    """Bring an older testenv.yaml of Ianvs to train_index and test_index."""
    from benchmarks.ianvs.write import convert

    count = convert(testenv, out, force=force)
    typer.echo(f"{out or testenv}: {count} keys")


@app.command("judge")
def judge_command(
    answers: Annotated[
        Path, typer.Argument(help="Answers to judge, JSONL: what an issue run, or Ianvs's answers/, holds.")
    ],
    name: Annotated[str, typer.Option(help="Who judges.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page on this machine; 0: any that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """Judge answers on a page of this machine: right, wrong, can't tell. Verdicts are kept as they are given."""
    from self_improve.cli.judge import judge

    judge(answers, name, port, browser)


@app.command("agreement")
def agreement_command(
    answers: Annotated[Path, typer.Argument(help="The answers that were judged.")],
    out: Annotated[Path | None, typer.Option(help="Every verdict, JSONL.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """How many answers are right by people's word, and how far the judges agree (Cohen's kappa)."""
    from self_improve.cli.judge import agreement

    agreement(answers, out, force, as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the benchmarks, and the runs that there are."""
    from benchmarks.run import files, load_run
    from self_improve.cli.say import Console
    from testing_crew.errors import UserMistake

    rows: list[dict[str, Any]] = []
    broken: list[str] = []
    for file in files():
        try:
            run = load_run(file)
        except UserMistake as error:
            broken.append(error.message)
            continue
        rows.append(
            {
                "file": str(file),
                "benchmark": run.settings.benchmark,
                "model": run.settings.model,
                "seed": run.settings.seed,
                "n": run.n,
                "infrastructure_errors": run.infrastructure_errors,
                **({"mode": run.settings.mode} if run.settings.mode else {}),
                **({run.headline: run.scores[run.headline].value} if run.headline in run.scores else {}),
            }
        )
    if as_json:
        print(json.dumps({"benchmarks": NAMES, "runs": rows, "broken": broken}, indent=2))
        return
    console = Console()
    for said in broken:
        console.print(said)
    for name, about in NAMES.items():
        console.print(f"{name:16} {about}")
    for row in rows:
        accepted = ", ".join(f"{name} {value:.1%}" for name, value in row.items() if isinstance(value, float))
        console.print(f"{Path(row['file']).stem}: {row['model']}, seed {row['seed']}, n = {row['n']}, {accepted}")


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="A", help="A run: its file, or its name.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The run that may be better.")],
    as_json: Json = False,
) -> None:
    """Compare two runs on the tasks that both have: the rise, its interval, and an exact paired test."""
    from benchmarks.compare import DECIDES
    from benchmarks.compare import compare as compared
    from benchmarks.run import load_run
    from self_improve.cli.say import Console
    from testing_crew.errors import UserMistake

    first, second = load_run(before), load_run(after)
    found = compared(first.outcomes, second.outcomes)
    one, other = first.settings, second.settings
    if one.benchmark != other.benchmark:
        raise UserMistake(
            f"the one is a run of {one.benchmark}, the other of {other.benchmark}",
            hint="compare two runs of one benchmark",
        )
    if not all(outcome.task for run in (first, second) for outcome in run.outcomes):
        raise UserMistake(
            "a run of an older version does not say which tasks it is of, only their names", hint="run both once more"
        )
    if not found[0].n:
        raise UserMistake(
            "the two runs have no task in common", hint="compare two runs of the same benchmark and tasks"
        )
    unlike = [
        f"{name}: {getattr(one, name)} → {getattr(other, name)}"
        for name in ("rounds", "candidates", "derive", "seed", "mode", "ways", "code")
        if getattr(one, name) != getattr(other, name)
    ]
    if as_json:
        rows = [
            each.model_dump() | ({"differs": each.differs, "says": each.says} if each.metric in DECIDES else {})
            for each in found
        ]
        print(
            json.dumps(
                {"before": one.model_dump(), "after": other.model_dump(), "unlike": unlike, "metrics": rows},
                indent=2,
            )
        )
        return
    console = Console()
    console.print(f"{one.model} → {other.model}, {found[0].n} tasks of {one.benchmark} that are the same in both")
    for said in unlike:
        console.print(f"not made alike: {said}")
    for each in found:
        console.print(
            f"{each.metric:11} {each.before.value:6.1%} → {each.after.value:6.1%}  {each.delta:+.1%} ({each.low:+.1%} to"
            f" {each.high:+.1%})  {each.wins} won, {each.losses} lost, p = {each.p:.3f}"
            + (f": {each.says}" if each.metric in DECIDES else "")
        )


@app.command()
def report(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN…", help="Runs; the newest of each model if not given.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("bench.html"),
) -> None:
    """Write one HTML page with tables and plots, which needs no network; a file that ends in .md gets tables alone."""
    from benchmarks.report import markdown, page
    from benchmarks.run import load_run, newest
    from testing_crew.backends.files import replace
    from testing_crew.errors import UserMistake

    chosen = [load_run(run) for run in runs] if runs else newest()
    if out.suffix == ".md":
        replace(out, markdown(chosen, out.read_text(encoding="utf-8") if out.exists() else ""))
    elif out.suffix in (".html", ".htm"):
        replace(out, page(chosen))
    else:
        raise UserMistake(f"{out} is neither .html nor .md", hint="--out bench.html, or --out tables.md")
    typer.echo(f"{out}: {len(chosen)} runs")


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
