"""What a docstring says of its function becomes a test before a model is asked, and is never mended to what the code does."""

import sys
from contextlib import closing

import pytest

from testing_crew import TestingCrew
from testing_crew.backends.scripted import ScriptedBackend
from testing_crew.config import Config
from testing_crew.project.targets import target_for
from testing_crew.repair.derive import derived, pins_contradicted, without
from trace_logger.records import CodeUnderTest
from trace_logger.store import TraceStore


def code_of(source, unit="f", module="prices"):
    return CodeUnderTest(source=source, shown=source, module=module, unit=unit, root=".", interpreter=sys.executable)


@pytest.mark.parametrize(
    ("docstring", "test"),
    [
        (">>> f(1)\n    2\n    >>> f(-1)\n    0", ["assert f(1) == 2", "assert f(-1) == 0"]),
        ("f(1) -> 2", ["assert f(1) == 2"]),
        (">>> xs = [1]\n    >>> f(xs[0]) == 2\n    True", ["xs = [1]", "assert (f(xs[0]) == 2) is True"]),
        ("f(0.3) -> 1.33", ["assert f(0.3) == pytest.approx(1.33, abs=0.01)"]),
        (
            ">>> f('a')\n    Traceback (most recent call last):\n    TypeError: no",
            ["with pytest.raises(TypeError):", "    f('a')"],
        ),
        (">>> prices.f(LIMIT)\n    2", ["assert prices.f(LIMIT) == 2"]),
    ],
)
def test_examples_become_claims(docstring, test):
    source = f'LIMIT = 1\n\n\ndef f(x):\n    """Add one.\n\n    {docstring}\n    """\n    return x + 1\n'
    tests = derived(code_of(source))
    assert tests.partition("def test_f_documented():\n")[2] == "".join(f"    {line}\n" for line in test)


@pytest.mark.parametrize(
    "docstring",
    ["Add one.", ">>> f(1)\n    <object at 0x1>", ">>> f(unknown)\n    2", ">>> x = f(1)", ">>> print(f(1))\n    2", ">>> f(1)  # doctest: +SKIP\n    9"],
)  # fmt: skip
def test_what_claims_nothing_that_can_be_checked_gives_no_test(docstring):
    assert derived(code_of(f'def f(x):\n    """Add one.\n\n    {docstring}\n    """\n    return x + 1\n')) == ""


DOCUMENTED = '''def clamp(x, low, high):
    """Keep x between two limits.

    >>> clamp(5, 1, 3)
    3
    >>> clamp(0, 1, 3)
    1
    >>> clamp(2, 1, 3)
    2
    """
    return max(low, min(high, x))
'''
PINNED = (
    "from limits import clamp\n\n\ndef test_clamp():\n    assert clamp(5, 1, 3) == 4\n    assert clamp(0, 1, 3) == 1\n"
)


@pytest.fixture
def limits(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))

    def written(text):
        (tmp_path / "limits.py").write_text(text)
        return text, str(tmp_path / "limits.py")

    return written


def test_a_function_whose_docstring_says_enough_needs_no_model(limits):
    backend = ScriptedBackend(["never asked for"])
    last = list(TestingCrew(backend=backend).run(*limits(DOCUMENTED)))[-1]
    assert last["success"]
    assert "assert clamp(5, 1, 3) == 3" in last["final_tests"]
    assert backend.prompts == []
    with closing(TraceStore.open()) as store:
        (attempt,) = store.get_trace(last["trace_id"]).attempts
        assert (attempt.model, attempt.prompt, attempt.iteration) == ("docstrings", "", 0)


def test_it_can_be_turned_off(limits):
    backend = ScriptedBackend([PINNED.replace("== 4", "== 3")])
    last = list(TestingCrew(backend=backend, config=Config(derive=False)).run(*limits(DOCUMENTED)))[-1]
    assert last["success"]
    assert len(backend.prompts) == 1


def test_a_bug_that_breaks_an_example_is_told_and_not_pinned(limits):
    """The code gives 4 where its docstring says 3: a model that takes the value over from the run is refused."""
    crew = TestingCrew(backend=ScriptedBackend([PINNED.replace("== 4", "== 3"), PINNED, PINNED]), max_iterations=2)
    text, file = limits(DOCUMENTED.replace("min(high, x)", "min(high + 1, x)"))
    job = crew.job(target_for(text, file, None), crew.recorder("test"))
    *_, last = crew.events(job)
    (loop,) = job.loops
    assert loop.suspects == ("clamp(5, 1, 3) gives 4, the docstring of clamp says 3",)
    assert not last["success"]
    assert [a.reasons for a in loop.attempts if a.run.passed] == [("pins_possible_bug",)]


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("clamp(5, 1, 3) == 4", True),
        ("clamp(5, 1, 3) == 3", False),  # it fails, and so tells of the bug
        ("clamp(9, 1, 3) == 4", False),  # nobody says anything of this call
        ("clamp(0, 1, 3) == 1", False),
    ],
)
def test_only_the_contradicted_call_is_not_to_be_pinned(claim, expected):
    code = code_of(DOCUMENTED, "clamp", "limits")
    tests = f"from limits import clamp\n\n\ndef test_clamp():\n    assert {claim}\n"
    assert pins_contradicted(code, tests, ["clamp(5, 1, 3) gives 4, the docstring of clamp says 3"]) is expected


def test_a_call_is_the_same_however_its_docstring_writes_it():
    code = code_of(DOCUMENTED.replace(">>> clamp(5, 1, 3)", ">>> limits.clamp(5,1, 3)"), "clamp", "limits")
    told = ["limits.clamp(5,1, 3) gives 4, the docstring of clamp says 3"]
    assert pins_contradicted(code, PINNED, told)


def test_a_function_with_a_builtin_s_name_is_the_module_s_own():
    source = 'def sum(xs):\n    """Add.\n\n    >>> sum([1])\n    1\n    """\n    return xs[0]\n'
    assert derived(code_of(source, "sum")).startswith("from prices import sum\n")


@pytest.mark.parametrize("names", [set(), {""}, {"test_b"}])
def test_where_no_test_has_the_name_none_is_left(names):
    assert without("import os\n\n\ndef test_a():\n    pass\n", names) == ""
