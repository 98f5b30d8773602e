"""What `testing-crew check` found of a suite or of a change. Paths are relative to ``SuiteReport.root``, with forward slashes."""

from __future__ import annotations

from typing import Literal

from trace_logger.records import Coverage, Mutants, Record, Stability, Verdict

Level = Literal["error", "warning", "note"]
FindingCode = Literal[
    "not_accepted",  # a test file that the gate refuses; ``reason`` is the gate's word for it
    "not_run",  # a test file that could not be run or read at all
    "no_tests",  # a module, or with a change a function of one, that no test file is about
    "unnoticed",  # a change of the code, on this line, that no test of the suite noticed
    "uncovered",  # a changed line that no test runs
    "hollow",  # with a change: a changed test that notices nothing
    "weakened",  # with a change: a test file that checks less than before
    "cheats",  # with a change: a changed test file that does not test the code it names
    "suspect",  # an example in a docstring that the code contradicts
    "below",  # a figure below a threshold of the settings
]


class Survivor(Record):
    """A change of the target that went unnoticed.

    ``line`` and ``last_line`` are of the original; ``before`` and ``after`` the changed piece of text; ``column`` is where it
    begins in ``line`` of its first character, from 0. ``text`` says it in a line. ``reached`` is whether a test runs the line.
    """

    path: str
    line: int
    last_line: int
    column: int
    before: str
    after: str
    text: str
    operator: str
    reached: bool


class Explained(Record):
    """One of the gate's reasons in plain words: ``code`` for machines, what it ``says``, and how to ``mend`` it."""

    code: str
    says: str
    mend: str


class TargetReport(Record):
    """One test file against one module. ``mutants`` and ``stability`` are None where the file did not come that far.

    ``survivors`` went unnoticed by this file alone; ``cached``: nothing was run, since nothing had changed. ``seconds`` are of
    wall time, of the run that the figures come from.
    """

    target: str
    module: str
    verdict: Verdict
    accepted: bool
    reasons: tuple[Explained, ...] = ()
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    coverage: Coverage = Coverage()
    mutants: Mutants | None = None
    stability: Stability | None = None
    survivors: tuple[Survivor, ...] = ()
    asserted_lines: tuple[int, ...] = ()
    seconds: float = 0.0
    cached: bool = False


class FileReport(Record):
    """One test file. It is accepted where it is about at least one module that it is accepted for.

    ``targets`` has the module that it is most about first. ``trouble`` says why nothing could be run, with ``hint`` to mend it.
    """

    path: str
    accepted: bool
    targets: tuple[TargetReport, ...] = ()
    trouble: str = ""
    hint: str = ""

    @property
    def main(self) -> TargetReport | None:
        """The target whose figures stand for the file: the first that accepts it, else the first."""
        return next((each for each in self.targets if each.accepted), self.targets[0] if self.targets else None)


class ModuleReport(Record):
    """One module with all test files about it: what no test of the suite runs, and what none of them notices.

    ``noticed`` of ``tried`` changes made a test of an accepted file fail (equivalent ones left out). ``lines`` and ``branches``
    are the shares of 1 that the test files about it run together, None where nothing was measured.
    """

    path: str
    tests: tuple[str, ...] = ()
    missed_lines: tuple[int, ...] = ()
    tried: int = 0
    noticed: int = 0
    lines: float | None = None
    branches: float | None = None
    survivors: tuple[Survivor, ...] = ()


class Finding(Record):
    """Something to look at, in a place. ``line`` is None for a whole file; ``mend`` says what to do about it.

    ``test`` is the test file that it is about, where ``path`` is not that file; ``name`` the test or the function.
    """

    code: FindingCode
    level: Level
    path: str
    line: int | None = None
    last_line: int | None = None
    message: str
    mend: str = ""
    reason: str = ""
    name: str = ""
    test: str = ""


class SuiteReport(Record):
    """All of it. ``rev`` is the revision that a change was compared with, None for a whole suite.

    ``tests`` has the weakest first. ``passed`` is whether every test file is accepted and no finding is an error;
    ``complete`` is False where it was stopped before its end. ``cached`` counts the pairs of a test file and a module that
    were not run again. ``root`` is an absolute path.
    """

    root: str
    made_by: str
    rev: str | None = None
    passed: bool
    complete: bool = True
    tests: tuple[FileReport, ...] = ()
    modules: tuple[ModuleReport, ...] = ()
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    cached: int = 0
