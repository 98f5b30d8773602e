"""Asking a model: what is asked how often, and that what was answered is not asked again."""

import json

import pytest

from benchmarks.smart_coding.ask import Prediction, predict, predict_all
from benchmarks.smart_coding.rows import CommentRow, IssueRow, TestgenRow, questions
from testing_crew.backends.base import Completion
from testing_crew.backends.scripted import ScriptedBackend
from testing_crew.errors import GenerationFailed, PromptTooLong

ISSUES = [IssueRow(id=str(n), question=f"Question {n}?", answers=(f"Answer {n}.",)) for n in range(3)]
TEST = TestgenRow(
    kind="test", module="m", code="def f():\n    return 1\n", prefix="", reference="def test_f(): ...\n", lines=(2,)
)


class Counting:
    """Answers with the number of the request; ``most`` is how long a prompt may be, ``last`` after how many it fails."""

    revision = "0"

    def __init__(self, tag="counting", most=10**6, last=10**6, revision="0"):
        self.tag, self.most, self.last, self.revision = tag, most, last, revision
        self.asked = []

    def complete(self, prompt, sampling):
        if len(prompt) > self.most:
            raise PromptTooLong("too long")
        if len(self.asked) >= self.last:
            raise GenerationFailed("gone")
        self.asked.append((prompt, sampling))
        return Completion(text=f"{len(self.asked)}", finish="stop", completion_tokens=7, seconds=0.0)


def known(rows=ISSUES):
    return {each.prompt: each for each in questions("issue", rows)}


def asked(backend, rows=ISSUES, texts=None, **ways):
    found = known(rows)
    return predict_all(list(texts or found), found, backend, **ways)


def test_first_greedy_then_warm_with_other_seeds_then_in_other_words():
    backend = Counting()
    (question,) = questions("issue", ISSUES[:1])
    made = predict(question, backend, seed=5, repeats=2)
    assert (made.answer, made.repeats, made.paraphrases) == ("1", ("2", "3"), ("4",))
    assert (made.question, made.row, made.tokens, made.finish) == (question.prompt, ISSUES[0], 7, "stop")
    assert [prompt for prompt, _ in backend.asked] == [question.prompt] * 3 + list(question.paraphrases)
    assert [(each.temperature, each.seed) for _, each in backend.asked] == [(0, 5), (0.7, 6), (0.7, 7), (0, 5)]
    assert made.explanation is None
    assert made.judgement is None
    alone = predict(question, Counting(), repeats=0, paraphrases=0)
    assert (alone.repeats, alone.paraphrases) == ((), ())


def test_of_a_next_test_it_is_asked_which_lines_it_runs():
    backend = Counting()
    (question,) = questions("testgen", [TEST])
    assert predict(question, backend).explanation == "4"
    assert "2|     return 1" in backend.asked[-1][0]
    assert "def test_f(): ..." in backend.asked[-1][0]
    (other,) = questions("testgen", [TEST.model_copy(update={"lines": ()})])
    assert predict(other, Counting()).explanation is None


def test_a_question_that_does_not_fit_is_no_answer_and_told():
    (question,) = questions("comment", [CommentRow(code_snippet="x = 1\n" * 50)])
    made = predict(question, Counting(most=100))
    assert (made.answer, made.finish, made.repeats, made.paraphrases) == ("", "too long", ("",), ("",))
    (unknown,) = asked(Counting(most=3), texts=["a long text"])
    assert (unknown.answer, unknown.finish, unknown.row) == ("", "too long", None)


def test_a_text_that_is_in_no_row_is_asked_as_it_is():
    backend = Counting()
    (made,) = asked(backend, texts=["What is this?"])
    assert made == Prediction(question="What is this?", answer="1", tokens=7)
    assert [prompt for prompt, _ in backend.asked] == ["What is this?"]


def test_half_a_character_at_the_end_can_be_kept(tmp_path):
    (made,) = asked(ScriptedBackend(["good \ud83d", "\udc00", "\ud83d\ude00"]), ISSUES[:1], kept=tmp_path / "k.jsonl")
    assert made.answer == "good \ufffd"
    assert made.paraphrases == ("\U0001f600",)
    assert Prediction.model_validate_json(made.model_dump_json()) == made


def test_what_was_answered_is_not_asked_again_also_after_a_failure_and_a_cut_line(tmp_path):
    kept, heard = tmp_path / "folder" / "kept.jsonl", []
    first = Counting(last=7)
    with pytest.raises(GenerationFailed):
        asked(first, kept=kept, tell=lambda *told: heard.append(told))
    assert heard == [(1, 3), (2, 3)]
    second = Counting()
    made = asked(second, kept=kept)
    assert [each.answer for each in made] == ["1", "4", "1"]
    assert len(second.asked) == 3
    third = Counting()
    assert asked(third, kept=kept) == made
    assert third.asked == []
    kept.write_bytes(kept.read_bytes()[:-20])
    asked(third, kept=kept)
    assert len(third.asked) == 3


def test_in_other_ways_or_of_another_model_or_row_it_is_asked_anew(tmp_path):
    kept = tmp_path / "kept.jsonl"
    asked(Counting(), kept=kept)
    judge = ScriptedBackend(["verdict: right"] * 3, tag="scripted:judge")
    for ways in ({"repeats": 2}, {"paraphrases": 0}, {"seed": 1}, {"judge": judge}):
        backend = Counting()
        made = asked(backend, kept=kept, **ways)
        assert backend.asked, ways
        assert len(made) == 3
        assert all((each.judgement is not None) == ("judge" in ways) for each in made)
    for backend in (Counting(tag="other"), Counting(revision="1")):
        asked(backend, kept=kept)
        assert len(backend.asked) == 9
    mended = [row.model_copy(update={"answers": ("A better answer.",)}) for row in ISSUES]
    backend = Counting()
    assert {each.row.reference for each in asked(backend, mended, kept=kept)} == {"A better answer."}
    assert len(backend.asked) == 9


def test_the_order_is_that_of_the_questions_and_one_that_comes_twice_is_asked_once(tmp_path):
    texts = [*reversed(known()), next(iter(known()))]
    backend = Counting()
    made = asked(backend, texts=texts, kept=tmp_path / "kept.jsonl")
    assert [each.question for each in made] == texts
    assert made[2] == made[3]
    assert len(backend.asked) == 9
    assert asked(Counting(), texts=texts[:0] or ["x"])[0].question == "x"
    assert predict_all([], {}, backend) == []


def test_what_is_kept_can_be_read_by_others(tmp_path):
    asked(Counting(), kept=tmp_path / "kept.jsonl")
    lines = (tmp_path / "kept.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["said"]["answer"] for line in lines] == ["1", "4", "7"]
