"""A process of a test that does not end: a failure that says what it had said, and nothing left of it."""

import ast
import os
from pathlib import Path

import children
import pytest


def test_a_process_that_hangs_is_ended_with_all_that_it_started():
    reading, writing = os.pipe()
    with pytest.raises(pytest.fail.Exception, match=r"did not end within 5 s. It said:\nbegun\n"):
        children.run(["bash", "-c", "echo begun; sleep 600 & wait"], seconds=5, pass_fds=[writing])
    os.close(writing)
    assert os.read(reading, 1) == b""  # nobody holds the other end any more
    os.close(reading)


def test_no_test_starts_a_process_otherwise():
    starts = {f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen")}
    here = Path(__file__).parent
    for file in {*here.parent.rglob("*.py")} - {here / "children.py"}:
        calls = [
            ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call)
        ]
        assert not starts & {*calls}, f"{file}: children.run and children.started have a time limit"
