"""The interface that CodeMind calls: its evaluator takes ``final_tests``, its WebSocket endpoint the events' types and keys."""

import asyncio
import inspect
import sys

import children
import pytest

from testing_crew import TestingCrew

CODE = 'def grade(score: int) -> str:\n    """Grade a score."""\n    if score >= 50:\n        return "pass"\n    return "fail"\n'


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_signatures():
    assert list(inspect.signature(TestingCrew.__init__).parameters)[1:4] == [
        "model",
        "max_iterations",
        "target_coverage",
    ]
    assert list(inspect.signature(TestingCrew.run).parameters)[1:] == [
        "target_code",
        "target_file",
        "progress_callback",
    ]
    expected = ["target_code", "target_file", "previous_tests", "previous_failures", "iteration"]
    assert list(inspect.signature(TestingCrew.run_iteration).parameters)[1:] == expected


def test_an_evaluator_that_runs_final_tests_in_a_folder_of_its_own(tmp_path):
    tests = ""
    for progress in TestingCrew(max_iterations=3).run(CODE, str(tmp_path / "src" / "utils" / "__init__.py")):
        if progress.get("type") == "crew_complete":
            tests = progress.get("final_tests", "")
            success = progress["success"]
    assert success
    file = tmp_path / "elsewhere_test.py"
    file.write_text(tests)
    done = children.run([sys.executable, "-m", "pytest", str(file), "-v", "--tb=short", "-q"], cwd="/")
    assert done.returncode == 0


def test_an_endpoint_that_iterates_inside_its_event_loop():
    async def endpoint():
        seen = []
        for update in TestingCrew(max_iterations=1).run(CODE, "src/grading.py"):
            seen.append(update["type"])
            await asyncio.sleep(0)
        return seen

    seen = asyncio.run(endpoint())
    assert seen[0] == "crew_start"
    assert seen[-1] == "crew_complete"
