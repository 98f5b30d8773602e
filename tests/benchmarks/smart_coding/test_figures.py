"""The figures of a set of answers: their means, what a judge changes, what is reliable, and answers of somebody else's model."""

import math

import pytest

from benchmarks.smart_coding.ask import Prediction
from benchmarks.smart_coding.figures import FIGURES, mean, read, reliability
from benchmarks.smart_coding.judge import Judgement
from benchmarks.smart_coding.rows import TASKS, CommentRow, IssueRow, TestgenRow, rows_of
from testing_crew.runner.run import Runner

COMMENT = CommentRow(
    code_snippet="x = 1\ny = x\nz = y",
    annotations=[{"line_number": 1, "annotation": "Starts at one."}, {"line_number": 3, "annotation": "The last."}],
)
PERFECT = COMMENT.reference
ISSUE = IssueRow(id="7", question="Why?", body="b", answers=("Use `asyncio.run`.", "Wait."))
TEST = TestgenRow(
    kind="test",
    module="doubling",
    code="def twice(x):\n    return 2 * x\n",
    prefix="from doubling import twice\n",
    reference="def test_twice():\n    assert twice(2) == 4\n",
    lines=(2,),
)


@pytest.fixture(scope="module")
def runner():
    with Runner() as made:
        yield made


def answered(row, answer, **more):
    return Prediction(question="?", answer=answer, row=row, **more)


def all_of(task, predictions, runner):
    return {name: mean(task, name, predictions, runner) for name in FIGURES[task]}


def known(figures):
    return {name: round(value, 3) for name, value in figures.items() if not math.isnan(value)}


def test_a_perfect_answer_has_all_of_each_figure(runner):
    comment = answered(COMMENT, PERFECT, repeats=(PERFECT,), paraphrases=(PERFECT,))
    assert set(all_of("comment", [comment], runner).values()) == {1.0}
    issue = answered(ISSUE, ISSUE.reference, repeats=(ISSUE.reference,))
    assert known(all_of("issue", [issue], runner)) == {"overlap": 1.0, "reliability": 1.0, "explainability": 1.0}
    test = answered(TEST, f"```python\n{TEST.reference}```", repeats=(TEST.reference,), explanation="Line 2.")
    assert set(all_of("testgen", [test], runner).values()) == {1.0}


def test_an_empty_answer_has_nothing(runner):
    for task, row in (("comment", COMMENT), ("issue", ISSUE), ("testgen", TEST)):
        given = answered(row, "", repeats=("",), paraphrases=("",), explanation="" if row is TEST else None)
        assert set(known(all_of(task, [given], runner)).values()) == {0.0}
        assert len(known(all_of(task, [given], runner))) == len(FIGURES[task]) - (task == "issue")


def test_a_mean_is_over_the_answers_that_a_figure_is_known_of(runner):
    some = [answered(COMMENT, PERFECT), answered(COMMENT, ""), answered(COMMENT, PERFECT, repeats=(PERFECT,))]
    assert mean("comment", "format", some, runner) == pytest.approx(2 / 3)
    assert mean("comment", "reliability", some, runner) == 1.0
    whole = CommentRow(code_snippet="x = 1", comment="Sets x.")
    assert mean("comment", "explainability", [answered(whole, "Sets x."), *some[:1]], runner) == 1.0


@pytest.mark.parametrize("task", TASKS)
def test_where_nothing_is_known_there_is_no_number(task):
    unknown = Prediction(question="?", answer="x")
    other = answered(ISSUE if task == "comment" else COMMENT, "x")
    for name in FIGURES[task]:
        assert math.isnan(mean(task, name, []))
        assert math.isnan(mean(task, name, [unknown]))
        assert name == "reliability" or math.isnan(mean(task, name, [other]))


def test_a_judges_word_stands_in_place_of_likeness(runner):
    word = Judgement(judge="j", logic=0.4, accuracy=0.5)
    (judged, plain) = (all_of("comment", [answered(COMMENT, PERFECT, judgement=each)], runner) for each in (word, None))
    assert (plain["logic"], plain["accuracy"], plain["function"]) == (1.0, 1.0, 1.0)
    assert (judged["logic"], judged["accuracy"]) == (0.4, 0.5)
    assert judged["function"] == pytest.approx(3 / (1 / 0.4 + 1 / 0.5 + 1))
    assert judged["format"] == judged["explainability"] == 1.0
    silent = all_of("comment", [answered(COMMENT, PERFECT, judgement=Judgement(judge="j"))], runner)
    assert math.isnan(silent["logic"])  # of a scale of its own, likeness would not be a judge's word
    assert math.isnan(silent["function"])
    assert mean("comment", "function", [answered(COMMENT, "")], runner) == 0.0
    misplaced = answered(COMMENT, "99: far", judgement=word)
    whole = CommentRow(code_snippet="x = 1", comment="Sets x to the first.")
    (judged, plain) = (
        known(all_of("comment", [answered(whole, whole.comment, judgement=each)], runner)) for each in (word, None)
    )
    assert plain == {"logic": 1.0, "format": 1.0, "function": 1.0}
    assert judged == {"logic": 0.4, "accuracy": 0.5, "format": 1.0, "function": round(3 / (1 / 0.4 + 1 / 0.5 + 1), 3)}
    assert mean("comment", "accuracy", [misplaced], runner) == 0.0


def test_what_a_judge_says_of_issues_is_a_share(runner):
    words = [Judgement(judge="j", right=right) for right in (True, False, True, None)]
    assert mean(
        "issue", "judge_says", [answered(ISSUE, "x", judgement=word) for word in words], runner
    ) == pytest.approx(2 / 3)


def test_reliable_is_who_says_the_same_again(runner):
    def figure(row, first, *others):
        return reliability(answered(row, first, repeats=others), runner)

    assert figure(ISSUE, "", "", "") == 0.0
    assert figure(ISSUE, "Always this.", "Always this.", "Always this.") == 1.0
    assert figure(ISSUE, "Always this.", "", "Always this.") == 0.5
    assert figure(ISSUE, "abc", "xyz") == 0.0
    assert figure(ISSUE, "alone") is None
    same = "def test_a():\n    assert twice(2) == 4\n"
    assert figure(TEST, same, f"Of course!\n```python\n{same}```") == 1.0
    assert figure(TEST, "no test", "no test") == 0.0


def test_which_lines_a_test_runs_is_an_explanation(runner):
    def figure(said):
        return FIGURES["testgen"]["explainability"](answered(TEST, "x", explanation=said), runner)

    assert (figure("2"), figure("1-2"), figure("none"), figure(None)) == (1.0, pytest.approx(2 / 3), 0.0, None)


def test_our_own_predictions_come_back_from_their_json():
    made = answered(COMMENT, "1: a", repeats=("b",), judgement=Judgement(judge="j", logic=0.1), finish="too long")
    assert read("comment", ["ignored"], [made.model_dump_json()]) == [made]
    assert read("comment", [], [made.model_dump_json()]) == [made]


@pytest.mark.parametrize(
    "said", ["{}", '{"answer": "x"}', "[1]", "null", "", '{"question": 1, "answer": 2}', "{" * 5000]
)
def test_other_json_is_an_answer_as_it_stands(said):
    (made,) = read("issue", ["Because."], [said])
    assert made.answer == said
    assert made.row.answers == ("Because.",)


@pytest.mark.parametrize("task", TASKS)
def test_plain_texts_of_somebody_elses_model_are_scored_by_the_rows_they_answer(task, runner):
    rows = rows_of(task)[-6:] if task != "testgen" else rows_of(task)[:2]
    references = [row.reference.strip("\n") for row in rows]
    found = read(task, references, references, lambda: rows)
    assert [each.row for each in found] == rows
    perfect = known(all_of(task, found, runner))
    assert set(perfect.values()) == {1.0}
    assert "function" in perfect or task == "issue"
    nothing = known(all_of(task, read(task, references, [""] * len(rows), lambda: rows), runner))
    assert set(nothing.values()) == {0.0}


def test_where_the_rows_are_not_known_the_references_say_what_they_can(runner):
    for task in ("comment", "issue"):
        references = [row.reference for row in rows_of(task)]
        found = known(all_of(task, read(task, references, references), runner))
        assert set(found.values()) == {1.0}
        assert found.keys() >= ({"logic", "accuracy", "format", "function"} if task == "comment" else {"overlap"})
    assert known(all_of("comment", read("comment", ["Adds them up."], ["Adds them up."]), runner))["function"] == 1.0
    assert known(all_of("comment", read("comment", ["把它们加起来"], ["Adds them up."]), runner))["format"] == 0.0
    assert known(all_of("testgen", read("testgen", ["x"], ["x"]), runner)) == {}
    assert read("comment", [" "], ["x"])[0].row is None


def test_rows_are_read_only_where_one_is_needed():
    def fail():
        raise AssertionError

    read("issue", ["x"], [answered(ISSUE, "a").model_dump_json()], fail)
    with pytest.raises(AssertionError):
        read("issue", ["x"], ["a"], fail)
