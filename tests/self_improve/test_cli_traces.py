from __future__ import annotations

import json
import sys
from pathlib import Path

import children
import pytest
from typer.testing import CliRunner, Result

from self_improve.cli.traces import app
from trace_logger.jsonl import read_pairs
from trace_logger.records import Attempt, CodeUnderTest, PytestRun
from trace_logger.store import TraceStore

ROOT = Path(__file__).resolve().parents[2]
FAILED = "def test_double():\n    assert double(1) == 3\n"
FIXED = "def test_double():\n    assert double(1) == 2\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path / "home"


def attempt(tests: str, ok: bool, **changes: object) -> Attempt:
    fields: dict[str, object] = {
        "unit": "double",
        "iteration": 2 if ok else 1,
        "kind": "repair" if ok else "generate",
        "prompt": "é [bold]not markup[/bold]",
        "completion": tests,
        "tests": tests,
        "run": PytestRun(verdict="passed" if ok else "failed"),
        "accepted": ok,
        "reasons": () if ok else ("1 of 1 failed [see below]",),
        "failure_log": "" if ok else "test_double: got 2, expected 3 \x1b[2J",
        "model": "embedded",
    }
    return Attempt.model_validate({**fields, **changes})


@pytest.fixture
def traces(home: Path) -> list[str]:
    """Three traces: an accepted repair, one that was not accepted, and one that was interrupted."""
    code = CodeUnderTest(
        source="x", shown="def double(x): ...\n", module="sums", unit="double", root="/src", interpreter="python"
    )
    crashed = PytestRun(verdict="crashed", log="\n".join(f"line {n}" for n in range(100)))
    with TraceStore.open() as store:
        run = store.start_run("/src/sums", "write", "embedded")
        ids = [store.start_trace(run, "/src/sums", "sums.py", [code], "embedded") for _ in range(2)]
        ids.append(store.start_trace(run, "/src/other", "other.py", [code], "embedded"))
        store.add_attempt(ids[0], attempt(FAILED, False))
        store.add_attempt(ids[0], attempt(FIXED, True))
        store.finish_trace(ids[0], True, "tests/test_sums.py")
        store.add_attempt(ids[1], attempt(FAILED, False, run=crashed, failure_log=""))
        store.finish_trace(ids[1], False)
        store.finish_run(run)
    return ids


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    if code:
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert "Traceback" not in result.stderr
    return result


def test_list_shows_whole_ids_newest_first(traces: list[str]) -> None:
    lines = run("list").stdout.splitlines()
    shown = [line.split()[0] for line in lines if line.split() and line.split()[0] in traces]
    assert shown == traces[::-1]
    ends = [line.strip().rsplit("  ", 1)[-1].strip() for line in lines if any(one in line for one in traces)]
    assert ends == ["interrupted", "not accepted", "accepted"]


def test_list_cuts_neither_id_nor_ending_on_a_narrow_terminal(
    traces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    shown = run("list").stdout
    for word in (*traces, "interrupted", "not accepted"):
        assert word in shown


def test_list_filters(traces: list[str]) -> None:
    def ids(*words: str) -> list[str]:
        return [found["id"] for found in json.loads(run("list", "--json", *words).stdout)]

    assert ids() == traces[::-1]
    assert ids("--accepted") == [traces[0]]
    assert ids("--not-accepted") == [traces[1]]
    assert ids("--limit", "1") == [traces[2]]
    assert ids("--project", "sums") == ids("--project", "/src/sums/") == [traces[1], traces[0]]
    assert ids("--project", "nothing") == []
    assert CliRunner().invoke(app, ["list", "--limit", "0"]).exit_code == 2


def test_a_project_may_be_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with TraceStore.open() as store:
        trace = store.start_trace(store.start_run(str(tmp_path), "w", "m"), str(tmp_path), "x.py", [], "m")
    assert [found["id"] for found in json.loads(run("list", "--json", "--project", ".").stdout)] == [trace]


def test_list_of_an_empty_store() -> None:
    assert json.loads(run("list", "--json").stdout) == []
    result = run("list")
    assert result.stdout == ""
    assert "testing-crew write" in result.stderr


def test_show_tells_the_story(traces: list[str]) -> None:
    shown = run("show", traces[0]).stdout
    assert "sums.py" in shown
    assert "1. generate: failed, not accepted" in shown
    assert "2. repair: passed, accepted" in shown
    assert "1 of 1 failed [see below]" in shown
    assert "test_double: got 2, expected 3 �[2J" in shown  # what would clear the screen is shown, not sent
    assert "     -    assert double(1) == 3\n     +    assert double(1) == 2\n" in shown
    assert "\x1b" not in shown


def test_show_has_colours_on_a_terminal(traces: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = run("show", traces[0]).stdout
    assert "\x1b[31m     -    assert double(1) == 3" in shown
    assert "\x1b[32m     +    assert double(1) == 2" in shown


def test_show_falls_back_on_the_end_of_pytests_log(traces: list[str]) -> None:
    shown = run("show", traces[1]).stdout
    assert "crashed" in shown
    assert "line 99" in shown
    assert "line 79" not in shown


def test_show_json_is_the_whole_trace(traces: list[str]) -> None:
    document = json.loads(run("show", traces[0], "--json").stdout)
    with TraceStore.open() as store:
        assert document == json.loads(store.get_trace(traces[0]).model_dump_json())


def test_show_of_an_unknown_id_names_those_there_are(traces: list[str]) -> None:
    assert traces[2] in run("show", "nonsense", code=2).stderr
    assert traces[0] in run("show", traces[0][:-1] + "!", "--json", code=2).stderr
    assert traces[1] in run("show", traces[0][:2], code=2).stderr


def test_export_to_standard_output_and_to_a_file(traces: list[str], tmp_path: Path) -> None:
    result = run("export")
    assert json.loads(result.stdout) == {
        "code": "def double(x): ...\n",
        "failed_test": FAILED,
        "failure_log": "test_double: got 2, expected 3 \x1b[2J",
        "fixed_test": FIXED,
    }
    assert result.stderr == "1 pair(s)\n"
    out = tmp_path / "pairs.jsonl"
    assert run("export", "--out", str(out)).stdout == ""
    assert out.read_text(encoding="utf-8") == result.stdout
    assert len(read_pairs(out)) == 1
    assert "--force" in run("export", "--out", str(out), code=2).stderr
    assert "0 pair(s)" in run("export", "--out", str(out), "--force", "--project", "other").stderr
    assert out.read_bytes() == b""


def test_export_says_why_a_file_cannot_be_made(traces: list[str], tmp_path: Path) -> None:
    assert "mkdir -p" in run("export", "--out", str(tmp_path / "no" / "x.jsonl"), code=2).stderr


@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("show", "x"), ("export",)])
def test_a_store_that_is_none(home: Path, words: tuple[str, ...]) -> None:
    home.mkdir()
    (home / "traces.db").write_text("not a database " * 100, encoding="utf-8")
    assert "is not a trace store" in run(*words, code=2).stderr


def test_a_closed_pipe_is_no_error(traces: list[str]) -> None:
    command = f"{sys.executable} -c 'from self_improve.cli.traces import app; app()' export | true"
    done = children.run(["bash", "-c", command], cwd=ROOT)
    assert "Traceback" not in done.stderr
