"""Tests written for an agent: a new file that is accepted where it stands, or none."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from testing_crew.answers.records import Reason, Unit, Written
from testing_crew.check import plan_of
from testing_crew.crew import TestingCrew
from testing_crew.errors import UserMistake
from testing_crew.gate.gate import Gate
from testing_crew.gate.reasons import explain
from testing_crew.project import snippet
from testing_crew.project.imports import package_root, project_files
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.targets import Target, file_target
from testing_crew.repair.loop import RepairLoop
from testing_crew.suite.pair import Tell, relative


def write(crew: TestingCrew, path: Path, function: str | None, root: Path, tell: Tell) -> Written:
    """Have ``crew`` write tests for the file ``path``, or for one function or class of it; they go below ``root`` or nowhere.

    A test file that exists is left as it is. ``tell`` hears of each function that was worked on; what it raises ends the work.
    Raises UserMistake for a file that is broken or has no such function, and where the test file cannot be written;
    GenerationFailed when the model stops answering.
    """
    target = _target(crew, path, function)
    with crew.recorder("mcp") as recorder:
        job = crew.job(target, recorder)
        done = 0
        final: dict[str, Any] = {}
        for final in crew.events(job):
            done += final["type"] == "unit_complete"
            tell("tests written and judged", done, len(job.loops) * crew.max_iterations)
        tests = job.tests(accepted_only=True)
        file = _put(crew, path, target, tests, function, root) if tests else None
        accepted = bool(file and final["success"])
        recorder.finish(accepted, str(file) if file else None)
    units = [_unit(loop) for loop in job.loops]
    refused = [unit.name for unit in units if not unit.accepted]
    if file is None:
        said = "no file was written, since none is accepted in its place: what the model wrote is in `tests`"
    else:
        said = f"wrote {relative(file, root)}" + (
            f"; no tests of {', '.join(refused)} were accepted" if refused else ""
        )
    return Written(
        says=f"{said}.",
        accepted=accepted,
        test_file=relative(file, root) if file else None,
        tests=file.read_text(encoding="utf-8") if file else tests or final["final_tests"],
        units=units,
        model=crew.model,
    )


def _target(crew: TestingCrew, path: Path, function: str | None) -> Target:
    target = file_target(path, interpreter_for(crew.interpreter, path))
    if function is None:
        return target
    units = tuple(unit for unit in target.units if unit.unit == function)
    if not units:
        there = ", ".join(unit.unit or unit.module for unit in target.units)
        raise UserMistake(f"{path.name} has no function or class {function!r}", hint=f"it has: {there}")
    return replace(target, units=units)


def _put(crew: TestingCrew, path: Path, target: Target, tests: str, function: str | None, root: Path) -> Path | None:
    """Write the file where none is, and leave it there if it is accepted there; where that is."""
    folder = Path(target.project) / crew.config.tests_dir
    file = _free(folder, path.stem, function, Path(target.project))
    if not file.is_relative_to(root):
        return None
    forms = [tests]
    if not target.is_snippet and Path(target.units[0].root) != Path(target.project):
        forms.append(snippet.attach_path(tests, Path(target.units[0].root), file))
    for text in forms:
        _create(file, f"# Written by testing-crew with {crew.model}\n{text}")
        kept = False
        try:
            plan, _ = plan_of(file, path, crew.interpreter)
            kept = Gate(crew.runner).judge(plan).accepted
        finally:
            if not kept:
                file.unlink(missing_ok=True)
        if kept:
            return file
    with suppress(OSError):
        folder.rmdir()  # only where it is empty
    return None


def _unit(loop: RepairLoop) -> Unit:
    best = loop.best
    accepted = best is not None and best.accepted
    why = () if accepted else best.reasons if best else (loop.gave_up,)
    reasons = [Reason(**explain(code)) for code in why if code]
    return Unit(name=loop.unit, accepted=accepted, reasons=reasons, suspects=list(loop.suspects))


def _free(folder: Path, name: str, function: str | None, project: Path) -> Path:
    """Where no test file is, under a name by which pytest can tell it from the other test files of the project."""
    taken = {package_root(file)[1] for file in project_files(project)}
    stem = f"test_{snippet.plain_name(name)}" + (f"_{snippet.plain_name(function)}" if function else "")
    number = 1
    while True:
        file = (folder / (f"{stem}.py" if number == 1 else f"{stem}_{number}.py")).resolve()
        if not file.exists() and package_root(file)[1] not in taken:
            return file
        number += 1


def _create(file: Path, text: str) -> None:
    """Write a new file: it is there whole or not at all, and never in place of another that came meanwhile."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                opened.write(text)
            os.chmod(name, 0o644)
            os.link(name, file)
        finally:
            os.unlink(name)
    except OSError as error:
        raise UserMistake(f"cannot write {file}: {error.strerror}", hint="see who may write there") from None
