"""What ``testing-crew write`` is going to do: which files, and where each one's tests go. All mistakes are found here."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from self_improve.tasks import modules_in
from testing_crew.errors import UserMistake
from testing_crew.project import snippet
from testing_crew.project.imports import imports_of, package_root, places_of, project_files
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.targets import Target, file_target

_HEADER = re.compile(rb"# Written by testing-crew with .* for (.*?)(?:; trace .*)?\r?\n")


@dataclass(frozen=True)
class Planned:
    """One file to write tests for, and where they go."""

    path: Path
    target: Target
    test_file: Path


@dataclass(frozen=True)
class Broken:
    """A file of a folder that cannot be read as Python, which is no reason to leave the others."""

    path: Path
    why: str


def plan(
    paths: list[Path], out: Path | None, tests_dir: str, interpreter: str | None, force: bool
) -> tuple[list[Planned], list[Broken]]:
    """Every file to write tests for, and those of a folder that are broken. Raises UserMistake for a path that is missing or
    empty, a file that was named and is broken, a test file that is there already, and a folder that cannot be written.
    """
    planned: list[Planned] = []
    broken: list[Broken] = []
    taken: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise UserMistake(f"no such file or folder: {path}")
        for file in modules_in(path, interpreter) if path.is_dir() else [path]:
            if any(file.resolve() == other.path.resolve() for other in planned):
                continue  # named twice
            try:
                target = file_target(file, interpreter_for(interpreter, file))
            except UserMistake as error:
                if not path.is_dir():
                    raise
                broken.append(Broken(file, error.message))
                continue
            test_file = _test_file(file, target, out or Path(target.project) / tests_dir, taken)
            taken[test_file] = file
            planned.append(Planned(file, target, test_file))
    if not planned:
        raise UserMistake("\n".join(one.why for one in broken), hint="mend that first")
    there = [str(p.test_file) for p in planned if p.test_file.exists()]
    if there and not force:
        raise UserMistake(f"already there: {', '.join(there)}", hint="--force overwrites; --out DIR writes elsewhere")
    for folder in {p.test_file.parent for p in planned}:
        _must_be_writable(folder)
    return planned, broken


def _test_file(file: Path, target: Target, folder: Path, taken: dict[Path, Path]) -> Path:
    """``test_NAME.py``, with the names of enough folders before NAME: where no other module's tests stand or are to go, and
    where pytest can tell it from the other test files of the project.
    """
    modules = {package_root(other)[1]: other for other in project_files(Path(target.project))}
    parts = [p for p in (*file.resolve().parent.parts, file.stem) if p != "__init__"]
    name = parts[-1]
    candidate = folder
    for part in reversed(parts[:-1]):
        candidate = (folder / f"test_{snippet.plain_name(name)}.py").resolve()
        name = f"{part}_{name}"
        if taken.get(candidate, file).resolve() != file.resolve():
            continue
        if candidate.exists():
            if _is_about(candidate, file, target):
                break
        elif package_root(candidate)[1] not in modules:
            break
    return candidate


def target_name(file: Path, target: Target) -> str:
    """A target as the header of its test file names it."""
    return Path(os.path.relpath(file.resolve(), target.project)).as_posix()


def _is_about(test: Path, file: Path, target: Target) -> bool:
    """Whether an existing test file is about ``file``, by its header or by what it imports; also where neither says anything."""
    header = _HEADER.match(test.read_bytes())
    if header:
        return header[1].decode("utf-8", "replace") == target_name(file, target)
    found = [place for name in imports_of(test) for place in places_of(name, file)]
    return file.resolve() in found or not found


def _must_be_writable(folder: Path) -> None:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    try:
        if not existing.is_dir():
            raise NotADirectoryError(20, "not a folder", str(existing))
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserMistake(f"cannot write to {existing}: {error.strerror}", hint="--out DIR writes elsewhere") from None
