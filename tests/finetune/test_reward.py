"""The reward: what is worth more than what, and that nothing is had cheaply."""

import itertools
import json
import random
import re
import sys

import children
import command_line
import pytest
from cheats import HONEST, MATHX, NOT_PASSING, ONLY_LOOK_LIKE_IT, REFUSED

from finetune.data import synthetic
from finetune.data.rows import Row
from finetune.reward import HONEST as LEAST
from finetune.reward import PASSES, STEP, TOO_LONG, Grader, Reward, Sample, is_plain
from finetune.rl.asked import of_row
from testing_crew.errors import SandboxError
from testing_crew.project.syntax import parse
from testing_crew.runner.run import Limits, Runner
from trace_logger.records import CodeUnderTest

LEAST_OF_HONEST, MOST_OF_FAILING = LEAST - TOO_LONG, 4 * STEP + PASSES
ADD = CodeUnderTest(source=MATHX, shown=MATHX, module="mathx", unit="add", root="", interpreter=sys.executable)


def sample(tests):
    return Sample(ADD, tests, {"mathx.py": MATHX})


@pytest.fixture(scope="module")
def grader():
    with Grader(Runner(Limits(wall_seconds=20, cpu_seconds=20))) as made:
        yield made


@pytest.fixture(scope="module")
def honest(grader):
    """Files of the generator, which pass, and the same with their last lines cut or an expectation changed."""
    made = itertools.islice((e for e in synthetic.stream(11, split="dev") if e.kind == "generate"), 40)
    rows = [Row(id="", source="", kind=e.kind, group="", prompt=e.prompt, completion=e.completion) for e in made]
    samples = [of_row(row).sample(row.completion) for row in rows]
    return samples, grader.grade(samples)


def test_no_cheat_is_worth_as_much_as_an_honest_file_whatever_it_does(grader, honest):
    texts = [*REFUSED.values(), *(text for text, _ in NOT_PASSING.values())]
    found = dict(zip(texts, grader.grade([sample(text) for text in texts]), strict=True))
    for text in REFUSED.values():
        assert found[text].value == 0.0, text
        assert found[text].cheats
    rewards = [reward for reward in honest[1] if reward.accepted]
    assert len(rewards) >= 36
    assert min(reward.value for reward in rewards) >= LEAST_OF_HONEST > MOST_OF_FAILING
    assert max(reward.value for reward in found.values()) <= MOST_OF_FAILING


def test_what_only_looks_like_a_cheat_is_paid(grader):
    for reward in grader.grade([sample(text) for text in ONLY_LOOK_LIKE_IT]):
        assert reward.accepted
        assert reward.value >= LEAST


def test_each_step_is_worth_more_than_the_one_before(grader):
    steps = {
        "no Python": "def test_(:",
        "no test": "x = 1\n",
        "fails before the target": "def test_a():\n    assert 1 == 2\n",
        "imports it": "import mathx\ndef test_a():\n    assert 1 == 2\n",
        "runs it": "import mathx\ndef test_a():\n    assert mathx.add(1, 2) == 4\n",
        "half of it passes": "import mathx\ndef test_a():\n    assert mathx.add(1, 2) == 4\n"
        "def test_b():\n    assert mathx.add(1, 2) == 3\n",
        "passes": "import mathx\ndef test_a():\n    assert mathx.add(1, 0) == 1\n",
        "notices more": HONEST,
    }
    values = [reward.value for reward in grader.grade([sample(text) for text in steps.values()])]
    assert values == sorted(values)
    assert len(set(values)) == len(values), dict(zip(steps, values, strict=True))


def test_hollow_tests_beside_a_failing_one_earn_nothing(grader):
    failing = "import mathx\ndef test_a():\n    assert mathx.add(1, 2) == 4\n"
    padded = failing + "".join(f"def test_{n}():\n    assert True\n" for n in range(30))
    alone, more = grader.grade([sample(failing), sample(padded)])
    assert more.passes == alone.passes == 0.0
    assert more.value < alone.value


def test_length_without_gain_costs(grader):
    again = ["".join(f"def test_{n}():\n    assert add(1, 2) == 3\n" for n in range(most)) for most in (1, 12, 30)]
    short, some, many = grader.grade([sample(HONEST + more) for more in again])
    assert some.accepted
    assert short.too_long == 0.0  # what is short needs no excuse
    assert LEAST_OF_HONEST <= many.value < some.value < short.value


def test_what_is_said_beside_the_tests_is_length_too(grader):
    said = f'"""{"It adds two numbers. " * 300}"""\n'
    short, docstring, comment = grader.grade(
        [sample(text + HONEST) for text in ("", said, "# " + said.replace('"', ""))]
    )
    assert docstring.accepted
    assert docstring.value < short.value
    assert comment.value < short.value


@pytest.mark.parametrize("count", [2, 3, 6])
def test_what_fails_by_its_order_or_a_hash_is_flaky(grader, count):
    order = "import mathx\nseen = []\n" + "".join(
        f"def test_{n}():\n    seen.append({n})\n    assert mathx.add(seen[0], 1) == 1\n" for n in range(count)
    )
    hashed = "import mathx\ndef test_a():\n    assert mathx.add(1, 2) == 3\n    assert hash('a') == HASH\n"
    found = grader.grade([sample(order), sample(hashed.replace("HASH", str(_hash())))])
    assert [(reward.value, reward.refused) for reward in found] == [(0.0, ("flaky:1/2",))] * 2


def _hash():
    """What ``hash("a")`` is in the first run."""
    done = children.run([sys.executable, "-c", "print(hash('a'))"], env={"PYTHONHASHSEED": "0"})
    return int(done.stdout)


def test_what_hangs_crashes_or_devours_has_a_value(grader):
    hangs = "import mathx\ndef test_a():\n    mathx.add(1, 2)\n    while True: pass\n"
    crashes = "import mathx, os\ndef test_a():\n    mathx.add(1, 2)\n    os.abort()\n"
    empty = ""
    with Grader(Runner(Limits(wall_seconds=2, cpu_seconds=2))) as quick:
        found = quick.grade([sample(hangs), sample(crashes), sample(empty), sample(HONEST)])
    assert [reward.verdict for reward in found] == ["timeout", "crashed", "no_tests", "passed"]
    assert all(0 <= reward.value <= MOST_OF_FAILING for reward in found[:3])
    assert found[3].accepted


def test_a_file_is_run_once_and_kept_for_the_next_time(tmp_path):
    kept, seen = tmp_path / "rewards.jsonl", []
    with Grader(Runner(), kept) as first:
        once = first.grade([sample(HONEST)] * 5, lambda done, of: seen.append((done, of)))
    assert seen == [(1, 1)]
    assert len(kept.read_text().splitlines()) == 1
    with Grader(_Dead(), kept) as again:  # nothing is run any more
        assert again.grade([sample(HONEST)] * 2) == once[:2]
        with pytest.raises(SandboxError):
            again.grade([sample(HONEST + "\n# another")])


class _Dead:
    """A runner that can run nothing."""

    workers, limits = 1, Limits()

    def __getattr__(self, name):
        raise SandboxError("nothing can be run")

    def close(self):
        pass


def test_a_process_that_is_killed_in_the_middle_costs_no_reward(grader):
    """The file ends the process that runs it, and that of the next runs: each gets its reward all the same."""
    text = "import mathx, os, signal\ndef test_a():\n    mathx.add(1, 2)\n    os.kill(os.getppid(), signal.SIGKILL)\n"
    found = grader.grade([sample(text), sample(HONEST + "# once more\n")])
    assert found[0].value <= MOST_OF_FAILING
    assert found[1].accepted


def test_what_is_plain_needs_no_cold_run(honest):
    assert all(is_plain(parse(each.tests), each.code.module) for each in honest[0])
    for text in REFUSED.values():
        if re.search(r"sys\.modules|monkeypatch|setattr|inspect|mock|\.__", text):
            assert not is_plain(parse(text), "mathx"), text


def test_the_order_of_files_is_that_of_what_they_notice(honest):
    rewards = [reward for reward in honest[1] if reward.accepted]
    random.Random(1).shuffle(rewards)
    by_value = sorted(rewards, key=lambda r: r.value)
    expected = sorted(rewards, key=lambda r: 0.2 * r.covers + 0.3 * r.kills - 0.1 * r.too_long)
    assert [r.value for r in by_value] == pytest.approx([r.value for r in expected])


def test_the_command_says_what_a_file_is_worth(tmp_path):
    (tmp_path / "mathx.py").write_text(MATHX)
    (tmp_path / "test_a.py").write_text(HONEST)
    done = command_line.run("reward", tmp_path / "test_a.py", "--target", tmp_path / "mathx.py", "--json")
    assert done.returncode == 0, done.stderr
    told = Reward.model_validate(json.loads(done.stdout))
    assert told.accepted
    assert 0 < told.covers < 1  # of the whole file
    (tmp_path / "test_a.py").write_text("from mathx import add\ndef test_a():\n    add(1, 2)\n")
    done = command_line.run("reward", tmp_path / "test_a.py", "--target", tmp_path / "mathx.py")
    assert done.returncode == 1
    assert "0.00" in done.stdout
    assert "no assertion" in done.stdout
    done = command_line.run("reward", tmp_path / "none.py", "--target", tmp_path / "mathx.py")
    assert done.returncode == 2
    assert "none.py" in done.stderr


def test_rows_are_graded_together_and_what_is_wrong_with_them_is_told(tmp_path):
    rows = [{"code": MATHX, "tests": text, "module": "mathx"} for text in (HONEST, REFUSED["assert True"], HONEST)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = command_line.run("reward", tmp_path / "rows.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    found = [Reward.model_validate_json(line) for line in done.stdout.splitlines()]
    assert [reward.accepted for reward in found] == [True, False, True]
    assert "66.7% pass and are honest, 33.3% cheat" in command_line.run("reward", tmp_path / "rows.jsonl").stdout
    (tmp_path / "bad.jsonl").write_text('{"code": "x = 1"}\n')
    done = command_line.run("reward", tmp_path / "bad.jsonl")
    assert (done.returncode, "line 1" in done.stderr) == (2, True)
    done = command_line.run("reward", tmp_path / "test_a.py")
    assert (done.returncode, "--target" in done.stderr) == (2, True)
