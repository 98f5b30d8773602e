"""Which Python a target's tests run under."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from testing_crew.imports import project_root


def interpreter_for(chosen: str | None, target: Path) -> str:
    """The interpreter that was chosen, else that of a virtual environment in the target's project, else this one.

    A virtual environment without pytest is passed over: nothing could be run there.
    """
    if chosen:
        return shutil.which(chosen) or chosen
    root = project_root(target)
    for environment in (root / ".venv", root / "venv"):
        for python in (environment / "bin" / "python", environment / "Scripts" / "python.exe"):
            if python.exists() and _has_pytest(environment):
                return str(python)
    return sys.executable


def _has_pytest(environment: Path) -> bool:
    patterns = ("lib/python*/site-packages/pytest", "Lib/site-packages/pytest")
    return any(found for pattern in patterns for found in environment.glob(pattern))
