"""Whether traces are kept, and the one time that this is said."""

from __future__ import annotations

import os
from pathlib import Path

SWITCH = "TESTING_CREW_TRACES"


def capture_enabled() -> bool:
    """Tell whether the environment lets traces be kept: yes, unless ``TESTING_CREW_TRACES`` says off (or 0, false, no).

    Whoever sets the variable to something else than on (1, true, yes) meant to switch something off: a misspelt value
    keeps nothing.
    """
    return os.environ.get(SWITCH, "").strip().lower() in {"", "on", "1", "true", "yes"}


def first_time_notice(db: Path) -> str | None:
    """Say what is kept, where, and how to turn it off: once per store ``db`` (made where there is none), then None.

    None too, and nothing is made, where the environment switches traces off.

    Raises `TraceStoreError` if the store cannot be opened.
    """
    if not capture_enabled():
        return None
    from trace_logger.store import TraceStore

    with TraceStore.open(db) as store:
        if not store.once("notice"):
            return None
    return (
        f"Attempts are kept in {db} (the code under test, the prompts and the model's answers, the test files and what "
        f"pytest said of them; nothing leaves this machine); turn off with {SWITCH}=off or [traces] enabled = false"
    )
