"""The fingerprint file of the tasks that are scored here: curation and training leave out what resembles one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.code_correctness import questions
from benchmarks.sources import bugs
from benchmarks.sources.functions import HUMANEVAL_COLUMNS, MBPP_COLUMNS, MBPP_SCORED, records
from benchmarks.task import TASKS, load_tasks
from trace_logger.curation.fingerprints import Fingerprints


def write_fingerprints(out: Path, humaneval: Path | None = None, mbpp: Path | None = None) -> Fingerprints:
    """Write the fingerprints of our own tasks, and of HumanEval's and MBPP's where their files are given.

    Real packages and TestGenEval's repositories are kept out by their names (`finetune.data.packages.SCORED`).

    Raises UserMistake for a file that is not theirs, FingerprintError when ``out`` cannot be written.
    """
    texts = [(f"self_correction/{task.id}", task.code) for task in load_tasks(TASKS)]
    texts += [(f"bugs/{task.id}", task.code) for task in load_tasks(bugs.TASKS) if task.right]
    for each in questions.load(None, lambda text: None):
        texts += [(f"code_correctness/{each.id}", each.row.inputs.focal_code)]
    if humaneval:
        texts += list(_humaneval(humaneval))
    if mbpp:
        texts += list(_mbpp(mbpp))
    made = Fingerprints.of(texts)
    made.save(out)
    return made


def _humaneval(path: Path) -> Iterator[tuple[str, str]]:
    for task in records(path, HUMANEVAL_COLUMNS):
        yield str(task["task_id"]), task["prompt"] + task["canonical_solution"]
        yield str(task["task_id"]), task["test"]


def _mbpp(path: Path) -> Iterator[tuple[str, str]]:
    for task in records(path, MBPP_COLUMNS):
        if int(task["task_id"]) in MBPP_SCORED:
            yield f"MBPP/{task['task_id']}", task["code"]
            yield f"MBPP/{task['task_id']}", "\n".join(task["test_list"])
