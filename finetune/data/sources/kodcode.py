"""KodCode: made-up tasks with a solution and pytest files that were run against it."""

from __future__ import annotations

from functools import partial
from typing import Any

from finetune.data.read import Spec, read_table
from finetune.data.rows import Row
from finetune.data.sources import Context, Dropped, Source
from finetune.data.sources.solution import solution_row

HUB = "KodCode/KodCode-V1-SFT-R1"
LICENCE = "CC-BY-NC-4.0"


def open_rows(spec: Spec, context: Context) -> Source:
    """``kodcode:PATH_OR_HUB?split=train&licence=…``."""
    table = read_table(spec, HUB, "train")
    records = table.pick(
        id=("question_id", "conversation_id", "task_id", "id", ""),
        code=("solution", "code"),
        tests=("test", "test_code"),
        correct=("r1_correctness", ""),
    )
    licence = spec.options.get("licence", LICENCE)
    rows = context.rows(partial(_row, number, record, licence) for number, record in enumerate(records))
    return Source("kodcode", table.where, len(table.records), table.digest, rows)


def _row(number: int, record: dict[str, Any], licence: str) -> Row:
    if str(record["correct"]).strip().lower() == "false":
        raise Dropped("r1_correctness False")
    key = f"kodcode/{record['id'] if record['id'] is not None else number}"
    return solution_row(key, text(record["code"]), text(record["tests"]), licence)


def text(value: object) -> str:
    """A column's value as text with plain line ends."""
    return "" if value is None else str(value).replace("\r\n", "\n")
