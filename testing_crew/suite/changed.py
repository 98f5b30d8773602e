"""A change judged: what its tests are worth, what they no longer check, and what of its code no test notices.

Only what the change touches is looked at: its test files, its modules, and the test files about those.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testing_crew.errors import SandboxError, UserMistake
from testing_crew.project.imports import imports_of, is_test, project_root
from testing_crew.runner.run import Runner
from testing_crew.suite import find
from testing_crew.suite.cache import made_by
from testing_crew.suite.change import FileChange, changes
from testing_crew.suite.modules import file_findings
from testing_crew.suite.pair import Judge, Options, Project, Tell, relative
from testing_crew.suite.reading.git import Repository, repository
from testing_crew.suite.reading.importers import Importers, names_of
from testing_crew.suite.records import FileReport, Finding, Level, ModuleReport, SuiteReport
from testing_crew.suite.touched import code_seen, hollow_tests
from testing_crew.suite.weakened import Weak, weakened

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

_GRAVE = frozenset(("skipped", "swallowed", "dropped", "removed"))  # a check that is gone, and not only says less
_MEND = {
    "skipped": "mend what fails, and let every test run",
    "swallowed": "let the failure through",
    "weaker": "compare with the exact value, as before",
    "rows": "put the rows back, or say in the commit why they are not needed",
}
_MEND_GONE = "put it back, or assert the same elsewhere"


@dataclass
class _Work:
    """What is to be looked at, and what was found."""

    judge: Judge
    tests: list[Path]
    projects: dict[Path, Project] = field(default_factory=dict)
    files: dict[str, FileReport] = field(default_factory=dict)
    modules: list[ModuleReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def check_change(
    rev: str,
    paths: Sequence[Path],
    target: Path | None,
    options: Options,
    runner: Runner,
    interpreter: str | None = None,
    tell: Tell | None = None,
) -> SuiteReport:
    """Judge what the working tree changes against ``rev`` (a commit, a branch, a tag, or ``A...``: where A and HEAD parted).

    ``paths`` are the test files, and the folders of them, that count; none for those of the project in this folder. ``target``
    is the file or the folder whose modules count. The paths of the report are told from the top of the repository. A change of
    nothing, or of comments alone, passes, and nothing is run. Raises `UserMistake` where there is no repository, no such
    revision or path, and where git is not installed; an interrupt is raised again, with a message that says how much is kept.
    """
    began = time.monotonic()
    near = paths[0] if paths else target if target is not None else Path.cwd()
    if not near.exists():
        raise UserMistake(f"no such file or folder: {near}", hint="name test files, or folders with test files")
    tree = repository(near if near.is_dir() else near.resolve().parent)
    found = changes(tree, tree.commit_of(rev))
    work = _Work(Judge(runner, options, tree.top.resolve()), _tests(paths, near, interpreter) if found else [])
    try:
        with runner.side_by_side():  # an interrupt ends the runs at work
            _look(work, tree, found, near, target, interpreter, tell)
    except KeyboardInterrupt:
        pairs = "1 pair" if work.judge.done == 1 else f"{work.judge.done} pairs"
        kept = f"{pairs} of a test file and a module are kept, and the same command goes on"
        raise KeyboardInterrupt(f"stopped; {kept if options.cache else 'nothing is kept (--no-cache)'}") from None
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


def _tests(paths: Sequence[Path], near: Path, interpreter: str | None) -> list[Path]:
    """The test files that count; none where the folders hold none."""
    places = list(paths) or [_home(near)]
    for place in places:
        if not place.exists():
            raise UserMistake(f"no such file or folder: {place}", hint="name test files, or folders with test files")
    try:
        return find.test_files(places, interpreter)
    except UserMistake:
        return []


def _home(place: Path) -> Path:
    return project_root(place / "x.py" if place.is_dir() else place)


def _look(
    work: _Work,
    tree: Repository,
    found: Sequence[FileChange],
    near: Path,
    target: Path | None,
    interpreter: str | None,
    tell: Tell | None,
) -> None:
    top = tree.top.resolve()
    scope = {project_root(test) for test in work.tests} or {_home(near)}
    tests, code = [], []
    known = set(work.tests)
    for change in found:
        path = top / change.path
        if path in known or (change.status == "deleted" and is_test(path, top)):
            tests.append((path, change))
        elif not is_test(path, top) and any(path.is_relative_to(folder) for folder in scope):
            code.append((path, change))
    gone = _gone([change for _, change in code])
    jobs = len(tests) + len(code)
    for done, (path, change) in enumerate(tests):
        if tell is not None:
            tell(change.path, done, jobs)
        elsewhere = [other.new for _, other in tests if other is not change and other.status != "deleted"]
        work.findings += _weak(change, elsewhere, gone)
        if change.status != "deleted":
            _judge_tests(work, path, change, target, interpreter)
    importers: dict[Path, Importers] = {}
    for done, (path, change) in enumerate(code, len(tests)):
        if tell is not None:
            tell(change.path, done, jobs)
        if change.status == "deleted":
            _after_deletion(work, path, target, interpreter)
            continue
        try:
            project = _project(work, path, target, interpreter)
        except UserMistake:
            continue  # it is no module of a project: a script that builds it, say
        if path not in project.wanted:
            continue
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
            if file.path not in work.files:
                work.files[file.path] = file
                work.findings += file_findings([file])
    if tell is not None and jobs:
        tell("done", jobs, jobs)


def _project(work: _Work, file: Path, target: Path | None, interpreter: str | None) -> Project:
    top = project_root(file)
    if top not in work.projects:
        work.projects[top] = work.judge.project(file, target, work.tests, interpreter)
    return work.projects[top]


def _judge_tests(work: _Work, test: Path, change: FileChange, target: Path | None, interpreter: str | None) -> None:
    """The whole gate on a changed test file, and each changed test of it on its own."""
    judge, root = work.judge, work.judge.root
    name = relative(test, root)
    try:
        project = _project(work, test, target, interpreter)
        survey = judge.look(test, project)
        modules = find.about(test, project.modules, survey.touched)
        wanted = [module for module in modules if module in project.wanted]
        trouble, hint = survey.trouble, survey.hint
        if not trouble and not modules:
            trouble = "it is about no module of the project: it imports none, and its cases run no line of one"
            hint = "import the code and call it; or name the code with --target"
        elif not trouble and not wanted:
            return  # it is about other code than the target
        pairs = [] if trouble else [judge.pair(test, module, project) for module in wanted]
    except (UserMistake, SandboxError) as error:
        trouble, hint, pairs = error.message, error.hint or "", []
    targets = tuple(pair.report for pair in pairs)
    accepted = any(target.accepted for target in targets)
    file = FileReport(path=name, accepted=accepted, targets=targets, trouble=trouble, hint=hint)
    work.files[name] = file
    for each in file_findings([file]):
        cheats = each.code == "not_accepted" and each.reason in CHEATS
        work.findings.append(each.model_copy(update={"code": "cheats"}) if cheats else each)
    if not trouble and any(target.verdict == "passed" for target in targets):
        work.findings += hollow_tests(judge, project, test, wanted, change)


def _weak(change: FileChange, elsewhere: Sequence[str], gone: frozenset[str]) -> list[Finding]:
    """What a changed test file checks no longer; ``gone`` are functions and classes that the code has no more."""
    found = weakened(change.old, change.new, elsewhere) if change.status != "added" else ()
    if change.status == "deleted" and found:
        level: Level = "note" if all(weak.uses & gone for weak in found) else "error"
        names = ", ".join(weak.name for weak in found[:5]) + (" …" if len(found) > 5 else "")
        says = f"the test file is gone, with {len(found)} of its tests: {names}"
        return [Finding(code="weakened", level=level, path=change.path, message=says, mend=_MEND_GONE)]
    return [_finding(change.path, weak, gone) for weak in found]


def _finding(path: str, weak: Weak, gone: frozenset[str]) -> Finding:
    level: Level = "error" if weak.kind in _GRAVE else "warning"
    says = f"{weak.name}: {weak.says}" if weak.name else weak.says
    mend = _MEND.get(weak.kind, _MEND_GONE)
    if lost := weak.uses & gone:
        level, mend = "note", ""
        says += f"; the code has {', '.join(sorted(lost))} no more"
    return Finding(code="weakened", level=level, path=path, line=weak.line, message=says, mend=mend, name=weak.name)


def _gone(code: Sequence[FileChange]) -> frozenset[str]:
    """The last names of functions and classes that the change took out of the code, and put nowhere else."""
    removed = {name.rpartition(".")[2] for change in code for name in change.removed}
    return frozenset(removed - {name.rpartition(".")[2] for change in code for name in change.added})


def _after_deletion(work: _Work, path: Path, target: Path | None, interpreter: str | None) -> None:
    """Test files that import a module that is gone: whether they can be run still."""
    names = set(names_of(path, project_root(path)))
    for test in work.tests:
        name = relative(test, work.judge.root)
        if names & imports_of(test) and name not in work.files:
            try:
                survey = work.judge.look(test, _project(work, test, target, interpreter))
            except UserMistake:
                continue
            if survey.trouble:
                file = FileReport(path=name, accepted=False, trouble=survey.trouble, hint=survey.hint)
                work.files[name] = file
                work.findings += file_findings([file])
