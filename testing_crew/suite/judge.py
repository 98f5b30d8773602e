"""A whole suite judged: each test file against the modules that it is about, with what all of them leave unnoticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from testing_crew.errors import SandboxError, TestingCrewError, UserMistake
from testing_crew.project.imports import project_root
from testing_crew.runner.run import Runner
from testing_crew.suite import find
from testing_crew.suite.cache import made_by
from testing_crew.suite.find import MOST_MODULES, Survey, has_functions
from testing_crew.suite.modules import file_findings, module_findings, module_report, unnoticed
from testing_crew.suite.pair import Judge, Options, Pair, Project, Tell, relative, stoppable
from testing_crew.suite.records import FileReport, SuiteReport

MOST_GLANCES = 5  # that further test files take at what no file about a module notices of it
FILES_AT_ONCE = 3  # a file waits now and then, for a start or a single run; the runner bounds how many runs there are


@dataclass
class _Looked:
    """One test file on the way: ``pairs`` with the module that it is most about first."""

    test: Path
    root: Path
    about: list[Path] = field(default_factory=list)
    project: Project | None = None
    survey: Survey = field(default_factory=Survey)
    pairs: list[Pair] = field(default_factory=list)
    trouble: str = ""
    hint: str = ""

    def fail(self, error: TestingCrewError) -> None:
        self.trouble, self.hint = error.message, error.hint or ""


def check_suite(
    paths: Sequence[Path],
    target: Path | None,
    options: Options,
    runner: Runner,
    interpreter: str | None = None,
    tell: Tell | None = None,
) -> SuiteReport:
    """Judge the test files in ``paths`` (files and folders) against the modules that they are about, several at a time.

    ``target`` is a file or a folder: only its modules are looked at, and only test files about one of them. A file that cannot be
    run is told in the report and keeps no other from being judged. Raises `UserMistake` for a path that is not there or holds no
    test file, for a target that is none, and where no test file is about it. An interrupt is raised again, with a message that
    says how much is kept.
    """
    began = time.monotonic()
    tests = find.test_files(paths, interpreter)
    if target is not None:
        find.modules_in(target, tests)
    root = _root(tests, target)
    judge = Judge(runner, options, root)
    looked = [_Looked(test, root) for test in tests]
    whole = target is not None or any(
        path.is_dir() for path in paths
    )  # of single files, what they are about is all that is told
    projects = _projects(judge, looked, target, interpreter)
    with stoppable(judge):
        work = {relative(each.test, root): partial(_judge_file, judge, each) for each in looked}
        _side_by_side(runner, work, tell)
        left = _left_over([each for each in looked if each.project is not None]) if whole else []
        more = {relative(module, root): partial(_judge_more, judge, each, module) for each, module in left}
        _side_by_side(runner, more, tell)
        glances: dict[str, list[Pair]] = {}
        again = {
            path: partial(_look_again, judge, path, looked, glances)
            for path, pairs in _by_module(looked).items()
            if unnoticed(pairs)
        }
        _side_by_side(runner, again, tell)
    about = [each for each in looked if each.pairs or (each.trouble and _may_be_about(each))]
    if not about:
        raise UserMistake(
            f"none of the {len(tests)} test files is about {target}: their cases run no line of it",
            hint="name another --target, or have tests written: testing-crew write FILE",
        )
    files = sorted((_file_report(each, root) for each in about), key=_strength)
    return _report(root, files, looked, glances, projects if whole else [], judge, began)


def _root(tests: Sequence[Path], target: Path | None) -> Path:
    """The folder that paths are told from: the project's, or one above it that has all test files."""
    root = project_root(tests[0])
    while not all(test.is_relative_to(root) for test in tests) and root != root.parent:
        root = root.parent
    return root


def _projects(judge: Judge, looked: Sequence[_Looked], target: Path | None, interpreter: str | None) -> list[Project]:
    """Give each test file its project; a project that cannot be used is trouble of its test files."""
    tests = [each.test for each in looked]
    made: dict[Path, Project | UserMistake] = {}
    for each in looked:
        top = project_root(each.test)
        if top not in made:
            try:
                made[top] = judge.project(each.test, target, tests, interpreter)
            except UserMistake as mistake:
                made[top] = mistake
        project = made[top]
        if isinstance(project, UserMistake):
            each.fail(project)
        else:
            each.project = project
    mistakes = [each for each in made.values() if isinstance(each, UserMistake)]
    if len(mistakes) == len(made):
        raise mistakes[0]
    return [each for each in made.values() if isinstance(each, Project)]


def _judge_file(judge: Judge, each: _Looked) -> None:
    if each.project is None:
        return
    project = each.project
    try:
        each.survey = judge.look(each.test, project)
        if each.survey.trouble:
            each.trouble, each.hint = each.survey.trouble, each.survey.hint
            return
        modules = find.about(each.test, project.modules, each.survey.touched)
        if not modules:
            each.trouble, each.hint = find.ABOUT_NOTHING
            return
        each.about = modules
        for module in modules:
            if module in project.wanted:
                each.pairs.append(pair := judge.pair(each.test, module, project))
                if pair.report.accepted or pair.report.verdict != "passed":
                    break  # what does not pass is not accepted for another module either
    except (UserMistake, SandboxError) as error:
        each.fail(error)


def _may_be_about(each: _Looked) -> bool:
    """Whether a file in trouble concerns the target; where all of the project is the target, each does."""
    project = each.project
    if project is None or project.wanted == frozenset(project.modules):
        return True
    return bool(find.by_imports(each.test, list(project.wanted)))


def _left_over(looked: Sequence[_Looked]) -> list[tuple[_Looked, Path]]:
    """Of modules that no file was judged against but some run: each with the file that runs most of it, where it has room."""
    able = [each for each in looked if not each.trouble]
    room = {each.test: MOST_MODULES - len(each.pairs) for each in able}
    judged = {pair.report.target for each in able for pair in each.pairs}
    chosen: list[tuple[_Looked, Path]] = []
    for project in {id(each.project): each.project for each in able if each.project}.values():
        files = [each for each in able if each.project is project]
        for module in sorted(project.wanted):
            ran = [each for each in files if room[each.test] > 0 and each.survey.touched.get(str(module))]
            if ran and relative(module, files[0].root) not in judged and has_functions(module):
                best = max(ran, key=lambda each: (module in each.about, each.survey.touched[str(module)]))
                room[best.test] -= 1
                chosen.append((best, module))
    return chosen


def _judge_more(judge: Judge, each: _Looked, module: Path) -> None:
    """Whether the file is a test of this module too; where it is not, that is nothing against it."""
    assert each.project is not None
    try:
        pair = judge.pair(each.test, module, each.project)
    except (UserMistake, SandboxError):
        return
    if pair.report.accepted or not each.pairs:
        each.pairs.append(pair)


def _by_module(looked: Sequence[_Looked]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in (pair for each in looked for pair in each.pairs):
        found.setdefault(pair.report.target, []).append(pair)
    return found


def _look_again(judge: Judge, path: str, looked: Sequence[_Looked], glances: dict[str, list[Pair]]) -> None:
    """Ask other accepted files that run lines of the module ``path`` whether they notice what its own do not."""
    pairs = _by_module(looked)[path]
    module = (judge.root / path).resolve()
    own = {pair.test for pair in pairs}
    others = [each for each in looked if any(pair.report.accepted for pair in each.pairs)]
    others = [each for each in others if relative(each.test, judge.root) not in own]
    others = [each for each in others if each.survey.touched.get(str(module))]
    seen: list[Pair] = []
    for each in sorted(others, key=lambda each: -each.survey.touched[str(module)])[:MOST_GLANCES]:
        left = unnoticed([*pairs, *seen])
        if left and each.project is not None:
            with suppress(UserMistake, SandboxError):
                seen.append(judge.glance(each.test, module, left, each.project))
    glances[path] = seen


def _side_by_side(runner: Runner, jobs: Mapping[str, Callable[[], None]], tell: Tell | None) -> None:
    """Do all ``jobs``, a few at a time. An interrupt ends the runs at work, and no other is begun."""
    done = 0

    def one(name: str, job: Callable[[], None]) -> None:
        nonlocal done
        if tell is not None:
            tell(name, done, len(jobs))
        job()
        done += 1
        if tell is not None:
            tell(name, done, len(jobs))

    if jobs:
        with ThreadPoolExecutor(min(FILES_AT_ONCE, len(jobs))) as threads:
            try:
                with runner.side_by_side():
                    for future in as_completed([threads.submit(one, *each) for each in jobs.items()]):
                        future.result()
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise


def _file_report(each: _Looked, root: Path) -> FileReport:
    targets = tuple(pair.report for pair in each.pairs)
    return FileReport(
        path=relative(each.test, root),
        accepted=any(target.accepted for target in targets) and not each.trouble,
        targets=targets,
        trouble=each.trouble,
        hint=each.hint,
    )


def _strength(file: FileReport) -> tuple[bool, bool, float, float, str]:
    """By which the weakest file comes first: one that cannot be run, one that is refused, one that notices little."""
    main = file.main
    noticed = main.mutants.score if main and main.mutants else None
    lines = main.coverage.line if main else None
    return file.accepted, not file.trouble, noticed or 0.0, lines or 0.0, file.path


def _report(
    root: Path,
    files: Sequence[FileReport],
    looked: Sequence[_Looked],
    glances: Mapping[str, Sequence[Pair]],
    projects: Sequence[Project],
    judge: Judge,
    began: float,
) -> SuiteReport:
    pairs = _by_module(looked)
    scope = (module for project in projects for module in _scope(project, pairs, root) if has_functions(module))
    paths = {relative(module, root): module for module in scope}
    modules = [module_report(path, pairs.get(path, []), glances.get(path, [])) for path in sorted({*paths, *pairs})]
    by_path = {file.path: file for file in files}
    untried = [each for each in looked if each.trouble and each.project]
    named = {
        path for each in untried for path in find.by_imports(each.test, each.project.modules if each.project else ())
    }
    broken = {relative(module, root) for module in named}.difference(pairs)
    findings = file_findings(files)
    for module in modules:
        if module.path in broken:
            continue  # what is to be mended first is told of the test file
        run_by = _run_by(paths.get(module.path), looked, root)
        findings += module_findings(module, judge.options, root, run_by, by_path)
    return SuiteReport(
        root=str(root),
        made_by=made_by(),
        passed=all(file.accepted for file in files) and not any(each.level == "error" for each in findings),
        tests=tuple(files),
        modules=tuple(modules),
        findings=tuple(findings),
        seconds=time.monotonic() - began,
        cached=sum(target.cached for file in files for target in file.targets),
    )


def _scope(project: Project, pairs: Mapping[str, object], root: Path) -> list[Path]:
    """The modules that the report is about: those of the target, or of the packages that a test file is about.

    What else lies in a project (scripts, the settings of its documents) is not asked to have tests.
    """
    if project.wanted != frozenset(project.modules):
        return sorted(project.wanted)
    about = {find.package_of(module) for module in project.modules if relative(module, root) in pairs}
    return [module for module in project.modules if find.package_of(module) in about]


def _run_by(module: Path | None, looked: Sequence[_Looked], root: Path) -> list[str]:
    ran = [(each.survey.touched.get(str(module), 0), relative(each.test, root)) for each in looked]
    return [test for lines, test in sorted(ran, key=lambda each: -each[0]) if lines]
