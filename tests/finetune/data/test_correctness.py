"""Rows that ask whether a test passes, as training data: what they become, what is kept out, and on which side they are."""

import json

import pytest

from testing_crew.errors import UserMistake
from trace_logger.curation.fingerprints import Fingerprints

FOCAL = "def area(width, height):\n    if width < 0:\n        raise ValueError(width)\n    return width * height\n"
INSTRUCTION = "In {lang}:\n{focal_code}\nand\n{test_code}\nPasses it? success or failed"


def row(number, outputs="success", source="test_area.py", **more):
    test = f"from shapes import area\n\n\ndef test_area():\n    assert area({number}, 2) == {2 * number}\n"
    inputs = {"focal_code": FOCAL, "test_code": test, "lang": "Python"}
    meta = {"id": number, "source": source}
    return {"instruction": INSTRUCTION, "inputs": inputs, "outputs": outputs, "meta": meta} | more


def test_a_row_becomes_the_question_and_a_word(built, jsonl):
    data = built(
        f"correctness:{jsonl([row(1), row(2, 'failed'), row(3, None), row(4, instruction=None)])}", verify=True
    )
    rows = sorted(data.train, key=lambda each: each.id)
    assert [(each.id, each.completion, each.kind) for each in rows] == [
        ("correctness/1", " success", "outcome"),
        ("correctness/2", " failed", "outcome"),
    ]
    assert rows[0].prompt.startswith(f"In Python:\n{FOCAL}")
    assert rows[0].prompt.endswith("success or failed")
    (read,) = data.manifest["inputs"]
    assert read["dropped"] == {"no answer": 1, "no instruction": 1}
    assert any("code_correctness" in said for said in data.manifest["not_to_be_scored"])


def test_the_tests_of_one_file_stand_on_one_side(built, jsonl):
    rows = [row(n, source=f"test_{n % 10}.py") for n in range(1, 80)]
    data = built(f"correctness:{jsonl(rows)}", dev_share=0.3)
    sides = [{int(each.id.rpartition("/")[2]) % 10 for each in side} for side in (data.train, data.dev)]
    assert all(sides)
    assert not sides[0] & sides[1]


@pytest.mark.parametrize("shown", [FOCAL, row(1)["inputs"]["test_code"] * 3])
def test_what_resembles_a_task_that_is_scored_is_left_out(shown, built, jsonl, tmp_path):
    marks = tmp_path / "marks.json"
    Fingerprints.of([("scored/1", shown)]).save(marks)
    other = row(
        2,
        inputs={
            "focal_code": "X = 1\n",
            "test_code": "from x import X\n\n\ndef test_x():\n    assert X\n",
            "lang": "Python",
        },
    )
    data = built(f"correctness:{jsonl([row(1), other])}", fingerprints=str(marks))
    assert [each.id for each in data.train] == ["correctness/2"]


def test_it_stands_beside_other_sources(built, jsonl, tmp_path):
    data = built(f"correctness:{jsonl([row(1)])}", "synthetic:5")
    assert {each.kind for each in data.train} >= {"outcome", "generate"}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "are for scoring"),
        ("MERA-evaluation/CodeCorrectness", "are for scoring"),
        ("/nowhere.jsonl", "there is no"),
    ],
)
def test_the_published_rows_are_not_trained_on(built, where, said):
    with pytest.raises(UserMistake, match=said):
        built(f"correctness:{where}")


def test_a_row_that_is_none_and_a_file_without_answers_are_told(built, jsonl, tmp_path):
    with pytest.raises(UserMistake, match="row 1 is no row"):
        built(f"correctness:{jsonl([row(1, outputs='maybe')])}")
    place = tmp_path / "none.jsonl"
    place.write_text(json.dumps(row(1, None)))
    with pytest.raises(UserMistake, match="no row with an instruction and an answer"):
        built(f"correctness:{place}")
