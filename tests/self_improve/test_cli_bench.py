"""``testing-crew bench fingerprints``: one file with the marks of what is scored."""

import gzip
import json

import pytest

from self_improve.cli.app import main
from trace_logger.curation.fingerprints import Fingerprints

HUMANEVAL = {
    "task_id": "HumanEval/900",
    "prompt": "def f(x):\n",
    "canonical_solution": "    return x - 17\n",
    "test": "def check(candidate):\n    assert candidate(1) == -16\n",
    "entry_point": "f",
}
MBPP = [
    {"task_id": n, "code": f"def f{n}(x):\n    return x + {n}", "test_list": [f"assert f{n}(1) == {n + 1}"]}
    for n in (11, 700)
]


def run(*argv):
    with pytest.raises(SystemExit) as end:
        main(list(argv))
    return end.value.code


def test_our_own_tasks_and_those_of_the_files_given(tmp_path, capsys):
    humaneval, mbpp = tmp_path / "h.jsonl.gz", tmp_path / "m.jsonl"
    humaneval.write_bytes(gzip.compress(json.dumps(HUMANEVAL).encode()))
    mbpp.write_text("\n".join(map(json.dumps, MBPP)))
    out = tmp_path / "marks.json"
    assert run("bench", "fingerprints", "--out", str(out), "--humaneval", str(humaneval), "--mbpp", str(mbpp)) == 0
    marks = Fingerprints.load(out)
    assert f"{len(marks.tasks)} tasks" in capsys.readouterr().out
    assert marks.resembles("def f(x):\n    # less\n    return x - 17\n") == "HumanEval/900"
    assert marks.resembles(MBPP[0]["code"]) == "MBPP/11"
    assert marks.resembles(MBPP[1]["code"]) is None  # the published train split is not scored
    assert marks.resembles("def double(x: int) -> int:\n    return 2 * x\n") == "self_correction/double"


@pytest.mark.parametrize("content", [None, "nothing", '{"task_id": 1}', ""])
def test_a_file_of_another_kind_is_told(tmp_path, capsys, content):
    file = tmp_path / "m.jsonl"
    if content is not None:
        file.write_text(content)
    assert run("bench", "fingerprints", "--out", str(tmp_path / "out.json"), "--mbpp", str(file)) == 2
    assert str(file) in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()
