"""What the sandbox keeps out is told as its doing, with what to do about it."""

import pytest

from testing_crew.check import check_file
from testing_crew.config import Config, Sandbox
from testing_crew.crew import runner_for
from testing_crew.gate.gate import Gate

TARGET = """\
import os
import socket


def save(text):
    with open("out.txt", "w") as file:
        return file.write(text)


def key():
    return os.environ["SHOP_KEY"]


def reach():
    return socket.create_connection(("192.0.2.1", 80))


def main():
    print("ready")


if __name__ == "__main__":
    main()
"""
WRITES = "from shop import save\n\n\ndef test_save():\n    assert save('a') == 1\n"
READS = "from shop import key\n\n\ndef test_key():\n    assert key() == 'secret'\n"
REACHES = "from shop import reach\n\n\ndef test_reach():\n    assert reach()\n"
STARTS = (
    "import subprocess\nimport sys\n\n\ndef test_main():\n"
    "    done = subprocess.run([sys.executable, '-m', 'shop'], capture_output=True)\n    assert done.stdout\n"
)


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_KEY", "secret")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "shop.py").write_text(TARGET)

    def run(tests, config=None):
        (tmp_path / "test_shop.py").write_text(tests)
        with runner_for(config or Config()) as runner:
            return check_file(tmp_path / "test_shop.py", tmp_path / "shop.py", Gate(runner, repeats=2, mutants=4))

    return run


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        (WRITES, ("test_save (line 5) wrote to the project", "read-only", "tmp_path")),
        (READS, ("the variable SHOP_KEY of your shell", "monkeypatch.setenv", '[sandbox] pass_env = ["SHOP_KEY"]')),
        (REACHES, ("test_reach (line 5) used the network", "127.0.0.1")),
        (STARTS, ("line 6 starts a process of its own", "call the code in the test as well")),
    ],
)
def test_it_is_told_as_the_sandbox_s_doing(check, tests, said):
    found = check(tests)
    assert not found["accepted"]
    (note,) = found["notes"]
    for words in said:
        assert words in note


def test_a_variable_that_the_settings_name_is_passed_on_warm_and_cold(check):
    found = check(READS, Config(sandbox=Sandbox(pass_env=("SHOP_KEY",))))
    assert found["accepted"], found
    assert found["notes"] == []


def test_an_ordinary_failure_has_no_note(check):
    assert check("from shop import key\n\n\ndef test_key():\n    assert {}['x'] == 1\n")["notes"] == []
