"""A change judged: what its tests are worth, what they no longer check, and what of its code no test notices.

Only what the change touches is looked at: its test files, its modules, and the test files about those.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from testing_crew.errors import SandboxError, UserMistake
from testing_crew.gate.text import read
from testing_crew.project.imports import imports_of, project_files, project_root
from testing_crew.project.syntax import UNREADABLE
from testing_crew.runner.run import Runner
from testing_crew.suite import find
from testing_crew.suite.alone import tests_alone
from testing_crew.suite.cache import made_by
from testing_crew.suite.change import FileChange, changes
from testing_crew.suite.lost import gone_from, lost_by_settings, lost_checks, not_collected
from testing_crew.suite.modules import file_findings
from testing_crew.suite.pair import Judge, Options, Project, Tell, relative, stoppable
from testing_crew.suite.reading.affected import Touch, look_at, touches
from testing_crew.suite.reading.git import repository
from testing_crew.suite.reading.importers import Importers, names_of
from testing_crew.suite.reading.kinds import Kinds, is_test_file, sorted_out, tests_of
from testing_crew.suite.reading.texts import Text
from testing_crew.suite.records import FileReport, Finding, ModuleReport, SuiteReport
from testing_crew.suite.touched import USABLE, code_seen

MOST_AFFECTED = 10  # test files that are judged without having changed themselves

CHEATS = frozenset(
    (
        "always_equal",
        "target_not_imported",
        "target_not_executed",
        "passes_without_target",
        "notices_mutation",
        "reads_bytecode",
    )
)
"""The gate's reasons that say of a test file that it does not test the code that it names."""


@dataclass
class _Work:
    """What is to be looked at, and what was found; ``only`` are the modules that were named, none for all."""

    judge: Judge
    tests: list[Path]
    target: Path | None
    interpreter: str | None
    only: frozenset[Path] = frozenset()
    projects: dict[Path, Project] = field(default_factory=dict)
    files: dict[str, FileReport] = field(default_factory=dict)
    modules: list[ModuleReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def project(self, file: Path) -> Project:
        """The project that ``file`` belongs to; raises as `Judge.project`."""
        top = project_root(file)
        if top not in self.projects:
            found = self.judge.project(file, self.target, self.tests, self.interpreter)
            wanted = found.wanted & self.only if self.only else found.wanted
            self.projects[top] = replace(found, wanted=wanted)
        return self.projects[top]

    def tell_of(self, file: FileReport) -> None:
        """Add a test file that is refused or cannot be run, if it is not told of already."""
        if file.path not in self.files:
            self.files[file.path] = file
            self.findings += file_findings([file])


def check_change(
    rev: str,
    paths: Sequence[Path],
    target: Path | None,
    options: Options,
    runner: Runner,
    interpreter: str | None = None,
    tell: Tell | None = None,
    *,
    staged: bool = False,
) -> SuiteReport:
    """Judge what the working tree changes against ``rev`` (a commit, a branch, a tag, or ``A...``: where A and HEAD parted).

    ``paths`` are the test files, and the folders of them, that count; none for those of the project in this folder. A module
    among them narrows the look to it. ``target`` is the file or the folder whose modules count. ``staged``: only what is staged
    counts, and no file that git does not know; their text is that of the working tree. The paths of the report are told from
    the top of the repository. A change of nothing, or of comments alone, passes, and nothing is run. Raises `UserMistake` where
    there is no repository, no such revision or path, and where git is not installed; an interrupt is raised again, with a
    message that says how much is kept.
    """
    began = time.monotonic()
    for place in [*paths, *([target] if target is not None else [])]:
        if not place.exists():
            raise UserMistake(f"no such file or folder: {place}", hint="name test files, or folders with test files")
    near = paths[0] if paths else target if target is not None else Path.cwd()
    modules = [path for path in paths if path.is_file() and not is_test_file(path.resolve(), interpreter)]
    tree = repository(near if near.is_dir() else near.resolve().parent)
    root = tree.top.resolve()
    found = changes(tree, tree.commit_of(rev), staged=staged)
    tests = tests_of([path for path in paths if path not in modules], near, interpreter) if found else []
    if staged:
        unknown = {root / path for path in tree.untracked()}
        tests = [test for test in tests if test not in unknown]
    only = frozenset(path.resolve() for path in modules)
    work = _Work(Judge(runner, options, root), tests, target, interpreter, only)
    with stoppable(work.judge), runner.side_by_side():  # an interrupt ends the runs at work
        _look(work, found, near, tell)
    files = sorted(work.files.values(), key=lambda file: (file.accepted, not file.trouble, file.path))
    return SuiteReport(
        root=str(work.judge.root),
        made_by=made_by(),
        rev=rev,
        passed=all(file.accepted for file in files) and not any(each.level == "error" for each in work.findings),
        tests=tuple(files),
        modules=tuple(work.modules),
        findings=tuple(work.findings),
        seconds=time.monotonic() - began,
        cached=sum(each.cached for file in files for each in file.targets),
    )


def _look(work: _Work, found: Sequence[FileChange], near: Path, tell: Tell | None) -> None:
    kinds = sorted_out(found, work.judge.root, work.tests, near, work.interpreter)
    gone = gone_from([change for _, change in kinds.code])
    changed = [*kinds.tests, *((path, each) for path, each in kinds.supports if each not in kinds.gone)]
    for change in kinds.gone:
        work.findings += not_collected(change, _elsewhere(changed, change), gone)
    for path, change in changed:
        if (path, change) in kinds.supports or change.status != "added":
            work.findings += lost_checks(change, _elsewhere(changed, change), gone)
    settings = _settings(work, kinds)
    drawn_on = touches(kinds.supports, settings, work.tests)
    own = {path: change for path, change in kinds.tests if change.status != "deleted"}
    others = [test for test in drawn_on if test not in own]
    jobs = len(own) + min(len(others), MOST_AFFECTED) + len(kinds.code)
    done = 0

    def begin(path: str) -> None:
        nonlocal done
        if tell is not None:
            tell(path, done, jobs)
        done += 1

    for path, change in own.items():
        begin(change.path)
        _judge_tests(work, path, change, drawn_on.get(path, []))
    looked = 0
    for test in others:
        if looked < MOST_AFFECTED:
            begin(relative(test, work.judge.root))
            looked += _judge_tests(work, test, None, drawn_on[test])
        else:
            looked += 1
    if looked > MOST_AFFECTED:
        because = drawn_on[others[-1]][0].because
        says = f"it may affect {looked - MOST_AFFECTED} further test files, which were not looked at"
        mend = "testing-crew check judges the whole suite"
        work.findings.append(Finding(code="weakened", level="note", path=because, message=says, mend=mend))
    importers: dict[Path, Importers] = {}
    for path, change in kinds.code:
        begin(change.path)
        _judge_code(work, path, change, importers)
    if tell is not None and jobs:
        tell("done", jobs, jobs)


def _elsewhere(changed: Sequence[tuple[Path, FileChange]], change: FileChange) -> list[str]:
    """The new texts of the other changed files of tests, where a check may have gone to."""
    return [other.new for _, other in changed if other is not change and other.status != "deleted"]


def _settings(work: _Work, kinds: Kinds) -> dict[Path, str]:
    """The folders for which pytest's settings changed, with the file that says so; what they switch off is told."""
    found: dict[Path, str] = {}
    for folder, several in kinds.settings.items():
        top = work.judge.root
        moved = {top / change.was for change in kinds.gone if change.was is not None}
        files = [file for file in project_files(folder) if file not in moved]
        differs, findings = lost_by_settings(folder, several, files, find.version_of(folder, work.interpreter))
        work.findings += findings
        if differs:
            found[folder] = several[0].path
    return found


def _judge_code(work: _Work, path: Path, change: FileChange, importers: dict[Path, Importers]) -> None:
    """The tests about a changed module, against its changed lines."""
    if change.status == "deleted" or change.was not in (None, change.path):
        _after_deletion(work, work.judge.root / (change.was or change.path))
    if change.status == "deleted" or not change.behaves:
        return
    try:
        project = work.project(path)
    except UserMistake:
        return  # it is no module of a project: a script that builds it, say
    if path not in project.wanted:
        return
    own = [test for test in work.tests if project_root(test) == project_root(path)] or work.tests
    if project.top not in importers:
        importers[project.top] = Importers(project.modules, own)
    direct, others = importers[project.top].of(path, own)
    named = [test for test in own if test not in direct and find.is_named_after(test, path)]
    others = [test for test in others if test not in named]
    module, more, failing = code_seen(work.judge, project, path, change, [*direct, *named], others)
    work.modules += [module]
    work.findings += more
    for file in failing:
        work.tell_of(file)


def _judge_tests(work: _Work, test: Path, change: FileChange | None, drawn_on: Sequence[Touch]) -> bool:
    """The whole gate on a test file that changed, or that draws on what did, and each test concerned on its own.

    Returns whether it was looked at: one is not that uses nothing of what changed, or is about other code than the target.
    """
    judge = work.judge
    try:
        text = Text(read(change.new if change is not None else test.read_text(encoding="utf-8")))
        look = look_at(text, change, drawn_on)
        if change is None and not look.others and text.tests:
            return False
    except (OSError, *UNREADABLE):
        text = None
    try:
        project = work.project(test)
        survey = judge.look(test, project)
        modules = find.about(test, project.modules, survey.touched)
        wanted = [module for module in modules if module in project.wanted]
        trouble, hint = survey.trouble, survey.hint
        if not trouble and not modules:
            trouble, hint = find.ABOUT_NOTHING
        elif not trouble and not wanted:
            return False  # it is about other code than the target
        pairs = [] if trouble else [judge.pair(test, module, project) for module in wanted]
    except (UserMistake, SandboxError) as error:
        trouble, hint, pairs = error.message, error.hint or "", []
    targets = tuple(pair.report for pair in pairs)
    accepted = any(target.accepted for target in targets)
    file = FileReport(path=relative(test, judge.root), accepted=accepted, targets=targets, trouble=trouble, hint=hint)
    work.files[file.path] = file
    for each in file_findings([file]):
        cheats = each.code == "not_accepted" and each.reason in CHEATS
        work.findings.append(each.model_copy(update={"code": "cheats"}) if cheats else each)
    if text is not None and not trouble and any(target.verdict in USABLE for target in targets):
        work.findings += tests_alone(judge, project, test, wanted, text, look)
    return True


def _after_deletion(work: _Work, path: Path) -> None:
    """Test files that import a module that is gone: whether they can be run still."""
    names = set(names_of(path, project_root(path)))
    for test in work.tests:
        if names & imports_of(test) and relative(test, work.judge.root) not in work.files:
            try:
                survey = work.judge.look(test, work.project(test))
            except UserMistake:
                continue
            if survey.trouble:
                name = relative(test, work.judge.root)
                work.tell_of(FileReport(path=name, accepted=False, trouble=survey.trouble, hint=survey.hint))
