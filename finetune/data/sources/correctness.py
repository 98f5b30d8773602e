"""Rows that ask whether a test passes, as an auxiliary task: the answer is one word. `testing-crew bench rows` makes them."""

from __future__ import annotations

from functools import partial

from finetune.data.read import Spec, read_table
from finetune.data.rows import OUTCOME, Row
from finetune.data.sources import Context, Dropped, Source
from testing_crew.errors import UserMistake
from testing_crew.prompt.outcome import FORM, HUB, OutcomeRow, ask, rows_of
from trace_logger.curation.fingerprints import code_hash


def open_rows(spec: Spec, context: Context) -> Source:
    """``correctness:FILE.jsonl``: each row with an instruction and an answer, as `testing_crew.prompt.outcome` has them."""
    if spec.where in ("", HUB):
        raise UserMistake(
            "correctness: the published rows are for scoring",
            hint="testing-crew bench rows PROJECT --out rows.jsonl makes others",
        )
    table = read_table(spec, HUB)
    found = rows_of(table.records, table.where)
    if not any(row.instruction and row.outputs for row in found):
        raise UserMistake(f"{table.where} has no row with an instruction and an answer", hint=FORM)
    context.not_scored.append(f"the code_correctness rows of {table.where}")
    made = context.rows(partial(_row, row) for row in found)
    return Source("correctness", table.where, len(found), table.digest, made)


def _row(row: OutcomeRow) -> Row:
    if row.outputs is None:
        raise Dropped("no answer")
    if row.instruction is None:
        raise Dropped("no instruction")
    focal, tests = row.inputs.focal_code, row.inputs.test_code
    # The tests of one file, and what they are run against, are never divided between train and dev.
    group = str((row.meta.model_extra or {}).get("source") or code_hash(tests))
    return Row(
        id=f"correctness/{row.key}",
        source="correctness",
        kind=OUTCOME,
        group=f"correctness/{group}",
        prompt=ask(row),
        completion=f" {row.outputs}",
        shows=(focal, tests),
    )
