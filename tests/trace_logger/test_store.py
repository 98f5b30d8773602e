from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import children
import pytest

from trace_logger.errors import TraceStoreError, UnknownTrace
from trace_logger.records import Attempt, CodeUnderTest, Trace
from trace_logger.rows import new_id
from trace_logger.store import TraceStore

ROOT = Path(__file__).resolve().parents[2]
Code = Callable[..., CodeUnderTest]
Try = Callable[..., Attempt]
Begin = Callable[..., str]


def start(writer: Path, db: Path, name: str, count: int) -> AbstractContextManager[Any]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(writer), str(db), name, str(count)]
    return children.started(command, stdout=subprocess.PIPE, env=environment)


def test_a_trace_comes_back_as_it_went_in(db: Path, code: Code, attempt: Try) -> None:
    units = (code("double"), code("half"), code(None, module="sums.all", path=None, source="x = 'é\u2028'\n"))
    attempts = (
        attempt("a\r\n\u2028\u0085é😀\x00", sampling={"top_p": 0.9, "inf": float("inf"), "deep": {"a": [1, None]}}),
        attempt("half a pair: \ud83d", unit="half", kind="repair", iteration=2),
        attempt(ok=True, unit="sums.all"),
    )
    with TraceStore.open(db) as store:
        run = store.start_run("/src", "write sums.py", "embedded")
        trace = store.start_trace(run, "/src", "sums.py", units, "embedded")
        for one in attempts:
            store.add_attempt(trace, one)
        store.finish_trace(trace, True, "/src/tests/test_sums.py")
        store.finish_run(run)
    with TraceStore.open(db) as store:
        kept = store.get_trace(trace)
    assert kept == Trace(
        id=trace,
        run_id=run,
        project="/src",
        target="sums.py",
        units=units,
        attempts=attempts,
        model="embedded",
        started_at=kept.started_at,
        finished_at=kept.finished_at,
        accepted=True,
        test_file="/src/tests/test_sums.py",
    )
    assert kept.finished_at is not None
    assert kept.finished_at >= kept.started_at


def test_nobody_else_may_read_it(db: Path, begin: Begin) -> None:
    with TraceStore.open(db) as store:
        begin(store)
        modes = {path.name: path.stat().st_mode & 0o777 for path in db.parent.iterdir()}
    assert db.parent.stat().st_mode & 0o777 == 0o700
    assert modes == {"traces.db": 0o600, "traces.db-wal": 0o600, "traces.db-shm": 0o600}


def test_a_modules_source_is_kept_once(db: Path, code: Code, begin: Begin) -> None:
    with TraceStore.open(db) as store:
        begin(store, code("double"), code("half"))
        begin(store, code("double"))
    assert sqlite3.connect(db).execute("SELECT count(*) FROM sources").fetchone() == (1,)


def test_the_columns_that_are_queried(db: Path, attempt: Try, begin: Begin) -> None:
    with TraceStore.open(db) as store:
        store.add_attempt(begin(store), attempt(ok=True, iteration=3, kind="repair", created_at="2026-01-02T03:04:05"))
    row = sqlite3.connect(db).execute(
        "SELECT unit, iteration, kind, verdict, accepted, model, created_at FROM attempts"
    )
    assert row.fetchone() == ("double", 3, "repair", "passed", 1, "embedded", "2026-01-02T03:04:05")
    ((command, version),) = sqlite3.connect(db).execute("SELECT command, code_version FROM runs").fetchall()
    assert command == "write sums.py"
    assert version


def test_kill_9_loses_no_acknowledged_attempt(db: Path, writer: Path) -> None:
    with start(writer, db, "target.py", 1_000_000) as process:
        assert process.stdout is not None
        trace = process.stdout.readline().strip()
        for _ in range(20):
            process.stdout.readline()
        with TraceStore.open(db) as store:
            assert store.list_traces()[0].state == "running"
            assert store.unfinished("p", "target.py", "model") is None
        process.send_signal(signal.SIGKILL)
        acknowledged = 20 + sum(line.endswith("\n") for line in process.stdout.readlines())
    with TraceStore.open(db) as store:
        assert [found.id for found in store.interrupted()] == [trace]
        assert store.list_traces()[0].state == "interrupted"
        left = store.unfinished("p", "target.py", "model")
        assert left is not None
        # One more may have been committed without its acknowledgement having been printed.
        assert [one.iteration for one in left.attempts] in (list(range(acknowledged)), list(range(acknowledged + 1)))
        assert store._connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_four_processes_make_the_store_and_write_at_once(db: Path, writer: Path) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(start(writer, db, f"target{number}.py", 50)) for number in range(4)]
        outputs = [children.ended(process)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    with TraceStore.open(db) as store:
        assert store.interrupted() == []
        assert {(found.state, found.attempts) for found in store.list_traces()} == {("finished", 50)}
        for trace, *numbers in outputs:
            assert (
                [one.iteration for one in store.get_trace(trace).attempts] == list(map(int, numbers)) == list(range(50))
            )


def test_threads_may_share_a_store(db: Path, attempt: Try, begin: Begin) -> None:
    with TraceStore.open(db) as store:
        trace = begin(store)

        def add() -> None:
            for _ in range(10):
                store.add_attempt(trace, attempt())

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.list_traces()[0].attempts == 40


def test_carrying_on(db: Path, code: Code, attempt: Try) -> None:
    with TraceStore.open(db) as store:
        first = store.start_run("/src", "write", "embedded")
        trace = store.start_trace(first, "/src", "sums.py", [code()], "embedded")
        store.add_attempt(trace, attempt())
        assert store.unfinished("/src", "sums.py", "embedded") is None  # this very process is still writing it
        store.finish_run(first)
        left = store.unfinished("/src", "sums.py", "embedded")
        assert left is not None
        assert left.units == (code(),)
        for other in (("/other", "sums.py", "embedded"), ("/src", "x.py", "embedded"), ("/src", "sums.py", "gguf:x")):
            assert store.unfinished(*other) is None
        second = store.start_run("/src", "write", "embedded")
        assert store.resume_trace(trace, second)
        assert not store.resume_trace(trace, store.start_run("/src", "write", "embedded"))
        store.add_attempt(trace, attempt(ok=True))
        store.finish_trace(trace, True)
        store.finish_run(second)
        assert store.unfinished("/src", "sums.py", "embedded") is None
        assert not store.resume_trace(trace, second)
        kept = store.get_trace(trace)
    assert kept.run_id == second
    assert [one.accepted for one in kept.attempts] == [False, True]


def test_a_later_finished_trace_leaves_nothing_to_carry_on(db: Path, code: Code) -> None:
    with TraceStore.open(db) as store:
        run = store.start_run("/src", "write", "embedded")
        cut_off = store.start_trace(run, "/src", "sums.py", [code()], "embedded")
        store.finish_trace(store.start_trace(run, "/src", "sums.py", [code()], "embedded"), False)
        store.finish_run(run)
        assert store.unfinished("/src", "sums.py", "embedded") is None
        assert [found.id for found in store.interrupted()] == [cut_off]


def test_lists_are_filtered_and_newest_first(db: Path, attempt: Try, begin: Begin) -> None:
    with TraceStore.open(db) as store:
        ids = [begin(store, project=project) for project in ("/a/one", "/a/two", "/b/one", "one")]
        store.add_attempt(ids[0], attempt())
        store.finish_trace(ids[0], True, "test_sums.py")
        store.finish_trace(ids[1], False)

        def listed(**wanted: object) -> list[str]:
            return [found.id for found in store.list_traces(**wanted)]  # type: ignore[arg-type]

        assert listed() == ids[::-1]
        assert listed(limit=2) == [ids[3], ids[2]]
        assert listed(limit=None) == ids[::-1]
        assert listed(accepted=True) == [ids[0]]
        assert listed(accepted=False) == [ids[1]]
        assert listed(project="/a/one") == [ids[0]]
        assert listed(project="a/one") == [ids[0]]
        assert listed(project="one") == [ids[3], ids[2], ids[0]]
        assert listed(project="ne") == []
        summary = store.list_traces(accepted=True)[0]
    assert (summary.units, summary.attempts, summary.state, summary.test_file) == (1, 1, "finished", "test_sums.py")


def test_ids_are_short_unique_and_sorted_by_time() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert {len(one) for one in ids} == {15}
    assert [one[:9] for one in ids] == sorted(one[:9] for one in ids)


def test_a_prefix_is_enough_where_it_is_unique(db: Path, begin: Begin) -> None:
    with TraceStore.open(db) as store:
        one, two = begin(store), begin(store)
        assert store.get_trace(two[:-1].upper() + " ").id == two
        with pytest.raises(UnknownTrace, match=r"2 traces begin with") as ambiguous:
            store.get_trace(one[:4])
        assert one in ambiguous.value.hint
        assert two in ambiguous.value.hint
        with pytest.raises(UnknownTrace, match=r"Nearest: .*" + one):
            store.get_trace(one[:-1] + "~")
        with pytest.raises(UnknownTrace, match="The most recent: " + two):
            store.get_trace("~")
        with pytest.raises(UnknownTrace):
            store.get_trace("")
    with (
        TraceStore.open(db.with_name("empty.db")) as store,
        pytest.raises(UnknownTrace, match="No trace has been kept"),
    ):
        store.get_trace("x")


def test_what_does_not_exist_is_refused(db: Path, attempt: Try, begin: Begin) -> None:
    with TraceStore.open(db) as store:
        trace = begin(store)
        with pytest.raises(TraceStoreError, match=r"no unit 'other'(?s:.*)double"):
            store.add_attempt(trace, attempt(unit="other"))
        for call in (
            lambda: store.add_attempt("x", attempt()),
            lambda: store.finish_trace("x", True),
            lambda: store.resume_trace("x", "y"),
            lambda: store.finish_run("x"),
            lambda: store.start_trace("x", "/src", "sums.py", [], "embedded"),
        ):
            with pytest.raises(UnknownTrace):
                call()
        assert store.get_trace(trace).attempts == ()
        store.add_attempt(trace, attempt())  # the store is as good as before


def test_once_is_once(db: Path) -> None:
    with TraceStore.open(db) as store, TraceStore.open(db) as other:
        assert [store.once("a"), other.once("a"), other.once("b")] == [True, False, True]


def test_a_second_store_in_this_process_does_not_let_another_process_delete_the_log(tmp_path):
    # closing any descriptor of a file drops this process's locks on it, SQLite's own among them
    path = tmp_path / "traces.db"
    look = f"import sqlite3; c = sqlite3.connect({str(path)!r}); print(c.execute('SELECT count(*) FROM runs').fetchone()); c.close()"
    with TraceStore.open(path) as store:
        with TraceStore.open(path):
            pass
        children.run([sys.executable, "-c", look], check=True)
        store.start_run("project", "write", "embedded")
        children.run([sys.executable, "-c", look], check=True)
        store.start_run("project", "write", "embedded")
        done = children.run([sys.executable, "-c", look], check=True)
    assert done.stdout == "(2,)\n"
