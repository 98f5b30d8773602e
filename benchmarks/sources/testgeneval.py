"""TestGenEval: whole test files for files of real projects, in the official format and by the official definitions.

A row is worked on where its repository is checked out here: ``REPOS/OWNER__NAME`` (or ``REPOS/ID`` for one of its own), with the
row's ``code_src`` standing in ``code_file``. `predictions` gives what the official harness takes; `judge` scores locally, in
the definitions of that harness (facebookresearch/testgeneval, ``full`` setting), by our runner in place of its containers, with
our mutants in place of cosmic-ray's.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.sources.functions import from_hub, records
from benchmarks.task import Outcome, Task
from testing_crew import TestingCrew
from testing_crew.errors import UserMistake
from testing_crew.gate.gate import Gate
from testing_crew.project.syntax import parse
from testing_crew.repair.job import Job
from testing_crew.repair.merge import merge
from testing_crew.runner.plan import plan_text

HUB = "kjain14/testgeneval"
REPOS = "TESTGENEVAL_REPOS"
_COLUMNS = ("id", "instance_id", "repo", "code_file", "code_src")


def load(path: Path | None, say: Callable[[str], None]) -> list[Task]:
    """The rows whose code stands in a repository that is here. Raises UserMistake where none does."""
    repos = Path(os.environ.get(REPOS, "")).expanduser()
    if REPOS not in os.environ or not repos.is_dir():
        raise UserMistake(
            "TestGenEval's repositories are not here",
            hint=f"{REPOS}=FOLDER, with the row's commit in FOLDER/OWNER__NAME",
        )
    tasks, seen = [], 0
    for row in _rows(path, say):
        seen += 1
        names = (str(row["id"]), str(row["repo"]).replace("/", "__"))
        files = [repos / name / str(row["code_file"]) for name in names]
        file = next((file for file in files if _stands_in(file, str(row["code_src"]))), None)
        if file is not None:
            key = json.dumps([row["id"], row["instance_id"]])
            tasks.append(Task(id=key, code=str(row["code_src"]), file=str(file), group=str(row["repo"])))
    if not tasks:
        raise UserMistake(
            f"of {seen} rows none has its code in {repos}", hint="check out the row's base commit, with its patch"
        )
    return tasks


def _rows(path: Path | None, say: Callable[[str], None]) -> Iterable[dict[str, Any]]:
    return records(path, _COLUMNS) if path else from_hub(HUB, "dev", say)


def _stands_in(file: Path, code: str) -> bool:
    try:
        return file.read_text(encoding="utf-8").strip() == code.strip()
    except (OSError, UnicodeDecodeError):
        return False


def judge(crew: TestingCrew, task: Task, outcome: Outcome, job: Job) -> dict[str, float]:
    """``all@1``, ``any@1``, and of the file without its failing tests ``filtered_coverage`` and ``filtered_mutants``.

    The file is the first answer to each unit, put together: no repair has a part in it.
    """
    tests, whole = first_file(outcome), job.target.whole
    if not tests:
        return {"all@1": 0.0, "any@1": 0.0, "filtered_coverage": 0.0, "filtered_mutants": 0.0}
    run = crew.runner.execute(plan_text(whole, tests, job.target.files)).run
    good = {case.function for case in run.cases} - {c.function for c in run.cases if c.outcome != "passed"}
    figures = {
        "all@1": float(run.passed),
        "any@1": float(bool(good)),
        "filtered_coverage": 0.0,
        "filtered_mutants": 0.0,
    }
    if not good:
        return figures
    kept = tests if run.passed else only(tests, good)
    found = Gate(crew.runner, repeats=2).judge(plan_text(whole, kept, job.target.files))
    if found.run.passed:
        figures["filtered_coverage"] = found.run.coverage.line or 0.0
        figures["filtered_mutants"] = (found.mutants.score if found.mutants else None) or 0.0
    return figures


def first_file(outcome: Outcome) -> str:
    """The first answers to the units, put together; empty where none was a test file."""
    firsts: dict[str, str] = {}
    for attempt in outcome.attempts:
        firsts.setdefault(attempt.unit, attempt.tests)
    texts = [text for text in firsts.values() if text]
    return merge(texts) if len(texts) > 1 else "".join(texts)


def only(tests: str, names: set[str]) -> str:
    """The test file without the test functions that are not in ``names``."""
    tree = parse(tests)

    def stays(node: ast.stmt) -> bool:
        is_test = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test")
        return not is_test or node.name in names  # type: ignore[attr-defined]

    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef)):
            node.body = [each for each in node.body if stays(each)] or [ast.Pass()]
    return ast.unparse(tree) + "\n"


def predictions(outcomes: Iterable[Outcome], model: str) -> list[dict[str, Any]]:
    """The rows that the official ``run_evaluation.py`` takes, for its setting ``full``: the first answers, put together."""
    rows = []
    for outcome in outcomes:
        if outcome.error is not None:
            continue
        key, instance = json.loads(outcome.id)
        full = {"full": [first_file(outcome)]}
        rows.append({"id": key, "instance_id": instance, "model_name_or_path": model, "preds": full})
    return rows
