"""``testing-crew collect``: how engineers work, read from a project's history, and what its tests teach."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pygit2

    from trace_logger.collect.dataset import DataSet
    from trace_logger.collect.records import Manifest
    from trace_logger.collect.repairs import Lesson

app = typer.Typer(
    help="Learn from engineers: a project's commits, issues and reviews as a data set, its repaired tests as traces.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")]
Out = Annotated[
    Path | None,
    typer.Option(help="The data set's folder; in the workspace, under the repository's name, if not given."),
]
_MISSING = re.compile(r"No module named '([\w.]+)'")
_BRINGS = {
    "comment": "functions with comments or docstrings make them: testing-crew collect git",
    "issue": "answered issues make them: testing-crew collect github",
    "testgen": "commits that brought a test function (not a method), or mended a module in one place: collect git, more --runs",
    "pairs": "tests that were mended make them: testing-crew collect git, with more --runs",
    "fixes": "bugs with the tests that show them make them: testing-crew collect git, with more --runs",
}


@app.command("git")
def git_command(
    repository: Annotated[Path, typer.Argument(help="A git repository here, or a folder in it; a bare one will do.")],
    out: Out = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The latest so many commits alone.")] = None,
    runs: Annotated[
        int, typer.Option(min=0, help="Commits whose tests are run before and after, the latest first; 0: none.")
    ] = 60,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="No commit's tests are begun after so long.")] = None,
    python: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The Python that runs the tests; the project's if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read the commits, and run the tests of those that mended something, in copies apart from your files.

    Stopped or killed, the same command goes on. People are kept under pseudonyms.
    """
    from testing_crew.project.interpreter import interpreter_for
    from testing_crew.project.python import inspect_interpreter
    from trace_logger.collect.dataset import DataSet
    from trace_logger.collect.git import collect_git, name_of, open_repository
    from trace_logger.collect.pseudonyms import Pseudonyms

    opened = open_repository(repository)
    name = name_of(opened)
    if runs and python:
        inspect_interpreter(interpreter_for(python, repository / "x.py").path)  # a mistake is told before all is read
    with DataSet(_folder(out, name), name) as data:
        with _Progress("reading commits", as_json) as tell:
            manifest, new = collect_git(opened, data, Pseudonyms.of_workspace(), limit=limit, tell=tell)
        if not as_json:
            _tell_manifest(data.folder, manifest, new)
        lessons, candidates = _lessons(opened, data, runs, minutes, python, as_json)
        found = Counter(lesson.found for lesson in lessons if lesson.found)
        if found:
            manifest = data.finish(manifest)  # what the tests said is feedback, too
    if as_json:
        why = Counter(lesson.why.partition(":")[0] for lesson in lessons if not lesson.found)
        ran = {"candidates": candidates, "run": len(lessons), "found": dict(found), "nothing": dict(why.most_common())}
        print(json.dumps({"folder": str(data.folder), "new": new, **manifest.model_dump(), "verified": ran}, indent=2))


@app.command("github")
def github_command(
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="A repository on GitHub.")],
    out: Out = None,
    server: Annotated[str, typer.Option(help="Another server's API: https://HOST/api/v3")] = "https://api.github.com",
    limit: Annotated[int | None, typer.Option(min=1, help="So many issues and pull requests at most.")] = None,
    as_json: Json = False,
) -> None:
    """Read issues, pull requests and reviews by GitHub's API; the token is taken from GITHUB_TOKEN or GH_TOKEN.

    GitHub's limits are waited for. Stopped or killed, the same command goes on. People are kept under pseudonyms.
    """
    from self_improve.cli.say import Console
    from testing_crew.errors import UserMistake
    from trace_logger.collect.dataset import DataSet
    from trace_logger.collect.github import collect_github
    from trace_logger.collect.pseudonyms import Pseudonyms

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise UserMistake(f"{repository} is no repository's name", hint="OWNER/NAME, as in pallets/itsdangerous")
    console = Console(stderr=True)
    host = "https://github.com" if server == "https://api.github.com" else server.partition("/api/")[0].rstrip("/")
    name = f"{host}/{repository}"
    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")
    with DataSet(_folder(out, name), name) as data:
        with _Progress("reading issues", as_json) as tell:
            manifest, new = collect_github(
                repository,
                data,
                Pseudonyms.of_workspace(),
                token=token,
                server=server,
                limit=limit,
                tell=tell,
                say=console.print,
            )
        if as_json:
            print(json.dumps({"folder": str(data.folder), "new": new, **manifest.model_dump()}, indent=2))
        else:
            _tell_manifest(data.folder, manifest, new)


@app.command("export")
def export_command(
    data: Annotated[Path, typer.Argument(metavar="DATA_SET", help="The folder that `collect` made.")],
    form: Annotated[
        str,
        typer.Option(
            "--as",
            help="comment, issue, testgen: rows for the benchmarks of these names; pairs: verified repairs of tests; "
            "fixes: bugs with the tests that show them, as tasks.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file to write, JSONL.")],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write rows of a data set in one of the forms that the benchmarks and the training read."""
    from benchmarks.smart_coding.export import rows_of_data_set, that_run
    from self_improve.engineers.lessons import fixes_of, pairs_of
    from testing_crew.backends.files import replace
    from testing_crew.errors import UserMistake
    from testing_crew.runner.run import Runner
    from trace_logger.collect.dataset import read_manifest, read_steps

    if form not in _BRINGS:
        raise UserMistake(f"there is no form {form!r}", hint=f"one of {', '.join(_BRINGS)}")
    if out.exists() and not force:
        raise UserMistake(f"{out} is there already", hint="--force writes over it, --out names another")
    steps = list(read_steps(data))  # first, so that what is no data set is told
    if form == "pairs":
        rows: list[dict[str, Any]] = pairs_of(data)
    elif form == "fixes":
        rows = fixes_of(data)
    else:
        rows = rows_of_data_set(data, form, steps)  # type: ignore[arg-type]
    found = len(rows)
    if form == "testgen":
        with Runner() as runner, _Progress("running what people wrote", as_json) as tell:
            rows = list(that_run(rows, runner, lambda number: tell(number, found)))
    manifest = read_manifest(data)
    if not rows:
        raise UserMistake(
            f"{data} has nothing to make {form} rows of" + (f": none of {found} runs by itself" if found else ""),
            hint=_BRINGS[form],
        )
    try:
        replace(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    except OSError as error:
        raise UserMistake(f"{out} cannot be written: {error.strerror or error}") from None
    licence = manifest.licence if manifest else None
    if as_json:
        print(json.dumps({"file": str(out), "form": form, "rows": len(rows), "licence": licence}, indent=2))
        return
    left = f"; {found - len(rows)} that do not run by themselves are left out" if found > len(rows) else ""
    typer.echo(f"{out}: {len(rows)} {form} rows{left}")
    typer.echo(f"licence: {licence or 'the repository names none: what nobody licensed may not be given on'}")


def _folder(out: Path | None, name: str) -> Path:
    from trace_logger.workspace import workspace

    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name.partition("://")[2] or name).strip("_.") or "repository"
    return out or workspace() / "datasets" / "collected" / plain.casefold()


class _Progress:
    """A bar while something is collected; Ctrl-C within it says that what is there is kept."""

    def __init__(self, what: str, quiet: bool) -> None:
        from rich.progress import TimeRemainingColumn

        from self_improve.cli.say import Console, bars

        self._bars = bars(Console(stderr=True, quiet=quiet), TimeRemainingColumn())
        self._task = self._bars.add_task(what, total=None)
        self._what = what

    def __enter__(self) -> Callable[..., None]:
        self._bars.__enter__()
        return self._tell

    def _tell(self, done: int, of: int | None, *more: int) -> None:
        found = f", {more[0]} lessons" if more else ""
        self._bars.update(self._task, completed=done, total=of, description=self._what + found)

    def __exit__(self, kind: type[BaseException] | None, *ended: Any) -> None:
        self._bars.__exit__(kind, *ended)
        if kind is KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; what was collected is kept, and the same command goes on") from None


def _lessons(
    repository: pygit2.Repository,
    data: DataSet,
    runs: int,
    minutes: float | None,
    python: str | None,
    as_json: bool,
) -> tuple[list[Lesson], int]:
    from self_improve.engineers.history import History
    from self_improve.engineers.lessons import verify
    from testing_crew import config as configuration
    from testing_crew.crew import runner_for
    from trace_logger.collect.dataset import read_steps
    from trace_logger.collect.git import files_of, text_of
    from trace_logger.collect.repairs import candidates
    from trace_logger.store import TraceStore

    found = candidates(
        read_steps(data.folder), lambda blob: text_of(repository, blob), lambda commit: files_of(repository, commit)
    )
    if not runs or not found:
        if not as_json:
            typer.echo(f"{len(found)} commits may hold a lesson; none was run" if found else "no commit changed a test")
        return [], len(found)
    config = configuration.load(Path.cwd(), {"interpreter": python}).config
    with runner_for(config) as runner, TraceStore.open() as store:
        history = History(repository, data, runner, store, config.interpreter)
        try:
            with _Progress("running tests", as_json) as tell:
                lessons = verify(history, found, data, most=runs, minutes=minutes, tell=tell)
        finally:
            history.close()
    if not as_json:
        _tell_lessons(lessons, len(found), data.folder)
    return lessons, len(found)


def _tell_manifest(folder: Path, manifest: Manifest, new: int) -> None:
    from self_improve.cli.say import Console

    console = Console()
    total = sum(manifest.steps.values())
    console.print(f"{folder}: {total} steps of {manifest.repository}, {new} of them new", soft_wrap=True)
    for title, counts in (("steps", manifest.steps), ("versions of files", manifest.versions)):
        if counts:
            console.print(f"  {title}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}")
    if manifest.feedback:
        console.print(f"  feedback: {manifest.feedback}")
    console.print(f"  licence: {manifest.licence or 'none found: what nobody licensed may not be given on'}")
    for note in manifest.notes:
        console.print(f"  note: {note}", soft_wrap=True)


def _tell_lessons(lessons: list[Lesson], candidates: int, folder: Path) -> None:
    from self_improve.cli.say import Console

    console = Console()
    repairs = sum("repair" in lesson.found for lesson in lessons)
    fixes = sum("fix" in lesson.found for lesson in lessons)
    console.print(f"{len(lessons)} of {candidates} commits that may hold a lesson were run:")
    console.print(f"  {repairs} repairs of tests, accepted by the gate and kept as traces: testing-crew traces list")
    console.print(
        f"  {fixes} bugs with the tests that show them: testing-crew collect export {folder} --as fixes", soft_wrap=True
    )
    why = Counter(lesson.why.partition(":")[0] for lesson in lessons if not lesson.found)
    for reason, count in why.most_common():
        console.print(f"  {count:4} nothing: {reason}")
    missing = Counter(found[1] for lesson in lessons if (found := _MISSING.search(lesson.why)))
    for module, count in missing.most_common(5):
        console.print(f"  {count:4} of these for want of {module}: --python names an environment that has it")
    if len(lessons) < candidates:
        print("more of them: --runs", file=sys.stderr)
