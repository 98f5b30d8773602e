"""Rows run again: the completion against the code that its prompt shows, in the runner's sandbox."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from finetune.data.filters import Told
from finetune.data.rows import OUTCOME, Row, module_of
from testing_crew.errors import UserMistake
from testing_crew.project.layout import module_alone
from testing_crew.runner.plan import Limits, Plan, plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest

LIMITS = Limits(wall_seconds=20, cpu_seconds=20)


def plan_for(row: Row) -> Plan:
    """The row's completion as a run against its own code, which becomes a module beside the test."""
    module, source = module_of(row)
    code = CodeUnderTest(source=source, shown=source, module=module, root="", interpreter=sys.executable)
    return plan_text(code, row.completion, module_alone(module, source))


def passing(rows: Sequence[Row], wanted: int | None = None, tell: Told | None = None) -> tuple[list[Row], int]:
    """The rows that pass, in order, at most ``wanted``; and how many were run. Raises SandboxError when nothing can be run."""
    kept: list[Row] = []
    tried = 0
    with Runner(LIMITS) as runner, ThreadPoolExecutor(runner.workers) as threads:

        def passes(row: Row) -> bool:
            if row.kind == OUTCOME:  # it says how its test ends, which was seen when it was made
                return True
            try:
                return runner.execute(plan_for(row)).run.passed
            except UserMistake:
                return False  # a module name that cannot be a file's

        for batch in _batches(rows, runner.workers * 8):
            for row, good in zip(batch, threads.map(passes, batch), strict=True):
                tried += 1
                if good and (wanted is None or len(kept) < wanted):
                    kept.append(row)
                if tell:
                    tell("verified", tried, len(rows))
            if wanted is not None and len(kept) >= wanted:
                break
    return kept, tried


def _batches(rows: Sequence[Row], size: int) -> Iterator[list[Row]]:
    walk = iter(rows)
    while batch := list(islice(walk, size)):
        yield batch
