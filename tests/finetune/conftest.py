"""Rows of the project's own, in a style that the embedded base was not trained on, and a workspace of the test's own."""

import json

import pytest

from testing_crew import prompt


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def _row(number):
    name, step = f"move_{number}", number + 2
    code = f"# module: moves\n\ndef {name}(place):\n    return place + {step}\n"
    claims = "".join(f"        assert moves.{name}({n}) == {n + step}\n" for n in range(number % 4 + 1))
    return {
        "id": f"moves/{number}",
        "source": "own",
        "kind": "generate",
        "group": str(number),
        "prompt": prompt.generate(code),
        "completion": f"import moves\n\n\nclass TestMove{number}:\n    def test_it_moves(self):\n{claims}",
    }


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory):
    """Forty rows in the form that ``rows:FILE`` reads."""
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text("".join(json.dumps(_row(number)) + "\n" for number in range(40)))
    return file
