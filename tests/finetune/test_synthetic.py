"""The made-up training examples are true: their files pass, their logs are what pytest and our normaliser really say."""

import ast
import itertools
import re
import sys
from collections import Counter

import pytest

from benchmarks.task import TASKS, load_tasks
from finetune.data.synthetic import stream
from testing_crew import prompt
from testing_crew.runner.failures import failure_log
from testing_crew.runner.run import Limits, Runner
from trace_logger.curation.fingerprints import Fingerprints
from trace_logger.records import CodeUnderTest


@pytest.fixture(scope="module")
def sample():
    return list(itertools.islice(stream(7, canonical=0.8), 1500))


def parts(example):
    """(module, source, failed file, log) of a prompt."""
    text = example.prompt
    code = text.split(f"{prompt.CODE}\n", 1)[1].split(f"\n\n{prompt.CONSTRAINTS}", 1)[0]
    module, source = re.match(r"# module: (\S+)\n(.*)", code, re.DOTALL).groups()
    failed = log = ""
    if prompt.FAILED in text:
        failed, log = text.split(f"{prompt.FAILED}\n", 1)[1].split(f"\n\n{prompt.LOG}\n", 1)
        log = log.split(f"\n\n{prompt.ANSWER}", 1)[0]
    return module, source, failed + "\n", log


def run(module, source, tests, tmp_path):
    code = CodeUnderTest(source=source, shown=source, module=module, root=str(tmp_path), interpreter=sys.executable)
    return Runner(Limits(wall_seconds=60)).run(code, tests, files={module.replace(".", "/") + ".py": source})


def test_none_is_like_a_task_that_is_scored(sample):
    marks = Fingerprints.of((task.id, task.code) for task in load_tasks(TASKS))
    sources = {parts(example)[1] for example in sample}
    assert len(sources) > 500
    assert {task for source in sources if (task := marks.resembles(source))} == set()


def test_the_same_seed_gives_the_same_examples():
    first, again, other = (list(itertools.islice(stream(seed), 40)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_dev_families_are_not_in_train():
    bodies = {
        split: " ".join(e.prompt for e in itertools.islice(stream(1, split=split), 800)) for split in ("train", "dev")
    }
    assert "Sum of the decimal digits" not in bodies["train"] or "Sum of the decimal digits" not in bodies["dev"]
    assert "Running totals" in bodies["train"] or "Running totals" in bodies["dev"]


def test_kinds_and_shapes(sample):
    kinds = Counter(e.kind.split("/")[0] for e in sample)
    assert 0.3 < kinds["generate"] / len(sample) < 0.55
    assert kinds["repair"] > 0.4 * len(sample)
    assert kinds["complete"] > 0
    made_up = sum(e.kind.endswith("made_up") for e in sample) / kinds["repair"]
    assert 0.35 < made_up < 0.75
    for example in sample:
        ast.parse(example.completion)
        assert example.prompt.endswith(f"{prompt.ANSWER}\n")


def true_ones(sample, kind, count):
    return [e for e in sample if e.kind.startswith(kind) and not e.kind.endswith("made_up")][:count]


@pytest.mark.parametrize(
    "kind", ["generate", "complete", "repair/values", "repair/raises_in_table", "repair/class", "repair/lazy"]
)
def test_answers_that_claim_to_be_true_pass(sample, kind, tmp_path):
    for example in true_ones(sample, kind, 3):
        module, source, _, _ = parts(example)
        done = run(module, source, example.completion, tmp_path)
        assert done.passed, (example.completion, failure_log(done))


@pytest.mark.parametrize(
    "kind",
    [
        "repair/values",
        "repair/raises_in_table",
        "repair/no_raise",
        "repair/wrong_exception",
        "repair/arity",
        "repair/lazy",
        "repair/class",
    ],
)
def test_logs_are_what_a_real_run_leaves(sample, kind, tmp_path):
    for example in true_ones(sample, kind, 3):
        module, source, failed, log = parts(example)
        done = run(module, source, failed, tmp_path)
        assert sorted(failure_log(done).splitlines()) == sorted(log.splitlines())
