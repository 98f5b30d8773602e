"""A model that judges: what it is shown, how its words are read, and that no answer is lost by it."""

import pytest

from benchmarks.smart_coding.ask import predict
from benchmarks.smart_coding.judge import judged, read
from benchmarks.smart_coding.rows import CommentRow, IssueRow, TestgenRow, questions
from testing_crew.backends.scripted import ScriptedBackend
from testing_crew.errors import GenerationFailed, PromptTooLong

COMMENT = CommentRow(
    code_snippet="x = 1\ny = {x}", annotations=[{"line_number": 2, "annotation": "Braces {answer} stay."}]
)
ISSUE = IssueRow(question="Why?", body="It {breaks}.", answers=("Because.", "Or so."))


@pytest.mark.parametrize(
    ("said", "logic", "accuracy"),
    [
        ("logic: 8\naccuracy: 6", 0.8, 0.6),
        ("Logic: 8/10\nAccuracy: 10 / 10", 0.8, 1.0),
        ("logic - 8, accuracy - 0", 0.8, 0.0),
        ("LOGIC=8;ACCURACY=7", 0.8, 0.7),
        ('{"logic": 8, "accuracy": 5}', 0.8, 0.5),
        ("**Logic**: 8\n**Accuracy:** 4", 0.8, 0.4),
        ("- logic： 9\n- accuracy： 3", 0.9, 0.3),
        ("logic: 12", 1.0, None),
        ("logic: 7.5", 0.7, None),
        ("Thinking about it…\n\naccuracy: 2", None, 0.2),
        ("logic: N\naccuracy: N", None, None),
        ("logic: high", None, None),
        ("I would say 8 for logic", None, None),
        ("", None, None),
        ("\x00\ud800 logic", None, None),
    ],
)
def test_scores_are_read_as_shares(said, logic, accuracy):
    found = read(said, "j")
    assert (found.logic, found.accuracy, found.right) == (logic, accuracy, None)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("verdict: right", True),
        ("Verdict: **WRONG**", False),
        ('{"verdict": "wrong"}', False),
        ("The cause is named.\nverdict: right.", True),
        ("verdict: right\nverdict: right", True),
        ("verdict: right\nor\nverdict: wrong", None),
        ("verdict: right or wrong", None),
        ("verdict: right/wrong", None),
        ("verdict: not right", None),
        ("verdict: rightly so", None),
        ("it is right", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_or_is_none(said, right):
    assert read(said, "j").right is right


def test_what_a_judge_said_is_kept_in_part():
    assert len(read("blah " * 10_000, "j").said) == 400
    assert "half \ufffd" in read("half \ud83d", "j").model_dump_json()


def test_a_judge_sees_the_question_what_people_said_and_the_answer_as_they_are():
    judge = ScriptedBackend(["logic: 5\naccuracy: 5", "verdict: right"], tag="scripted:judge")
    assert judged("comment", COMMENT, "2: {reference} mine", judge).logic == 0.5
    assert judged("issue", ISSUE, "My {answer}", judge).right is True
    first, second = judge.prompts
    assert "2| y = {x}" in first
    assert "Braces {answer} stay." in first
    assert "2: {reference} mine" in first
    for shown in ("Why?", "It {breaks}.", "Because.", "Or so.", "My {answer}"):
        assert shown in second
    assert "(none)" in _asked(ISSUE.model_copy(update={"answers": ()}))
    assert all(each.temperature == 0 for each in judge.samplings)


def _asked(row):
    judge = ScriptedBackend(["verdict: wrong"])
    judged("issue", row, "x", judge)
    return judge.prompts[0]


def test_nothing_is_judged_of_what_is_run():
    row = TestgenRow(kind="lines", module="m", prefix="a\n", reference="b\n")
    assert judged("testgen", row, "b", ScriptedBackend([])) is None


class Failing:
    tag, revision = "failing", "0"

    def __init__(self, error):
        self.error = error

    def complete(self, prompt, sampling):
        raise self.error


@pytest.mark.parametrize("error", [GenerationFailed("the server is gone"), PromptTooLong("too many tokens")])
def test_a_judge_that_fails_says_nothing_and_no_answer_is_lost(error):
    (question,) = questions("issue", [ISSUE])
    made = predict(question, ScriptedBackend(["a", "b", "c"]), judge=Failing(error))
    assert (made.answer, made.repeats, made.paraphrases) == ("a", ("b",), ("c",))
    assert made.judgement.right is None
    assert str(error.message) in made.judgement.said
