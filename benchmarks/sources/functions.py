"""HumanEval and MBPP turned round: their solutions are the code under test, their own tests the oracle.

The rows come from a local file (``--tasks``: the published JSON or JSONL, zipped or not) or from the hub.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.task import Outcome, Task, oracle_for
from testing_crew import TestingCrew
from testing_crew.errors import UserMistake
from testing_crew.mutation.operators import mutants, sample
from testing_crew.mutation.text import OTHER
from testing_crew.repair.job import Job
from testing_crew.runner.plan import Variation, plan_text

MBPP_SCORED = range(1, 511)  # the published few-shot and test splits; 511 to 974 may be trained on
_MBPP_TEST = range(11, 511)
_WRONG = 12  # changes of a solution that are tried

HUMANEVAL_COLUMNS = ("task_id", "prompt", "canonical_solution", "test", "entry_point")
MBPP_COLUMNS = ("task_id", "code", "test_list")


def humaneval(path: Path | None, say: Callable[[str], None]) -> list[Task]:
    """HumanEval (Chen 2021). Raises UserMistake for a file that is not it, or where the hub cannot be reached."""
    tasks = []
    for row in records(path, HUMANEVAL_COLUMNS) if path else from_hub("openai/openai_humaneval", "test", say):
        number = str(row["task_id"]).rpartition("/")[2]
        oracle = f"{row['test'].strip()}\n\n\ndef test_official():\n    check({row['entry_point']})\n"
        code = row["prompt"].lstrip("\n") + row["canonical_solution"]
        tasks.append(Task(id=f"HumanEval/{number}", code=code, file=f"humaneval_{number}.py", oracle=oracle))
    return tasks


def mbpp(path: Path | None, say: Callable[[str], None]) -> list[Task]:
    """MBPP's test split (Austin 2021). Raises UserMistake as `humaneval` does."""
    tasks = []
    for row in records(path, MBPP_COLUMNS) if path else from_hub("google-research-datasets/mbpp", "test", say):
        number = int(row["task_id"])
        if number not in _MBPP_TEST:
            continue
        body = "\n".join(f"    {line}" for test in row["test_list"] for line in str(test).splitlines())
        setup = str(row.get("test_setup_code") or "").strip()
        oracle = f"{setup}\n\n\ndef test_official():\n{body}\n"
        code = str(row["code"]).replace("\r\n", "\n").strip() + "\n"
        tasks.append(Task(id=f"MBPP/{number}", code=code, file=f"mbpp_{number}.py", oracle=oracle))
    return tasks


def judge(crew: TestingCrew, task: Task, outcome: Outcome, job: Job) -> dict[str, float]:
    """``wrong_caught``: of the changed solutions that the official tests find wrong, the share that the written tests do.

    Where no file was accepted, none is caught. Nothing for a task of whose changes none is wrong.
    """
    target = job.target
    code = target.whole
    official = plan_text(code, oracle_for(task, code.module), target.files)
    tried = changes(code.source, _WRONG)

    def fails(plan: Any, source: str, seconds: float = 5) -> bool:
        return not crew.runner.execute(
            plan, Variation(measure=False, source=source, stop_first=True, wall_seconds=seconds)
        ).run.passed

    if not crew.runner.execute(official, Variation(measure=False)).run.passed:
        return {}
    wrong = [source for source in tried if fails(official, source)]
    if not wrong:
        return {}
    written = job.tests() if outcome.accepted_in is not None else ""
    if not written:
        return {"wrong_caught": 0.0}
    ours = plan_text(code, written, target.files)
    # An accepted file may take long by itself; one that is slow must not count as one that fails.
    right = crew.runner.execute(ours, Variation(measure=False)).run
    if not right.passed:
        return {"wrong_caught": 0.0}
    return {"wrong_caught": sum(fails(ours, source, 5 + 10 * right.duration) for source in wrong) / len(wrong)}


def changes(source: str, count: int) -> list[str]:
    """At most ``count`` small changes of a module, spread over it; each runs in a file by itself, without the runner's help."""
    found = sample([mutant for mutant in mutants(source) if OTHER not in mutant.source], count)
    return [mutant.source for mutant in found]


def records(path: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of a published file. Raises UserMistake where it cannot be read, or lacks one of ``columns``."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
        listed = text.lstrip().startswith("[")
        rows = json.loads(text) if listed else [json.loads(line) for line in text.split("\n") if line.strip()]
        if not rows:
            raise UserMistake(f"{path} holds no row")
        if any(column not in row for row in rows for column in columns):
            raise UserMistake(f"{path} lacks a column: its records must have {', '.join(columns)}")
    except OSError as error:
        raise UserMistake(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, EOFError):
        raise UserMistake(f"{path} is neither JSON nor JSONL", hint="give the published file, zipped or not") from None
    return list(rows)


def from_hub(name: str, split: str, say: Callable[[str], None], option: str = "--tasks") -> list[dict[str, Any]]:
    """The rows of a data set of the hub; ``option`` takes a local copy. Raises UserMistake where it cannot be fetched."""
    say(f"{name} from the hub")
    try:
        from datasets import load_dataset

        return [dict(row) for row in load_dataset(name, split=split)]
    except ImportError:
        raise UserMistake(
            f"{name} is read with the package datasets", hint="pip install 'testing-crew[train]'"
        ) from None
    except Exception as error:  # whatever the hub, the network or a proxy may say
        first = str(error).partition("\n")[0]
        raise UserMistake(
            f"{name} cannot be fetched from the hub: {first}", hint=f"{option} FILE takes a local copy"
        ) from None
