"""A test file's verdict and a module's unnoticed changes, for an agent that is to mend them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from testing_crew import config as configuration
from testing_crew.answers.records import Checked, Reason, Survivors, Unnoticed, Written
from testing_crew.answers.writing import write
from testing_crew.check import plan_of
from testing_crew.crew import TestingCrew, runner_for
from testing_crew.errors import UserMistake
from testing_crew.gate.gate import Gate
from testing_crew.project.imports import project_root
from testing_crew.runner.run import Runner
from testing_crew.suite import fixes
from testing_crew.suite.find import by_imports
from testing_crew.suite.find import test_files as files_in
from testing_crew.suite.formats.words import escaped, printable
from testing_crew.suite.judge import check_suite
from testing_crew.suite.pair import Options, Tell, pair_report, relative
from testing_crew.suite.records import FileReport, Survivor, TargetReport

_MOST_UNNOTICED = 20  # that are listed: an agent mends a few at a time


class Answers:
    """The answers about the files below the folder ``root``. ``tell`` hears how far each is; what it raises ends the work.

    All raise UserMistake for files that cannot be used, and SandboxError when nothing could be run.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._at_work: set[Runner] = set()

    def stop(self) -> None:
        """End the runs that are at work in other threads: those get SandboxError."""
        for runner in list(self._at_work):
            with suppress(KeyboardInterrupt), runner.side_by_side():
                raise KeyboardInterrupt

    @contextmanager
    def _running(self, runner: Runner) -> Iterator[Runner]:
        self._at_work.add(runner)
        try:
            with runner:
                yield runner
        finally:
            self._at_work.discard(runner)

    def path(self, named: str) -> Path:
        """The file that an agent names.

        Raises UserMistake for one that is not there, or that lies, links followed, outside of the root, or whose project does.
        """
        path = (self.root / named).resolve()
        self._must_be_within(path, named)
        if not path.is_file():
            raise UserMistake(f"there is no file {named} in {self.root}", hint="paths are relative to that folder")
        self._must_be_within(project_root(path), f"the project of {named}, {project_root(path)},")
        return path

    def _must_be_within(self, path: Path, told: str) -> None:
        if not path.is_relative_to(self.root):
            raise UserMistake(
                f"{told} is outside of {self.root}, which is all that this server works on",
                hint="have the user start the server with a higher folder: testing-crew mcp --root FOLDER",
            )

    def check(self, test_file: str, target_file: str | None, tell: Tell) -> Checked:
        """What the tool check_tests answers."""
        test = self.path(test_file)
        chosen = configuration.load(test.parent).config
        options = Options.of(chosen)
        with self._running(runner_for(chosen)) as runner:
            if target_file is None:
                report = check_suite([test], None, options, runner, interpreter=chosen.interpreter, tell=tell)
                found_by_itself = _about(report.tests[0])
                target = Path(report.root, found_by_itself.target).resolve()
                self._must_be_within(target, f"{target}, which {test_file} is about,")
                found_by_itself = found_by_itself.model_copy(update={"target": relative(target, self.root)})
                return _checked(found_by_itself, relative(test, self.root))
            began = time.monotonic()
            plan, _ = plan_of(test, self.path(target_file), chosen.interpreter)
            gate = Gate(runner, repeats=options.repeats, mutants=options.mutants, seconds=options.seconds)
            found = gate.judge(plan, tell=tell)
            fixes.note(plan, found, traces=options.traces)
            seen = pair_report(plan, found, self.root, round(time.monotonic() - began, 3))
            return _checked(seen, relative(test, self.root))

    def survivors(self, target_file: str, test_files: list[str] | None, tell: Tell) -> Survivors:
        """What the tool list_survivors answers."""
        target = self.path(target_file)
        chosen = configuration.load(target.parent).config
        tests = [self.path(each) for each in test_files] if test_files else self._tests_of(target, chosen.interpreter)
        with self._running(runner_for(chosen)) as runner:
            options = Options.of(chosen)
            report = check_suite(tests, target, options, runner, interpreter=chosen.interpreter, tell=tell)
        names = [relative(test, self.root) for test in tests]
        shown = relative(target, self.root)
        seen = next(each for each in report.modules if Path(report.root, each.path) == target)
        said = f"{seen.noticed} of {seen.tried} changes of {shown} are noticed by {', '.join(names)}"
        refused = [file.path for file in report.tests if not file.accepted]
        said += f"; not accepted, and so not counted: {', '.join(refused)}" if refused else ""
        unnoticed = [_unnoticed(each) for each in seen.survivors]
        return Survivors(
            says=escaped(f"{said}."),
            target_file=escaped(shown),
            test_files=escaped(names),
            noticed=seen.noticed,
            tried=seen.tried,
            unnoticed=unnoticed,
        )

    def _tests_of(self, target: Path, interpreter: str | None) -> list[Path]:
        folder = project_root(target)
        found = [test for test in files_in([folder], interpreter) if by_imports(test, [target])]
        if not found:
            raise UserMistake(
                f"no test file in {folder} imports {target.name}", hint="name them in test_files, or use write_tests"
            )
        return found

    def write(self, target_file: str, function: str | None, tell: Tell) -> Written:
        """What the tool write_tests answers. Raises GenerationFailed, too, when the model stops answering."""
        path = self.path(target_file)
        tell("opening the model", 0, 1)
        crew = TestingCrew(config=configuration.load(path.parent).config)
        with self._running(crew.runner):
            return write(crew, path, function, self.root, tell)


def _about(file: FileReport) -> TargetReport:
    if file.main is None:
        raise UserMistake(f"{file.path} could not be judged: {file.trouble}", hint=file.hint or "name its target_file")
    return file.main


def _unnoticed(each: Survivor) -> Unnoticed:
    return Unnoticed(line=each.line, says=each.text, reached=each.reached)


def _checked(found: TargetReport, test: str) -> Checked:
    found, test = printable(found), escaped(test)
    mutants = found.mutants
    tried = mutants.counted if mutants else 0
    noticed = mutants.killed if mutants else 0
    unnoticed = [_unnoticed(each) for each in found.survivors]
    words = [f"{test} against {found.target}: {'accepted' if found.accepted else 'not accepted'}."]
    words += [f"Why not: {each.says}. To mend it: {each.mend}." for each in found.reasons]
    words += [f"It notices {noticed} of {tried} small changes of the code."] if tried else []
    if unnoticed:
        more = f", the first {_MOST_UNNOTICED} of which are listed" if len(unnoticed) > _MOST_UNNOTICED else ""
        words.append(f"{len(unnoticed)} go unnoticed{more}: assert what would differ.")
    return Checked(
        says=" ".join(words),
        test_file=test,
        target_file=found.target,
        accepted=found.accepted,
        verdict=found.verdict,
        reasons=[Reason(code=each.code, says=each.says, mend=each.mend) for each in found.reasons],
        failures=list(found.failures),
        notes=list(found.notes),
        suspects=list(found.suspects),
        noticed=noticed,
        tried=tried,
        unnoticed=unnoticed[:_MOST_UNNOTICED],
        missed_lines=list(found.coverage.missed_lines),
    )
