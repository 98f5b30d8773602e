"""The command line as a user meets it: real processes, exit codes, one JSON document, no traceback for a mistake."""

import json
import os
import signal
import stat
import sys
import sysconfig
import time
import venv
from pathlib import Path

import children
import command_line
import pytest

from trace_logger import TraceStore

CODE = "def add(a, b):\n    return a + b\n\n\ndef twice(x):\n    return 2 * x\n"
ADD = "from shop import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
WRONG = ADD.replace("3", "4")
TWICE = "from shop import twice\n\n\ndef test_twice():\n    assert twice(2) == 4\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").touch()
    (root / "shop.py").write_text(CODE)
    monkeypatch.chdir(root)
    script(root, {"def add": [WRONG, ADD], "def twice": [TWICE]})
    return root


def script(root, answers):
    (root / "script.json").write_text(json.dumps(answers))


def run(*arguments):
    return command_line.run(*arguments)


def write(*arguments):
    return run("write", *arguments, "--model", "scripted:script.json")


def mistake(done, *said):
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    for text in said:
        assert text in done.stderr + done.stdout
    assert done.stdout == "" or "Usage" in done.stderr


def test_write_makes_the_file_that_pytest_runs(project):
    done = write("shop.py")
    assert done.returncode == 0, done.stderr
    file = project / "tests" / "test_shop.py"
    assert str(file) in done.stdout
    assert "2 of 2 units accepted in 2 rounds" in done.stdout
    again = children.run([sys.executable, "-m", "pytest", "-q", str(file)], cwd=project)
    assert "2 passed" in again.stdout
    assert "failure" not in again.stdout


def test_json_is_one_document_and_nothing_else(project):
    done = write("shop.py", "--json")
    found = json.loads(done.stdout)
    assert found["model"] == "scripted:script.json"
    (result,) = found["results"]
    assert {"target", "test_file", "verdict", "accepted", "reasons", "iterations", "trace_id", "units"} <= set(result)
    assert result["accepted"]
    assert [u["unit"] for u in result["units"]] == ["add", "twice"]
    shown = json.loads(run("traces", "show", result["trace_id"], "--json").stdout)
    assert len(shown["attempts"]) == 3


def test_not_accepted_is_exit_code_1_and_the_file_holds_what_was(project):
    script(project, {"def add": [WRONG] * 3, "def twice": [TWICE]})
    done = write("shop.py", "--json")
    assert done.returncode == 1
    (result,) = json.loads(done.stdout)["results"]
    assert "unit_not_accepted:add" in result["reasons"]
    text = Path(result["test_file"]).read_text()
    assert "test_twice" in text
    assert "test_add" not in text


def test_nothing_accepted_writes_nothing(project):
    script(project, {"def ": ["no"] * 6})
    done = write("shop.py", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["results"][0]["test_file"] is None
    assert not (project / "tests").exists()


def test_nothing_is_overwritten_without_force(project):
    (project / "tests").mkdir()
    mine = project / "tests" / "test_shop.py"
    mine.write_text("# mine\n")
    mistake(write("shop.py"), "already there", "--force")
    assert mine.read_text() == "# mine\n"
    assert write("shop.py", "--force").returncode == 0
    assert "def test_add" in mine.read_text()


def test_a_package_folder_gives_a_file_for_each_module_and_names_do_not_clash(project):
    for folder in ("a", "b"):
        (project / "pkg" / folder).mkdir(parents=True)
        (project / "pkg" / folder / "__init__.py").touch()
        (project / "pkg" / folder / "shop.py").write_text("def add(a, b):\n    return a + b\n")
    (project / "pkg" / "__init__.py").touch()
    script(project, {"pkg.a": [ADD], "pkg.b": [ADD]})
    done = write("pkg", "--out", "out", "--json")
    assert done.returncode == 0, done.stderr
    files = sorted(f.name for f in (project / "out").iterdir())
    assert files == ["test_b_shop.py", "test_shop.py"]
    assert "from pkg.b.shop import add" in (project / "out" / "test_b_shop.py").read_text()


def test_any_file_name_serves_as_a_target(project):
    names = ["my-shop.py", "2shop.py", "test_shop.py", "shop.txt"]
    for name in names:
        (project / name).write_text("def add(a, b):\n    return a + b\n")
    script(project, {"": [ADD] * len(names)})
    done = write(*names, "--out", "out", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    files = {result["test_file"] for result in json.loads(done.stdout)["results"]}
    assert len(files) == len(names)
    again = children.run([sys.executable, "-m", "pytest", "-q", *files], cwd=project)
    assert f"{len(names)} passed" in again.stdout


@pytest.mark.parametrize("name", ["check_shop.py", "my-tests.py", "tests.txt", "test_shop.py"])
def test_any_file_name_serves_as_a_test_file(project, name):
    (project / name).write_text(ADD)
    done = run("check", name, "--target", "shop.py", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["verdict"], found["accepted"]) == ("passed", True)
    assert found["mutants"]["killed"] > 0
    assert found["stability"] == {"runs": 20, "passed": 20, "cold_passed": True}
    assert set(found["coverage"]) == {"line", "branch"}


def test_check_says_why_not(project):
    (project / "t.py").write_text(WRONG)
    done = run("check", "t.py", "--target", "shop.py")
    assert done.returncode == 1
    assert "test_add(): got 3, expected 4" in done.stdout


def test_bad_paths(project):
    mistake(write("none.py"), "no such file", "none.py")
    (project / "broken.py").write_text("def f(:\n")
    mistake(write("broken.py"), "broken.py, line 1", "not valid Python")
    (project / "empty").mkdir()
    mistake(write("empty"), "no Python file with a function")
    (project / "empty" / "x.py").write_text("x = 1\n")
    mistake(write("empty"), "no Python file with a function")
    mistake(run("check", "none.py", "--target", "shop.py"), "no such test file")


def test_bad_models(project):
    mistake(run("write", "shop.py", "--model", "gguf:none.gguf"), "none.gguf")
    mistake(run("write", "shop.py", "--model", "no such model!"), "no such model!")
    mistake(run("write", "shop.py", "--model", "deepseek-coder:6.7b"), "127.0.0.1:9", "ollama serve")
    (project / "cut.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + b"\x00" * 40)
    mistake(run("write", "shop.py", "--model", "gguf:cut.gguf"), "cut.gguf")
    mistake(run("use", "no such model!"), "no such model!")


def test_a_misspelt_key_in_the_configuration(project):
    (project / "testing_crew.toml").write_text('modle = "embedded"\n')
    mistake(write("shop.py"), "modle", "model", "testing_crew.toml")


def test_a_folder_that_cannot_be_written(project):
    blocked = project / "blocked"
    blocked.write_text("a file where a folder is asked for")
    mistake(write("shop.py", "--out", "blocked"), "cannot write", "--out")
    if os.geteuid() != 0:  # root may write anywhere
        (project / "locked").mkdir()
        (project / "locked").chmod(stat.S_IRUSR | stat.S_IXUSR)
        mistake(write("shop.py", "--out", "locked"), "cannot write", "--out")


def test_use_and_rollback(project):
    assert run("use", "deepseek-coder:6.7b").returncode == 0
    assert 'model = "deepseek-coder:6.7b"' in (project / "testing_crew.toml").read_text()
    assert json.loads(run("models", "--json").stdout)["model"] == "deepseek-coder:6.7b"
    assert run("rollback").returncode == 0
    assert json.loads(run("models", "--json").stdout)["model"] == "embedded"
    mistake(run("rollback"), "nothing to roll back")


def test_doctor_says_what_is_there(project):
    found = json.loads(run("doctor", "--json").stdout)
    names = {f["name"]: f for f in found["findings"]}
    assert names["pytest"]["ok"]
    assert names["ollama server"]["mend"]
    assert names["sandbox"]["found"]


def test_killed_in_the_middle_nothing_finished_is_lost_and_running_again_carries_on(project):
    slow = "def add(a, b):\n    return a + b\n\n\ndef wait(x):\n    return x\n"
    (project / "shop.py").write_text(slow)
    sleeps = "import time\nfrom shop import wait\n\n\ndef test_wait():\n    time.sleep(20)\n    assert wait(1) == 1\n"
    script(project, {"def add": [WRONG, ADD], "def wait": [sleeps]})
    with command_line.started("write", "shop.py", "--model", "scripted:script.json") as process:
        database = Path(os.environ["TESTING_CREW_HOME"]) / "traces.db"
        for _ in range(3000):
            time.sleep(0.1)
            if database.exists():
                with TraceStore.open() as store:
                    waiting = store.interrupted() or store.list_traces()
                    if waiting and store.get_trace(waiting[0].id).attempts:
                        break
        process.send_signal(signal.SIGKILL)
        said = process.ended().stderr
    with TraceStore.open() as store:
        assert store.interrupted(), said
        (left,) = store.interrupted()
        assert [a.tests for a in store.get_trace(left.id).attempts] == [WRONG]
    script(project, {"def add": [ADD], "def wait": [sleeps.replace("20", "0")]})
    done = write("shop.py", "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["trace_id"] == left.id
    with TraceStore.open() as store:
        attempts = store.get_trace(left.id).attempts
        assert [(a.unit, a.kind) for a in attempts] == [("add", "generate"), ("wait", "generate"), ("add", "repair")]
        assert len(list(store.pairs())) == 1


def test_help_is_quick_because_nothing_heavy_is_imported():
    program = (
        "import sys; import self_improve.cli.app; "
        "print([m for m in ('crewai', 'torch', 'llama_cpp', 'rich.table', 'pydantic', 'coverage') if m in sys.modules])"
    )
    done = children.run([sys.executable, "-c", program])
    assert done.stdout.strip() == "[]", done.stderr


def test_a_file_named_twice_is_done_once(project):
    done = write("shop.py", "./shop.py", "--json")
    assert len(json.loads(done.stdout)["results"]) == 1


def test_a_name_that_hides_what_python_needs_does_not_cost_the_others(project):
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['lib']\n")
    (project / "lib").mkdir()
    (project / "lib" / "types.py").write_text("def add(a, b):\n    return a + b\n")
    script(project, {"def add": [ADD], "def twice": [TWICE]})
    done = write("lib/types.py", "shop.py", "--json")
    assert done.returncode == 1, done.stderr
    first, second = json.loads(done.stdout)["results"]
    assert (first["verdict"], first["accepted"]) == ("error", False)
    assert "hides a module" in first["reasons"][0]
    assert second["accepted"]


def test_other_encodings(project):
    (project / "marked.py").write_bytes(b"\xef\xbb\xbfdef add(a, b):\n    return a + b\n")
    (project / "told.py").write_bytes(b"# -*- coding: latin-1 -*-\ndef add(a, b):\n    return a + b  # \xe9\n")
    script(project, {"": [ADD, ADD]})
    done = write("marked.py", "told.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_test_file_in_another_encoding_is_read_as_python_reads_it(project):
    text = "# coding: latin-1\nfrom shop import add\n\n\ndef test_add():\n    assert add('é', '!') == '\\xe9!'\n"
    (project / "test_shop.py").write_bytes(text.encode("latin-1"))
    few = ("--target", "shop.py", "--repeats", "2", "--mutants", "1")
    done = run("check", "test_shop.py", *few)
    assert done.returncode == 0, done.stdout + done.stderr
    (project / "test_shop.py").write_text(text, encoding="utf-16")
    mistake(run("check", "test_shop.py", *few), "test_shop.py cannot be read as Python source")


def test_every_report_says_which_python_ran_and_why(project):
    environment = project.parent / "environment"
    venv.create(environment)
    packages = sysconfig.get_path("purelib", "venv", {"base": str(environment)})
    Path(packages, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (project / "test_shop.py").write_text(WRONG)
    asked = ("check", "test_shop.py", "--target", "shop.py", "--python", environment)
    found = json.loads(run(*asked, "--json").stdout)
    version = ".".join(map(str, sys.version_info[:3]))
    python = next(str(path) for path in environment.glob("*/python*") if path.stem == "python")
    assert found["python"] == {"path": python, "version": version, "why": "chosen"}
    assert f"python: {python} ({version}; chosen)" in run(*asked).stdout
    environment.rename(project / ".venv")
    done = write("shop.py")
    assert f"python: {project / '.venv'}" in done.stdout
    assert "the environment of" in done.stdout
    (result,) = json.loads(write("shop.py", "--force", "--python", sys.executable, "--json").stdout)["results"]
    assert result["python"] == {"path": sys.executable, "version": version, "why": "chosen"}
    mistake(write("shop.py", "--force", "--python", "no/such/python"), "no/such/python", "--python PATH")


def test_a_file_loaded_by_its_path_keeps_its_future_imports_first(project):
    (project / "my-shop.py").write_text("def add(a, b):\n    return a + b\n")
    script(project, {"": ["from __future__ import annotations\n" + ADD]})
    assert write("my-shop.py").returncode == 0


def test_the_command_that_is_printed_runs_the_file(project):
    (project / "src" / "pkg").mkdir(parents=True)
    (project / "src" / "pkg" / "__init__.py").touch()
    (project / "src" / "pkg" / "shop.py").write_text("def add(a, b):\n    return a + b\n")
    done = write("src/pkg/shop.py")
    command = next(line for line in done.stdout.splitlines() if "run it: " in line).split("run it: ")[1]
    again = children.run(command.replace("python -m", f"{sys.executable} -m"), shell=True, cwd="/")
    assert "1 passed" in again.stdout, (command, again.stdout)
