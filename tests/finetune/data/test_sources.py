"""Each source makes rows that the agent could have asked for and answered, and drops what would teach something false."""

import gzip
import json

import pytest

from testing_crew import prompt
from testing_crew.errors import UserMistake

from .conftest import kodcode

ADD = "def add(a, b):\n    return a + b\n"


def dropped(data):
    return {why: n for each in data.manifest["inputs"] for why, n in each["dropped"].items()}


def test_a_kodcode_row_is_what_the_agent_would_ask(built, jsonl):
    (row,) = built(f"kodcode:{jsonl([kodcode('add')])}").train
    assert row.id == "kodcode/Algorithm_add_C"
    assert row.prompt == prompt.generate("# module: solution\n# unit: add\ndef add(a, b):\n    return a + b\n")
    assert row.completion == "from solution import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    assert row.licence


def test_a_test_that_lacks_the_import_gets_exactly_the_names_it_uses(built, jsonl):
    beginnings = {
        "def test_add():\n    assert ad(1, 2) == 3\n": "from solution import ad\n\n\ndef test_add",
        "import pytest\n\ndef test_add():\n    with pytest.raises(TypeError):\n        ade(1, '')\n": (
            "import pytest\n\nfrom solution import ade\n\ndef test_add"
        ),
        "from solution import *\n\ndef test_add():\n    assert adf(1, 2) == 3\n": "from solution import adf\n",
        "import solution\n\ndef test_add():\n    assert solution.adg(1, 2) == 3\n": "import solution\n\ndef test_add",
    }
    rows = [kodcode(name, tests=t) for name, t in zip(("ad", "ade", "adf", "adg"), beginnings, strict=True)]
    made = {r.id: r.completion for r in built(f"kodcode:{jsonl(rows)}", verify=True).train}
    for row, wanted in zip(rows, beginnings.values(), strict=True):
        assert made[f"kodcode/{row['question_id']}"].startswith(wanted)


@pytest.mark.parametrize(
    "change",
    [
        {"test": "def test_add():\n    assert add(2, 3) == 5\n", "test_code": None},
        {"r1_correctness": True},
        {"r1_correctness": None},
        {"question_id": None, "conversation_id": "Algorithm_add_C"},
    ],
)
def test_older_and_newer_names_and_forms_of_columns(built, jsonl, change):
    (row,) = built(f"kodcode:{jsonl([{**kodcode('add'), **change}])}").train
    assert row.id == "kodcode/Algorithm_add_C"
    assert "assert add(2, 3) == 5" in row.completion


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"r1_correctness": "False"}, "r1_correctness False"),
        ({"r1_correctness": False}, "r1_correctness False"),
        ({"solution": "import numpy as np\n" + ADD}, "third-party imports"),
        ({"test_code": "import torch\ndef test_add():\n    assert add(1, 2) == 3\n"}, "third-party imports"),
        (
            {
                "test_code": "import time\n\ndef test_quick():\n    t = time.time()\n    add(1, 2)\n    assert time.time() - t < 1\n"
            },
            "wall-clock tests",
        ),
        (
            {"test_code": ADD + "\ndef test_add():\n    assert add(1, 2) == 3\n"},
            "tests that do not use the solution as it stands",
        ),
        (
            {"test_code": "def test_add():\n    assert plus(1, 2) == 3\n"},
            "tests that do not use the solution as it stands",
        ),
        ({"test_code": "def check():\n    assert add(1, 2) == 3\n"}, "no test function"),
        ({"test_code": "def test_add(:\n"}, "not Python"),
    ],
)
def test_what_would_teach_something_false_is_dropped_and_counted(built, jsonl, change, why):
    data = built(f"kodcode:{jsonl([kodcode('other'), {**kodcode('add'), **change}])}")
    assert [r.id for r in data.train] == ["kodcode/Algorithm_other_C"]
    assert dropped(data) == {why: 1}


def test_a_wall_clock_test_is_cut_out_with_what_only_it_needs(built, jsonl):
    tests = (
        "import time\nimport pytest\nfrom solution import add\n\n# the sums\n@pytest.mark.parametrize('a', [1, 2])\n"
        "def test_add(a):\n    assert add(a, 0) == a  # same\n\ndef test_quick():\n    start = time.perf_counter()\n"
        "    add(1, 2)\n    assert time.perf_counter() - start < 1\n\nif __name__ == '__main__':\n    pytest.main()\n"
    )
    (row,) = built(f"kodcode:{jsonl([kodcode('add', tests=tests)])}", verify=True).train
    assert row.completion == (
        "import pytest\nfrom solution import add\n\n\n# the sums\n@pytest.mark.parametrize('a', [1, 2])\n"
        "def test_add(a):\n    assert add(a, 0) == a  # same\n"
    )


def test_all_forms_of_a_file_give_the_same_rows(built, jsonl, tmp_path):
    from datasets import Dataset, DatasetDict

    records = [kodcode("add"), kodcode("plus")]
    plain = jsonl(records)
    (tmp_path / "a.json").write_text(json.dumps(records))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    data = Dataset.from_list(records)
    data.to_parquet(str(tmp_path / "a.parquet"))
    data.save_to_disk(str(tmp_path / "saved"))
    DatasetDict({"train": data, "incorrect": data.select([0])}).save_to_disk(str(tmp_path / "splits"))
    places = ["a.json", "a.jsonl.gz", "a.parquet", "saved", "splits"]
    wanted = built(f"kodcode:{plain}").train
    assert len(wanted) == 2
    for place in places:
        assert built(f"kodcode:{tmp_path / place}").train == wanted, place


def test_coderm_takes_the_strictest_unit_test_and_says_it_in_pytests_style(built, jsonl):
    strict = (
        "import unittest\n\nclass TestAdd(unittest.TestCase):\n    def test_sum(self):\n        self.assertEqual(add(1, 2), 3)\n"
        "    def test_close(self):\n        self.assertAlmostEqual(add(0.1, 0.2), 0.3)\n"
        "    def test_wrong(self):\n        with self.assertRaises(TypeError):\n            add(1, None)\n\n"
        "if __name__ == '__main__':\n    unittest.main()\n"
    )
    lax = {"ut_id": 0, "code": strict.replace("test_sum", "test_lax"), "FAR": 0.5, "FRR": 0.0}
    tests = [lax, {"ut_id": 1, "code": strict, "FAR": 0.1, "FRR": 0.0}]
    odd = [{"code": strict.replace("assertEqual(add(1, 2), 3)", "fail()"), "FAR": 0, "FRR": 0}]
    rows = [
        {
            "task_id": 7,
            "question": "",
            "code_ground_truth": ADD,
            "code_generate": "[]",
            "unit_tests": json.dumps(tests),
        },
        {
            "task_id": 8,
            "question": "",
            "code_ground_truth": ADD + "#",
            "code_generate": "[]",
            "unit_tests": json.dumps(odd),
        },
    ]
    data = built(f"coderm:{jsonl(rows)}", verify=True)
    (row,) = data.train
    assert row.id == "coderm/7"
    assert row.completion == (
        "import pytest\n\nfrom solution import add\n\n\ndef test_sum():\n    assert add(1, 2) == 3\n\n\n"
        "def test_close():\n    assert add(0.1, 0.2) == pytest.approx(0.3, abs=5e-08, rel=0)\n\n\n"
        "def test_wrong():\n    with pytest.raises(TypeError):\n        add(1, None)\n"
    )
    assert dropped(data) == {"unittest that is not simple": 1}


HUMANEVAL = {
    "task_id": "HumanEval/900",
    "prompt": "def add(a, b):\n    ''' The sum.\n    '''\n",
    "canonical_solution": "    return a + b\n",
    "test": "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate(1, 2) == 3, 'no'\n    assert True, 'always'\n",
    "entry_point": "add",
}
MBPP = [
    {
        "task_id": n,
        "text": "",
        "code": f"def f{n}(x):\n    return x + {n}",
        "test_setup_code": "",
        "test_list": [f"assert f{n}(1) == {n + 1}"],
        "challenge_test_list": [],
    }
    for n in (5, 100, 550, 700, 701)
]


def test_evaluation_sets_are_trained_on_by_an_explicit_word_only_and_it_is_noted(built, jsonl):
    humaneval, mbpp = jsonl([HUMANEVAL], "h.jsonl"), jsonl(MBPP, "m.jsonl")
    for refused, hint in [
        (f"humaneval:{humaneval}", "allow=train"),
        (f"mbpp:{mbpp}", "split=train"),
        (f"mbpp:{mbpp}?split=test", "split=train"),
    ]:
        with pytest.raises(UserMistake) as error:
            built(refused)
        assert hint in error.value.hint
    data = built(f"humaneval:{humaneval}?allow=train", f"mbpp:{mbpp}?split=train", verify=True)
    assert sorted(r.id for r in data.train) == ["humaneval/900", "mbpp/700", "mbpp/701"]
    assert data.manifest["not_to_be_scored"] == ["humaneval", "mbpp train, tasks 601 to 974"]
    (row,) = [r for r in data.train if r.source == "humaneval"]
    assert row.completion == "from solution import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"


def test_the_generators_rows_are_divided_by_its_own_held_out_families(built):
    data = built("synthetic:40", dev_share=0.25)
    assert {r.id.split("/")[1] for r in data.train} == {"train"}
    assert {r.id.split("/")[1] for r in data.dev} == {"dev"}
    assert len(data.dev) > 5
    assert {r.kind for r in data.train} >= {"generate", "repair"}
