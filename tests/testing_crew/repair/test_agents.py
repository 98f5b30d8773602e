"""What CrewAI leaves behind when the agents have been at work: nothing. Real processes, with a home folder of their own."""

import json
import os
import sys

import children
import pytest

ADD = "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
OWN_CREW = """
from testing_crew.repair.agents import BaseTool, PromptLLM
from crewai import Agent, Crew, Task
from crewai.rag.chromadb.constants import DEFAULT_STORAGE_PATH
from testing_crew.backends.scripted import ScriptedBackend
agent = Agent(role="r", goal="g", backstory="b", llm=PromptLLM.over(ScriptedBackend(["an answer"])))
print(Crew(agents=[agent], tasks=[Task(description="t", expected_output="o", agent=agent)]).kickoff())
print(DEFAULT_STORAGE_PATH)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A project, and an empty home folder that the processes of the test are given."""
    for folder in ("home", "tmp", "shop"):
        (tmp_path / folder).mkdir()
    for name in [n for n in os.environ if n.startswith(("CREWAI_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path / "shop")
    (tmp_path / "shop" / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "shop" / "script.json").write_text(json.dumps([ADD]))
    return tmp_path


def python(*arguments):
    return children.run([sys.executable, *arguments])


def write():
    return python("-m", "self_improve.cli.app", "write", "calc.py", "--model", "scripted:script.json")


@pytest.mark.parametrize(("traces", "kept"), [("on", {"traces.db"}), ("off", set())])
def test_what_is_kept_lies_in_the_workspace_and_nowhere_else(place, monkeypatch, traces, kept):
    monkeypatch.setenv("TESTING_CREW_TRACES", traces)
    done = write()
    assert done.returncode == 0, done.stderr
    assert list((place / "home").rglob("*")) == []
    assert list((place / "tmp").iterdir()) == []
    assert {file.name for file in (place / "workspace").rglob("*")} == kept


def test_a_home_that_cannot_be_written_is_no_hindrance(place, monkeypatch):
    monkeypatch.setenv("HOME", "/dev/null/home")
    done = write()
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_crew_of_the_person_s_own_keeps_what_it_keeps_without_us(place):
    done = python("-c", OWN_CREW)
    own = place / "home" / ".local" / "share" / "shop"
    assert done.stdout.splitlines()[-2:] == ["an answer", str(own)], done.stderr
    assert (own / "latest_kickoff_task_outputs.db").is_file()
