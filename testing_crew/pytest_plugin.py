"""``pytest --testing-crew``: the verdicts of the test files that ran, at the end of a run.

pytest imports this in every run of an environment where we are installed, so all else is imported once it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testing_crew.suite.records import FileReport, SuiteReport

_SANDBOXED = "_testing_crew_probe"  # the package that each run of our own brings: `runner.scratch.PROBE_PACKAGE`


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; ``addopts`` of the project's settings may hold them."""
    group = parser.getgroup("testing-crew")
    group.addoption(
        "--testing-crew",
        action="store_true",
        help="say at the end of each test file that ran whether it would notice a change of the code that it tests",
    )
    group.addoption(
        "--testing-crew-strict",
        action="store_true",
        help="the same, and the run fails where one of them is not accepted",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Listen, where it was asked for: not in a run that judges a file, nor in a worker of pytest-xdist."""
    asked = config.getoption("testing_crew") or config.getoption("testing_crew_strict")
    if asked and _SANDBOXED not in sys.modules and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Verdicts(config), "testing-crew-verdicts")


class _Verdicts:
    """Notes which test files ran, judges them when the session has ended, and says what was found."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.strict: bool = config.getoption("testing_crew_strict")
        self.files: dict[Path, None] = {}  # in the order of running
        self.report: SuiteReport | None = None
        self.trouble = ""
        self.notice: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the file of a test that ran: pytest-xdist passes on what its workers saw."""
        file, _, name = report.nodeid.partition("::")
        if (report.when == "call" or report.failed) and self._is_test(file, name):
            self.files[self.config.rootpath / file] = None

    def _is_test(self, file: str, name: str) -> bool:
        """Whether it is no example of a docstring: those are named by their module and stand in any file."""
        asked = any(argument.partition("::")[0].endswith(PurePath(file).name) for argument in self.config.args)
        patterns = self.config.getini("python_files")
        return "." not in name.partition("[")[0] and (asked or any(PurePath(file).match(each) for each in patterns))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Judge, unless the run was interrupted or could not be made."""
        if not self.files or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        from trace_logger.errors import PlainError

        try:
            self.report = self._judge()
        except PlainError as error:
            self.trouble = str(error)
        except KeyboardInterrupt:
            self.trouble = "stopped before the test files were judged"
        passed = self.report is not None and all(file.accepted for file in self.report.tests)
        if self.strict and not passed and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _judge(self) -> SuiteReport:
        from testing_crew import config
        from testing_crew.crew import runner_for
        from testing_crew.suite.judge import check_suite
        from testing_crew.suite.pair import Options
        from trace_logger.notice import first_time_notice
        from trace_logger.workspace import trace_db

        chosen = config.load(self.config.rootpath).config
        terminal = self.config.pluginmanager.getplugin("terminalreporter")

        def tell(what: str, done: int, of: int) -> None:
            if terminal is not None and terminal.isatty:
                terminal.rewrite(f"testing-crew: {what} {done}/{of}", erase=True)

        # the Python that runs pytest here is the one that has what the tests need
        python = chosen.interpreter or sys.executable
        options = Options.of(chosen)
        if options.traces:
            self.notice = first_time_notice(trace_db())
        with runner_for(chosen) as runner:
            return check_suite(list(self.files), None, options, runner, interpreter=python, tell=tell)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """A line for each file."""
        if self.report is None and not self.trouble:
            return
        terminalreporter.section("testing-crew")
        for line in self.trouble.splitlines():
            terminalreporter.write_line(line, red=True)
        if self.notice:
            terminalreporter.write_line(self.notice)
        if self.report is None:
            return
        for file in self.report.tests:
            first, *others = _lines(file)
            terminalreporter.write_line(first, green=file.accepted, red=not file.accepted)
            for line in others:
                terminalreporter.write_line(f"  {line}")
        if self.strict and not all(file.accepted for file in self.report.tests):
            terminalreporter.write_line("the run fails, since not every file is accepted (--testing-crew-strict)")


def _lines(file: FileReport) -> Iterator[str]:
    """The verdict on a file in a line, then what mends it."""
    about = file.main
    if about is None:
        yield f"{file.path}: not judged: {file.trouble}"
        if file.hint:
            yield file.hint
        return
    mutants = about.mutants
    noticed = ""
    if mutants is not None and mutants.counted:
        noticed = f"; {mutants.killed} of {mutants.counted} changes of {about.target} noticed"
    if file.accepted:
        yield f"{file.path}: accepted{noticed}"
        return
    yield f"{file.path}: not accepted: {'; '.join(each.says for each in about.reasons) or about.verdict}{noticed}"
    yield from (each.mend for each in about.reasons)
