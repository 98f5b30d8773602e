"""Rows out of a project's history: what is asked of its commits, its issues and its repaired tests, and what is left out."""

import json

import pytest

from benchmarks.smart_coding.export import comment_rows, issue_rows, rows_of_data_set, that_run
from benchmarks.smart_coding.export import testgen_rows as rows_of_lessons  # pytest collects names that begin with test
from benchmarks.smart_coding.rows import rows_of
from testing_crew.runner.run import Runner
from trace_logger.collect.records import Annotated, Feedback, Step, Version
from trace_logger.collect.repairs import VERIFIED, Candidate, Lesson
from trace_logger.journal import Journal

RUNNER = Runner()
CODE = "def add(rows):\n    total = 0\n    for row in rows:\n        total += row\n    return total"
SAID = "Rows that are empty count nothing."


def step(*annotated, path="pkg/sums.py", **more):
    versions = (Version(path=path, change="changed", annotated=annotated),) if annotated else ()
    given = {"id": "c1", "repository": "r", "kind": "commit", "actor": "one", "created_at": "2025-01-01", "title": "t"}
    return Step(**{**given, "versions": versions, **more})


def piece(name="add", code=CODE, said=SAID, docstring="", line=3):
    notes = [{"line_number": line, "annotation": said}] if said else []
    return Annotated(name=name, code=code, docstring=docstring, annotations=notes)


def loadable(task, rows, tmp_path):
    """The rows again, as the benchmark reads them from a file."""
    place = tmp_path / f"{task}.jsonl"
    place.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return rows_of(task, place)


def test_a_function_is_asked_as_it_was_written_last(tmp_path):
    older, newer = piece(said="An older comment here."), piece(docstring="  Add up.\n\n  More of it.\n")
    rows = comment_rows([step(older), step(newer, id="c2"), step(piece(name="other"), id="c3", path="pkg/b.py")])
    assert [row["id"] for row in rows] == ["pkg/sums.py:add", "pkg/b.py:other"]
    assert rows[0]["annotations"] == [{"line_number": 3, "annotation": SAID}]
    assert rows[0]["comment"] == "Add up."
    made = loadable("comment", rows, tmp_path)
    assert made[0].reference == f"3: {SAID}"
    assert [row.language for row in made] == ["en", "en"]


def test_what_says_nothing_or_is_too_short_or_long_is_left_out():
    long = "def f():\n" + "    x = 1\n" * 40
    left = [piece(said="TODO"), piece(said="", docstring="Add."), piece(code="def f():\n    pass"), piece(code=long)]
    assert comment_rows([step(*(each.model_copy(update={"name": str(n)}) for n, each in enumerate(left)))]) == []
    (row,) = comment_rows([step(piece(said="", docstring="Add all the rows up.\n\nArgs: rows."))])
    assert (row["annotations"], row["comment"]) == ([], "Add all the rows up.")
    assert comment_rows([step()]) == []


def test_chinese_words_are_counted_by_their_characters(tmp_path):
    rows = comment_rows([step(piece(said="遇到空行就停止累加")), step(piece(said="累加"), path="b.py", id="c2")])
    (row,) = loadable("comment", rows, tmp_path)
    assert row.language == "zh"


def test_what_was_deleted_moved_or_taken_out_is_asked_no_more():
    def version(change, path="a.py", **more):
        return Version(path=path, change=change, **more)

    def commit(number, *versions):
        return step(id=f"c{number}", parents=[f"c{number - 1}"]).model_copy(update={"versions": versions})

    steps = [
        commit(1, version("added", annotated=[piece("kept"), piece("lost"), piece("again")])),
        commit(2, version("added", "gone.py", annotated=[piece("other")])),
        commit(3, version("deleted", "gone.py")),
        commit(4, version("renamed", "b.py", old_path="a.py")),
        commit(5, version("changed", "b.py", diff="-def lost():\n-    pass\n-def again():\n+def again(x):\n")),
    ]
    assert [row["id"] for row in comment_rows(steps)] == ["b.py:kept", "b.py:again"]
    again = [*steps[1:], steps[0]]  # a step that came again stands at the end of the file
    assert [row["id"] for row in comment_rows(again)] == ["b.py:kept", "b.py:again"]


def test_rows_of_a_package_run_with_its_other_modules_and_those_that_do_not_run_are_left_out():
    code = "from .util import half\n\n\ndef quarter(x):\n    return half(half(x))\n"
    files = {"pkg/__init__.py": "", "pkg/util.py": "def half(x):\n    return x // 2\n"}
    test = "def test_quarter():\n    assert quarter(9) == 2\n"
    before = "from pkg.core import quarter\n"
    right = lesson("1 t.py core.py", module="pkg.core", code=code, files=files, tests_before=before, added=test)
    wrong = lesson(
        "2 t.py core.py", module="pkg.core", code=code, files=files, tests_before=before, added=test[:-2] + "3\n"
    )
    alone = lesson("3 t.py core.py", module="pkg.core", code=code, tests_before=before, added=test)
    rows = rows_of_lessons([right, wrong, alone])
    assert [row["id"] for row in that_run(rows, RUNNER, print)] == ["test 1 t.py core.py"]


def comment(actor, body, **more):
    return Feedback(**{"id": body, "kind": "comment", "actor": actor, "created_at": "2025-02-02", "body": body, **more})


def issue(*feedback, **more):
    return step(id="issue/7", kind="issue", title="It fails", body="On 3.12.", feedback=feedback, **more)


def test_an_issue_is_asked_with_what_others_answered(tmp_path):
    said = (
        comment("one", "More of it."),
        comment("two", "Upgrade."),
        comment("three", " "),
        comment("three", "Or wait."),
    )
    (row,) = issue_rows([issue(*said, updated_at="2025-03-03"), step()])
    assert [row[key] for key in ("id", "question", "user_login", "body")] == ["issue/7", "It fails", "one", "On 3.12."]
    assert (row["created_at"], row["updated_at"]) == ("2025-01-01", "2025-03-03")
    assert row["answer_1"] == {
        "user_login": "two",
        "created_at": "2025-02-02",
        "updated_at": "2025-02-02",
        "body": "Upgrade.",
    }
    (made,) = loadable("issue", [row], tmp_path)
    assert made.answers == ("Upgrade.", "Or wait.")
    liked = comment("four", "Turn it off and on.", created_at="2025-05-05", reactions=[("+1", 3)])
    bot = comment("bot-1", "I am stale.", created_at="2024-01-01", reactions=[("+1", 9)])
    (row,) = issue_rows([issue(bot, *said, liked)])
    assert [row[f"answer_{n}"]["body"] for n in (1, 2)] == ["Turn it off and on.", "Upgrade."]
    assert "I am stale." not in json.dumps(row)
    assert made.language == "en"


def test_an_issue_that_only_its_author_speaks_of_and_a_pull_request_are_left_out():
    review = Feedback(id="r", kind="review", actor="two", created_at="2025", body="Fine.")
    assert issue_rows([issue(), issue(comment("one", "Solved it.")), issue(review)]) == []
    assert issue_rows([issue(comment("two", "Nice.")).model_copy(update={"kind": "pull_request"})]) == []
    assert issue_rows([issue(comment("two", "升级")).model_copy(update={"title": "报错"})])[0]["language"] == "zh"


BEFORE = "def half(x):\n    y = x\n    return y / 2\n"
AFTER = "def half(x):\n    y = x\n    return y // 2\n"


def lesson(name="abc tests/test_half.py half.py", target="pkg/half.py", **more):
    parts = {"commit": "abc", "before": "abb", "tests_from": "abc", "test": "tests/test_half.py", "target": target}
    return Lesson(candidate=Candidate(id=name, kind="fix_with_test", **parts), **more)


def test_a_commits_test_and_its_mended_lines_are_asked(tmp_path):
    found = lesson(
        found="repair+fix",
        module="half",
        code=AFTER,
        code_before=BEFORE,
        tests_before="from half import half\n",
        added="def test_half():\n    assert half(5) == 2\n",
        bug_test="from half import half\n\n\ndef test_half():\n    assert half(5) == 2\n",
    )
    rows = rows_of_lessons([found])
    test, lines = loadable("testgen", rows, tmp_path)
    assert (test.kind, test.module, test.code, test.prefix) == ("test", "half", AFTER, "from half import half\n")
    assert test.reference == found.added
    assert (lines.kind, lines.prefix, lines.reference) == ("lines", "def half(x):\n    y = x\n", "    return y // 2\n")
    assert lines.prefix + lines.reference + lines.suffix == AFTER
    assert lines.tests == found.bug_test
    assert {row.source for row in (test, lines)} == {"abc"}
    assert list(that_run(rows, RUNNER, print)) == [rows[0] | {"lines": (2, 3)}, rows[1]]
    assert test.id != lines.id


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (AFTER, AFTER),
        ("x = 1\n" + BEFORE, BEFORE),
        ("y = 1\nx\n", "y = 1\n"),
        ("x = 1\ny = 1\n", "x = 2\ny = 1\n"),
        ("x = 1\n", "x = 1\n" + "y = 2\n" * 11),
        ("x = 1\ny = 1\n", "x = 1\n\ny = 1\n"),
        ("", AFTER),
    ],
    ids=[
        "the same",
        "only taken away",
        "taken away at the end",
        "at the top",
        "too long",
        "a blank line",
        "a new file",
    ],
)
def test_a_change_that_makes_no_question_is_left_out(before, after):
    assert rows_of_lessons([lesson(found="fix", code=after, code_before=before)]) == []


def test_lessons_without_a_test_or_with_too_long_a_module_are_left_out():
    assert rows_of_lessons([lesson(), lesson(found="repair", code=AFTER, code_before=BEFORE)]) == []
    assert rows_of_lessons([lesson(added="def test_a(): ...\n", code="x = 1\n" * 5000)]) == []
    twice = [lesson(added="def test_a(): ...\n", code=AFTER), lesson(added="def test_b(): ...\n", code=AFTER)]
    assert [row["reference"] for row in rows_of_lessons(twice)] == ["def test_b(): ...\n"]


def test_a_data_set_gives_the_rows_of_each_form(tmp_path):
    Journal(tmp_path / VERIFIED, Lesson).add("a", lesson(added="def test_a(): ...\n", code=AFTER))
    steps = [step(piece()), issue(comment("two", "Upgrade."))]
    counts = {form: len(rows_of_data_set(tmp_path, form, steps)) for form in ("comment", "issue", "testgen")}
    assert counts == {"comment": 1, "issue": 1, "testgen": 1}
    assert rows_of_data_set(tmp_path / "none", "testgen", []) == []
    twice = [*steps, step(piece(), path="copied.py", id="c9")]
    assert [row["id"] for row in rows_of_data_set(tmp_path, "comment", twice)] == ["pkg/sums.py:add"]
