"""A history run again, for real: which commits hold a lesson, and what is kept of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import children
import pytest

pytest.importorskip("pygit2")
from repositories import CLIP, PRICE, TEST_CLIP, Made, a_shop, collect, state_of, steps

from self_improve.engineers.history import History
from self_improve.engineers.lessons import fixes_of, pairs_of, verify
from testing_crew.gate.verifier import GateVerifier
from testing_crew.runner.run import Runner
from trace_logger.collect.dataset import DataSet, read_steps
from trace_logger.collect.git import check_out, files_of, text_of
from trace_logger.collect.repairs import Candidate, Lesson, candidates
from trace_logger.store import TraceStore


@dataclass
class Ran:
    """What one run of a history brought; ``lessons`` by the names of their commits."""

    made: Made
    commits: dict[str, str]
    data: Path
    home: Path
    lessons: dict[str, Lesson]


def found_in(made: Made, data: Path) -> list[Candidate]:
    return candidates(read_steps(data), lambda blob: text_of(made.git, blob), lambda commit: files_of(made.git, commit))


def run(made: Made, out: Path, home: Path, python: str | None = None, **options: object) -> list[Lesson]:
    """Verify what was collected into ``out``."""
    with DataSet(out, made.folder.name) as data, Runner() as runner, TraceStore.open(home / "traces.db") as store:
        history = History(made.git, data, runner, store, python)
        try:
            return verify(history, found_in(made, out), data, **options)  # type: ignore[arg-type]
        finally:
            history.close()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("ran")
    (folder / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTING_CREW_HOME", str(folder / "home"))
        patch.chdir(folder)
        patch.setattr("tempfile.tempdir", str(folder / "tmp"))
        made, commits = a_shop(folder / "shop")
        made.show()
        collect(made.folder, Path("data"))
        lessons = run(made, Path("data"), folder / "home")  # by a path that is not absolute
        names = {commit: name for name, commit in commits.items()}
        yield Ran(
            made, commits, folder / "data", folder / "home", {names[each.candidate.commit]: each for each in lessons}
        )


def test_what_each_commit_teaches(ran: Ran) -> None:
    assert {name: lesson.found for name, lesson in ran.lessons.items()} == {
        "lacking": "",
        "nothing": "",
        "code later": "fix",
        "fix": "fix",
        "repair": "repair+fix",
    }
    assert ran.lessons["nothing"].why == "the same tests pass before and after"
    assert ran.lessons["lacking"].why.startswith("no test passes after it: ")
    assert "no_such_package_anywhere" in ran.lessons["lacking"].why
    assert all(not lesson.why for lesson in ran.lessons.values() if lesson.found)


def test_a_repair(ran: Ran) -> None:
    lesson = ran.lessons["repair"]
    assert (lesson.tests, lesson.failure_log) == (("test_total",), "test_total(): got 20.0, expected 10.0")
    assert (
        lesson.fixed_test == "from shop.price import price\n\n\ndef test_total():\n    assert price(5.0, 2) == 20.0\n"
    )
    assert lesson.failed_test == lesson.fixed_test.replace("20.0", "10.0")
    assert lesson.code == PRICE.format("price * count * 2")
    with TraceStore.open(ran.home / "traces.db") as store:
        (pair,) = store.pairs()
        (summary,) = store.list_traces()
        trace = store.get_trace(summary.id)
    assert (pair.trace_id, summary.project, summary.model) == (lesson.trace, "shop", "engineers")
    assert [attempt.accepted for attempt in trace.attempts] == [False, True]
    assert pairs_of(ran.data) == [pair.row()]  # as `traces export` writes it


def test_a_repair_holds_when_traces_are_curated(ran: Ran) -> None:
    with TraceStore.open(ran.home / "traces.db") as store:
        (pair,) = store.pairs()
        (code,) = store.get_trace(pair.trace_id).units
    assert code.path == str(ran.data / "trees" / ran.commits["repair"][:16] / "shop" / "price.py")
    with Runner() as runner:
        said = GateVerifier(runner).verify(code, pair.fixed_test, pair.failed_test)
    assert (said.passed, said.accepted, said.reasons) == (True, True, ())


def test_bugs_with_the_tests_that_show_them(ran: Ran) -> None:
    later, together = ran.lessons["code later"], ran.lessons["fix"]
    assert later.candidate.kind == "test_then_fix"
    assert later.candidate.tests_from == ran.commits["test first"]
    assert (later.code_before, later.bug_log) == (
        CLIP.format("max(low, value)"),
        "test_high(): got 10, expected 9",
    )
    assert (together.tests, together.added) == (
        ("test_blanks",),
        'def test_blanks():\n    assert split("a, b") == ["a", "b"]\n',
    )
    rows = {row["commit"]: row for row in fixes_of(ran.data)}
    assert set(rows) == {ran.commits[name] for name in ("code later", "fix", "repair")}
    row = rows[ran.commits["code later"]]
    assert row["code"] == CLIP.format("max(low, value)")
    assert row["fixed_code"] == CLIP.format("min(high, max(low, value))")
    assert (row["failing"], row["file"], row["kind"]) == (["test_high"], "shop/clip.py", "test_then_fix")
    assert row["tests"] in (
        TEST_CLIP,
        "from shop.clip import clip\n\n\ndef test_high():\n    assert clip(10, 0, 9) == 9\n",
    )


def test_what_the_tests_said_is_feedback(ran: Ran) -> None:
    told = {step.id: step.feedback for step in steps(ran.data).values() if step.feedback}
    assert set(told) == {ran.commits[name] for name in ("code later", "fix", "repair")}
    (said,) = told[ran.commits["fix"]]
    assert (said.kind, said.actor, said.state, said.path) == ("tests", "pytest", "fix", "tests/test_split.py")
    assert said.body == "test_blanks(): got ['a', ' b'], expected ['a', 'b']"


def test_the_kept_tree_is_the_commits_and_nothing_else_is_left(ran: Ran, tmp_path: Path) -> None:
    (kept,) = (ran.data / "trees").iterdir()
    check_out(ran.made.git, ran.commits["repair"], tmp_path / "tree")
    assert state_of(kept) == state_of(tmp_path / "tree")
    assert not [name for name in os.listdir(ran.data.parent / "tmp") if name.startswith("history-")]
    assert not ran.made.git.status()  # nor in the user's tree


def test_nothing_is_run_twice(ran: Ran) -> None:
    before = state_of(ran.data)
    told: list[tuple[int, int, int]] = []
    again = run(ran.made, ran.data, ran.home, tell=lambda *each: told.append(each))
    assert again == list(ran.lessons.values())
    assert told == [(5, 5, 3)]
    assert state_of(ran.data) == before
    with TraceStore.open(ran.home / "traces.db") as store:
        assert len(store.list_traces()) == 1


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    return Made(tmp_path / "shop")


def test_stopped_in_the_middle_what_was_found_is_told_later(shop: Made, tmp_path: Path) -> None:
    test = "from {0} import {0}\n\n\ndef test():\n    assert {0}() == 2\n"
    shop.commit({name: "def a():\n    return 1\n" for name in ("a.py", "b.py")})
    shop.commit({"b.py": "import no_such_package\n", "test_b.py": test.format("b")})
    commit = shop.commit({"a.py": "def a():\n    return 2\n", "test_a.py": test.format("a")})
    data = tmp_path / "data"
    collect(shop.folder, data)

    def stop(done: int, of: int, lessons: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(shop, data, tmp_path / "home", tell=stop)
    assert len((data / "verified.jsonl").read_text().splitlines()) == 1
    assert [each.found for each in run(shop, data, tmp_path / "home")] == ["fix", ""]
    run(shop, data, tmp_path / "home")
    told = {step.id: [said.state for said in step.feedback] for step in steps(data).values() if step.feedback}
    assert told == {commit: ["fix"]}


def test_no_time_no_runs(shop: Made, tmp_path: Path) -> None:
    shop.commit({"a.py": "def a():\n    return 1\n"})
    shop.commit(
        {"a.py": "def a():\n    return 2\n", "test_a.py": "from a import a\n\n\ndef test():\n    assert a() == 2\n"}
    )
    collect(shop.folder, tmp_path / "data")
    assert run(shop, tmp_path / "data", tmp_path / "home", minutes=-1.0) == []
    assert run(shop, tmp_path / "data", tmp_path / "home", most=0) == []


def test_a_test_mended_alone_and_line_ends_are_kept(shop: Made, tmp_path: Path) -> None:
    test = "from pack.a import a\r\n\r\n\r\ndef test_a():\r\n    assert a(3) == {}\r\n"
    code = "def a(x):\r\n    return x * 2\r\n"
    shop.commit({"src/pack/__init__.py": "", "src/pack/a.py": code, "tests/test_a.py": test.format(7)})
    mended = shop.commit({"tests/test_a.py": test.format(6)})
    collect(shop.folder, tmp_path / "data")
    (lesson,) = run(shop, tmp_path / "data", tmp_path / "home")
    assert (lesson.candidate.kind, lesson.found, lesson.why) == ("test_repair", "repair", "")
    kept = tmp_path / "data" / "trees" / mended[:16] / "tests" / "test_a.py"
    assert kept.read_bytes() == test.format(6).encode()


def test_what_cannot_be_run_is_said(shop: Made, tmp_path: Path) -> None:
    test = "from a import a\n\n\ndef test_a():\n    assert a() == {}\n"
    shop.commit({"a.py": "def a():\n    return 1\n", "test_a.py": test.format(1)})
    latin = shop.commit({"a.py": "# é\ndef a():\n    return 2\n".encode("latin-1"), "test_a.py": test.format(2)})
    broken = shop.commit({"a.py": "def a(:\n", "test_a.py": test.format(3)})
    gone = shop.commit({"a.py": "def a():\n    return 4\n", "test_a.py": test.format(4)})
    collect(shop.folder, tmp_path / "data")
    why = {each.candidate.commit: each.why for each in run(shop, tmp_path / "data", tmp_path / "home")}
    assert why[latin] == "a file of it is no text"
    assert why[broken].startswith("could not be run: ")
    assert why[gone].startswith("could not be run: ")  # the code before it is no Python
    assert not (tmp_path / "data" / "trees").exists()


def test_a_test_that_the_gate_refuses_is_no_repair(shop: Made, tmp_path: Path) -> None:
    test = "from a import a\n\n\ndef test_a():\n    assert {}\n"
    shop.commit({"a.py": "def a():\n    return 1\n", "test_a.py": test.format("a() == 2")})
    shop.commit({"test_a.py": test.format("True or a()")})
    collect(shop.folder, tmp_path / "data")
    (lesson,) = run(shop, tmp_path / "data", tmp_path / "home")
    assert (lesson.found, lesson.trace, lesson.fixed_test) == ("", None, "")
    assert lesson.why.startswith("the gate does not accept it: ")
    assert lesson.reasons
    assert pairs_of(tmp_path / "data") == fixes_of(tmp_path / "data") == []
    assert not (tmp_path / "data" / "trees").exists()


def test_what_could_not_be_run_is_run_again_where_more_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    shop = Made(tmp_path / "shop")
    test = "import late_package\nfrom a import double\n\n\ndef test_double():\n    assert late_package\n    assert double(2) == {}\n"
    shop.commit({"a.py": "def double(n):\n    return n + 3\n", "test_a.py": test.format(5)})
    shop.commit({"a.py": "def double(n):\n    return n * 2\n", "test_a.py": test.format(4)})
    collect(shop.folder, tmp_path / "data")
    venv = tmp_path / "venv"
    children.run([sys.executable, "-m", "venv", "--system-site-packages", str(venv)], check=True)
    own = next(venv.glob("lib/python*/site-packages"))
    (own / "ours.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    (first,) = run(shop, tmp_path / "data", tmp_path / "home", python=str(venv))
    assert "late_package" in first.why
    (same,) = run(shop, tmp_path / "data", tmp_path / "home", python=str(venv))
    assert same == first  # not run again
    (own / "late_package.py").write_text("")
    (second,) = run(shop, tmp_path / "data", tmp_path / "home", python=str(venv))
    assert (second.found, second.why) == ("repair+fix", "")
