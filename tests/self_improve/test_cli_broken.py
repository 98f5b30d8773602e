"""Files that ``write`` can do nothing with: said before a model is asked, and no reason to leave the others."""

import json

import command_line
import pytest

from trace_logger import TraceStore

GOOD = "def add(a, b):\n    return a + b\n"
ADD = "from pkg.good import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
IMPORTS = "import nowhere_to_be_found\n\n\ndef f():\n    return 1\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    (tmp_path / "script.json").write_text(json.dumps([ADD]))
    return tmp_path


def write(*arguments):
    return command_line.run("write", *arguments, "--model", "scripted:script.json")


def test_broken_files_do_not_stop_a_folder(project):
    files = {
        "good": GOOD,
        "bad": "def f(:\n",
        "imports": IMPORTS,
        "raises": "assert 1 == 2\n\n\ndef f():\n    return 1\n",
    }
    for name, source in files.items():
        (project / "pkg" / f"{name}.py").write_text(source)
    (project / "pkg" / "bytes.py").write_bytes(b"def f():\n    return '\xff'\n")
    done = write("pkg", "--json")
    assert done.returncode == 1, done.stderr
    results = {result["target"].rpartition("/")[2]: result for result in json.loads(done.stdout)["results"]}
    assert results.pop("good.py")["accepted"]
    said = {name: result["explained"][0]["says"] for name, result in results.items()}
    assert "bad.py, line 1: not valid Python" in said["bad.py"]
    assert "bytes.py cannot be read as Python source" in said["bytes.py"]
    assert said["imports.py"] == "it cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    assert "AssertionError" in said["raises.py"]


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("pkg/imports.py", IMPORTS, ["No module named 'nowhere_to_be_found'", "install what it needs"]),
        ("pkg/needs.py", "import os\n\nKEY = os.environ['SHOP_KEY']\n\n\ndef f():\n    return KEY\n", ["'SHOP_KEY'", "pass_env"]),
        ("types.py", GOOD, ["types.py", "its name hides a module", "renamed"]),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_told_before_a_model_is_asked(project, monkeypatch, name, source, said):
    monkeypatch.setenv("SHOP_KEY", "secret")
    (project / name).write_text(source)
    done = write(name)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    for words in said:
        assert words in done.stderr
    with TraceStore.open() as store:
        assert store.list_traces() == []


def test_why_a_unit_is_not_accepted_is_told_with_what_mends_it(project):
    (project / "pkg" / "good.py").write_text(GOOD)
    (project / "script.json").write_text(json.dumps([ADD.replace("assert add(1, 2) == 3", "add(1, 2)")]))
    done = write("pkg/good.py", "--max-iterations", "1")
    assert done.returncode == 1, done.stderr
    assert "add: no assertion about the code was evaluated" in done.stdout
    assert "assert what the code returns, raises or changes" in done.stdout
