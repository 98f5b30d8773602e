"""Prompts of any source, answers that were run, and pairs of them."""

import json
import sys

import command_line
import pytest

from finetune.bases import find_base, load_tokenizer
from finetune.reward import Grader, Reward
from finetune.rl.asked import Asked, PromptRecipe, prompts_of
from finetune.rl.preferences import (
    Drawn,
    PairRecipe,
    accepted_of,
    draw,
    figures,
    joined,
    pairs_of,
    pairs_of_traces,
    read_pairs,
    write_pairs,
)
from testing_crew import TestingCrew, prompt
from testing_crew.backends.base import Completion
from testing_crew.config import Config
from testing_crew.errors import GenerationFailed, UserMistake
from testing_crew.runner.run import Limits, Runner
from trace_logger.records import CodeUnderTest

CODE = "def grow(x):\n    return x + 2\n"
ASKED = Asked(
    id="own/1",
    source="own",
    group="1",
    licence="MIT",
    prompt="# module: grows\n\n" + CODE,
    code=CodeUnderTest(
        source=CODE,
        shown=f"# module: grows\n\n{CODE}",
        module="grows",
        unit="grow",
        root="",
        interpreter=sys.executable,
    ),
    files={"grows.py": CODE},
)
HEAD = "from grows import grow\n\n\n"
RIGHT = HEAD + "def test_grow():\n    assert grow(1) == 3\n"
ALSO = HEAD + "def test_grow():\n    for x in (0, 4):\n        assert grow(x) == x + 2\n    assert grow(-2) == 0\n"
WRONG = HEAD + "def test_grow():\n    assert grow(1) == 4\n"
HOLLOW = HEAD + "def test_grow():\n    grow(1)\n    assert True\n"
LONG = WRONG + "".join(f"\n\ndef test_{n}():\n    assert grow({n}) == {n}\n" for n in range(20))


class Scripted:
    """Answers in turn."""

    tag, revision, context, prompt_version = "scripted", "1", None, 3

    def __init__(self, *texts):
        self.texts, self.seeds = list(texts), []

    def complete(self, prompt, sampling):
        self.seeds.append(sampling.seed)
        text = self.texts.pop(0)
        if isinstance(text, Exception):
            raise text
        return Completion(text=text, finish="stop", seconds=0.0)


@pytest.fixture(scope="module")
def grader():
    with Grader(Runner(Limits(wall_seconds=20)), mutants=4) as made:
        yield made


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(find_base("embedded"))


def test_answers_are_run_kept_and_paired(grader, tmp_path):
    recipe = PairRecipe(answers=6)
    model = Scripted(f"```python\n{RIGHT}```", WRONG, HOLLOW, ALSO, "no code at all", WRONG)
    drawn = draw([ASKED], model, recipe, 100, 0, grader, tmp_path / "drawn.jsonl")[ASKED.id]
    assert drawn.texts[0] == RIGHT  # as the agent would run it, without the markdown
    assert [reward.accepted for reward in drawn.rewards] == [True, False, False, True, False, False]
    assert drawn.rewards[2].cheats
    assert len(set(model.seeds)) == 6
    pairs = pairs_of(ASKED, drawn, recipe)
    assert {pair.chosen for pair in pairs} == {RIGHT, ALSO}
    assert {pair.rejected for pair in pairs} == {WRONG, HOLLOW}  # each kind of failure once before any comes twice
    assert all(pair.chosen_reward - pair.rejected_reward >= recipe.margin for pair in pairs)
    assert all((pair.licence, pair.group, pair.prompt) == ("MIT", "1", ASKED.prompt) for pair in pairs)
    told = figures(pairs, [drawn])
    assert (told["pairs"], told["answers"], told["accepted"]) == (2, 6, pytest.approx(1 / 3, abs=1e-3))
    again = Scripted()  # nothing is asked any more
    assert draw([ASKED], again, recipe, 100, 0, grader, tmp_path / "drawn.jsonl")[ASKED.id] == drawn


def test_where_the_model_ends_what_was_drawn_is_kept(grader, tmp_path):
    other = ASKED.model_copy(update={"id": "own/2"})
    recipe, kept = PairRecipe(answers=2), tmp_path / "drawn.jsonl"
    with pytest.raises(GenerationFailed):
        draw([ASKED, other], Scripted(RIGHT, WRONG, GenerationFailed("gone")), recipe, 100, 0, grader, kept)
    found = draw([ASKED, other], Scripted(WRONG, RIGHT), recipe, 100, 0, grader, kept)
    assert [found[name].texts for name in ("own/1", "own/2")] == [(RIGHT, WRONG), (WRONG, RIGHT)]


def _drawn(*known):
    return Drawn(texts=tuple(t for t, _ in known), rewards=tuple(r for _, r in known))


GOOD, BAD = Reward(value=0.9, verdict="passed", accepted=True), Reward(value=0.2, verdict="failed")


@pytest.mark.parametrize(
    ("drawn", "why"),
    [
        (_drawn((RIGHT, GOOD), (LONG, BAD)), "its length would be learnt"),
        (_drawn((RIGHT, GOOD), (ALSO, GOOD.model_copy(update={"value": 0.8}))), "they are worth almost the same"),
        (_drawn((RIGHT, BAD), (WRONG, BAD.model_copy(update={"value": 0.0}))), "neither is accepted"),
        (_drawn((RIGHT, GOOD), ("", BAD)), "nothing was written"),
        (_drawn((RIGHT, GOOD), (RIGHT.replace("3", "4"), BAD)), "none: they differ by one sign, and so they are alike"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_pair_is_made_where_nothing_is_to_be_learnt_of_it(drawn, why):
    found = pairs_of(ASKED, drawn, PairRecipe())
    assert len(found) == ("one sign" in why)  # a wrong value is what a model gets wrong


def test_what_is_alike_is_chosen_once():
    twin = RIGHT.replace("== 3", "==  3")
    found = pairs_of(ASKED, _drawn((RIGHT, GOOD), (twin, GOOD), (WRONG, BAD), (HOLLOW, BAD)), PairRecipe())
    assert [pair.chosen for pair in found] == [RIGHT]


def test_the_accepted_answers_are_there_to_imitate(tmp_path):
    better, best = GOOD.model_copy(update={"value": 0.95}), GOOD.model_copy(update={"value": 0.99})
    drawn = _drawn((RIGHT, GOOD), (ALSO, best), (HOLLOW, BAD), (LONG, better), (RIGHT, GOOD))
    rows = accepted_of(ASKED, drawn, 2)
    assert [(row.completion, row.prompt, row.licence) for row in rows] == [
        (ALSO, ASKED.prompt, "MIT"),
        (LONG, ASKED.prompt, "MIT"),
    ]
    write_pairs(tmp_path, pairs_of(ASKED, drawn, PairRecipe(longer=50)), rows, [ASKED], {"prompt_version": 3})
    kept = [json.loads(line) for line in (tmp_path / "chosen.jsonl").read_text().splitlines()]
    assert [row["completion"] for row in kept] == [ALSO, LONG]


def test_what_the_agent_mended_is_a_pair(tmp_path, home):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "grows.py").write_text(CODE)
    agent = TestingCrew(backend=Scripted(WRONG, RIGHT), config=Config())
    assert list(agent.run(CODE, str(tmp_path / "grows.py")))[-1]["success"]
    ((pair, shown),) = pairs_of_traces(home / "traces.db", 3)
    assert shown == "# module: grows\n# unit: grow\n" + CODE
    assert (pair.rejected, pair.chosen, pair.source) == (WRONG, RIGHT, "traces")
    assert pair.prompt == prompt.generate(
        "# module: grows\n# unit: grow\n" + CODE, 3
    )  # as the model is asked, not to repair
    with pytest.raises(UserMistake, match="there is no"):
        next(pairs_of_traces(tmp_path / "none.db", 3))


def test_prompts_of_ones_own_code(tmp_path, tokenizer, home):
    (tmp_path / "src").mkdir()
    for number in range(12):
        (tmp_path / "src" / f"m{number}.py").write_text(
            f"def grow(x):\n    return x + {number}\n\n\nclass Pot:\n    pass\n"
        )
    (tmp_path / "src" / "broken.py").write_text("def f(:\n")
    (tmp_path / "src" / "test_m1.py").write_text("def test_x():\n    pass\n")
    asked, held_out, manifest = prompts_of(
        PromptRecipe(sources=(f"code:{tmp_path / 'src'}?licence=MIT",), dev_share=0.3, dev_rows=3), tokenizer
    )
    assert {each.group for each in asked}.isdisjoint({each.group for each in held_out})
    assert {each.code.unit for each in asked} == {"grow", "Pot"}
    assert (manifest["prompts"], manifest["held_out"]) == (len(asked), len(held_out))
    assert set(manifest["licences"]) == {"MIT"}
    assert all("test_m1" not in each.id for each in asked)
    with pytest.raises(UserMistake, match="there is no"):
        prompts_of(PromptRecipe(sources=("code:nowhere",)), tokenizer)


def test_rows_of_two_files_with_the_same_ids_are_told_apart(rows_file, tokenizer, home, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_text(rows_file.read_text().replace("move_", "shift_").replace("place", "spot"))
    recipe = PromptRecipe(sources=(f"rows:{rows_file}", f"rows:{other}"), dev_share=0.2)
    asked, held_out, _ = prompts_of(recipe, tokenizer)
    assert len({each.id for each in asked + held_out}) == len(asked + held_out) == 80


def test_prompts_of_rows_are_whole_and_run(rows_file, tokenizer, home, grader):
    recipe = PromptRecipe(sources=(f"rows:{rows_file}",), dev_share=0.2, rows=5, dev_rows=2)
    asked, held_out, _ = prompts_of(recipe, tokenizer)
    assert (len(asked), len(held_out)) == (5, 2)
    assert Asked.model_validate_json(asked[0].model_dump_json()) == asked[0]
    name = next(word for word in asked[0].code.source.split() if word.startswith("move_")).partition("(")[0]
    step = int(name.rpartition("_")[2]) + 2
    tests = asked[0].tests(f"import moves\n\ndef test_a():\n    assert moves.{name}(1) == {1 + step}\n")
    assert grader.grade([asked[0].sample(tests)])[0].accepted


def test_a_data_set_that_is_not_whole_is_told(tmp_path):
    with pytest.raises(UserMistake, match="holds no pairs"):
        read_pairs(tmp_path)
    pairs = pairs_of(ASKED, _drawn((RIGHT, GOOD), (HOLLOW, BAD)), PairRecipe())
    write_pairs(tmp_path, pairs, [], [ASKED], {"prompt_version": 3})
    assert read_pairs(tmp_path)[:2] == (pairs, [ASKED])
    rows = [json.loads(line) for line in (tmp_path / "chosen.jsonl").read_text().splitlines()]
    assert [row["completion"] for row in rows] == [RIGHT]
    (tmp_path / "held_out.jsonl").write_text("")
    with pytest.raises(UserMistake, match="no prompt to judge by"):
        read_pairs(tmp_path)


def test_several_data_sets_are_learned_from_as_one(tmp_path):
    other = ASKED.model_copy(update={"id": "own/2", "group": "2", "prompt": ASKED.prompt + "# other\n"})
    third = ASKED.model_copy(update={"id": "own/3", "group": "3", "prompt": ASKED.prompt + "# third\n"})
    drawn = _drawn((RIGHT, GOOD), (HOLLOW, BAD))
    for name, learned, held in (("a", ASKED, [other, third]), ("b", other, [third])):
        (tmp_path / name).mkdir()
        said = {"prompt_version": 3, "licences": {"MIT": 1}, "recipe": {"sources": [name]}}
        write_pairs(tmp_path / name, pairs_of(learned, drawn, PairRecipe()), [], held, said)
    pairs, held, manifest = joined([tmp_path / "a", tmp_path / "b"])
    assert [pair.prompt for pair in pairs] == [ASKED.prompt, other.prompt]
    assert [each.id for each in held] == ["own/3"]  # what the other learns from is not held out
    assert (manifest["licences"], manifest["recipe"]["sources"]) == ({"MIT": 2}, ["a", "b"])
    assert joined([tmp_path / "a", tmp_path / "a"])[0] == pairs[:1]
    learned = [pair for each in (other, third) for pair in pairs_of(each, drawn, PairRecipe())]
    write_pairs(tmp_path / "b", learned, [], [ASKED], {"prompt_version": 3})
    with pytest.raises(UserMistake, match="holds out"):
        joined([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "b" / "manifest.json").write_text('{"prompt_version": 2}')
    with pytest.raises(UserMistake, match="different versions"):
        joined([tmp_path / "a", tmp_path / "b"])


def test_the_command_says_where_no_pair_comes_of_it(rows_file, home):
    words = ["--set", "prompts.rows=2", "--set", "pairs.answers=2", "--set", "prompts.longest_answer=16"]
    done = command_line.run("train", "dpo-data", "--base", "embedded", "--data", f"rows:{rows_file}", *words)
    assert done.returncode == 2
    assert "of 2 prompts none has an accepted answer" in done.stderr
    assert "Traceback" not in done.stderr
    done = command_line.run("train", "dpo", "--base", "embedded")
    assert done.returncode == 2
    assert "testing-crew train dpo-data" in done.stderr
    done = command_line.run("train", "dpo", "--base", "embedded", "--data", "synthetic:5")
    assert "pairs:FOLDER" in done.stderr
