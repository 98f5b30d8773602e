import ast
import itertools
import random
import sys
from pathlib import Path

import pytest

from finetune.data.synthetic import stream
from testing_crew import prompt
from testing_crew.prompt.notes import annotate, strip
from testing_crew.repair.mend import mend
from testing_crew.runner.failures import failure_log
from testing_crew.runner.run import Limits, Runner
from trace_logger.records import CodeUnderTest

SOURCE = """def f(x):
    if x == "bad":
        raise ValueError("bad: value, expected good")
    return x
"""
# What pytest and our runner say of this file is what the notes are made from; each comment here is the note that is due.
ROWS_RUN = '''import pytest
from m import f

LATER = 7


@pytest.mark.parametrize("x, expected", [
    (1, 1),
    (2, 5),  # got 2
    ("bad", 1),  # raised ValueError
    ("a: b, expected c", "d"),  # got 'a: b, expected c'
    ("two  spaces", "one"),  # doubled  # got 'two  spaces'
    ("LONG", 0),  # got a value too long to show
    ({3, 1, 2}, 0),  # got {1, 2, 3}
    (LATER, 8),  # got 7
    pytest.param("line\\nbreak", ("""
    text"""), id="odd"),  # got 'line\\nbreak'
    (4, 4)])
def test_rows(x, expected):
    assert f(x) == expected


@pytest.mark.parametrize("expected, x", [(1, 1), (2, 3), (4, 5)])  # (2, 3): got 3; (4, 5): got 5
def test_in_one_line(x, expected):
    assert f(x) == expected


@pytest.mark.parametrize("x", [
    1,
    "bad",
    2,
])
@pytest.mark.parametrize("y", [1, 2])
def test_stacked(x, y):
    assert f(x) == y


@pytest.mark.parametrize("x", [
    1,  # did not raise
    "bad",
])
def test_raises(x):
    with pytest.raises(ValueError):
        f(x)
'''.replace("LONG", "x" * 250)
CLAIMS_RUN = """import pytest
from m import f


def same(a, b):
    assert f(a) == b


class TestMore:
    def test_one_of_two(self):
        assert f(1) == 1
        assert f(2) == 3  # got 2

    def test_which_of_two(self):
        assert f(1) == 3
        assert f(2) == 3

    def test_a_claim(self):
        assert f(1)
        assert f(0)  # is false

    def test_with(self):
        with pytest.raises((KeyError, ValueError)):  # did not raise
            f(1)

    def test_raised(self):
        assert f("bad") == 1  # raised ValueError

    def test_raised_on_the_way(self):
        value = f("bad")
        assert f(value) == 1

    def test_in_a_helper(self):
        same(1, 2)

    def test_long(self):
        assert (
            f(1)
            == 2
        )  # got 1
"""


def bare(noted):
    """The file without the notes due: they are all that begins with two spaces and ``# got`` or the like."""
    lines = []
    for line in noted.split("\n"):
        for start in ("  # got ", "  # raised ", "  # did not raise", "  # is false", "  # (2, 3): got 3"):
            line = line.partition(start)[0]
        lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("noted", [ROWS_RUN, CLAIMS_RUN])
def test_each_failing_row_and_assertion_has_what_the_code_answered(noted, tmp_path):
    tests = bare(noted)
    code = CodeUnderTest(source=SOURCE, shown=SOURCE, module="m", root=str(tmp_path), interpreter=sys.executable)
    run = Runner(Limits(wall_seconds=60)).run(code, tests, files={"m.py": SOURCE})
    assert annotate(tests, failure_log(run)).split("\n") == noted.split("\n")


ROWS = """import pytest


@pytest.mark.parametrize("a, b", [
    (1, 2),
    (3, 4),
])
def test_f(a, b):
    assert f(a) == b
"""


@pytest.mark.parametrize(
    ("tests", "log"),
    [
        (ROWS, "test_f(5, 6): got 1, expected 6"),  # no such row
        (ROWS, "test_g(1, 2): got 1, expected 2"),
        (ROWS, "collection: ImportError: no f"),
        (ROWS, "not accepted: no mutant killed\n... and 3 more\nlimit: output"),
        (ROWS, "test_f(1, 2): got 1, expected 2, expected 3"),  # the code's answer may end at either comma
        (ROWS.replace("(3, 4)", "(1, 2)"), "test_f(1, 2): got 1, expected 2"),  # one of two that are the same
        (ROWS.replace("(3, 4)", "*more"), "test_f(1, 2): got 1, expected 2"),
        (ROWS.replace("(1, 2)", "(x, y)").replace("(3, 4)", "(u, 4)"), "test_f(1, 4): got 1, expected 4"),
        (ROWS.replace("def test_f(a, b)", "def test_f(fixture, a, b)").replace("(1, 2)", "(x, 2)"), "test_f(1, 1, 2): got 1, expected 2"),
        (ROWS + "\n\nclass TestX:\n    def test_f(self):\n        pass\n", "test_f(1, 2): got 1, expected 2"),
        (ROWS.replace("    (1, 2),\n", "    (1, 2), \\\n"), "test_f(1, 2): got 1, expected 2"),  # no comment may stand there
        ("def test_f():\n    assert f(1) == 1; assert f(2) == 2\n", "test_f(): got 1, expected 2"),
        ("def test_f():\n    assert f(a) == b\n    assert f(2) == 2\n", "test_f(): got 1, expected 2"),
        ("def test_f(fixture):\n    assert f(1) == 2\n", "test_f(): raised TypeError: bad"),
        ("def test_f():\n    assert f(\n", "test_f(): got 1, expected 2"),
        ("def test_f():\n    assert f(1) == 2\n", ""),
    ],
)  # fmt: skip
def test_where_it_is_not_certain_nothing_is_noted(tests, log):
    assert annotate(tests, log) == tests


def test_rows_that_are_the_same_are_told_in_their_order():
    tests = ROWS.replace("(3, 4)", "(1, 2)")
    noted = annotate(tests, "test_f(1, 2): got 8, expected 2\ntest_f(1, 2): got 9, expected 2")
    assert "    (1, 2),  # got 8\n    (1, 2),  # got 9\n" in noted


def test_line_ends_and_comments_of_the_file_stay():
    tests = ROWS.replace("(1, 2),", "(1, 2),   # got milk  # got bread").replace("\n", "\r\n")
    noted = annotate(tests, "test_f(1, 2): raised KeyError: 'x'\ntest_f(3, 4): got '# got 1', expected 4")
    assert "(1, 2),   # got milk  # got bread  # raised KeyError\r\n    (3, 4),  # got '# got 1'\r\n" in noted
    assert strip(noted, tests) == tests


ODD = [
    "1",
    "'# got 1'",
    "'a, expected b'",
    '"""',
    "'\\\\'",
    "[1, 2]",
    "<A object at 0x...>",
    "'ü\u2028'",
    "{'a': 1}",
    "#",
    "x" * 197 + "...",
]


def logs(tests, rng):
    """A log that could be of ``tests``: for every test and row of literals in it, an answer of some kind."""
    for node in ast.walk(ast.parse(tests)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        rows = ["()"]
        for call in (d for d in node.decorator_list if isinstance(d, ast.Call) and len(d.args) == 2):
            for row in getattr(call.args[1], "elts", []):
                try:
                    value = ast.literal_eval(row)
                except ValueError:
                    continue
                rows.append(repr(value) if isinstance(value, tuple) and len(value) > 1 else f"({value!r})")
        for row in rows:
            told = [
                f"got {rng.choice(ODD)}, expected {rng.choice(ODD)}",
                f"raised {rng.choice(['KeyError', 'ValueError'])}: no: x",
            ]
            yield f"{node.name}{row}: {rng.choice([*told, 'did not raise ValueError', 'assert x is false'])}"


def test_notes_are_comments_and_come_out_again_to_the_byte():
    rng = random.Random(5)
    own = [p.read_text(encoding="utf-8") for p in sorted(Path(__file__).parents[2].rglob("test_*.py"))]
    made = [e.completion for e in itertools.islice(stream(11), 120)]
    changed = 0
    for tests in [*own, *made, *(m.replace("\n", "\r\n") for m in made[:50])]:
        noted = annotate(tests, "\n".join(logs(tests, rng)))
        assert ast.dump(ast.parse(noted)) == ast.dump(ast.parse(tests))
        assert strip(noted, tests) == tests
        changed += noted != tests
    assert changed > 100


def test_a_made_example_shows_every_row_and_assertion_that_its_log_names():
    shown = [
        e.prompt for e in itertools.islice(stream(7), 250) if e.kind.startswith("repair/") and "/import" not in e.kind
    ]
    for text in shown:
        failed, log = text.split(f"{prompt.FAILED}\n", 1)[1].split(f"\n\n{prompt.LOG}\n", 1)
        lines = log.split(f"\n\n{prompt.ANSWER}", 1)[0].split("\n")
        assert sum("  # " in line for line in failed.split("\n")) == len(lines)
    assert len(shown) > 80


def test_version_1_shows_the_bare_file():
    log = "test_f(1, 2): got 1, expected 2"
    assert ROWS.strip() in prompt.repair("x = 1", ROWS, log, version=1)
    assert "(1, 2),  # got 1\n" in prompt.repair("x = 1", ROWS, log)
    assert prompt.noted(ROWS, log, 1) == ROWS


CODE = CodeUnderTest(
    source="def f(a):\n    return a\n", shown="", module="m", unit="f", root=".", interpreter=sys.executable
)


def test_a_copied_note_never_reaches_the_file():
    failed = "import pytest\nfrom m import f\n\n\ndef test_f():\n    assert f(1) == 2  # got it wrong\n    assert f('# got 2') == 1\n"
    answer = failed.replace("== 2  # got it wrong", "== 1  # got it wrong  # got 1").replace(
        "== 1\n", "== '# got 2'  # got '# got 2'\n"
    )
    found = mend(f"```python\n{answer}```", CODE, failed)
    assert found.tests == failed.replace("== 2", "== 1").replace("== 1\n", "== '# got 2'\n")
    assert "the prompt's notes" in found.mended


@pytest.mark.parametrize("comment", ["# got milk", "# raised once", "# did not raise", "# (1, 2): got 3"])
def test_a_comment_in_a_file_without_notes_is_left_alone(comment):
    tests = f"from m import f\n\n\ndef test_f():\n    assert f(1) == 1  {comment}\n"
    assert mend(tests, CODE).tests == tests
    assert mend(tests, CODE, tests).tests == tests
    alone = tests.replace(f"  {comment}", "").replace("    assert", f"    {comment}\n    assert")
    assert mend(alone, CODE, "from m import f\n").tests == alone
