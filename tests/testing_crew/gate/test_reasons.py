"""Every reason that a machine is given is told to a person in a sentence, with what mends it."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

import self_improve
import testing_crew
from testing_crew.check import check_source
from testing_crew.gate.reasons import REASONS, VERDICTS, explain
from trace_logger.records import Verdict

CODE = re.compile(r"(?:[a-z]+(?:_[a-z]+)+|flaky|unreadable)(?=:|$)")
TARGET = "def add(a, b):\n    return a + b\n"


def codes_in(file):
    """The codes that a module gives: what is put into ``reasons`` or its like, and what the gate's functions hand back."""
    for node in ast.walk(ast.parse(file.read_text())):
        words = ()
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.endswith("reasons.append") or called in ("_not_run", "explain"):
                words = node.args
            words = [*words, *(k.value for k in node.keywords if k.arg in ("reasons", "gave_up"))]
            words += node.args[2:3] if called == "Judgement" else []
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if re.search(r"reasons|gave_up|missing|rules", " ".join(map(ast.unparse, targets))):
                words = [node.value]
        elif isinstance(node, (ast.Yield, ast.Return)) and node.value is not None and "gate" in file.parts:
            words = [node.value]
        for word in words:
            for inner in ast.walk(word):
                if (
                    isinstance(inner, ast.Constant)
                    and isinstance(inner.value, str)
                    and (found := CODE.match(inner.value))
                ):
                    yield found[0]


def test_every_code_of_the_code_base_has_its_sentence():
    files = [
        *(f for f in Path(testing_crew.__file__).parent.glob("gate/**/*.py") if f.name != "reasons.py"),
        *(
            Path(testing_crew.__file__).parent / name
            for name in ("crew.py", "check.py", "repair/loop.py", "repair/job.py")
        ),
        *Path(self_improve.__file__).parent.glob("cli/**/[pw]*.py"),
    ]
    given = {code for file in files for code in codes_in(file)}
    assert len(given) > 20
    assert given - REASONS.keys() == set(), "a new reason needs its sentence in testing_crew/gate/reasons.py"
    assert REASONS.keys() - given == set(), "no code gives this any more"


def test_every_verdict_has_its_words():
    assert set(get_args(Verdict)) == VERDICTS.keys()
    assert explain("not_passed:no_tests")["says"] == "pytest did not pass it: there was no test to run"


def test_a_code_of_an_older_trace_stands_for_itself():
    assert explain("some_old_reason")["says"] == "some old reason"


@pytest.mark.parametrize(
    ("tests", "code", "said"),
    [
        ("import calc\n\n\ndef add(a, b):\n    return a + b\n\n\ndef test_add():\n    assert add(1, 2) == 3\n", "target_not_executed", "no line of the code's functions ran"),
        ("from calc import add\n\n\ndef test_add():\n    add(1, 2)\n", "no_assertion_about_target", "no assertion about the code"),
        ("from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 4\n", "not_passed:failed", "pytest did not pass it: a test failed"),
        (
            "from calc import add\n\nseen = []\n\n\ndef test_one():\n    seen.append(add(1, 2))\n    assert seen == [3]\n\n\n"
            "def test_two():\n    seen.append(add(1, 3))\n    assert seen == [3, 4]\n",
            "flaky",
            "in another order of its tests, or under another hash seed, one of them fails: test_",
        ),
    ],
)  # fmt: skip
def test_a_reason_is_told_in_words_with_the_test_where_it_can(tests, code, said):
    found = check_source(tests, TARGET, "calc.py")
    assert not found["accepted"]
    assert [e["code"] for e in found["explained"]] == found["reasons"]
    (told,) = [e for e in found["explained"] if e["code"].startswith(code)]
    assert said in told["says"]
    assert told["mend"]
