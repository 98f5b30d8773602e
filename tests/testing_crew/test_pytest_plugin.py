"""``pytest --testing-crew`` in real runs of pytest."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import children
import pytest

CODE = """\
def share(total, people):
    '''What each gets.

    >>> share(10, 4)
    2.5
    '''
    return total / people
"""
GOOD = "from shares import share\n\n\ndef test_share():\n    assert share(10, 4) == 2.5\n"
HOLLOW = "from shares import share\n\n\ndef test_share():\n    share(10, 4)\n"

Pytest = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    made = tmp_path / "project"
    made.mkdir()
    (made / "shares.py").write_text(CODE)
    return made


@pytest.fixture
def run(folder: Path) -> Pytest:
    """A run of pytest in the folder, as a person starts it, with these test files there."""

    def once(*words: str, **files: str) -> Any:
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        return children.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words], cwd=folder)

    return once


def test_each_file_that_ran_gets_its_verdict_and_the_run_ends_as_without(run: Pytest) -> None:
    made = run(
        "--testing-crew", "--doctest-modules", "-k", "not other", test_good=GOOD, test_hollow=HOLLOW, test_other=GOOD
    )
    assert made.returncode == 0, made.stdout + made.stderr
    said = made.stdout
    assert "test_good.py: accepted; " in said
    assert "changes of shares.py noticed" in said
    assert "test_hollow.py: not accepted: no assertion about the code was evaluated" in said
    assert "assert what the code returns, raises or changes" in said  # how to mend it
    assert "test_other.py" not in said  # none of its tests ran
    assert "\nshares.py" not in said  # of which an example ran, and which is no test file
    assert "Attempts are kept" in said  # the one time that it is told


def test_a_strict_run_fails_where_a_file_is_not_accepted(run: Pytest, folder: Path) -> None:
    made = run("--testing-crew-strict", test_hollow=HOLLOW)
    assert (made.returncode, "1 passed" in made.stdout) == (1, True)
    assert "the run fails" in made.stdout
    (folder / "test_hollow.py").unlink()
    assert run("--testing-crew-strict", test_good=GOOD).returncode == 0


def test_in_the_settings_of_a_project_it_does_not_judge_the_runs_that_judge(run: Pytest, folder: Path) -> None:
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --testing-crew\n")
    judges = "def test_judges(request):\n    assert request.config.pluginmanager.has_plugin('testing-crew-verdicts')\n"
    made = run(test_judges=f"{GOOD}\n\n{judges}")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "test_judges.py: not accepted: pytest did not pass it" in made.stdout


def test_with_workers_each_file_is_judged_once(run: Pytest) -> None:
    made = run("--testing-crew", "-n", "2", test_good=GOOD)
    assert made.returncode == 0, made.stdout + made.stderr
    assert made.stdout.count("test_good.py: accepted") == 1


@pytest.mark.parametrize("words", [(), ("--testing-crew", "--collect-only"), ("--testing-crew", "-k", "none")])
def test_nothing_is_judged_unless_it_was_asked_for_and_tests_ran(run: Pytest, words: tuple[str, ...]) -> None:
    made = run(*words, test_hollow=HOLLOW)
    assert "testing-crew" not in made.stdout + made.stderr
    assert "accepted" not in made.stdout


def test_a_mistake_in_the_settings_is_told_and_fails_only_a_strict_run(run: Pytest, folder: Path) -> None:
    (folder / "testing_crew.toml").write_text("[traces]\nenabled = 7\n")
    made = run("--testing-crew", test_good=GOOD)
    assert made.returncode == 0
    assert "testing_crew.toml" in made.stdout
    assert "Traceback" not in made.stdout + made.stderr
    assert run("--testing-crew-strict", test_good=GOOD).returncode == 1


def test_installed_and_off_it_brings_nothing_into_a_run(run: Pytest) -> None:
    seen = "import sys\n\n\ndef test_seen():\n    print(sorted(name for name in sys.modules if name.startswith(('testing_crew', 'pydantic', 'rich', 'trace_logger'))))\n"
    made = run("-s", test_seen=seen)
    assert "['testing_crew', 'testing_crew.pytest_plugin']" in made.stdout
