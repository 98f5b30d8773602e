"""The rows: in which forms they are read, what is told of one that is none, and what is asked of a model."""

import gzip
import json
import re

import pytest

from benchmarks.smart_coding.rows import TASKS, CommentRow, load, numbered, rows_of
from testing_crew.errors import UserMistake

CODE = "def twice(x):\n    return 2 * x"
COMMENT = {
    "code_snippet": CODE,
    "annotations": [{"line_number": 2, "annotation": "Doubles."}],
    "description": "Say it.",
}
ISSUE = {"question": "It fails", "user_login": "a", "created_at": "2025", "updated_at": "2025", "body": "On 3.12."}
LINES = {"kind": "lines", "module": "doubling", "prefix": "def twice(x):\n", "reference": "    return 2 * x\n"}
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture
def written(tmp_path):
    def write(*rows, name="rows.jsonl"):
        place = tmp_path / name
        place.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
        return place

    return write


def test_comments_are_read_line_by_line_or_as_one_text(written):
    one, other, both = load(
        "comment",
        written(
            COMMENT,
            {"code_snippet": CODE, "comment": "Doubles x."},
            {**COMMENT, "description": "", "comment": "Whole."},
        ),
    )
    assert one.row.reference == "2: Doubles."
    assert "2|     return 2 * x" in one.prompt
    assert "Say it." in one.prompt
    assert other.row.reference == "Doubles x."
    assert "| " not in other.prompt
    assert CODE in other.prompt
    assert both.row.reference == "2: Doubles."
    assert [each.id for each in (one, other, both)] == ["1", "2", "3"]


def test_keys_of_the_published_form_that_ask_something_else_are_passed_over(written):
    published = {**COMMENT, "test_case": "x", "prompt": "y", "judge_prompt": "z"}
    (row,) = rows_of("comment", written(published))
    assert row == rows_of("comment", written(COMMENT, name="b.jsonl"))[0]


def test_answers_to_an_issue_are_objects_or_texts_in_the_order_of_their_numbers(written):
    given = {**ISSUE, "answer_10": {"body": "ten"}, "answer_2": {"user_login": "b", "body": "two"}, "answer_1": "one"}
    empty = {**ISSUE, "body": None, "answer_1": {"body": None}, "answer_2": {"body": " \n"}, "answer_3": None}
    listed = {"question": "Why?", "body": None, "answers": ["because"]}
    bare = {**ISSUE, "answer_1": {"user_login": "b"}}
    first, second, third, fourth = rows_of("issue", written(given, empty, listed, bare))
    assert first.answers == ("one", "two", "ten")
    assert first.reference == "one"
    assert (second.answers, second.reference, second.body) == ((), "", "")
    assert (third.body, third.answers) == ("", ("because",))
    assert fourth.answers == ()


def test_the_language_is_seen_from_what_people_wrote_unless_it_is_said(written):
    zh = {**COMMENT, "description": "请写注释"}
    in_notes = {"code_snippet": CODE, "comment": "把 x 翻倍"}
    in_code = {"code_snippet": "x = '中文'", "comment": "A text."}
    said = {**zh, "language": "en"}
    assert [row.language for row in rows_of("comment", written(zh, in_notes, in_code, said))] == [
        "zh",
        "zh",
        "en",
        "en",
    ]
    issues = written({**ISSUE, "question": "报错"}, {**ISSUE, "body": "出错了"}, ISSUE)
    assert [row.language for row in rows_of("issue", issues)] == ["zh", "zh", "en"]


def test_a_file_may_be_json_zipped_or_have_blank_lines(written, tmp_path):
    place = written(COMMENT)
    listed, zipped, blank = (tmp_path / name for name in ("a.json", "a.jsonl.gz", "b.jsonl"))
    listed.write_text(json.dumps([COMMENT], indent=1))
    zipped.write_bytes(gzip.compress(place.read_bytes()))
    blank.write_text("\n" + place.read_text() + "\n\n")
    assert rows_of("comment", place) == rows_of("comment", listed) == rows_of("comment", zipped)
    assert rows_of("comment", place) == rows_of("comment", blank)


BROKEN = {
    "a field that is missing": ("comment", {"comment": "x"}, "code_snippet: Field required"),
    "no code": ("comment", {**COMMENT, "code_snippet": ""}, "code_snippet: String should have at least 1"),
    "a line that is none": (
        "comment",
        {**COMMENT, "annotations": [{"line_number": 0, "annotation": "x"}]},
        "annotations.0.line_number",
    ),
    "a key too many": ("comment", {**COMMENT, "score": 1}, "score: Extra inputs"),
    "a language that is none": ("issue", {**ISSUE, "language": "ru"}, "language: Input should be 'en' or 'zh'"),
    "no question": ("issue", {**ISSUE, "question": None}, "question"),
    "an answer of another kind": ("issue", {**ISSUE, "answer_1": 5}, "answers.0: Input should be a valid string"),
    "an answer's body of another kind": ("issue", {**ISSUE, "answer_1": {"body": [1]}}, "answers.0"),
    "a list": ("issue", [1, 2], "Input should be a valid dictionary"),
    "a text": ("comment", "text", "Input should be a valid dictionary"),
    "nothing": ("testgen", None, "Input should be a valid dictionary"),
    "a kind that is none": ("testgen", {**LINES, "kind": "class"}, "kind: Input should be"),
    "no reference": ("testgen", {**LINES, "reference": ""}, "reference"),
    "a row of another task": ("testgen", ISSUE, "Field required"),
}
GOOD = {"comment": COMMENT, "issue": ISSUE, "testgen": LINES}


@pytest.mark.parametrize("what", BROKEN)
def test_a_row_that_is_none_is_told_with_its_file_and_number(what, written):
    task, broken, said = BROKEN[what]
    with pytest.raises(UserMistake) as told:
        load(task, written(GOOD[task], broken))
    assert f"rows.jsonl, row 2, is no row for {task}: " in told.value.message
    assert said in told.value.message


def test_an_empty_file_an_absent_one_and_one_that_is_no_json_are_told(written, tmp_path):
    for place in (written(), written(name="blank.jsonl")):
        place.write_text("\n \n" if place.name == "blank.jsonl" else "")
        with pytest.raises(UserMistake, match="holds no row"):
            load("comment", place)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UserMistake, match="holds no row"):
        load("comment", tmp_path / "list.json")
    with pytest.raises(UserMistake, match="cannot be read"):
        load("comment", tmp_path / "nothing.jsonl")
    (tmp_path / "text.jsonl").write_text("hello")
    with pytest.raises(UserMistake, match="neither JSON nor JSONL"):
        load("comment", tmp_path / "text.jsonl")


def test_an_id_that_comes_twice_is_told_also_among_many_and_where_it_was_given_by_number(written):
    many = [{"code_snippet": "x"} for _ in range(6000)]
    assert len(rows_of("comment", written(*many))) == 6000
    for rows in ([{**COMMENT, "id": "a"}] * 2, [{**COMMENT, "id": "2"}, COMMENT], [*many, {**many[0], "id": "77"}]):
        with pytest.raises(UserMistake, match=r"more than one row of the id '(a|2|77)'"):
            rows_of("comment", written(*rows))


def test_two_rows_that_ask_the_same_are_told(written):
    asked = [{"code_snippet": CODE, "comment": said, "id": name} for name, said in (("a", "Doubles."), ("b", "Other."))]
    with pytest.raises(UserMistake, match="two rows ask the same: ids 'a' and 'b'; take one out"):
        load("comment", written(*asked))
    assert len(load("comment", written(asked[0], {**asked[1], "code_snippet": CODE + "\n"}))) == 2


def test_lines_are_numbered_from_one_in_equal_width():
    assert numbered("a\nb").split("\n") == ["1| a", "2| b"]
    assert numbered("\n".join("x" * 12)).split("\n")[8:10] == [" 9| x", "10| x"]


@pytest.mark.parametrize("task", TASKS)
def test_rows_that_ship_are_asked_in_their_language_and_in_other_words(task):
    questions = load(task)
    assert len(questions) >= 40
    assert len({each.prompt for each in questions}) == len({each.digest for each in questions}) == len(questions)
    for each in questions:
        assert each.paraphrases
        assert len({each.prompt, *each.paraphrases}) == 1 + len(each.paraphrases)
        assert each.row.reference.strip()
        for prompt in (each.prompt, *each.paraphrases):
            assert bool(CHINESE.search(prompt)) == (each.row.language == "zh"), each.id
            assert "{" + "code}" not in prompt
    if task != "testgen":
        assert {each.group for each in questions} == {"en", "zh"}
    else:
        assert {each.group for each in questions} == {"test", "lines"}


def test_annotations_that_ship_stand_at_lines_that_there_are_and_a_question_shows_no_answer():
    for row in rows_of("comment"):
        assert isinstance(row, CommentRow)
        numbers = [note.line_number for note in row.annotations]
        assert numbers == sorted(set(numbers))
        assert not numbers or numbers[-1] <= row.code_snippet.count("\n") + 1
    for task in ("comment", "issue"):
        for each in load(task):
            said = [n.annotation for n in each.row.annotations] if task == "comment" else each.row.answers
            assert not any(text in each.prompt for text in said), each.id


def test_a_digest_changes_with_what_is_asked_or_right(written):
    (one,) = load("comment", written(COMMENT))
    other = {**COMMENT, "annotations": [{"line_number": 2, "annotation": "Other."}]}
    assert load("comment", written(COMMENT))[0].digest == one.digest
    assert load("comment", written(other))[0].digest != one.digest
    assert load("comment", written(other))[0].prompt == one.prompt
