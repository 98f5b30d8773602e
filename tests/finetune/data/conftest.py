"""Small rows of our own, in the columns that the published sets have."""

import json
from pathlib import Path

import pytest

import testing_crew
from finetune.data.build import DataRecipe, build


@pytest.fixture(scope="session")
def tokenizer():
    from transformers import PreTrainedTokenizerFast

    file = Path(testing_crew.__file__).parent / "embedded" / "tokenizer.json"
    return PreTrainedTokenizerFast(tokenizer_file=str(file))


@pytest.fixture
def built(tokenizer, tmp_path):
    """Build a data set of some sources; the workspace is a folder of the test's own."""

    def make(*sources, **more):
        more = {"near_duplicates": 1.0, "dev_share": 0.0, **more}
        return build(DataRecipe(sources=sources, **more), tokenizer, tmp_path / "home")

    return make


@pytest.fixture
def jsonl(tmp_path):
    def write(records, name="rows.jsonl"):
        file = tmp_path / name
        file.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
        return file

    return write


def kodcode(name, body="    return a + b", tests=None, **more):
    return {
        "style": "instruct",
        "subset": "Algorithm",
        "question_id": f"Algorithm_{name}_C",
        "question": "Write it.",
        "solution": f"def {name}(a, b):\n{body}\n",
        "test_code": tests or f"from solution import {name}\n\n\ndef test_{name}():\n    assert {name}(2, 3) == 5\n",
        "r1_correctness": "True",
        **more,
    }


def many(count):
    """Tasks that are unlike each other, all of whose tests pass."""
    return [
        kodcode(
            f"step_{n}",
            body="\n".join(f"    a = a * {n + k} + b  # {k}" for k in range(n + 1)) + "\n    return a",
            tests=f"from solution import step_{n}\n\n\ndef test_zero():\n    assert step_{n}(0, 0) == 0\n",
        )
        for n in range(count)
    ]
