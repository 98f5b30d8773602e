"""From how the child ended and what its plugin reported to one verdict.

The report is believed only where the exit status agrees with it: a process that leaves early, or with another status than
its cases call for, has crashed, whatever it wrote.
"""

from __future__ import annotations

import errno
import json
import signal
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from testing_crew.runner.limits import Limits
from testing_crew.runner.process import Finished
from trace_logger.records import CaseResult, Coverage, Verdict

_USAGE_ERROR, _INTERNAL_ERROR = 4, 3
_MEMORY_SHARE = 0.75  # a process that died at this share of its allowance is taken to have died of it


class Report(BaseModel):
    """What the plugin wrote; ``errnos`` are the numbers of the operating system's errors that failed a case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cases: tuple[CaseResult, ...]
    collected: int
    asserted: tuple[int, ...]
    origin: str | None
    coverage: Coverage | None
    exit: int
    internal: str | None
    errnos: tuple[int, ...]


@dataclass(frozen=True)
class Usage:
    """What pytest's process and those that it waited for used: CPU time, and the largest resident size of one of them."""

    cpu_seconds: float
    peak_bytes: int


def read_usage(path: Path) -> Usage | None:
    """The usage noted at ``path``, or None where there is none."""
    try:
        cpu_seconds, peak_bytes = json.loads(path.read_bytes())
        return Usage(float(cpu_seconds), int(peak_bytes))
    except (OSError, ValueError, TypeError):
        return None


def read_report(path: Path) -> Report | None:
    """The report at ``path``, or None where there is none or it is not one."""
    try:
        return Report.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def decide(
    finished: Finished, report: Report | None, usage: Usage | None, limits: Limits
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict of a run and the limits that it met, in words."""
    hits = []
    if finished.cut_bytes:
        hits.append(f"output ({limits.output_bytes // 1024} KiB kept, {finished.cut_bytes} bytes cut)")
    if report and errno.EFBIG in report.errnos:
        hits.append(f"file size ({limits.file_bytes // 1024**2} MiB)")
    if report and errno.EAGAIN in report.errnos:
        hits.append(f"processes ({limits.processes})")
    if finished.timed_out:
        return "timeout", (*hits, f"wall time ({limits.wall_seconds:g} s)")
    if _out_of_time(finished, usage, limits):
        return "timeout", (*hits, f"CPU time ({limits.cpu_seconds} s)")
    if _out_of_memory(finished, report, usage, limits):
        return "out_of_memory", (*hits, f"memory ({limits.memory_bytes // 1024**2} MiB)")
    return _of_cases(finished.exit_code, report), tuple(hits)


def _signal(exit_code: int) -> int:
    """The number of the signal that ended the child, also when a sandbox passed it on as a shell does; 0 for none."""
    return -exit_code if exit_code < 0 else max(exit_code - 128, 0)


def _out_of_time(finished: Finished, usage: Usage | None, limits: Limits) -> bool:
    killer = _signal(finished.exit_code)
    if killer == getattr(signal, "SIGXCPU", -1):
        return True
    return killer == 9 and usage is not None and usage.cpu_seconds >= limits.cpu_seconds


def _out_of_memory(finished: Finished, report: Report | None, usage: Usage | None, limits: Limits) -> bool:
    if report and (report.internal == "MemoryError" or any(c.exception == "MemoryError" for c in report.cases)):
        return True
    died = report is None and _signal(finished.exit_code) in (6, 7, 9, 11)
    return died and usage is not None and usage.peak_bytes >= _MEMORY_SHARE * limits.memory_bytes


def _of_cases(exit_code: int, report: Report | None) -> Verdict:
    if exit_code in (_USAGE_ERROR, _INTERNAL_ERROR) and (report is None or report.exit == exit_code):
        return "error"
    if report is None or exit_code != report.exit:
        return "crashed"
    outcomes = {case.outcome for case in report.cases}
    if any(case.phase == "collect" and case.outcome == "error" for case in report.cases):
        return "error" if exit_code in (1, 2) else "crashed"
    ran = [case for case in report.cases if case.phase != "collect"]
    troubled = bool(outcomes & {"failed", "error"})
    due = 1 if troubled else 0 if ran else 5
    if len(ran) != report.collected or exit_code != due:
        return "crashed"
    if troubled:
        return "error" if "error" in outcomes else "failed"
    if not report.cases:
        return "no_tests"
    return "passed" if outcomes == {"passed"} else "skipped"
