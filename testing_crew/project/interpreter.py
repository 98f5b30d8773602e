"""Which Python a target's tests run under, and why that one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testing_crew.errors import UserMistake
from testing_crew.project.imports import project_root
from testing_crew.project.python import probe

_PROGRAMS = ("bin/python", "Scripts/python.exe", "python.exe")
_ACTIVE = ("VIRTUAL_ENV", "CONDA_PREFIX")


@dataclass(frozen=True)
class Python:
    """An interpreter, and in words why it was taken; ``passed_over`` says why the project's own was not."""

    path: str
    why: str
    passed_over: tuple[str, ...] = ()

    def told(self) -> dict[str, str]:
        """What a report says: the path, the version and why. Raises `UserMistake` as `runner.interpreter.probe` does."""
        version = ".".join(map(str, probe(self.path).python))
        return {"path": self.path, "version": version, "why": "; ".join([self.why, *self.passed_over])}


def interpreter_for(chosen: str | None, target: Path) -> Python:
    """The interpreter (or environment) that was chosen; else that of the nearest virtual environment from the target upwards to
    its repository's top; else that of the active environment; else this one.

    An environment without pytest is passed over: nothing could be run there.
    """
    if chosen:
        path = os.path.abspath(shutil.which(chosen) or Path(chosen).expanduser())
        return Python(str(_program(Path(path)) or path), "chosen")
    passed_over: list[str] = []
    for environment, why in _environments(target):
        python = _program(environment)
        if python is None:
            passed_over.append(f"{environment} has no Python that runs")
            continue
        try:
            has_pytest = bool(probe(str(python)).pytest)
        except UserMistake as mistake:
            passed_over.append(mistake.message)
            continue
        if has_pytest:
            return Python(str(python), why, tuple(passed_over))
        passed_over.append(f"{python} has no pytest (`{python} -m pip install pytest` puts it there)")
    return Python(sys.executable, "testing-crew's own", tuple(passed_over))


def _program(environment: Path) -> Path | None:
    return next((environment / name for name in _PROGRAMS if (environment / name).exists()), None)


def _environments(target: Path) -> Iterator[tuple[Path, str]]:
    """Every environment that could be meant, the likeliest first, with why; our own is left out."""
    for folder in _folders(target):
        for environment in (folder / ".venv", folder / "venv"):
            known = (environment / "pyvenv.cfg").is_file() or _program(environment)
            if known and _is_trusted(environment, target):
                yield environment, f"the environment of {folder}"
    for variable in _ACTIVE:
        active = os.environ.get(variable)
        if active and os.path.realpath(active) != os.path.realpath(sys.prefix):
            yield Path(active), f"the active environment ({variable})"


def _folders(target: Path) -> Iterator[Path]:
    """The target's folder and those above it: to the repository's top, or short of the home folder where there is none."""
    root = project_root(target)
    for folder in target.resolve().parents:
        if folder in (Path(folder.anchor), Path("~").expanduser()) and not folder.is_relative_to(root):
            return
        yield folder
        if (folder / ".git").exists():
            return


def _is_trusted(environment: Path, target: Path) -> bool:
    """Whether nobody but us, the system or the target's own owner put it there: others may write in /tmp, above a project."""
    if sys.platform == "win32":
        return True
    trusted = {os.getuid(), 0, *([target.stat().st_uid] if target.exists() else [])}
    return environment.stat().st_uid in trusted
