"""One test file against one module: judged, or taken from the cache, and as a suite's report has it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from testing_crew.check import plan_of
from testing_crew.config import Config
from testing_crew.errors import UserMistake
from testing_crew.gate.gate import Gate, Judgement
from testing_crew.gate.hindrances import hindrances
from testing_crew.gate.reasons import explain_all
from testing_crew.mutation.fates import Fate, Fates, fates_of
from testing_crew.mutation.operators import Mutant, mutants
from testing_crew.mutation.trial import Trial
from testing_crew.project.imports import project_root
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.python import inspect_interpreter
from testing_crew.runner.failures import failure_log
from testing_crew.runner.plan import Plan
from testing_crew.runner.run import Runner
from testing_crew.suite import find, fixes
from testing_crew.suite.cache import Cache
from testing_crew.suite.find import Survey
from testing_crew.suite.records import Explained, Survivor, TargetReport
from trace_logger.records import PytestRun

Tell = Callable[[str, int, int], None]  # what is being looked at, how much of all is done, of how much
Change = tuple[int, int, str, str]  # the line and the column of a changed text, the text before and after
_PASSING = ("timeout", "crashed", "out_of_memory")  # what a busy machine may have done: not kept
_writing = threading.Lock()


@dataclass(frozen=True)
class Options:
    """How a suite is judged. ``mutants`` of each pair of a test file and a module are tried (None: all), ``repeats`` runs made.

    ``seconds`` is what the repeated runs and the mutants of one pair may take before fewer are made (None: no limit).
    ``cache``: take what was found before of what has not changed since. ``traces``: keep what was mended as a trace.
    ``least_noticed``, ``least_lines`` and ``least_branches`` are what a module must reach over all its tests, as shares of 1.
    """

    mutants: int | None = 100
    repeats: int = 20
    seconds: float | None = None
    cache: bool = True
    traces: bool = True
    least_noticed: float = 0.0
    least_lines: float = 0.0
    least_branches: float = 0.0

    @classmethod
    def of(cls, config: Config) -> Options:
        """Those that the settings ask for."""
        return cls(**config.check.model_dump(), traces=config.traces.enabled)


def relative(path: str | Path, root: Path) -> str:
    """``path`` from ``root``, with forward slashes; as it is where it lies elsewhere."""
    real = Path(path).resolve()
    return real.relative_to(root).as_posix() if real.is_relative_to(root) else real.as_posix()


def pair_report(plan: Plan, found: Judgement, root: Path, seconds: float) -> TargetReport:
    """What the gate ``found`` of ``plan``; ``root`` is the folder that paths are told from, ``seconds`` what it took."""
    code, run = plan.code, found.run
    target = relative(code.path or code.module, root)
    return TargetReport(
        target=target,
        module=code.module,
        verdict=run.verdict,
        accepted=found.accepted,
        reasons=tuple(Explained(**each) for each in explain_all(found.reasons, found.stability)),
        failures=tuple(failure_log(run).splitlines()),
        notes=tuple(hindrances(plan.tests, run, found.reasons)),
        suspects=found.suspects,
        coverage=run.coverage,
        mutants=found.mutants,
        stability=found.stability,
        survivors=survivors(found.fates, target) if found.fates else (),
        asserted_lines=run.asserted_lines,
        seconds=seconds,
    )


def survivors(fates: Fates, target: str) -> tuple[Survivor, ...]:
    """The mutants that went unnoticed, in order of line; ``target`` is the path to tell of them."""
    return tuple(
        _survivor(mutant, target, fate == "survived") for mutant, fate in fates.of if fate in ("survived", "unreached")
    )


def _survivor(mutant: Mutant, target: str, reached: bool) -> Survivor:
    first, column, last, before = mutant.place
    return Survivor(
        path=target,
        line=first,
        last_line=last,
        column=column,
        before=before,
        after=mutant.edit.new,
        text=mutant.text,
        operator=mutant.operator,
        reached=reached,
    )


@dataclass(frozen=True)
class Pair:
    """One test file (``test``, as a report has its path) against one module, and what became of each mutant that was tried."""

    test: str
    report: TargetReport
    fates: Mapping[Change, Fate] = field(default_factory=dict)


def change_of(mutant: Mutant) -> Change:
    """What tells a mutant from the others of its module, also in another process."""
    line, column, _, before = mutant.place
    return line, column, before, mutant.edit.new


def changes(fates: Fates | None) -> dict[Change, Fate]:
    """The fate of each change that was tried."""
    return {change_of(mutant): fate for mutant, fate in fates.of} if fates else {}


@dataclass(frozen=True)
class Project:
    """The code that test files are about: its folder, its modules, those ``wanted`` of them, its Python, what is kept."""

    top: Path
    modules: tuple[Path, ...]
    wanted: frozenset[Path]
    python: str
    cache: Cache


class Judge:
    """Judges pairs of a test file and a module, or takes them from the cache; for several threads at once.

    ``root`` is the folder that paths are told from.
    """

    def __init__(self, runner: Runner, options: Options, root: Path) -> None:
        self.runner = runner
        self.options = options
        self.root = root
        self.done = 0  # pairs that were judged or found in the cache

    def project(self, test: Path, target: Path | None, tests: Iterable[Path], interpreter: str | None) -> Project:
        """The project that ``test`` is about. Raises `UserMistake` where it has no module, or its Python cannot be used."""
        top = project_root(target.resolve() / "x.py" if target and target.is_dir() else target or test)
        wanted = find.modules_in(target or top, tests)
        modules = wanted if target is None else [*dict.fromkeys([*wanted, *_others(top, tests)])]
        python = interpreter_for(interpreter, modules[0]).path
        limits = self.runner.limits
        settings = f"{self.options.mutants} {self.options.repeats} {self.options.seconds} {limits}"
        tops = {top, project_root(test)}
        cache = Cache(tops, tests, inspect_interpreter(python), settings, enabled=self.options.cache)
        return Project(top, tuple(modules), frozenset(wanted), python, cache)

    def look(self, test: Path, project: Project) -> Survey:
        """What a run of ``test`` shows of the project, as `find.survey` says and raises."""
        with suppress(TypeError, ValueError):
            return Survey(**project.cache.read("survey", test))
        seen = find.survey(test, project.modules, project.top, self.runner, project.python)
        project.cache.write({**vars(seen), "touched": dict(seen.touched)}, "survey", test)
        return seen

    def pair(self, test: Path, module: Path, project: Project) -> Pair:
        """The whole gate on ``test`` against ``module``. Raises `UserMistake` and `SandboxError` as `check.check_file` does."""
        name = relative(test, self.root)
        kept = read(name, project.cache.read("pair", test, module))
        if kept is None:
            began = time.monotonic()
            plan, _ = plan_of(test, module, project.python)
            options = self.options
            gate = Gate(self.runner, repeats=options.repeats, mutants=options.mutants, seconds=options.seconds)
            found = gate.judge(plan)
            first, others = found.run, without_skipped(plan, found.run)
            if others is not None:
                plan, found = others, gate.judge(others)
            report = pair_report(plan, found, self.root, time.monotonic() - began)
            if others is not None:
                names = ", ".join(case.node for case in first.cases if case.outcome != "passed")
                note = f"skipped here, or expected to fail, and so not judged: {names}"
                report = report.model_copy(update={"notes": (*report.notes, note)})
            kept = Pair(name, report, changes(found.fates))
            if found.run.verdict not in _PASSING:
                project.cache.write(written(kept), "pair", test, module)
            with _writing:  # one writes to the store of traces at a time
                fixes.note(plan, found, traces=options.traces)
        else:
            kept = told_from(kept, module, self.root)
        self.done += 1
        return kept

    def glance(self, test: Path, module: Path, left: Collection[Change], project: Project) -> Pair:
        """Which of the changes ``left`` of ``module`` an accepted file notices that is about another module; raises as `pair`."""
        name = relative(test, self.root)
        kind = f"glance {hashlib.sha256(repr(sorted(left)).encode('utf-8', 'surrogatepass')).hexdigest()}"
        kept = read(name, project.cache.read(kind, test, module))
        if kept is not None:
            return told_from(kept, module, self.root)
        began = time.monotonic()
        plan, _ = plan_of(test, module, project.python)
        first = self.runner.execute(plan)
        others = without_skipped(plan, first.run)
        if others is not None:
            plan, first = others, self.runner.execute(others)
        fates: dict[Change, Fate] = {}
        if first.run.passed:
            trial = Trial(self.runner, plan, first)
            chosen = [mutant for mutant in mutants(plan.code.source, plan.range) if change_of(mutant) in left]
            fates = {change_of(mutant): fate for mutant, fate in fates_of(trial, chosen).items()}
        found = Judgement(first.run, first.run.passed, ())
        glanced = Pair(name, pair_report(plan, found, self.root, time.monotonic() - began), fates)
        if first.run.verdict not in _PASSING:
            project.cache.write(written(glanced), kind, test, module)
        return glanced


def without_skipped(plan: Plan, run: PytestRun) -> Plan | None:
    """``plan`` without the cases that ``run`` skipped or expected to fail: of a person's file they say nothing.

    None where there were none, where nothing else passed, or where that is not all that kept it from passing.
    """
    passed = any(case.outcome == "passed" for case in run.cases)
    if run.verdict != "skipped" or not passed or plan.top is None:
        return None
    file = Path(plan.test).relative_to(plan.top) if Path(plan.test).is_relative_to(plan.top) else Path(plan.test)
    left_out = [f"{file.as_posix()}::{case.node}" for case in run.cases if case.outcome != "passed"]
    words = [word for node in left_out for word in ("--deselect", node)]
    return replace(plan, options=replace(plan.options, kept=(*plan.options.kept, *words)))


@contextmanager
def stoppable(judge: Judge) -> Iterator[None]:
    """Raise an interrupt of the work inside again, with a message that says how much of it is kept."""
    try:
        yield
    except KeyboardInterrupt:
        pairs = "1 pair" if judge.done == 1 else f"{judge.done} pairs"
        kept = f"{pairs} of a test file and a module are kept, and the same command goes on"
        raise KeyboardInterrupt(f"stopped; {kept if judge.options.cache else 'nothing is kept (--no-cache)'}") from None


def _others(top: Path, tests: Iterable[Path]) -> list[Path]:
    try:
        return find.modules_in(top, tests)
    except UserMistake:  # the target is of another folder, and is all there is
        return []


def written(pair: Pair) -> dict[str, Any]:
    """``pair`` as the cache keeps it."""
    return {"report": pair.report.model_dump(), "fates": [[*change, fate] for change, fate in pair.fates.items()]}


def read(test: str, kept: Any) -> Pair | None:
    """A pair as it was kept; None for what is no such thing."""
    try:
        report = TargetReport.model_validate(kept["report"])
        fates = {(line, column, before, after): fate for line, column, before, after, fate in kept["fates"]}
        return Pair(test, report.model_copy(update={"cached": True}), fates)
    except (TypeError, KeyError, ValueError):
        return None


def told_from(pair: Pair, module: Path, root: Path) -> Pair:
    """The same with the paths as they are from ``root``: an earlier check may have told them from another folder."""
    path = relative(module, root)
    survivors = tuple(each.model_copy(update={"path": path}) for each in pair.report.survivors)
    return Pair(pair.test, pair.report.model_copy(update={"target": path, "survivors": survivors}), pair.fates)
