from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trace_logger import schema
from trace_logger.errors import TraceStoreError
from trace_logger.records import Attempt
from trace_logger.store import TraceStore


def version(db: Path) -> int:
    connection = sqlite3.connect(db)
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return found


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    db = tmp_path / "traces.db"
    db.touch()
    with TraceStore.open(db) as store:
        assert store.list_traces() == []
        assert store._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert store._connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert version(db) == len(schema.MIGRATIONS)


def test_an_older_store_takes_only_the_steps_it_lacks(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TraceStore.open(db) as store:
        assert store.once("kept")
    step = ("ALTER TABLE runs ADD COLUMN git_commit TEXT",)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    for _ in range(2):
        with TraceStore.open(db) as store:
            assert not store.once("kept")
            store._connection.execute("SELECT git_commit FROM runs")
    assert version(db) == 2


def test_a_step_that_fails_leaves_the_store_as_it_was(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TraceStore.open(db).close()
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE half (x)", "CREATE NONSENSE")))
        with pytest.raises(TraceStoreError, match="opening the trace store"):
            TraceStore.open(db)
    with TraceStore.open(db) as store, pytest.raises(sqlite3.OperationalError, match="no such table"):
        store._connection.execute("SELECT * FROM half")
    assert version(db) == 1


def test_a_newer_store_is_refused_and_left_alone(db: Path) -> None:
    TraceStore.open(db).close()
    connection = sqlite3.connect(db)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = db.read_bytes()
    with pytest.raises(TraceStoreError, match=r"newer testing-crew \(schema 99.*(?s:.*)pip install -U"):
        TraceStore.open(db)
    assert db.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    db = tmp_path / "places.sqlite"
    connection = sqlite3.connect(db)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    before = db.read_bytes()
    with pytest.raises(TraceStoreError, match="another program's SQLite file"):
        TraceStore.open(db)
    assert db.read_bytes() == before


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    db = tmp_path / "traces.db"
    db.write_text("dear diary, " * 100, encoding="utf-8")
    with pytest.raises(TraceStoreError, match=r"is not a trace store\.(?s:.*)Move that file away"):
        TraceStore.open(db)
    assert db.read_text(encoding="utf-8").startswith("dear diary")


def test_a_damaged_store(db: Path, begin: Callable[..., str]) -> None:
    with TraceStore.open(db) as store:
        for _ in range(50):
            begin(store)
    content = bytearray(db.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    db.write_bytes(content)
    with pytest.raises(TraceStoreError, match=r"is damaged\.(?s:.*)Move it away"), TraceStore.open(db) as store:
        store.list_traces()


@pytest.mark.parametrize("place", ["folder", "file/traces.db"])
def test_a_place_that_cannot_hold_a_file(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(TraceStoreError, match=r"cannot be opened for writing \((?s:.*)TESTING_CREW_HOME"):
        TraceStore.open(tmp_path / place)


@pytest.fixture
def _not_root() -> Iterator[None]:
    """Be somebody else for a while: root may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="folders have no such mode elsewhere")
@pytest.mark.usefixtures("_not_root")
@pytest.mark.parametrize("present", [False, True])
def test_a_read_only_folder(present: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "traces.db"
        if present:
            TraceStore.open(db).close()
            db.chmod(0o444)
        Path(folder).chmod(0o555)
        try:
            with pytest.raises(TraceStoreError) as error:
                TraceStore.open(db)
        finally:
            Path(folder).chmod(0o755)
    assert error.value.message.startswith(f"opening the trace store: {db} cannot be opened for writing (")
    assert "must be writable by you" in error.value.hint


def test_a_full_disk_keeps_what_was_kept(db: Path, attempt: Callable[..., Attempt], begin: Callable[..., str]) -> None:
    with TraceStore.open(db) as store:
        trace = begin(store)
        store.add_attempt(trace, attempt())
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(
            TraceStoreError, match=r"keeping an attempt: the disk that holds .* is full(?s:.*)Make room"
        ):
            store.add_attempt(trace, attempt("x" * 100_000))
        assert len(store.get_trace(trace).attempts) == 1


def test_a_store_that_another_process_does_not_let_go(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.05)
    with TraceStore.open(db) as store:
        other = sqlite3.connect(db, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TraceStoreError, match="another process has held"):
            store.once("x")
        other.close()
        assert store.once("x")


def test_a_record_of_another_shape_is_named(db: Path, begin: Callable[..., str]) -> None:
    with TraceStore.open(db) as store:
        trace = begin(store)
        store._connection.execute("UPDATE units SET body = '{\"colour\": 1}'")
        with pytest.raises(TraceStoreError, match=f"reading trace {trace}"):
            store.get_trace(trace)


def test_text_that_is_no_unicode(db: Path, begin: Callable[..., str]) -> None:
    with TraceStore.open(db) as store, pytest.raises(TraceStoreError, match="surrogates not allowed"):
        begin(store, target="caf\udce9.py")
