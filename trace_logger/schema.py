"""The shape of the store on disk: its tables, the steps between versions, and how a connection is opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trace_logger.errors import TraceStoreError

APPLICATION_ID = 0x54435452  # "TCTR": tells our file from another program's SQLite file
BUSY_SECONDS = 30.0

# One entry per version, applied in order; `PRAGMA user_version` counts those that were. An entry that was released is
# never edited: a change is a new entry. `seq` gives the order of writing, which a time in seconds cannot.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
        """CREATE TABLE runs (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            project TEXT NOT NULL,
            command TEXT NOT NULL,
            model TEXT NOT NULL,
            code_version TEXT NOT NULL,
            process TEXT NOT NULL,
            started_at TEXT NOT NULL,
            finished_at TEXT
        )""",
        """CREATE TABLE traces (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            run_id TEXT NOT NULL REFERENCES runs (id),
            project TEXT NOT NULL,
            target TEXT NOT NULL,
            model TEXT NOT NULL,
            started_at TEXT NOT NULL,
            finished_at TEXT,
            accepted INTEGER,
            test_file TEXT
        )""",
        "CREATE INDEX traces_by_target ON traces (project, target, model)",
        # A module is kept once, however many of its functions are units and however often it is run.
        "CREATE TABLE sources (hash TEXT PRIMARY KEY, text TEXT NOT NULL)",
        """CREATE TABLE units (
            trace_id TEXT NOT NULL REFERENCES traces (id),
            position INTEGER NOT NULL,
            name TEXT NOT NULL,
            source_hash TEXT NOT NULL REFERENCES sources (hash),
            body TEXT NOT NULL,
            PRIMARY KEY (trace_id, position)
        )""",
        """CREATE TABLE attempts (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            trace_id TEXT NOT NULL REFERENCES traces (id),
            unit TEXT NOT NULL,
            iteration INTEGER NOT NULL,
            kind TEXT NOT NULL,
            verdict TEXT NOT NULL,
            accepted INTEGER NOT NULL,
            model TEXT NOT NULL,
            created_at TEXT NOT NULL,
            body TEXT NOT NULL
        )""",
        "CREATE INDEX attempts_by_trace ON attempts (trace_id, unit)",
    ),
)

_ELSEWHERE = "Point TESTING_CREW_HOME at another folder, or run without traces: TESTING_CREW_TRACES=off."


def _explain(error: Exception, path: Path, tried: str) -> TraceStoreError:
    """Put in words what SQLite or the system said. Python 3.10 has no codes for it: its fixed texts are read."""
    reason = getattr(error, "strerror", None) or str(error)  # str() of an OSError holds the path, too
    said = reason.lower()
    if "not a database" in said:
        return TraceStoreError(
            f"{tried}: {path} is not a trace store.", hint=f"Move that file away, and a new store is made. {_ELSEWHERE}"
        )
    if "malformed" in said:
        return TraceStoreError(
            f"{tried}: {path} is damaged.",
            hint=f'Move it away; `sqlite3 FILE ".recover"` reads what is left of it. {_ELSEWHERE}',
        )
    if "full" in said or "no space" in said or "quota" in said:
        return TraceStoreError(
            f"{tried}: the disk that holds {path} is full.",
            hint=f"Make room there; what was kept before is safe. {_ELSEWHERE}",
        )
    if "locked" in said:
        return TraceStoreError(
            f"{tried}: another process has held {path} for more than {BUSY_SECONDS:.0f} seconds.",
            hint="End that process, or try again when it has finished.",
        )
    if isinstance(error, OSError) or "readonly" in said or "unable to open" in said:
        return TraceStoreError(
            f"{tried}: {path} cannot be opened for writing ({reason}).",
            hint=f"The file and its folder must be writable by you. {_ELSEWHERE}",
        )
    return TraceStoreError(f"{tried}: {path}: {reason}.", hint=_ELSEWHERE)


@contextmanager
def plainly(path: Path, tried: str) -> Iterator[None]:
    """Turn what SQLite and the system raise while ``tried`` is done to ``path`` into a `TraceStoreError`."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeEncodeError) as error:
        raise _explain(error, path, tried) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything in the block, or nothing.

    IMMEDIATE takes the write lock first: a transaction that reads and then wants to write would fail at once, without
    waiting, if another process had written in between.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (tables or version or application):
        raise TraceStoreError(
            f"opening the trace store: {path} is another program's SQLite file.",
            hint=f"It was left as it is. {_ELSEWHERE}",
        )
    if version > len(MIGRATIONS):
        raise TraceStoreError(
            f"opening the trace store: {path} was written by a newer testing-crew "
            f"(schema {version}; this one knows up to {len(MIGRATIONS)}).",
            hint=f"It was left as it is. Upgrade: pip install -U testing-crew. {_ELSEWHERE}",
        )
    return version


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, in which readers and a writer do not wait for each other.

    When several processes open a new file at once, SQLite answers "locked" here without waiting: so the wait is ours.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection, path) == len(MIGRATIONS):
        return
    with transaction(connection):
        # Read again under the lock: another process may have done the work while this one waited.
        for statements in MIGRATIONS[_version(connection, path) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def connect(path: Path) -> sqlite3.Connection:
    """Open the store at ``path``, made (folder 0700, file 0600) or brought to the present version where need be.

    Raises `TraceStoreError` if it cannot be written, is no trace store, is damaged, or is of a newer version.
    """
    with plainly(path, "opening the trace store"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made before SQLite sees it, so that it is never readable by others; the -wal and -shm files copy its mode. Only
        # a file that is not there is opened here: closing one drops every lock that this process has on it, and another
        # process would then take the log of a connection that is still writing for a leftover, and delete it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        # A generator of the agent's may be advanced by another thread each time; the store holds a lock of its own.
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            _version(connection, path)  # refuse a stranger's file before anything in it is changed
            _use_wal(connection)
            # FULL: every commit is on the disk before it is acknowledged. NORMAL would outlive kill -9 as well, but not
            # a power cut, and an attempt costs seconds of a model's time while a flush costs milliseconds.
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection
