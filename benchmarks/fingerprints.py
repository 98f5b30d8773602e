"""The fingerprint file of every task that is scored here: curation and training leave out what resembles one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.self_correction import TASKS, load_tasks
from testing_crew.errors import UserMistake
from trace_logger.curation.fingerprints import Fingerprints

MBPP_SCORED = range(1, 511)  # the published few-shot and test splits; 511 to 974 may be trained on


def write_fingerprints(out: Path, humaneval: Path | None = None, mbpp: Path | None = None) -> Fingerprints:
    """Write the fingerprints of our own tasks, and of HumanEval's and MBPP's where their files are given.

    Raises UserMistake for a file that is not theirs, FingerprintError when ``out`` cannot be written.
    """
    texts = [(f"self_correction/{task.id}", task.code) for task in load_tasks(TASKS)]
    if humaneval:
        texts += list(_humaneval(humaneval))
    if mbpp:
        texts += list(_mbpp(mbpp))
    made = Fingerprints.of(texts)
    made.save(out)
    return made


def _humaneval(path: Path) -> Iterator[tuple[str, str]]:
    for task in _records(path, "task_id", "prompt", "canonical_solution", "test"):
        yield str(task["task_id"]), task["prompt"] + task["canonical_solution"]
        yield str(task["task_id"]), task["test"]


def _mbpp(path: Path) -> Iterator[tuple[str, str]]:
    for task in _records(path, "task_id", "code", "test_list"):
        if int(task["task_id"]) in MBPP_SCORED:
            yield f"MBPP/{task['task_id']}", task["code"]
            yield f"MBPP/{task['task_id']}", "\n".join(task["test_list"])


def _records(path: Path, *columns: str) -> list[dict[str, Any]]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
        listed = text.lstrip().startswith("[")
        records = json.loads(text) if listed else [json.loads(line) for line in text.split("\n") if line.strip()]
        if not records or any(column not in record for record in records for column in columns):
            raise UserMistake(f"{path} lacks a column: its records must have {', '.join(columns)}")
    except OSError as error:
        raise UserMistake(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, EOFError):
        raise UserMistake(f"{path} is neither JSON nor JSONL", hint="give the published file, zipped or not") from None
    return list(records)
