"""What a check refused and a later one accepted: kept as a trace that the loop can learn from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import command_line
import pytest

from testing_crew.check import plan_of
from testing_crew.gate.gate import Gate
from testing_crew.runner.run import Limits, Runner
from testing_crew.suite import fixes
from trace_logger import TraceStore

CODE = "def share(total, people):\n    return total / people\n"
HOLLOW = "from shares import share\n\n\ndef test_share():\n    share(10, 4)\n"
WRONG = "from shares import share\n\n\ndef test_share():\n    assert share(10, 4) == 3\n"
RIGHT = "from shares import share\n\n\ndef test_share():\n    assert share(10, 4) == 2.5\n"
OTHER = "from shares import share\n\n\ndef test_another():\n    assert share(3, 2) == 1.5\n"
TWO = f"{WRONG}\n\ndef test_half():\n    assert share(1, 2) == 0.5\n"

Check = Callable[..., bool]


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    with Runner(Limits(wall_seconds=60, memory_bytes=512 * 2**20), sandbox="limits") as runner:
        yield Gate(runner, repeats=3, mutants=5, cold=False)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TESTING_CREW_TRACES", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "shares.py").write_text(CODE)
    return folder


@pytest.fixture
def check(project: Path, gate: Gate) -> Check:
    """One check of a text of the project's test file; whether that made a trace."""

    def once(tests: str, *, traces: bool = True, name: str = "test_shares.py") -> bool:
        test = project / name
        test.write_text(tests)
        plan, _ = plan_of(test, project / "shares.py")
        return fixes.note(plan, gate.judge(plan), traces=traces)

    return once


def kept(project: Path) -> list[str]:
    """The names of all that a check left in the workspace, where there is one."""
    home = project.parent / "home"
    return sorted(each.name for each in home.rglob("*") if each.is_file()) if home.exists() else []


def fixed() -> list[tuple[str, str, str]]:
    with TraceStore.open() as store:
        return [(pair.failed_test, pair.failure_log, pair.fixed_test) for pair in store.pairs()]


@pytest.mark.filterwarnings("ignore:Attempts are kept")
def test_a_file_that_failed_and_now_is_accepted_is_a_repair_that_can_be_learnt_from(
    check: Check, project: Path
) -> None:
    assert not check(WRONG)
    assert check(RIGHT)
    ((failed, log, right),) = fixed()
    assert (failed, right) == (WRONG, RIGHT)
    assert "2.5" in log
    assert not list((project.parent / "home" / "checks" / "refused").iterdir())  # it was used
    assert not check(RIGHT)  # and is not told twice
    assert len(fixed()) == 1


@pytest.mark.filterwarnings("ignore:Attempts are kept")
def test_all_that_was_tried_on_the_way_is_in_the_trace(check: Check) -> None:
    assert [check(tests) for tests in (HOLLOW, WRONG, RIGHT)] == [False, False, True]
    with TraceStore.open() as store:
        (summary,) = store.list_traces()
        trace = store.get_trace(summary.id)
    assert [(a.tests, a.accepted, a.kind) for a in trace.attempts] == [
        (HOLLOW, False, "generate"),
        (WRONG, False, "repair"),
        (RIGHT, True, "repair"),
    ]
    assert trace.attempts[0].reasons
    assert (trace.model, trace.accepted, Path(trace.test_file or "").name) == ("check", True, "test_shares.py")


@pytest.mark.filterwarnings("ignore:Attempts are kept")
def test_names_that_are_no_unicode_are_kept_escaped(gate: Gate, project: Path) -> None:
    test = project / "test_shares.py"
    written = []
    for tests in (WRONG, RIGHT):
        test.write_text(tests)
        plan, _ = plan_of(test, project / "shares.py")
        odd = replace(
            plan, test="test_bad\udcffname.py", code=plan.code.model_copy(update={"path": "/odd\udcff/shares.py"})
        )
        written.append(fixes.note(odd, gate.judge(plan), traces=True))
    assert written == [False, True]
    with TraceStore.open() as store:
        (summary,) = store.list_traces()
        trace = store.get_trace(summary.id)
    assert [attempt.tests for attempt in trace.attempts] == [WRONG, RIGHT]
    assert (trace.test_file or "").endswith("test_bad\\udcffname.py")


def test_a_file_that_tests_less_than_the_refused_one_mends_nothing(check: Check) -> None:
    assert not check(TWO)
    assert not check(RIGHT)
    assert fixed() == []


def test_what_was_refused_for_other_code_is_forgotten(check: Check, project: Path) -> None:
    check(WRONG)
    (project / "shares.py").write_text(f"{CODE}\n\ndef more():\n    return 1\n")
    assert not check(RIGHT)
    assert fixed() == []


def test_a_file_that_is_accepted_as_it_was_refused_shows_no_fix(check: Check, gate: Gate, project: Path) -> None:
    check(WRONG)
    (refused,) = (project.parent / "home" / "checks" / "refused").iterdir()
    refused.write_text(refused.read_text().replace(json.dumps(WRONG)[1:-1], json.dumps(RIGHT)[1:-1]))
    assert not check(RIGHT)
    assert fixed() == []


@pytest.mark.parametrize("switch", ["the settings", "the environment"])
def test_nothing_is_written_where_traces_are_off(
    check: Check, project: Path, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    if switch == "the environment":
        monkeypatch.setenv("TESTING_CREW_TRACES", "off")
    assert not check(WRONG, traces=switch != "the settings")
    assert not check(RIGHT, traces=switch != "the settings")
    assert kept(project) == []


def test_no_more_is_kept_than_there_is_room_for(check: Check, monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    monkeypatch.setattr(fixes, "MOST_PAIRS", 2)
    monkeypatch.setattr(fixes, "MOST_VERSIONS", 2)
    for number in range(3):
        check(f"{WRONG}# {number}\n")
        check(WRONG, name=f"test_{number}.py")
    files = list((project.parent / "home" / "checks" / "refused").iterdir())
    assert len(files) == 2
    texts = [[a["tests"] for a in json.loads(file.read_text())["attempts"]] for file in files]
    assert [f"{WRONG}# 1\n", f"{WRONG}# 2\n"] in texts
    monkeypatch.setattr(fixes, "MOST_BYTES", 100)
    check(WRONG, name="test_large.py")
    assert len(list((project.parent / "home" / "checks" / "refused").iterdir())) == 2


def test_a_workspace_that_cannot_be_written_costs_nothing(check: Check, project: Path) -> None:
    home = project.parent / "home"
    home.write_text("in the way")
    assert not check(WRONG)
    home.unlink()
    check(WRONG)
    (home / "traces.db").mkdir()
    with pytest.warns(UserWarning, match="not kept"):
        assert not check(RIGHT)
    (home / "traces.db").rmdir()
    with pytest.warns(UserWarning, match="Attempts are kept"):  # the one time that it is told
        assert check(RIGHT)


@pytest.mark.filterwarnings("ignore:Attempts are kept")
def test_the_commands_show_the_fix_and_curation_keeps_it(
    check: Check, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    check(WRONG)
    assert check(RIGHT)
    (listed,) = json.loads(command_line.run("traces", "list", "--json").stdout)
    assert (listed["model"], listed["accepted"], listed["attempts"]) == ("check", True, 2)
    shown = command_line.run("traces", "show", listed["id"]).stdout
    assert "-    assert share(10, 4) == 3" in shown
    assert "+    assert share(10, 4) == 2.5" in shown
    curated = command_line.run("traces", "curate", "--out", project / "curated", "--dev-share", "0")
    assert curated.returncode == 0, curated.stderr
    (row,) = [json.loads(line) for line in (project / "curated" / "train.jsonl").read_text().splitlines()]
    assert (row["failed_test"], row["fixed_test"]) == (WRONG, RIGHT)
    assert "def share" in row["code"]
