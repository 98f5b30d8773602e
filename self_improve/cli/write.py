"""``testing-crew write``: test files for files and packages, with live progress, a table at the end, and JSON for machines."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from self_improve.cli.check import print_python
from self_improve.cli.plan import Planned, plan
from testing_crew import snippet
from testing_crew.errors import GenerationFailed, SandboxError, UserMistake
from testing_crew.job import Job
from trace_logger.workspace import trace_db

if TYPE_CHECKING:
    from testing_crew.config import LoadedConfig
    from testing_crew.crew import TestingCrew


@dataclass
class Result:
    """What came of one file."""

    planned: Planned
    verdict: str
    accepted: bool
    reasons: list[str]
    iterations: int
    trace_id: str | None
    written: bool
    seconds: float
    units: list[dict[str, Any]] = field(default_factory=list)
    coverage: float | None = None

    def json(self) -> dict[str, Any]:
        """The form that ``--json`` prints."""
        return {
            "target": str(self.planned.path),
            "test_file": str(self.planned.test_file) if self.written else None,
            "verdict": self.verdict,
            "accepted": self.accepted,
            "reasons": self.reasons,
            "iterations": self.iterations,
            "trace_id": self.trace_id,
            "coverage": self.coverage,
            "python": self.planned.target.python.told(),
            "seconds": round(self.seconds, 2),
            "units": self.units,
        }


def write_tests(
    paths: list[Path],
    loaded: LoadedConfig,
    model: str | None,
    out: Path | None,
    max_iterations: int | None,
    force: bool,
    as_json: bool,
) -> int:
    """Do all of it; returns the exit code. Everything that can be wrong with the call is found before a model is asked."""
    from self_improve.cli.say import Console, text
    from testing_crew.crew import TestingCrew

    config = loaded.config
    planned = plan(paths, out, config.tests_dir, config.interpreter, force)
    console = Console(stderr=True, quiet=as_json)
    with console.status(text("opening the model")):
        crew = TestingCrew(model, max_iterations or config.max_iterations, config.target_coverage, config=config)
    console.print(text("model ", (crew.model, "bold"), f" (revision {crew.backend.revision})"), soft_wrap=True)
    results: list[Result] = []
    failure: GenerationFailed | None = None
    with crew.runner, crew.recorder("write") as recorder:
        if recorder.notice:
            console.print(recorder.notice, style="dim")
        for one in planned:
            if one.target.units[0].module in _NEEDED:
                results.append(_not_run(one, "its name hides a module that Python or pytest needs"))
                continue
            try:
                results.append(_write_one(crew, recorder, one, console))
            except SandboxError as error:
                results.append(_not_run(one, error.message.strip().splitlines()[-1], recorder.trace_id))
            except GenerationFailed as error:
                failure = error  # the model is gone: what is finished is kept, and the rest waits for it
                break
            except KeyboardInterrupt:
                raise KeyboardInterrupt(_stopped(recorder.keeps, planned, len(results))) from None
    if as_json:
        print(json.dumps({"model": crew.model, "results": [r.json() for r in results]}, indent=2))
    else:
        print_table(results)
    if failure is not None:
        raise failure
    return 0 if all(r.accepted for r in results) else 1


_NEEDED = sys.stdlib_module_names | {"pytest", "pluggy", "iniconfig", "packaging"}


def _not_run(planned: Planned, why: str, trace_id: str | None = None) -> Result:
    """A file whose tests cannot be run at all, which is no reason to leave the others."""
    return Result(planned, "error", False, [f"not_run:{why}"], 0, trace_id, False, 0.0)


def _stopped(keeps: bool, planned: list[Planned], done: int) -> str:
    """What is told on Ctrl-C: what is kept, and how to carry on."""
    kept = (
        f"the attempts that were finished are kept in {trace_db()}"
        if keeps
        else "attempts are not kept (traces are off)"
    )
    again = "carries on" if keeps else "begins again"
    if not done:
        return f"stopped: {kept};\nthe same command {again}"
    rest = shlex.join(str(one.path) for one in planned[done:])
    return f"stopped: {kept}, and {done} of {len(planned)} files are done;\nthe same command {again} with the others: {rest}"


def _write_one(crew: TestingCrew, recorder: Any, planned: Planned, console: Any) -> Result:
    started = time.monotonic()
    job = crew.job(planned.target, recorder)
    if recorder.resumed:
        console.print(
            f"carrying on with {planned.path}: {recorder.resumed} attempts were finished before it was stopped"
        )
    event: dict[str, Any] = {}
    with _progress(console, planned.path, len(job.loops)) as show:
        for event in crew.events(job):
            show(event, job)
    # where some units were not accepted, the file holds those that were, if they hold together
    tests = job.tests(accepted_only=True)
    verdict, coverage, accepted = event["verdict"], event["coverage"], event["success"]
    reasons = list(event["reasons"])
    written = False
    if tests and not accepted and len(job.loops) > 1:
        part = crew.runner.run(job.target.whole, tests, files=job.target.files)
        verdict, coverage, written = part.verdict, part.coverage.line, part.passed
        if not written:
            reasons.append(f"accepted_units_together:{verdict}")
    elif tests and accepted:
        written = True
    if written:
        _write_file(planned, tests, crew.model, recorder.trace_id)
    if written and planned.target.is_snippet:  # the file loads its target by path, which the run before it did not
        loaded = crew.runner.check(
            planned.test_file, job.target.whole.model_copy(update={"path": str(planned.path.resolve())})
        )
        if not loaded.passed:
            accepted, reasons = False, [*reasons, f"written_file:{loaded.verdict}"]
    recorder.finish(accepted, str(planned.test_file) if written else None)
    return Result(
        planned,
        verdict,
        accepted,
        reasons,
        event["iterations"],
        recorder.trace_id,
        written,
        time.monotonic() - started,
        [_unit(loop) for loop in job.loops],
        coverage,
    )


def _unit(loop: Any) -> dict[str, Any]:
    best = loop.best
    return {
        "unit": loop.unit,
        "verdict": best.run.verdict if best else "no_tests",
        "accepted": bool(best and best.accepted),
        "reasons": list(best.reasons) if best else [loop.gave_up],
        "iterations": len(loop.attempts),
        "tests": len(best.run.cases) if best else 0,
        "coverage": best.run.coverage.line if best else None,
        "failure_log": best.failure_log.splitlines() if best and not best.accepted else [],
    }


def _write_file(planned: Planned, tests: str, model: str, trace_id: str | None) -> None:
    """Write the test file in one step: it is there whole or not at all."""
    file = planned.test_file
    text = tests
    if planned.target.is_snippet:
        text = snippet.attach_loader(tests, planned.path.resolve(), file, planned.target.units[0].module)
    header = f"# Written by testing-crew with {model}" + (f"; trace {trace_id}" if trace_id else "") + "\n"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, suffix=".tmp", delete=False
        ) as temporary:
            temporary.write(header + text)
        os.chmod(temporary.name, 0o644)
        os.replace(temporary.name, file)
    except OSError as error:
        raise UserMistake(f"cannot write {file}: {error.strerror}", hint="--out DIR writes elsewhere") from None


@contextmanager
def _progress(console: Any, path: Path, total: int) -> Iterator[Any]:
    from rich.progress import TimeElapsedColumn

    from self_improve.cli.say import bars, text

    with bars(console, TimeElapsedColumn()) as bar:
        task = bar.add_task(str(path), total=total)

        def show(event: dict[str, Any], job: Job) -> None:
            if event["type"] == "iteration_start":
                bar.update(task, description=f"{path.name}: round {event['iteration']}, units accepted")
            if event["type"] == "unit_complete" and event["kind"] is not None:
                mark = ("accepted", "green") if event["accepted"] else (event["verdict"], "yellow")
                console.print(text(f"  {event['unit']}: round {event['iteration']} ({event['kind']}) ", mark))
                said = event["analysis"].splitlines()
                if said:
                    more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
                    console.print(f"    {said[0]}{more}", style="dim", soft_wrap=True)
            bar.update(task, completed=sum(bool(loop.best and loop.best.accepted) for loop in job.loops))

        yield show


def print_table(results: list[Result]) -> None:
    """The summary: a line for each unit, and the files."""
    from rich.box import SIMPLE
    from rich.table import Table

    from self_improve.cli.say import Console, text

    console = Console()
    table = Table("file", "unit", "verdict", "accepted", "rounds", "tests", "lines covered", "why not", box=SIMPLE)
    for result in results:
        for unit in result.units:
            why = unit["failure_log"][:1] if unit["failure_log"] else unit["reasons"][:1]
            table.add_row(
                result.planned.path.name,
                unit["unit"],
                unit["verdict"],
                text(("yes", "green") if unit["accepted"] else ("no", "red")),
                str(unit["iterations"]),
                str(unit["tests"]),
                "" if unit["coverage"] is None else f"{unit['coverage']:.0%}",
                "" if unit["accepted"] else _shorten(str(why[0]) if why else ""),
            )
    console.print(table)
    for result in results:
        count = sum(u["accepted"] for u in result.units)
        where = f"→ {result.planned.test_file}" if result.written else "→ no file written: nothing was accepted"
        kept = f" (trace {result.trace_id})" if result.trace_id else ""
        rounds = f"in {result.iterations} round{'s' if result.iterations > 1 else ''}"
        said = f"{result.planned.path}: {count} of {len(result.units)} units accepted {rounds} {where}{kept}"
        console.print(said, soft_wrap=True)
        print_python(console, result.planned.target.python.told())
        for reason in result.reasons if not result.units else []:
            console.print(f"  {reason}", soft_wrap=True)
        if result.written:
            console.print(f"  run it: {_command(result.planned)}", style="dim", soft_wrap=True)


def _command(planned: Planned) -> str:
    """The shell command that runs the file: from the project's folder, with the import root on the path where that is another."""
    project, root = Path(planned.target.project), planned.target.units[0].root
    path = "" if planned.target.is_snippet or Path(root) == project else f"PYTHONPATH={os.path.relpath(root, project)} "
    return f"cd {project} && {path}python -m pytest {os.path.relpath(planned.test_file, project)}"


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
