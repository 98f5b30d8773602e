"""Where things are kept: one workspace folder that every stage reads from and writes to."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def workspace() -> Path:
    """The workspace folder: ``TESTING_CREW_HOME``, or the user's data folder. It is not created here."""
    chosen = os.environ.get("TESTING_CREW_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("testing-crew"))


def trace_db() -> Path:
    """The trace store of the workspace."""
    return workspace() / "traces.db"
