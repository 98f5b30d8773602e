"""CodeRM-UnitTest: solutions with many unittest files each; the one that lets the fewest wrong solutions pass is taken.

The files are in unittest's style; those that are not simply said in pytest's are dropped.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from finetune.data.read import Spec, read_table
from finetune.data.rows import Row
from finetune.data.sources import Context, Dropped, Source
from finetune.data.sources.kodcode import text
from finetune.data.sources.solution import solution_row

HUB = "KAKA22/CodeRM-UnitTest"
LICENCE = "Apache-2.0"


def open_rows(spec: Spec, context: Context) -> Source:
    """``coderm:PATH_OR_HUB?split=train``."""
    table = read_table(spec, HUB, "train")
    records = table.pick(id=("task_id", "id", ""), code=("code_ground_truth",), tests=("unit_tests",))
    rows = context.rows(partial(_row, number, record) for number, record in enumerate(records))
    return Source("coderm", table.where, len(table.records), table.digest, rows)


def _row(number: int, record: dict[str, Any]) -> Row:
    tests = _best(record["tests"])
    if not tests:
        raise Dropped("no unit test")
    key = f"coderm/{record['id'] if record['id'] is not None else number}"
    return solution_row(key, text(record["code"]), tests, LICENCE)


def _best(value: Any) -> str:
    """The unit test with the lowest false acceptance, then rejection, rate; the column is a list, or JSON of one."""
    try:
        found = json.loads(value) if isinstance(value, str) else list(value or [])
        ranked = sorted((float(t.get("FAR") or 0), float(t.get("FRR") or 0), n) for n, t in enumerate(found))
        best = found[ranked[0][2]] if ranked else {}
        return text(best.get("code") or best.get("unit_test"))
    except (ValueError, TypeError, AttributeError):
        return ""
