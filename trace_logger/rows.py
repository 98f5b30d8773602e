"""What the store's rows are made of and what they say: ids, JSON bodies, and the one-line view of a trace."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from typing import Literal

from trace_logger.liveness import alive
from trace_logger.records import Record

State = Literal["finished", "running", "interrupted"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: in the order of ASCII, no letter that looks like a digit
# A trace with its counts and the run that writes it; a condition on `t` and an order follow it.
SUMMARY = """
    SELECT t.*, r.finished_at AS run_finished_at, r.process, r.command,
        (SELECT count(*) FROM units u WHERE u.trace_id = t.id) AS units,
        (SELECT count(*) FROM attempts a WHERE a.trace_id = t.id) AS attempts
    FROM traces t JOIN runs r ON r.id = t.run_id
"""


class TraceSummary(Record):
    """One line of a list of traces; ``units`` and ``attempts`` are counts.

    ``state`` is ``running`` while the process that writes the trace is at work on this machine, and ``interrupted``
    where it ended before the trace did.
    """

    id: str
    started_at: str
    finished_at: str | None
    project: str
    target: str
    model: str
    command: str
    units: int
    attempts: int
    accepted: bool | None
    test_file: str | None
    state: State


def new_id() -> str:
    """Make a fresh id: 9 characters for the time in milliseconds, so that ids sort by it, and 6 at random (30 bits)."""
    number = (time.time_ns() // 1_000_000 << 30) | secrets.randbits(30)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(70, -1, -5))


def dump(record: Record, *, leave_out: str | None = None) -> str:
    """Give the record as JSON, whole but for the field ``leave_out``."""
    # Plain json, ASCII: NaN, infinity and half a surrogate pair from a broken log come back as they were, which
    # pydantic's own JSON would turn into null or refuse. A setting that JSON does not know is kept by its text.
    return json.dumps(record.model_dump(exclude={leave_out} if leave_out else None), default=str)


def of_project(project: str | None) -> tuple[str, list[object]]:
    """Give the condition on `SUMMARY`, with its values, for a project's name or path, or the end of its path."""
    if project is None:
        return "1", []
    return "(t.project = ? OR substr(t.project, -?) = ?)", [project, len(project) + 1, f"/{project}"]


def state_of(row: sqlite3.Row) -> State:
    """Tell whether the trace in this row of `SUMMARY` has ended, is being written, or was cut off."""
    if row["finished_at"]:
        return "finished"
    return "running" if row["run_finished_at"] is None and alive(row["process"]) else "interrupted"


def summary(row: sqlite3.Row) -> TraceSummary:
    """Turn the row of `SUMMARY` into a record."""
    known = set(row.keys()) & set(TraceSummary.model_fields)
    return TraceSummary(**{name: row[name] for name in known}, state=state_of(row))
