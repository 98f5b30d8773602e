from __future__ import annotations

import sys
from pathlib import Path

import children
import pytest

import trace_logger
from trace_logger import capture_enabled, first_time_notice

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESTING_CREW_TRACES", raising=False)


def test_the_notice_is_given_once_per_store(db: Path) -> None:
    first = first_time_notice(db)
    assert first is not None
    assert f"Attempts are kept in {db} (" in first
    assert "TESTING_CREW_TRACES=off or [traces] enabled = false" in first
    assert first_time_notice(db) is None
    assert first_time_notice(db.with_name("other.db")) is not None


@pytest.mark.parametrize("value", ["off", "0", "false", "no", " OFF ", "disabled", "of"])
def test_the_kill_switch(db: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TESTING_CREW_TRACES", value)
    assert not capture_enabled()
    assert first_time_notice(db) is None
    assert not db.parent.exists()


@pytest.mark.parametrize("value", [None, "", "on", "1", "TRUE", "yes"])
def test_traces_are_on_otherwise(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv("TESTING_CREW_TRACES", value)
    assert capture_enabled()


def test_the_package_gives_its_names_and_loads_nothing_for_it() -> None:
    for name in trace_logger.__all__:
        assert getattr(trace_logger, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = trace_logger.nothing
    heavy = "import sys, self_improve.cli.traces, trace_logger; trace_logger.capture_enabled()"
    check = (
        "print([m for m in ('pydantic', 'sqlite3', 'trace_logger.store', 'trace_logger.records') if m in sys.modules])"
    )
    done = children.run([sys.executable, "-c", f"{heavy}; {check}"], cwd=ROOT)
    assert done.stdout == "[]\n"
