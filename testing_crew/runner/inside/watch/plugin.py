"""What happened, from pytest's own hooks: runs inside the target's interpreter, loaded with ``-p``.

Standard library and pytest only, Python 3.10 and later, pytest 8 and later. In a cold run the settings come as a JSON file
that an environment variable names; both are gone before the first test module is imported. The report goes to the file that
the settings name when the session ends, whole or not at all: a run without a report did not reach its end.

A report from inside the test's own process is evidence and not proof; the runner checks it against the exit status.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Generator
from types import ModuleType
from typing import Any

import pytest

from ..launch import VARIABLE
from . import asserts, forks, lines, mutant
from .explain import Explainer
from .shuffle import shuffle
from .text import clip, one_line, row_of

_RANK = {"passed": 0, "skipped": 1, "xfailed": 1, "xpassed": 1, "failed": 2, "error": 2}
_DETAILS = "testing_crew_details"


class Probe:
    """The plugin object: one per session."""

    def __init__(self) -> None:
        self.cases: dict[str, dict[str, Any]] = {}
        self.collected = 0
        self.deselected = 0
        self.internal: str | None = None
        self.only: frozenset[str] | None = None
        self.mutant: mutant.Mutant | None = None
        self._session: pytest.Session | None = None
        self._broken_off: BaseException | None = None
        self._rows: dict[str, str | None] = {}
        self._watch: lines.Watch = lines.Unwatched()
        self._forks: forks.Forks | None = None

    def begin(self, settings: dict[str, Any]) -> None:
        """Start to watch the run that ``settings`` describe; must come before the target is imported."""
        self.report_path: str = settings["report"]
        self.module: str = settings["module"]
        self.target: str = settings["target"]
        self.test: str = settings["test"]
        self.range: tuple[int | None, int | None] = tuple(settings["range"] or (None, None))
        self.shuffle: int | None = settings["shuffle"]
        self.stop_first: bool = settings["stop_first"]
        self.survey: bool = settings["survey"] is not None
        self._explainer = Explainer(self.target, self.test)
        if settings["only"] is not None:
            self.only = frozenset(settings["only"])
        if settings["source"] is not None:
            own = (os.path.dirname(self.test), os.getcwd())
            self.mutant = mutant.install(self.target, settings["source"], settings["form"], own)
        if settings["changes"]:
            work = [settings[name] for name in ("folders", "changes", "jobs")]
            self._forks = forks.Forks(settings["source"], self.target, self.report_path, *work)
        if settings["measure"]:
            self._watch = lines.watch([self.target, self.test], os.path.dirname(self.report_path), settings["survey"])

    # -- collection ---------------------------------------------------------------------------------------------------

    def pytest_exception_interact(self, node: pytest.Item | pytest.Collector, call: Any, report: Any) -> None:
        if isinstance(report, pytest.CollectReport):
            error: BaseException = call.excinfo.value
            # pytest wraps what an import raised in an error of its own whose text is a whole traceback.
            while isinstance(error, pytest.Collector.CollectError) and error.__cause__ is not None:
                error = error.__cause__
            place = self._explainer.line_of(error)
            if isinstance(error, SyntaxError) and error.filename and self._explainer.path(error.filename) == self.test:
                place = error.lineno
            self._collect_case(node.nodeid, "error", type(error).__name__, one_line(error), place)
            self.cases[node.nodeid]["claim"] = self._explainer.is_claim(error)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and report.nodeid not in self.cases:
            first = next((line for line in report.longreprtext.splitlines() if line.strip()), "")
            self._collect_case(report.nodeid, "error", None, first, None)
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            self._collect_case(report.nodeid, "skipped", None, clip(str(reason)), None)

    def _collect_case(self, node: str, outcome: str, exception: str | None, message: str, line: int | None) -> None:
        name = node.partition("::")[2] or "collection"
        self.cases[node] = {
            "node": name,
            "function": name,
            "outcome": outcome,
            "phase": "collect",
            "exception": exception,
            "message": message,
            "line": line,
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        if self._forks is not None:
            self._forks.before_collection()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self._choose(items)
        if self.shuffle is not None:
            shuffle(items, self.shuffle)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.deselected += len(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._session = session
        self.collected = len(session.items)
        if self.deselected and not session.items:
            said = f"the project's own pytest options deselect every test of the file ({self.deselected})"
            self._collect_case("", "skipped", None, said, None)

    def _choose(self, items: list[pytest.Item]) -> None:
        if self.only is not None:
            items[:] = [item for item in items if item.nodeid.partition("::")[2] in self.only]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Where many changes are to be tried, go on in a fork for each, as if this were its run from the start."""
        if self._forks is not None and not session.testsfailed:
            self._forks.serve(mutant.restated)
            self.report_path, self.only = self._forks.report, self._forks.only
            if self.mutant is not None:
                self.mutant.source = self._forks.source  # for a test that loads the target anew
            self._choose(session.items)
            self.collected = len(session.items)
            session.config.option.tbstyle = "value"  # nobody reads more, which takes most of the time of a failure
            self._explainer.brief = True

    # -- one test -----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._explainer.begin_test()
        if self.mutant is not None:
            self.mutant.left = 0
            self.mutant.case = item.nodeid.partition("::")[2]
        self._rows[item.nodeid] = row_of(item)  # now: the test may change the values
        self._watch.label(item.nodeid)
        try:
            return (yield)
        finally:
            self._watch.label("")
            if self.mutant is not None:
                self.mutant.case = ""

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        self._explainer.note(op, left, right)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if call.excinfo is not None and isinstance(call.excinfo.value, MemoryError):
            traceback.clear_frames(call.excinfo.tb)  # give back what filled the memory, or no report can be made
        report = yield
        report.sections = [(title, clip(text)) for title, text in report.sections]
        details: dict[str, Any] = {"function": getattr(item, "originalname", None) or item.name.partition("[")[0]}
        details["row"] = self._rows.get(item.nodeid)
        if call.excinfo is not None and report.failed:
            details.update(self._explainer.explain(item, call.excinfo.value, report))
        elif report.skipped and isinstance(report.longrepr, tuple):
            details["message"] = clip(str(report.longrepr[2]))
        elif report.failed:
            details["message"] = clip(report.longreprtext.partition("\n")[0])
        if details.get("line") is None:
            details["line"] = (item.location[1] or 0) + 1
        vars(report)[_DETAILS] = details  # reports carry what plugins add to them
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome: str = report.outcome
        if outcome not in ("passed", "failed", "skipped"):
            return  # a rerun announced by another plugin: the last run decides
        if hasattr(report, "wasxfail"):
            outcome = {"skipped": "xfailed", "passed": "xpassed"}.get(outcome, outcome)
        details = vars(report).get(_DETAILS, {})
        if outcome == "failed" and "claim" not in details:
            # No exception: a plugin's word, as of those that gather what did not hold until the test is over.
            details = {**details, "claim": True, "message": clip(report.longreprtext.partition("\n")[0])}
        if self.mutant is not None and (outcome == "failed" or report.when == "teardown"):
            self.mutant.left_in.setdefault(report.nodeid.partition("::")[2], self.mutant.left)
        if outcome == "failed" and self.stop_first and self._session is not None:
            self._session.shouldfail = "one failure is enough"
        if outcome == "failed" and report.when != "call":
            outcome = "error"
        case = self.cases.setdefault(
            report.nodeid,
            {"node": report.nodeid.partition("::")[2], "outcome": "passed", "phase": "call", "duration": 0.0},
        )
        case.setdefault("function", details.get("function", case["node"]))
        case["duration"] += report.duration if 0 <= report.duration < 1e9 else 0.0  # a test may change the clock
        if "line" not in case or _RANK[outcome] > _RANK[case["outcome"]]:
            case.update(details)
            case.update(outcome=outcome, phase=report.when)
        if report.when == "teardown":
            case["done"] = True
            if case["outcome"] == "passed":
                case["phase"] = "call"

    # -- the end ------------------------------------------------------------------------------------------------------

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.internal = excinfo.type.__name__
        self._broken_off = excinfo.value

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._broken_off = excinfo.value

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._watch.stop()
        self._mark_unfinished()
        report = {
            "cases": list(self.cases.values()),
            "collected": self.collected,
            "asserted": self._asserted(),
            "origin": self._origin(),
            "coverage": self._coverage(),
            "reached": self._reached(),
            "touched": self._watch.touched() if self.survey else {},
            "stopped": bool(self._session and self._session.shouldfail),
            "mutant": self.mutant.report() if self.mutant else None,
            "exit": int(exitstatus),
            "internal": self.internal,
            "errnos": sorted(self._explainer.errnos),
        }
        part = self.report_path + ".part"
        with open(part, "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(report, file)
        os.replace(part, self.report_path)
        if self._forks is not None and threading.active_count() == 1:
            os._exit(int(exitstatus))  # nobody reads the summary; what could hold up the end of the process are threads

    def _mark_unfinished(self) -> None:
        """Give what broke the session off (an exit, an interrupt, an error of pytest's) to the test that it came from."""
        error = self._broken_off
        place = self._explainer.line_of(error) if error else None
        unfinished = [c for c in self.cases.values() if c["phase"] != "collect" and not c.pop("done", False)]
        for case in unfinished:
            if case["outcome"] == "passed":
                name = type(error).__name__ if error else "Exit"
                case.update(outcome="error", exception=name, message="the test did not run to its end", line=place)
        known = unfinished or any(c["phase"] == "collect" and c["outcome"] == "error" for c in self.cases.values())
        if error is not None and not known:
            self._collect_case("session", "error", type(error).__name__, one_line(error), place)

    def _asserted(self) -> list[int]:
        """The lines of the claims that were evaluated in a test that passed: each of them held, or it would have failed.

        pytest's own hook for passing assertions is of no use here: it computes the repr of every operand, which takes long
        and runs code that the test did not ask for.
        """
        passed = {node for node, case in self.cases.items() if case["outcome"] == "passed"}
        held = {line for line, nodes in self._watch.labels(self.test).items() if not passed.isdisjoint(nodes)}
        tree = self._explainer.tree(self.test) if held else None
        claims = asserts.claims(tree) if tree else []
        return sorted({c.node.lineno for c in claims if any(n in held for n in range(c.first, c.last + 1))})

    def _origin(self) -> str | None:
        """Where the target came from: the file of the module of its name, or the target itself under another name."""
        named = getattr(sys.modules.get(self.module), "__file__", None)
        if isinstance(named, str):
            return os.path.realpath(named)
        # __dict__ and not getattr: a lazy module would import what it stands for.
        files = [m.__dict__.get("__file__") for m in list(sys.modules.values()) if isinstance(m, ModuleType)]
        return (
            self.target if any(isinstance(f, str) and self._explainer.path(f) == self.target for f in files) else None
        )

    def _coverage(self) -> dict[str, Any] | None:
        if isinstance(self._watch, lines.Unwatched):
            return None
        try:
            return self._watch.measure(lines.Body(self.target, *self.range))
        except Exception:  # a file that is gone or does not parse, a coverage.py that a test has stopped
            return None

    def _reached(self) -> dict[str, list[str]]:
        """Line of the target → the tests that ran it, and the empty name for an import."""
        found = self._watch.labels(self.target)
        return {str(line): sorted(name.partition("::")[2] for name in names) for line, names in found.items()}


def _settings() -> dict[str, Any]:
    """The settings; what led to them leaves the environment, the disk and what can be imported."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != folder]
    path = os.environ.pop(VARIABLE)
    with open(path, encoding="utf-8") as file:
        settings: dict[str, Any] = json.load(file)
    os.unlink(path)
    return settings


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start before the first file of the project's own is imported."""
    probe = Probe()
    probe.begin(_settings())
    early_config.pluginmanager.register(probe, "testing-crew-probe")
