"""``testing-crew write``: test files for files and packages, with live progress, a table at the end, and JSON for machines."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from self_improve.cli.check import print_left_out, print_python
from self_improve.cli.writing.place import Tried, put
from self_improve.cli.writing.plan import Broken, Planned, plan, target_name
from testing_crew.errors import GenerationFailed, SandboxError, UserMistake
from testing_crew.gate.hindrances import hindrances
from testing_crew.gate.reasons import explain, explain_all
from testing_crew.repair.job import Job
from testing_crew.repair.origins import Origins, origins
from testing_crew.runner.failures import failure_log
from trace_logger.workspace import trace_db

if TYPE_CHECKING:
    from rich.text import Text

    from testing_crew.config import LoadedConfig
    from testing_crew.crew import TestingCrew


@dataclass
class Result:
    """What came of one file."""

    path: Path
    test_file: Path | None
    verdict: str
    accepted: bool
    reasons: list[str]
    iterations: int
    trace_id: str | None
    seconds: float
    units: list[dict[str, Any]] = field(default_factory=list)
    coverage: float | None = None
    run_it: str = ""
    notes: list[str] = field(default_factory=list)
    python: dict[str, str] | None = None
    options_left_out: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """The form that ``--json`` prints."""
        return {
            "target": str(self.path),
            "test_file": str(self.test_file) if self.test_file else None,
            "verdict": self.verdict,
            "accepted": self.accepted,
            "reasons": self.reasons,
            "explained": [explain(reason) for reason in self.reasons],
            "notes": self.notes,
            "iterations": self.iterations,
            "trace_id": self.trace_id,
            "coverage": self.coverage,
            "python": self.python,
            "options_left_out": self.options_left_out,
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
    planned, broken = plan(paths, out, config.tests_dir, config.interpreter, force)
    console = Console(stderr=True, quiet=as_json)
    with console.status(text("opening the model")):
        crew = TestingCrew(model, max_iterations or config.max_iterations, config.target_coverage, config=config)
    console.print(text("model ", (crew.model, "bold"), f" (revision {crew.backend.revision})"), soft_wrap=True)
    results = [_not_run(one, f"broken_source:{one.why}") for one in broken]
    failure: GenerationFailed | None = None
    with crew.runner, crew.recorder("write") as recorder:
        if recorder.notice:
            console.print(recorder.notice, style="dim", soft_wrap=True)
        for one in planned:
            try:
                fault = _fault(crew, one)
                if fault and len(planned) + len(broken) == 1:
                    told = explain(fault.reasons[0])
                    raise UserMistake(f"{one.path}: {told['says']}", hint="\n  ".join([*fault.notes, told["mend"]]))
                results.append(fault or _write_one(crew, recorder, one, console))
            except SandboxError as error:
                results.append(_not_run(one, f"not_run:{error.message.strip().splitlines()[-1]}", recorder.trace_id))
            except GenerationFailed as error:
                failure = error  # the model is gone: what is finished is kept, and the rest waits for it
                break
            except KeyboardInterrupt:
                done = len(results) - len(broken)
                raise KeyboardInterrupt(_stopped(recorder.keeps, planned, done)) from None
    if as_json:
        print(json.dumps({"model": crew.model, "results": [r.json() for r in results]}, indent=2))
    else:
        print_table(results)
    if failure is not None:
        raise failure
    return 0 if all(r.accepted for r in results) else 1


_NEEDED = sys.stdlib_module_names | {"pytest", "pluggy", "iniconfig", "packaging"}


def _fault(crew: TestingCrew, planned: Planned) -> Result | None:
    """What is told of a file of which no test could be run, whatever a model writes."""
    if planned.target.units[0].module in _NEEDED:
        return _not_run(planned, "not_run:its name hides a module that Python or pytest needs")
    run = crew.try_import(planned.target)
    seen = failure_log(run).partition("\n")[0].removeprefix("collection: ")
    return None if run.passed else _not_run(planned, f"import_fails:{seen}", said=hindrances("", run))


def _not_run(one: Planned | Broken, reason: str, trace_id: str | None = None, said: Sequence[str] = ()) -> Result:
    """A file whose tests cannot be run at all, which is no reason to leave the others."""
    python = one.target.python.told() if isinstance(one, Planned) else None
    return Result(one.path, None, "error", False, [reason], 0, trace_id, 0.0, notes=list(said), python=python)


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
    tried = Tried((), (), ())
    if written:
        header = f"# Written by testing-crew with {crew.model} for {target_name(planned.path, planned.target)}"
        header += f"; trace {recorder.trace_id}\n" if recorder.trace_id else "\n"
        tried = put(planned, tests, header, crew.runner)
        reasons += tried.reasons
        written, accepted = not tried.reasons, accepted and not tried.reasons
    recorder.finish(accepted, str(planned.test_file) if written else None)
    return Result(
        planned.path,
        planned.test_file if written else None,
        verdict,
        accepted,
        reasons,
        event["iterations"],
        recorder.trace_id,
        time.monotonic() - started,
        [_unit(loop) for loop in job.loops],
        coverage,
        _command(planned) if written else "",
        list(tried.said),
        planned.target.python.told(),
        list(tried.options_left_out),
    )


def _unit(loop: Any) -> dict[str, Any]:
    best = loop.best
    reasons = best.reasons if best else (loop.gave_up,)
    return {
        "unit": loop.unit,
        "verdict": best.run.verdict if best else "no_tests",
        "accepted": bool(best and best.accepted),
        "reasons": list(reasons),
        "explained": explain_all(reasons, best.stability if best else None),
        "notes": hindrances(best.tests, best.run, reasons) if best else [],
        "suspects": list(loop.suspects),
        "iterations": loop.rounds,
        "tests": len(best.run.cases) if best else 0,
        "coverage": best.run.coverage.line if best else None,
        "expectations": (origins(loop.code, best.tests) if best else Origins())._asdict(),
        "failure_log": best.failure_log.splitlines() if best and not best.accepted else [],
    }


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
        if not result.units:
            table.add_row(result.path.name, "", result.verdict, text(("no", "red")), "0", "0", "", "see below")
        for unit in result.units:
            passed = unit["verdict"] == "passed" or not unit["failure_log"]
            why = [e["says"] for e in unit["explained"]] if passed else unit["failure_log"]
            table.add_row(
                result.path.name,
                unit["unit"],
                unit["verdict"],
                text(("yes", "green") if unit["accepted"] else ("no", "red")),
                str(unit["iterations"]),
                str(unit["tests"]),
                "" if unit["coverage"] is None else f"{unit['coverage']:.0%}",
                "" if unit["accepted"] else _shorten(why[0] if why else ""),
            )
    console.print(table)
    for result in results:
        count = sum(u["accepted"] for u in result.units)
        why_not = "the project's own pytest cannot take it" if result.notes and count else "nothing was accepted"
        where = f"→ {result.test_file}" if result.test_file else f"→ no file written: {why_not}"
        kept = f" (trace {result.trace_id})" if result.trace_id else ""
        rounds = f"in {result.iterations} round{'s' if result.iterations > 1 else ''}"
        done = f"{count} of {len(result.units)} units accepted {rounds} " if result.units else ""
        said = f"{result.path}: {done}{where}{kept}"
        console.print(said, soft_wrap=True)
        if result.python:
            print_python(console, result.python)
        if result.options_left_out:
            print_left_out(console, result.options_left_out)
        counted = [u["expectations"] for u in result.units if u["accepted"]]
        if counted:
            derived, observed = (sum(each[name] for each in counted) for name in ("derived", "observed"))
            console.print(
                f"  expectations: {derived} derived from what the code says of itself, {observed} observed in a run",
                style="dim",
                soft_wrap=True,
            )
        for suspect in (suspect for unit in result.units for suspect in unit["suspects"]):
            console.print(text("  ", ("the code may be wrong:", "yellow"), f" {suspect}"), soft_wrap=True)
        for line in _why(result):
            console.print(line, soft_wrap=True)
        if result.run_it:
            console.print(f"  run it: {result.run_it}", style="dim", soft_wrap=True)


def _why(result: Result) -> Iterator[Text]:
    """Why the file, or one of its units, is not accepted; the failures of tests are in the table."""
    from self_improve.cli.say import text

    of_units = {reason for unit in result.units for reason in unit["reasons"]}
    whole = [reason for reason in map(explain, result.reasons) if reason["code"] not in of_units]
    for about, reasons, noted in [
        ("", whole, result.notes),
        *((u["unit"], u["explained"], u["notes"]) for u in result.units),
    ]:
        name = f"{about}: " if about else ""
        for reason in reasons:
            if reason["code"].partition(":")[0] not in ("not_passed", "unit_not_accepted"):
                yield text(f"  {name}{reason['says']}\n", (f"    {reason['mend']}", "dim"))
        for note in noted:
            yield text(f"  {name}", ("note:", "yellow"), f" {note}")


def _command(planned: Planned) -> str:
    """The shell command that runs the file, from the project's folder."""
    project = planned.target.project
    return f"cd {project} && python -m pytest {os.path.relpath(planned.test_file, project)}"


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
