"""The store of what happened: one SQLite file that many processes may write to at once."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType

from trace_logger.errors import TraceStoreError, UnknownTrace
from trace_logger.liveness import this_process
from trace_logger.pairs import repair_pairs, unit_name
from trace_logger.records import Attempt, CodeUnderTest, RepairPair, Trace, utc_now
from trace_logger.rows import SUMMARY, TraceSummary, dump, new_id, of_project, state_of, summary
from trace_logger.schema import connect, plainly, transaction
from trace_logger.workspace import trace_db


def _code_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("testing-crew")
    except PackageNotFoundError:
        return ""


class TraceStore:
    """Runs, traces and attempts, kept in one file. Made by `open`; a context manager; may be shared by threads.

    Every method that writes has its rows on disk when it returns. Every method raises `TraceStoreError` when the file
    cannot be read or written (disk full, locked for 30 seconds, damaged, taken away).
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None) -> TraceStore:
        """Open the store at ``path`` (the workspace's when None), and make it where there is none.

        Raises `TraceStoreError` if the folder cannot be written, or the file is no trace store or of a newer version.
        """
        place = trace_db() if path is None else Path(path)
        return cls(place, connect(place))

    def close(self) -> None:
        """Close the file; the store is of no use afterwards."""
        with self._lock, plainly(self.path, "closing the trace store"):
            self._connection.close()

    def __enter__(self) -> TraceStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Writing

    def start_run(self, project: str, command: str, model: str, *, code_version: str | None = None) -> str:
        """Note that an invocation has begun, and give its id. ``code_version`` is this package's when None."""
        run_id = new_id()
        version = _code_version() if code_version is None else code_version
        with self._writing("noting a run") as db:
            db.execute(
                "INSERT INTO runs (id, project, command, model, code_version, process, started_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (run_id, project, command, model, version, this_process(), utc_now()),
            )
        return run_id

    def finish_run(self, run_id: str) -> None:
        """Note that the invocation has ended, whichever way: call it in a ``finally``.

        A trace that it leaves unfinished counts as interrupted from then on, and can be carried on.
        """
        with self._writing("finishing a run") as db:
            done = db.execute("UPDATE runs SET finished_at = ? WHERE id = ?", (utc_now(), run_id))
            if not done.rowcount:
                raise UnknownTrace(f"finishing a run: there is no run {run_id!r} in {self.path}.")

    def start_trace(self, run_id: str, project: str, target: str, units: Sequence[CodeUnderTest], model: str) -> str:
        """Note that work on the file ``target`` has begun, with the code of every unit, and give the trace's id."""
        trace_id = new_id()
        with self._writing("noting a trace") as db:
            if not db.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone():
                raise UnknownTrace(f"noting a trace: there is no run {run_id!r} in {self.path}.")
            db.execute(
                "INSERT INTO traces (id, run_id, project, target, model, started_at) VALUES (?, ?, ?, ?, ?, ?)",
                (trace_id, run_id, project, target, model, utc_now()),
            )
            for position, code in enumerate(units):
                digest = hashlib.sha256(code.source.encode()).hexdigest()
                db.execute("INSERT OR IGNORE INTO sources (hash, text) VALUES (?, ?)", (digest, code.source))
                db.execute(
                    "INSERT INTO units (trace_id, position, name, source_hash, body) VALUES (?, ?, ?, ?, ?)",
                    (trace_id, position, unit_name(code), digest, dump(code, leave_out="source")),
                )
        return trace_id

    def add_attempt(self, trace_id: str, attempt: Attempt) -> None:
        """Keep a finished attempt. When this returns it is on the disk, and neither kill -9 nor a power cut loses it.

        Raises `TraceStoreError` if ``attempt.unit`` is not the `unit_name` of one of the trace's units.
        """
        with self._writing("keeping an attempt") as db:
            names = [row["name"] for row in db.execute("SELECT name FROM units WHERE trace_id = ?", (trace_id,))]
            if attempt.unit not in names:
                self._known(trace_id)
                raise TraceStoreError(
                    f"keeping an attempt: trace {trace_id} has no unit {attempt.unit!r}.",
                    hint=f"Its units: {', '.join(names) or 'none'}.",
                )
            db.execute(
                "INSERT INTO attempts (trace_id, unit, iteration, kind, verdict, accepted, model, created_at, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    trace_id,
                    attempt.unit,
                    attempt.iteration,
                    attempt.kind,
                    attempt.run.verdict,
                    attempt.accepted,
                    attempt.model,
                    attempt.created_at,
                    dump(attempt),
                ),
            )

    def finish_trace(self, trace_id: str, accepted: bool, test_file: str | None = None) -> None:
        """Note that work on the target has ended; ``test_file`` is the path of what was written, if anything was."""
        with self._writing("finishing a trace") as db:
            self._known(trace_id)
            db.execute(
                "UPDATE traces SET finished_at = ?, accepted = ?, test_file = ? WHERE id = ?",
                (utc_now(), accepted, test_file, trace_id),
            )

    def resume_trace(self, trace_id: str, run_id: str) -> bool:
        """Carry the interrupted trace on in the run ``run_id``: further attempts may be added to it.

        False when it is finished or another process was quicker to take it: then start a trace of one's own.
        """
        with self._writing("carrying a trace on") as db:
            self._known(trace_id)
            (row,) = db.execute(f"{SUMMARY} WHERE t.id = ?", (trace_id,)).fetchall()
            if state_of(row) != "interrupted":
                return False
            db.execute("UPDATE traces SET run_id = ? WHERE id = ?", (run_id, trace_id))
            return True

    def once(self, key: str) -> bool:
        """Give True the first time that ``key`` is asked of this store, by whichever process, and False ever after."""
        with self._writing("noting what was said") as db:
            return db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, utc_now())).rowcount == 1

    # Reading

    def get_trace(self, prefix: str) -> Trace:
        """Read the whole trace whose id is, or alone begins with, ``prefix``.

        Raises `UnknownTrace` if none does, or several do; it names the nearest, or those.
        """
        wanted = prefix.strip().lower()
        rows = self._rows(f"{SUMMARY} WHERE substr(t.id, 1, ?) = ? ORDER BY t.seq", len(wanted), wanted)
        if not wanted or not rows:
            raise self._unknown(prefix)
        if len(rows) > 1:
            ids = ", ".join(row["id"] for row in rows[:10])
            raise UnknownTrace(f"{len(rows)} traces begin with {prefix!r}.", hint=f"Give more of the id: {ids}.")
        return self._trace(rows[0])

    def list_traces(
        self, project: str | None = None, accepted: bool | None = None, limit: int | None = 20
    ) -> list[TraceSummary]:
        """List the latest ``limit`` traces (all when None), newest first.

        ``project`` is a project's name or path, or the last parts of its path. ``accepted`` asks for finished traces
        that ended so; None asks for all, unfinished ones too.
        """
        where, values = of_project(project)
        if accepted is not None:
            where += " AND t.accepted = ?"
            values.append(accepted)
        values.append(-1 if limit is None else limit)
        rows = self._rows(f"{SUMMARY} WHERE {where} ORDER BY t.seq DESC LIMIT ?", *values)
        return [summary(row) for row in rows]

    def interrupted(self) -> list[TraceSummary]:
        """List the traces that were begun and whose run ended, or was killed, before they did; newest first."""
        rows = self._rows(f"{SUMMARY} WHERE t.finished_at IS NULL ORDER BY t.seq DESC")
        return [summary(row) for row in rows if state_of(row) == "interrupted"]

    def unfinished(self, project: str, target: str, model: str) -> Trace | None:
        """Find what the next run on ``target`` with the same model can carry on from.

        The latest trace of exactly this project, target and model, if it was interrupted; None when it was finished, or
        is being written right now. The caller compares each unit's ``shown`` and ``source`` with today's, uses the
        attempts of those that are the same, and calls `resume_trace` to add to it.
        """
        rows = self._rows(
            f"{SUMMARY} WHERE t.project = ? AND t.target = ? AND t.model = ? ORDER BY t.seq DESC LIMIT 1",
            project,
            target,
            model,
        )
        return self._trace(rows[0]) if rows and state_of(rows[0]) == "interrupted" else None

    def pairs(self, project: str | None = None) -> Iterator[RepairPair]:
        """Give the `repair_pairs` of every trace, finished or not, oldest first; ``project`` as in `list_traces`."""
        where, values = of_project(project)
        lessons = "AND EXISTS (SELECT 1 FROM attempts a WHERE a.trace_id = t.id AND a.accepted)"
        for row in self._rows(f"{SUMMARY} WHERE {where} {lessons} ORDER BY t.seq", *values):
            yield from repair_pairs(self._trace(row))

    @contextmanager
    def _writing(self, tried: str) -> Iterator[sqlite3.Connection]:
        with self._lock, plainly(self.path, tried), transaction(self._connection):
            yield self._connection

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock, plainly(self.path, "reading the trace store"):
            return self._connection.execute(query, values).fetchall()

    def _known(self, trace_id: str) -> None:
        if not self._rows("SELECT 1 FROM traces WHERE id = ?", trace_id):
            raise self._unknown(trace_id)

    def _unknown(self, prefix: str) -> UnknownTrace:
        ids = [row["id"] for row in self._rows("SELECT id FROM traces ORDER BY seq DESC LIMIT 1000")]
        near = get_close_matches(prefix.strip().lower(), ids, n=3, cutoff=0.75)
        hint = f"Nearest: {', '.join(near)}." if near else f"The most recent: {', '.join(ids[:5])}."
        return UnknownTrace(
            f"There is no trace {prefix!r} in {self.path}.",
            hint=hint if ids else "No trace has been kept there yet: `testing-crew write PATH` makes one.",
        )

    def _trace(self, row: sqlite3.Row) -> Trace:
        units = self._rows(
            "SELECT body, text FROM units JOIN sources ON hash = source_hash WHERE trace_id = ? ORDER BY position",
            row["id"],
        )
        attempts = self._rows("SELECT body FROM attempts WHERE trace_id = ? ORDER BY seq", row["id"])
        fields = {name: row[name] for name in Trace.model_fields if name in row.keys()}  # noqa: SIM118 - a Row, no dict
        try:
            return Trace.model_validate(
                {
                    **fields,
                    "units": [{**json.loads(unit["body"]), "source": unit["text"]} for unit in units],
                    "attempts": [json.loads(attempt["body"]) for attempt in attempts],
                }
            )
        except ValueError as error:  # pydantic's refusal is one, and so is that of json
            raise TraceStoreError(
                f"reading trace {row['id']}: {self.path} holds a record of another shape.",
                hint="It was written by another version of testing-crew, or is damaged; the other traces can be read.",
            ) from error
