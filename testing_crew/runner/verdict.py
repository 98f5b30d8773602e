"""From how the child ended and what its plugin reported to one verdict.

The report is believed only where the exit status agrees with it: a process that leaves early, or with another status than
its cases call for, has crashed, whatever it wrote.
"""

from __future__ import annotations

import errno
import signal
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from testing_crew.runner.plan import Limits
from trace_logger.records import CaseResult, Coverage, Verdict

_USAGE_ERROR, _INTERNAL_ERROR = 4, 3
_SHARE = 0.75  # a process that died at this share of its allowance is taken to have died of it


class MutantReport(BaseModel):
    """Whether a mutant was loaded, and how many values it replaced; the others as in `watch.mutant.Mutant`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    loaded: bool
    changed: int
    looked: frozenset[str] = frozenset()
    dissected: bool = False
    left_in: dict[str, int] = {}


class Report(BaseModel):
    """What the plugin wrote; ``errnos`` are the numbers of the operating system's errors that failed a case.

    ``reached`` maps a line of the target to the cases that ran it, the empty name standing for an import; ``stopped`` is set
    when not every case was run, as asked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cases: tuple[CaseResult, ...]
    collected: int
    asserted: tuple[int, ...]
    origin: str | None
    coverage: Coverage | None
    reached: dict[int, frozenset[str]]
    touched: dict[str, int]
    stopped: bool
    mutant: MutantReport | None
    exit: int
    internal: str | None
    errnos: tuple[int, ...]


class Answer(BaseModel):
    """How a fork of a run ended: as `Ending` says, and whether its change could only be made by importing it (``anew``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exit: int
    over: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    report: str | None
    anew: bool


class Answers(BaseModel):
    """What a run left that was forked for many changes: the first answer is of no change; ``refusal`` is why it was not.

    None stands for what was not tried. ``jobs`` is how many forks could be at work at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    refusal: str
    answers: tuple[Answer | None, ...]
    jobs: int


@dataclass(frozen=True)
class Ending:
    """How a child ended, and what it left behind.

    ``exit_code`` is negative for a signal; ``seconds`` are of wall time; ``over`` is the limit for which it was ended from
    outside: ``wall``, ``processes`` or ``memory``. ``report`` is the plugin's, as it was found. ``cpu_seconds`` and
    ``peak_bytes`` (the largest resident size of one process) are None where nobody could note them.
    """

    exit_code: int
    output: str
    cut_bytes: int
    over: str
    seconds: float
    started: bool
    report: str | None
    cpu_seconds: float | None
    peak_bytes: int | None


def read_report(text: str | None) -> Report | None:
    """The plugin's report, or None where ``text`` is not one."""
    try:
        return None if text is None else Report.model_validate_json(text)
    except ValidationError:
        return None


def read_answers(text: str | None) -> Answers | None:
    """What a run that was forked left, or None where ``text`` is not that."""
    try:
        return None if text is None else Answers.model_validate_json(text)
    except ValidationError:
        return None


def decide(ending: Ending, report: Report | None, limits: Limits) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict of a run and the limits that it met, in words."""
    hits = []
    if ending.cut_bytes:
        hits.append(f"output ({limits.output_bytes // 1024} KiB kept, {ending.cut_bytes} bytes cut)")
    if report and errno.EFBIG in report.errnos:
        hits.append(f"file size ({limits.file_bytes // 1024**2} MiB)")
    if report and errno.ENOSPC in report.errnos:
        hits.append(f"disk ({limits.disk_bytes // 1024**2} MiB)")
    if ending.over == "processes" or (report and errno.EAGAIN in report.errnos):
        hits.append(f"processes ({limits.processes})")
    if ending.over == "wall":
        return "timeout", (*hits, f"wall time ({limits.wall_seconds:g} s)")
    if ending.over == "processes":
        return "crashed", tuple(hits)
    if _out_of_time(ending, limits):
        return "timeout", (*hits, f"CPU time ({limits.cpu_seconds} s)")
    if ending.over == "memory" or _out_of_memory(ending, report, limits):
        return "out_of_memory", (*hits, f"memory ({limits.memory_bytes // 1024**2} MiB)")
    return _of_cases(ending.exit_code, report), tuple(hits)


def _signal(exit_code: int) -> int:
    """The number of the signal that ended the child, also when a sandbox passed it on as a shell does; 0 for none."""
    return -exit_code if exit_code < 0 else max(exit_code - 128, 0)


def _out_of_time(ending: Ending, limits: Limits) -> bool:
    killer = _signal(ending.exit_code)
    if ending.cpu_seconds is None:
        return killer == getattr(signal, "SIGXCPU", -1)
    # A test may send itself the signal; and the kernel's clock of a limit is a little coarser than that of the usage.
    return killer in (9, getattr(signal, "SIGXCPU", -1)) and ending.cpu_seconds >= _SHARE * limits.cpu_seconds


def _out_of_memory(ending: Ending, report: Report | None, limits: Limits) -> bool:
    if report and (report.internal == "MemoryError" or any(c.exception == "MemoryError" for c in report.cases)):
        return True
    died = report is None and _signal(ending.exit_code) in (6, 7, 9, 11)
    return died and ending.peak_bytes is not None and ending.peak_bytes >= _SHARE * limits.memory_bytes


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
    if (len(ran) != report.collected and not report.stopped) or exit_code != due:
        return "crashed"
    if troubled:
        return "error" if "error" in outcomes else "failed"
    if not report.cases:
        return "no_tests"
    return "passed" if outcomes == {"passed"} else "skipped"
