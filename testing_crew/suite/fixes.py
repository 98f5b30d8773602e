"""What one check refused and a later one accepts is a fix, and is kept as a trace: every run of check feeds the loop.

Between the two, the refused versions wait in the workspace's ``checks/refused``: a file for each pair of a test file and module.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from contextlib import suppress
from pathlib import Path

from testing_crew.gate.gate import Judgement
from testing_crew.gate.repair import dropped
from testing_crew.project.imports import project_root
from testing_crew.repair.loop import explain
from testing_crew.repair.recorder import Recorder
from testing_crew.runner.plan import Plan
from testing_crew.suite.formats.words import escaped, printable
from trace_logger import capture_enabled, unit_name
from trace_logger.errors import PairFileError
from trace_logger.jsonl import replacing
from trace_logger.records import Attempt, CodeUnderTest, Record
from trace_logger.workspace import workspace

MODEL = "check"  # stands for the model of what a person, or their own agent, wrote
MOST_PAIRS = 200
MOST_VERSIONS = 4  # of one pair, the latest: a file is often mended in several steps
MOST_BYTES = 2**20  # of one pair


class Refused(Record):
    """The versions of a test file that were refused for ``code``, in order; ``test`` is its path."""

    test: str
    code: CodeUnderTest
    attempts: tuple[Attempt, ...]


def note(plan: Plan, found: Judgement, *, traces: bool) -> bool:
    """Keep what a check ``found`` of ``plan``: a refused version for later; an accepted one with those that it mends, as a trace.

    Versions that were refused while the module's text was another are forgotten, and so are those of which the accepted one tests
    less than they did. Returns whether a trace was written. Without ``traces``, or where the environment switches them
    off, nothing is written at all. Raises nothing where the workspace cannot be written: the verdict stands without it.
    """
    if not (traces and capture_enabled()):
        return False
    test = str((plan.top or Path()) / plan.test)
    file = _place(test, plan.code.path or plan.code.module)
    before = _read(file)
    earlier = before.attempts if before is not None and before.code.source == plan.code.source else ()
    others = [each for each in earlier if each.tests != plan.tests]
    if found.accepted:
        others = [each for each in others if not any(dropped(each.tests, plan.tests))]
    kept = printable(Refused(test=test, code=plan.code, attempts=(*others, _attempt(plan, found))))
    with suppress(OSError, PairFileError):
        if not found.accepted:
            _keep(file, kept)
            return False
        written = bool(others) and _record(plan.code, kept)
        if written or not others:
            file.unlink(missing_ok=True)
        return written
    return False


def _attempt(plan: Plan, found: Judgement) -> Attempt:
    return Attempt(
        unit=unit_name(plan.code),
        iteration=1,
        kind="generate",
        prompt="",
        completion="",
        tests=plan.tests,
        **found.fields(),
        failure_log=explain(plan.code, found),
        model=MODEL,
        seconds=found.run.duration,
    )


def _record(code: CodeUnderTest, mended: Refused) -> bool:
    """Write the trace of what is now ``mended``, its last version being accepted; whether it was written."""
    place = Path(code.path or code.root)
    with Recorder("check") as recorder:
        if recorder.notice:
            warnings.warn(recorder.notice, stacklevel=4)  # whoever asked has not told it
        recorder.start(escaped(str(project_root(place))), escaped(str(place)), [mended.code], MODEL)
        for number, each in enumerate(mended.attempts, 1):
            kind = "generate" if number == 1 else "repair"
            recorder.keep(each.model_copy(update={"iteration": number, "kind": kind}))
        recorder.finish(True, mended.test)
        return recorder.keeps


def _place(test: str, target: str) -> Path:
    name = hashlib.sha256(f"{test}\0{target}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return workspace() / "checks" / "refused" / f"{name}.json"


def _read(file: Path) -> Refused | None:
    try:
        return Refused.model_validate_json(file.read_bytes())
    except (OSError, ValueError):  # none there, damaged, or of another version
        return None


def _keep(file: Path, refused: Refused) -> None:
    """Write as many of the versions as there is room for, the latest first."""
    for first in range(max(len(refused.attempts) - MOST_VERSIONS, 0), len(refused.attempts)):
        kept = refused.model_copy(update={"attempts": refused.attempts[first:]})
        data = kept.model_dump_json().encode("utf-8", "surrogatepass")
        if len(data) <= MOST_BYTES:
            break
    else:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file, force=True) as descriptor, os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
    oldest_last = sorted(file.parent.glob("*.json"), key=_written, reverse=True)
    for old in oldest_last[MOST_PAIRS:]:
        old.unlink(missing_ok=True)


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # used by another check meanwhile
        return 0.0
