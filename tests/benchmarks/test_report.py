"""The page: every run in its table, drawn, and legible without a network in light and dark."""

import re
from html.parser import HTMLParser

import command_line
import pytest

from benchmarks.report import markdown, page
from benchmarks.run import newest, perform
from benchmarks.suite import BENCHMARKS
from benchmarks.task import TASKS, load_tasks
from testing_crew.config import Config
from testing_crew.errors import UserMistake


@pytest.fixture(scope="module", autouse=True)
def runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTING_CREW_HOME", str(place / "home"))
        patch.chdir(place)
        tasks = load_tasks(TASKS)[:3]
        for model in ("snapshot", "control:vacuous", "snapshot"):
            perform(BENCHMARKS["self_correction"], tasks, model, Config(), samples=0)
        yield newest()


class Balanced(HTMLParser):
    """Fails on a tag that is not closed."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br", "path", "use", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("path", "use", "rect"):
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        pass


def test_the_newest_run_of_each_model_is_told_and_drawn(runs):
    assert [run.settings.model for run in runs] == ["snapshot", "control:vacuous"]
    text = page(runs)
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert text.count("<svg") == 4
    assert text.count("<th>snapshot</th>") == text.count("<th>control:vacuous</th>") == 1
    assert not re.search(r'(src|href)="https?:', text)
    assert "prefers-color-scheme: dark" in text
    assert "#010203" not in text
    assert "currentColor" in text
    assert text.index("<th>snapshot</th>") < text.index("<td>accepted@3</td>") < text.index("<svg")
    assert page(runs) == text


def test_the_command_writes_it_and_says_what_is_missing(tmp_path, monkeypatch):
    out = tmp_path / "b.html"
    done = command_line.run("bench", "report", "--out", out)
    assert done.returncode == 0, done.stderr
    assert out.read_text().startswith("<!doctype html>")
    with pytest.raises(UserMistake, match="no run to report"):
        page([])


def test_tables_in_markdown_go_between_their_comments_and_say_what_the_model_adds(runs, tmp_path):
    file = tmp_path / "b.md"
    file.write_text("before\n<!-- figures -->\nold\n<!-- /figures -->\nafter\n")
    done = command_line.run("bench", "report", "--out", file)
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert text == markdown(runs, text)
    assert text.startswith("before\n<!-- figures -->\n")
    assert text.endswith("<!-- /figures -->\nafter\n")
    assert "old" not in text
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert rows[""] == "|  | `snapshot` | `control:vacuous` |"
    lost = runs[0].scores["accepted@3"].value
    assert f"| – | {-lost:+.0%} (" in rows["accepted@3 over snapshot"]
    alone = markdown(runs)
    assert "\n### self_correction\n" in alone
    assert markdown(runs, alone) == alone
    with pytest.raises(UserMistake, match="no place for the tables"):
        markdown(runs, "# my own words\n")
