"""A task is found again in other clothes; what only shares its everyday words is not."""

import pytest

from trace_logger.curation.fingerprints import Fingerprints
from trace_logger.errors import FingerprintError

TASK = '''def running_best(scores: list[int], start: int = 0) -> list[int]:
    """Give for every position of the list the best of all scores that came before it, and the start where none did."""
    best, out = start, []
    for score in scores:
        out.append(best)
        if score > best:
            best = score
    return out
'''
QUESTION = (
    "Write a function to find for every day the number of days that one must wait until a warmer temperature comes."
)


@pytest.fixture
def marks(tmp_path):
    Fingerprints.of([("a/1", TASK), ("b/2", QUESTION), ("c/3", "def double(x):\n    return 2 * x\n")]).save(
        tmp_path / "marks.json"
    )
    return Fingerprints.load(tmp_path / "marks.json")


@pytest.mark.parametrize(
    ("text", "task"),
    [
        (TASK, "a/1"),
        (TASK.replace("    best, out", "    # so far\n    best, out").replace('"""Give', '"""Gives'), "a/1"),
        (f"import math\n\n\ndef other(x):\n    return math.floor(x)\n\n\n{TASK}", "a/1"),
        (TASK.replace("return out", "return out[:]"), "a/1"),
        (f'def f(t):\n    """{QUESTION}"""\n    return [0 for _ in t]\n', "b/2"),
        (f"# {QUESTION}\nnot python (", "b/2"),
        ("def double(x):\n    '''Twice.'''\n    return 2*x  # so\n", "c/3"),
        (
            "def best_of(scores, start=0):\n    best = start\n    for score in scores:\n        best = max(best, score)\n    return best\n",
            None,
        ),
        ("def triple(x):\n    return 3 * x\n", None),
        ("", None),
    ],
)
def test_what_is_found_again(marks, text, task):
    assert marks.resembles(text) == task


def test_the_file_is_the_same_for_the_same_tasks_and_names_them(marks, tmp_path):
    marks.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "marks.json").read_bytes()
    assert marks.tasks == ["a/1", "b/2", "c/3"]


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"version": 0, "gram": 5}', "not json"])
def test_a_file_that_is_none_is_told(tmp_path, content):
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(FingerprintError) as error:
        Fingerprints.load(tmp_path / "x.json")
    assert "bench fingerprints" in error.value.hint
