"""The composite action and the pre-commit hook, as their runners read them: each step is run in a real bash."""

import os
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree as etree

import children
import pytest
import yaml

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None or sys.platform == "win32", reason="runs the steps in bash")

GOOD = """\
from shop import add


def test_add():
    assert add(2, 3) == 5
    assert add(-1, 1) == 0
"""
HOLLOW = """\
from shop import add


def test_add():
    assert add(2, 3) is not None
"""
QUICK = "--mutants=5\n--repeats=2"


class Workflow:
    """What GitHub's runner does with a composite action: inputs with their defaults, expressions in ``env``, files for what is told."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "a project"
        self.project.mkdir()
        self.temp = folder / "temp"
        self.temp.mkdir()
        self.summary = folder / "summary.md"
        self.bin = Path(sys.executable).parent
        self.told, self.outputs = "", {}

    def write(self, path: str, text: str) -> None:
        file = self.project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, **inputs: str) -> int:
        """The exit code of the first step that fails, else 0."""
        assert set(inputs) <= set(ACTION["inputs"])
        known = {name: each["default"] for name, each in ACTION["inputs"].items()}
        values = {f"inputs.{name}": str(value) for name, value in {**known, **inputs}.items()}
        values["github.action_path"] = str(ROOT)
        code = 0
        for step in ACTION["runs"]["steps"]:
            code = self._step(step, values)
            if code:
                break
        self.outputs = {
            name: self._expanded(each["value"], {"steps.check.outputs." + name: "", **values})
            for name, each in ACTION["outputs"].items()
        }
        return code

    def _step(self, step: dict, values: dict[str, str]) -> int:
        assert step["shell"] == "bash"
        script, output = self.temp / "script.sh", self.temp / "output"
        script.write_text(step["run"])
        output.write_text("")
        env = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.temp),
            "TESTING_CREW_HOME": str(self.temp / "home"),
            "CREWAI_DISABLE_TELEMETRY": "true",
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            **{name: self._expanded(value, values) for name, value in step["env"].items()},
        }
        done = children.run([BASH, "--noprofile", "--norc", "-eo", "pipefail", script], cwd=self.project, env=env)
        self.told += done.stdout + done.stderr
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            values[f"steps.{step['id']}.outputs.{name}"] = value
        return done.returncode

    @staticmethod
    def _expanded(text: str, values: dict[str, str]) -> str:
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: values.get(found[1], ""), text)


@pytest.fixture
def workflow(tmp_path):
    made = Workflow(tmp_path)
    made.write("pyproject.toml", "[project]\nname = 'shop'\nversion = '0'\n")
    made.write("shop.py", "def add(a, b):\n    return a + b\n")
    return made


def test_a_suite_with_a_hollow_file_fails_and_leaves_all_reports(workflow):
    workflow.write("tests/test_good.py", GOOD)
    workflow.write("tests/test_hollow.py", HOLLOW)
    assert workflow.run(paths="tests", args=QUICK, html="reports/a page.html") == 1, workflow.told
    assert workflow.outputs == {
        "passed": "false",
        "exit-code": "1",
        "sarif": "testing-crew.sarif",
        "junit": "testing-crew.xml",
        "markdown": "testing-crew.md",
        "html": "reports/a page.html",
    }
    assert re.search(r"^::error file=tests/test_hollow\.py,", workflow.told, re.MULTILINE)
    assert "test_hollow" in workflow.summary.read_text()
    failed = [
        case.get("classname")
        for case in etree.parse(workflow.project / "testing-crew.xml").iter("testcase")
        if case.find("failure") is not None
    ]
    assert failed == ["tests/test_hollow.py"]
    assert "shop.py" in (workflow.project / "reports/a page.html").read_text()


def test_an_accepted_file_passes_and_only_the_reports_asked_for_are_written(workflow):
    workflow.write("tests/test_good.py", GOOD)
    workflow.write("more tests/test_more.py", GOOD.replace("test_add", "test_more"))
    files = {"sarif": "", "junit": "", "html": "", "markdown": "comment.md"}
    assert workflow.run(paths="tests\nmore tests\n", args=QUICK, github="false", **files) == 0, workflow.told
    assert workflow.outputs["passed"] == "true"
    assert "::" not in workflow.told
    assert workflow.told.count("accepted, 0 errors") == 1  # one call for all reports
    assert {each.name for each in workflow.project.iterdir()} >= {"comment.md"}
    assert not list(workflow.project.glob("testing-crew*"))
    assert "test_more" in workflow.summary.read_text()


def test_an_input_is_never_a_command(workflow):
    workflow.write("tests/test_good.py", GOOD)
    hostile = '$(touch hacked) `touch hacked`; touch hacked\n--help\n"; touch hacked #'
    for inputs in (
        {"paths": hostile},
        {"paths": "tests", "target": hostile},
        {"diff": hostile},
        {"paths": "tests", "python": hostile},
    ):
        assert workflow.run(**inputs) == 2, workflow.told
        assert workflow.outputs["sarif"] == ""
    assert not list(workflow.project.rglob("hacked"))
    assert not any("${{" in step["run"] for step in ACTION["runs"]["steps"])


def test_nothing_to_check_is_said(workflow):
    assert workflow.run() == 2
    assert "::error title=testing-crew::Nothing to check" in workflow.told


@pytest.mark.parametrize(("version", "asked"), [("9.9", "testing-crew==9.9"), ("", str(ROOT))])
def test_it_is_installed_apart_from_the_project(workflow, tmp_path, monkeypatch, version, asked):
    """With a ``python`` that only writes down what it is asked for: nothing is downloaded here."""
    workflow.bin = tmp_path / "bin"
    workflow.bin.mkdir()
    python = workflow.bin / "python"
    python.write_text(
        '#!/bin/sh\necho "$*" >> "$RUNNER_TEMP/asked"\n'
        'if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$0" "$3/bin/testing-crew"; fi\n'
    )
    python.chmod(0o755)
    for name in ("bash", "mkdir", "cp", "dirname", "cat"):
        (workflow.bin / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", "")
    workflow.run(paths="tests", version=version, github="false")
    lines = (workflow.temp / "asked").read_text().splitlines()
    assert lines[0] == f"-m venv {workflow.temp / 'testing-crew'}"
    assert lines[1].startswith("-m pip install")
    assert lines[1].endswith(f" {asked}")
    # the project's own Python runs the tests, and not the one of the new environment
    files = "sarif=testing-crew.sarif junit=testing-crew.xml html=testing-crew.html markdown=testing-crew.md"
    outputs = " ".join(f"--output {each}" for each in files.split())
    assert lines[2] == f"check --python {python} {outputs} --format text -- tests"


def test_the_hook_calls_a_command_that_there_is(workflow):
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert (hook["id"], hook["language"], hook["pass_filenames"]) == ("testing-crew-check", "python", False)
    command, *words = hook["entry"].split()
    assert command in {each.name for each in metadata.distribution("testing-crew").entry_points}
    workflow.write("tests/test_good.py", GOOD)

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.invalid", "-c", "commit.gpgsign=false"]
        children.run(["git", *identity, *arguments], cwd=workflow.project, check=True)

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")

    def hooked():
        env = {**os.environ, "TESTING_CREW_HOME": str(workflow.temp / "home")}
        return children.run([workflow.bin / command, *words, *QUICK.split()], cwd=workflow.project, env=env)

    done = hooked()
    assert done.returncode == 0, done.stdout + done.stderr  # nothing has changed
    workflow.write("tests/test_good.py", HOLLOW)
    workflow.write("tests/test_of_mine.py", HOLLOW)  # git does not know it
    done = hooked()
    assert done.returncode == 0, done.stdout + done.stderr  # nothing is staged
    git("add", "tests/test_good.py")
    done = hooked()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "tests/test_good.py" in done.stdout
    assert "test_of_mine" not in done.stdout
