"""CodeCorrectness: what an answer is read as, what a row must be, what is counted, and what really comes of a test."""

import importlib.util
import json
import shutil
from collections import Counter
from pathlib import Path

import command_line
import pytest

from benchmarks.code_correctness import toolchains
from benchmarks.code_correctness.labels import Labeller
from benchmarks.code_correctness.prompts import ENGLISH, PROMPTS, RUSSIAN, in_mode
from benchmarks.code_correctness.questions import CONTROLS, ROWS, SHOTS, load, submission
from benchmarks.code_correctness.scorers import concluded, official, plain
from benchmarks.compare import compare
from benchmarks.report import markdown, page
from benchmarks.run import load_run, newest, perform
from benchmarks.suite import BENCHMARKS
from testing_crew.backends.scripted import ScriptedBackend
from testing_crew.config import Config
from testing_crew.errors import UserMistake
from testing_crew.prompt.outcome import LANGUAGES, ask, places, rows_of

BENCHMARK = BENCHMARKS["code_correctness"]
HARNESS = Path(ROWS).parent / "lm_eval" / "utils.py"
FOCAL = "def twice(x):\n    return 2 * x\n"
TEST = "from doubling import twice\n\n\ndef test_twice():\n    assert twice(2) == {}\n"

# answer, by the official definition, in plain words
TRICKY = [
    ("success", "success", "success"),
    (" failed\n", "failed", "failed"),
    ("Success", "neither", "success"),
    ("FAILED.", "neither", "failed"),
    ("**failed**", "failed", "failed"),
    ('"success"', "success", "success"),
    ("unsuccessful", "success", "failed"),
    ("The run will be unsuccessfully ended", "success", "failed"),
    ("not failed", "failed", "success"),
    ("It has not failed, so success", "both", "success"),
    ("The test will not be a success.", "success", "failed"),
    ("It won't succeed", "neither", "failed"),
    ("The test passes.", "neither", "success"),
    ("does not pass", "neither", "failed"),
    ("It never fails", "neither", "success"),
    ("succeed", "neither", "success"),
    ("fail", "neither", "failed"),
    ("success or failed", "both", "both"),
    ("failed\nAt first it looks like a success.", "both", "failed"),
    ("Is it a success? No. It failed", "both", "both"),
    ("Neither success nor failed", "both", "both"),
    ("test_success is in the file", "success", "neither"),
    ("Тест не failed", "failed", "success"),
    ("Это success", "success", "success"),
    ("I cannot tell", "neither", "neither"),
    ("", "empty", "empty"),
    (" \n ", "empty", "empty"),
    ("Answer: failed", "failed", "failed"),
    ("It may be a success. Answer: failed", "both", "failed"),
    ("No, it will fail.", "neither", "failed"),
    ("No: failed", "failed", "failed"),
    ("Нет, failed", "failed", "failed"),
    ("not sure, but failed", "failed", "failed"),
    ("x is not 3: failed", "failed", "failed"),
    ("There is no doubt it will pass", "neither", "success"),
    ("Тест выполнится без ошибок: success", "success", "success"),
    ("without errors, success", "success", "success"),
    ("no errors - success", "success", "success"),
    ("no errors — success", "success", "success"),
    ("The function does not raise, so success", "success", "success"),
    ("hardly a success", "success", "failed"),
    ("It isn't going to be a success", "success", "failed"),
    ("no failures", "neither", "success"),
    ("A success. It runs without errors and returns a success message.", "success", "success"),
    ('"success" (no error) or "failed" (at least one)?', "both", "both"),
    ('Статус: "success" (ошибок нет) или "failed" (есть хотя бы одна).', "both", "both"),
]


def row(number=1, outputs="success", value=4, **more):
    inputs = {"focal_code": FOCAL, "test_code": TEST.format(value), "lang": "Python"}
    made = {"instruction": PROMPTS[0], "inputs": inputs, "outputs": outputs, "meta": {"id": number}}
    return made | more


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def written(tmp_path):
    def write(*rows):
        place = tmp_path / "rows.jsonl"
        place.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
        return place

    return write


@pytest.fixture(scope="module")
def harness():
    spec = importlib.util.spec_from_file_location("lm_eval_utils", HARNESS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def labeller():
    made = Labeller()
    yield made
    made.close()


@pytest.mark.parametrize(("answer", "letters", "words"), TRICKY)
def test_an_answer_is_read_by_letters_and_by_words(answer, letters, words, harness):
    assert (official(answer), plain(answer)) == (letters, words)
    for expected in ("success", "failed"):
        theirs = harness.process_results({"outputs": expected}, [answer])
        assert theirs == {"acc": float(letters == expected)}


def test_after_reasoning_only_the_conclusion_counts():
    assert concluded("It could be a success.\nAnswer: no\nFinal answer: failed") == "failed"
    assert concluded("Сначала success.\nОтвет: failed") == "failed"
    assert concluded("First a success.\nIn the end it is\nfailed\n") == "failed"
    assert concluded("It wants success of the parser, then it goes", cut=True) == ""
    assert concluded("Answer: failed", cut=True) == "failed"
    english, russian = (in_mode(each, "reasoned") for each in ("Will it pass?", "Пройдёт ли он?"))
    assert "Answer: success" in english
    assert "Ответ: success" in russian
    assert in_mode("Will it pass?", "direct") == "Will it pass?"


def test_there_are_eleven_prompts_in_each_language_and_each_asks_for_all_that_is_shown():
    assert len(set(RUSSIAN)) == len(set(ENGLISH)) == 11
    for each in PROMPTS:
        assert places(each) == {"focal_code", "test_code", "lang"}
        assert "success" in each
        assert "failed" in each


def test_a_rows_own_instruction_goes_first_and_others_get_one_each_in_turn(written):
    own = row(1, instruction="{test_code} of {focal_code}?  ")
    others = [row(number, instruction=None) for number in range(2, 2 + len(PROMPTS))]
    asked = [question.prompt for question in load(written(own, *others), print)]
    assert asked[0] == f"{TEST.format(4)} of {FOCAL}?"
    assert len(set(asked)) == 1 + len(PROMPTS)


def test_braces_of_code_are_no_placeholders(harness):
    told = row(1, inputs={"focal_code": "x = {}\n", "test_code": "'{lang} {0}'", "lang": "go"})
    (found,) = rows_of([told], "here")
    assert found.inputs.lang == "Go"
    assert "x = {}" in ask(found)
    assert "'{lang} {0}'" in ask(found)
    assert harness.doc_to_text(found.model_dump()) == ask(found)


def test_an_answer_that_is_not_published_is_none():
    assert [each.outputs for each in rows_of([row(1, ""), row(2, None)], "here")] == [None, None]


BROKEN = {
    "a field that is missing": (row(inputs={"focal_code": FOCAL, "lang": "Python"}), "test_code: Field required"),
    "no answer at all": ({k: v for k, v in row().items() if k != "outputs"}, "outputs: Field required"),
    "another answer": (row(outputs="passed"), "outputs: Input should be 'success' or 'failed'"),
    "a language that is none": (row(inputs=row()["inputs"] | {"lang": "Rust"}), "lang: Input should be"),
    "no place for the test": (row(instruction="Does {focal_code} work?"), "instruction: it has no {test_code}"),
    "a place that is none": (row(instruction="{focal_code} {test_code} {id}"), "a placeholder beside"),
    "a way into the values": (row(instruction="{focal_code.__class__} {test_code}"), "a placeholder beside"),
    "a single brace": (row(instruction="{focal_code} {test_code} {"), "a brace stands alone"),
    "no row": ([1, 2], "Input should be a valid dictionary"),
    "an empty test": (row(inputs=row()["inputs"] | {"test_code": " \n"}), "test_code: String should match"),
    "an empty id": (row(meta={"id": ""}), "id"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_row_that_is_none_is_told_with_its_place(what, written):
    broken, said = BROKEN[what]
    with pytest.raises(UserMistake) as told:
        load(written(row(1), broken), print)
    assert "row 2 is no row" in told.value.message
    assert said in told.value.message


def test_an_id_that_comes_twice_an_empty_file_and_one_that_is_not_there_are_told(written, tmp_path):
    with pytest.raises(UserMistake, match="the id 1 was there before"):
        load(written(row(1), row(1)), print)
    with pytest.raises(UserMistake, match=r"holds no row|lacks"):
        load(written(), print)
    with pytest.raises(UserMistake, match="cannot be read"):
        load(tmp_path / "nothing.jsonl", print)


ANSWERS = {"success": "success", "unsuccessful": "failed", "not failed": "success", "": "success", "lol": "failed"}


@pytest.fixture
def scripted(home):
    def make(script):
        (home / "script.json").write_text(json.dumps(script))
        return f"scripted:{home / 'script.json'}"

    return make


def performed(path, model, **more):
    return perform(BENCHMARK, load(path, print), model, Config(), **more)


def test_what_is_counted_and_what_is_told(written, scripted):
    rows = [row(n, expected, n) for n, expected in enumerate(ANSWERS.values(), 1)]
    rows.append(row(9, None, 9))
    model = scripted({f"== {n}\n": [said] for n, said in [*enumerate(ANSWERS, 1), (9, "failed")]})
    run, file = performed(written(*rows), model)
    figures = {name: (round(score.value, 2), score.n) for name, score in run.scores.items()}
    assert figures["exact_match"] == (0.2, 5)
    assert figures["plain_match"] == (0.6, 5)
    assert figures["majority"] == (0.6, 5)
    assert figures["exact_match_python"] == (0.2, 5)
    assert "exact_match_java" not in figures
    detail = run.summary()["detail"]
    assert detail["confusion"] == {
        "success": {"success": 1, "failed": 1, "empty": 1},
        "failed": {"success": 1, "neither": 1},
    }
    assert detail["balance"]["Python"] == {"success": 3, "failed": 2}
    assert detail["no_answer"] == {"empty": 1, "neither": 1}
    assert detail["not_published"] == 1
    assert [each["id"] for each in detail["readings_differ"]] == ["2", "3"]
    assert load_run(file).model_dump_json() == run.model_dump_json()
    assert sum(run.reasons.values()) == 4
    assert "None" not in str(run.reasons)
    assert compare(run.outcomes, run.outcomes)[0].n == 5
    made = submission(run.outcomes)["data"]["test"]
    assert made[1] == {"outputs": "unsuccessful", "meta": {"id": 2}}
    assert len(made) == 6


def test_a_question_that_does_not_fit_the_model_is_a_wrong_answer_and_told(written):
    long = row(2, inputs={"focal_code": FOCAL * 3000, "test_code": TEST.format(4), "lang": "Python"})
    run, _ = performed(written(row(1), long), "embedded")
    assert run.outcomes[1].answer.finish == "too long"
    assert run.summary()["detail"]["no_answer"]["too long"] == 1
    assert run.n == 2


def test_generation_is_greedy_without_a_blank_line_in_it_and_free_when_it_may_reason(written, monkeypatch, scripted):
    seen = []
    complete = ScriptedBackend.complete

    def watched(self, prompt, sampling):
        seen.append((prompt, sampling))
        return complete(self, prompt, sampling)

    monkeypatch.setattr(ScriptedBackend, "complete", watched)
    said = "At first a success.\n\nAnswer: failed"
    runs = [performed(written(row(1, "failed")), scripted([said]), mode=mode)[0] for mode in ("direct", "reasoned")]
    assert [(each.temperature, each.max_tokens, each.stop) for _, each in seen] == [(0, 256, ("\n\n",)), (0, 1024, ())]
    assert seen[1][0].startswith(seen[0][0])
    assert runs[1].outcomes[0].good
    assert submission(runs[1].outcomes, "reasoned")["data"]["test"][0]["outputs"] == "failed"
    with pytest.raises(UserMistake, match="no mode 'slow'"):
        performed(written(row(1)), scripted(["success"]), mode="slow")


def test_two_runs_are_compared_by_right_answers(written, scripted):
    rows = written(*(row(n, "success", n) for n in range(1, 9)))
    good, bad = (performed(rows, f"control:{kind}")[0] for kind in ("success", "failed"))
    (found,) = compare(bad.outcomes, good.outcomes)
    assert (found.metric, found.wins, found.losses, found.differs) == ("exact_match", 8, 0, True)
    assert found.says == "better"


def test_the_rows_that_ship_are_balanced_numbered_and_apart_from_the_shots():
    questions = load(None, print)
    counts = Counter((q.row.inputs.lang, q.row.outputs) for q in questions)
    assert counts["Python", "success"] == counts["Python", "failed"] >= 100
    for language in ("Java", "Go"):
        assert counts[language, "success"] == counts[language, "failed"] >= 20
    assert len(questions) == sum(counts.values())
    spread = Counter(q.row.instruction for q in questions)
    assert set(spread) == set(PROMPTS)
    assert max(spread.values()) - min(spread.values()) <= 1
    shots = load(SHOTS, print)
    assert {q.row.inputs.lang for q in shots} == set(LANGUAGES)
    assert not {q.row.meta.source for q in shots} & {q.row.meta.source for q in questions}
    written_by_model = Counter(q.row.outputs for q in questions if q.row.meta.origin == "generated")
    assert written_by_model["success"] == written_by_model["failed"] > 10


def test_a_second_run_confirms_the_labels_of_our_python_rows_and_the_runner_is_right_on_all(labeller):
    python = [q for q in load(None, print) if q.row.inputs.lang == "Python"][::4]
    for number in (5, 11):  # other orders and hash seeds than those that the labels are from
        assert [labeller.label(q.row, number).label for q in python] == [q.row.outputs for q in python]
    run, _ = perform(BENCHMARK, python, "control:runner", Config())
    assert run.scores["exact_match"].value == 1.0
    assert set(CONTROLS) == {"runner", "majority", "success", "failed"}


@pytest.mark.parametrize("language", ["Java", "Go"])
def test_a_second_run_confirms_labels_in_other_languages(language, labeller):
    if why := toolchains.missing(language):
        pytest.skip(why)
    some = [q for q in load(None, print) if q.row.inputs.lang == language][::16]
    assert [labeller.confirmed(q.row).label for q in some] == [q.row.outputs for q in some]


@pytest.mark.parametrize(
    ("test", "label", "how"),
    [
        (TEST.format(4), "success", "passed"),
        (TEST.format(5), "failed", "failed"),
        (TEST.format("4 4"), "failed", "error"),
        (TEST.format(4).replace("twice", "thrice"), "failed", "error"),
        ("import doubling as d\n\n\ndef test_a():\n    assert d.twice(1) == 2\n", "success", "passed"),
        ("from a.b.doubling import twice\n\n\ndef test_a():\n    assert twice(1) == 2\n", "success", "passed"),
        ("from doubling import twice\n", None, ""),
        ("def test_a():\n    assert True\n", None, ""),
        (
            '"""First\nimport the price.\n"""\nimport pytest, doubling\n\n\ndef test_a():\n    assert doubling.twice(1) == 2\n',
            "success",
            "passed",
        ),
        ("from shop import doubling\n\n\ndef test_a():\n    assert doubling.twice(1) == 2\n", "success", "passed"),
        (
            "import time\nfrom doubling import twice\n\n\ndef test_a():\n    time.sleep(60)\n    assert twice(1)\n",
            None,
            "",
        ),
        (
            "import sys\nfrom doubling import twice\n\n\ndef test_a():\n    assert sys.flags.hash_randomization == twice(0)\n",
            None,
            "",
        ),
    ],
)
def test_what_comes_of_a_python_test(test, label, how, labeller):
    (made,) = rows_of([row(1, None, inputs={"focal_code": FOCAL, "test_code": test, "lang": "Python"})], "here")
    found = labeller.confirmed(made)
    assert (found.label, found.how if found.label else "") == (label, how)
    assert bool(found.why) == (label is None)


JAVA = "public class Doubling {\n    public static int twice(int x) { return 2 * x; }\n}\n"
JAVA_TEST = (
    "import static org.junit.jupiter.api.Assertions.*;\nimport org.junit.jupiter.api.Test;\n\nclass DoublingTest {\n"
    "    @Test\n    void twice() { assertEquals(%s, Doubling.twice(2)); }\n}\n"
)
GO = "package doubling\n\nfunc Twice(x int) int { return 2 * x }\n"
GO_TEST = 'package doubling\n\nimport "testing"\n\nfunc TestTwice(t *testing.T) {\n\tif Twice(2) != %s {\n\t\tt.Fatal("no")\n\t}\n}\n'
FOREIGN = {
    "Java": (
        JAVA,
        JAVA_TEST,
        "class DoublingTest {}",
        JAVA_TEST.replace("@Test", "@Test @org.junit.jupiter.api.Disabled") % 4,
    ),
    "Go": (GO, GO_TEST, "package doubling\n", GO_TEST.replace('t.Fatal("no")', 't.Skip("so")').replace("!=", "==") % 4),
}


@pytest.mark.parametrize("language", FOREIGN)
def test_what_comes_of_a_test_in_another_language(language, labeller):
    if why := toolchains.missing(language):
        pytest.skip(why)
    focal, test, empty, skipped = FOREIGN[language]
    found = []
    for text in (test % "4", test % "5", test % "4 4", empty, skipped):
        made = row(1, None, inputs={"focal_code": focal, "test_code": text, "lang": language})
        label = labeller.label(rows_of([made], "here")[0])
        found.append((label.label, label.how if label.label else label.why))
    assert found == [
        ("success", "passed"),
        ("failed", "failed"),
        ("failed", "does not compile"),
        (None, "it holds no test"),
        (None, "a test is skipped"),
    ]


def test_a_language_whose_tools_are_missing_is_told(monkeypatch, written):
    monkeypatch.setenv("PATH", "/nowhere")
    for each in (toolchains._tool, toolchains.missing):
        monkeypatch.setattr(toolchains, each.__name__, each.__wrapped__)  # what is known of this machine is not asked
    told = row(1, inputs={"focal_code": GO, "test_code": GO_TEST % 4, "lang": "Go"})
    with pytest.raises(UserMistake, match="go, which is not here"):
        performed(written(told), "control:runner")


def test_jars_in_a_folder_that_the_sandbox_hides_are_found_there_too(monkeypatch, tmp_path, labeller):
    if why := toolchains.missing("Java"):
        pytest.skip(why)
    for jar in toolchains._jars():
        shutil.copy(jar, tmp_path / jar.name)
    monkeypatch.setenv("JUNIT_JARS", str(tmp_path))
    monkeypatch.setattr(toolchains, "_jars", toolchains._jars.__wrapped__)
    told = row(1, inputs={"focal_code": JAVA, "test_code": JAVA_TEST % 4, "lang": "Java"})
    assert labeller.label(rows_of([told], "here")[0]).label == "success"


@pytest.mark.parametrize("what", [each for each in BROKEN if each not in ("no row", "an empty test", "an empty id")])
def test_the_harness_refuses_a_row_that_is_none(what, written, harness, monkeypatch):
    monkeypatch.setenv("CODE_CORRECTNESS_ROWS", str(written(row(1), BROKEN[what][0])))
    with pytest.raises(ValueError, match="row 2"):
        harness.rows("test")


def test_the_harness_reads_our_rows_and_its_samples_become_the_file_for_mera(harness):
    for split, place in (("test", None), ("shots", SHOTS)):
        ours = load(place, print)
        theirs = harness.rows(split)
        assert [harness.doc_to_text(doc) for doc in theirs] == [question.prompt for question in ours]
        assert [set(doc["meta"]) for doc in theirs] == [{"id"}] * len(ours)
    samples = [{"doc": row(2), "filtered_resps": ["failed"]}, {"doc": row(1), "filtered_resps": [" success"]}]
    assert harness.submission(samples) == {
        "data": {"test": [{"outputs": " success", "meta": {"id": 1}}, {"outputs": "failed", "meta": {"id": 2}}]}
    }


def test_the_command_tells_figures_and_mistakes(written, home):
    rows = written(row(1), row(2, "failed", 5))
    done = command_line.run("bench", "code-correctness", "--model", "control:runner", "--rows", rows, "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 0
    assert said["metrics"]["exact_match"]["value"] == 1.0
    assert said["settings"]["mode"] == "direct"
    assert said["detail"]["confusion"]["failed"] == {"failed": 1}
    assert json.loads((Path(said["file"]).parent / "submissions" / Path(said["file"]).name).read_text())["data"]["test"]
    shown = command_line.run("bench", "code-correctness", "--model", "control:failed", "--rows", rows)
    assert "read as failed" in shown.stdout
    assert "Python 1 failed / 1 success" in shown.stdout
    listed = command_line.run("bench", "list")
    assert "exact_match 100.0%" in listed.stdout
    wrong = command_line.run("bench", "code-correctness", "--model", "control:oracle", "--rows", rows)
    assert wrong.returncode != 0
    assert "control:runner" in wrong.stderr
    rows.write_text(json.dumps(row(1, instruction="{focal_code}")))
    broken = command_line.run("bench", "code-correctness", "--model", "control:failed", "--rows", rows)
    assert broken.returncode != 0
    assert "it has no {test_code}" in " ".join(broken.stderr.split())
    assert "Traceback" not in broken.stderr


def test_runs_in_both_modes_stand_beside_each_other_in_tables_and_on_the_page(written):
    rows = written(*(row(n, label, n) for n, label in enumerate(("success", "failed", "failed"), 1)))
    for model, mode in (("control:failed", "direct"), ("control:failed", "reasoned"), ("control:success", "direct")):
        performed(rows, model, mode=mode)
    table = markdown(newest())
    assert "| `control:success, direct` | `control:failed, direct` | `control:failed, reasoned` |" in table
    assert "| exact match | 33% (6%–79%) | 67% (21%–94%) | 67% (21%–94%) |" in table
    assert "accepted" not in table
    drawn = page(newest())
    assert drawn.count("<svg") == 3
    assert "Right answers" in drawn
